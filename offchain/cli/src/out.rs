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
