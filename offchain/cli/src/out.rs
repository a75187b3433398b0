//! Standard output, which whoever reads it may close at any time: `blyan chat "…" | head -1`.

use anyhow::Result;
use std::{
    fmt,
    io::{self, Write},
};

/// Standard output is closed: its reader has seen enough. A command that meets this ends, quietly and with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads standard output any more")
    }
}

impl std::error::Error for Closed {}

/// Writes `text` as it is, at once.
///
/// # Errors
/// [`Closed`], or what the system says.
pub fn print(text: impl fmt::Display) -> Result<()> {
    told(&mut io::stdout().lock(), &text, "")
}

/// Writes `text` and a line break.
///
/// # Errors
/// As [`print`].
pub fn line(text: impl fmt::Display) -> Result<()> {
    told(&mut io::stdout().lock(), &text, "\n")
}

/// Writes columns, each as wide as its widest cell. Columns whose heading begins with a space are of numbers, and flush right.
///
/// # Errors
/// As [`print`].
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> Result<()> {
    line(aligned(headings, rows))
}

fn aligned<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
        cells.chain(headings.get(column).map(|heading| width(heading.trim_start()))).max().unwrap_or_default()
    });
    let numeric: [bool; N] = headings.map(|heading| heading.starts_with(' '));
    let shown = |cells: [&str; N]| {
        let mut text = String::new();
        for ((cell, width), numeric) in cells.into_iter().zip(widths).zip(numeric) {
            let cell = if numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            text.push_str(&cell);
            text.push_str("  ");
        }
        text.trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| shown(row.each_ref().map(String::as_str)));
    [shown(headings.map(str::trim_start))].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn told(out: &mut impl Write, text: &dyn fmt::Display, end: &str) -> Result<()> {
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let rows = [["a".to_owned(), "10".to_owned()], ["longer".to_owned(), "9".to_owned()]];
        assert_eq!(aligned(["name", " value"], &rows), "name    value\na          10\nlonger      9");
        assert_eq!(aligned(["name", " value"], &[]), "name  value");
    }

    #[test]
    fn a_reader_that_has_left_is_told_from_a_full_disk() {
        let error = told(&mut Broken(io::ErrorKind::BrokenPipe), &"text", "\n").unwrap_err();
        assert!(error.is::<Closed>(), "{error}");
        let error = told(&mut Broken(io::ErrorKind::StorageFull), &"text", "\n").unwrap_err();
        assert!(!error.is::<Closed>(), "{error}");
        let mut out = Vec::new();
        told(&mut out, &7, "\n").unwrap();
        assert_eq!(out, b"7\n");
    }
}
