//! Documents of files and folders, in an order that depends on nothing but their names.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest file. A larger corpus is in several.
const MAX_FILE: u64 = 1 << 30;
/// Most files of a corpus.
const MAX_FILES: usize = 1 << 20;
/// How deep folders are looked into.
const MAX_DEPTH: usize = 32;

/// A line of a .jsonl file. What else is in it is not looked at.
#[derive(Deserialize)]
struct Line {
    text: String,
}

/// A file, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The files that are named, and those in the folders that are, by their names; hidden ones are left out.
pub(super) fn sources(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in paths {
        look(path, 0, &mut found)?;
    }
    ensure!(!found.is_empty(), "there is no file in what was named");
    Ok(found)
}

fn look(path: &Path, depth: usize, found: &mut Vec<Source>) -> Result<()> {
    let cannot = || format!("cannot read {}", path.display());
    let kind = fs::metadata(path).with_context(cannot)?;
    if kind.is_dir() {
        ensure!(depth < MAX_DEPTH, "{} is more than {MAX_DEPTH} folders deep; name the folders apart", path.display());
        let entries = fs::read_dir(path).with_context(cannot)?.map(|entry| Ok(entry?.path()));
        let mut entries: Vec<PathBuf> = entries.collect::<Result<_>>().with_context(cannot)?;
        let is_hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        entries.retain(|path| !is_hidden(path));
        entries.sort_unstable();
        return entries.iter().try_for_each(|path| look(path, depth.saturating_add(1), found));
    }
    ensure!(kind.is_file(), "{} is neither a file nor a folder", path.display());
    let bytes = kind.len();
    ensure!(bytes <= MAX_FILE, "{} has more than {MAX_FILE} bytes; cut it into several files", path.display());
    ensure!(found.len() < MAX_FILES, "there are more than {MAX_FILES} files; join small ones");
    found.push(Source { path: path.to_owned(), bytes });
    Ok(())
}

/// The documents of a file, one after the other.
pub(super) fn documents(path: &Path, take: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Ok(text) = String::from_utf8(bytes) else {
        bail!("{} is not UTF-8: convert it, or leave it out", path.display())
    };
    if path.extension().is_none_or(|extension| extension != "jsonl") {
        return take(&text).with_context(|| path.display().to_string());
    }
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let at = || format!("{}, line {number}", path.display());
        let line: Line = serde_json::from_str(line)
            .with_context(|| format!("{}: needed is an object with a \"text\" on each line", at()))?;
        take(&line.text).with_context(at)?;
    }
    Ok(())
}

/// A text in pieces of at most `most` bytes, cut after the ends of lines where that can be.
pub(super) fn pieces(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(most.max(4));
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        if end < rest.len() {
            let (head, _) = rest.split_at(end);
            end = head.rfind('\n').map_or(end, |line| line + 1);
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        documents(path, &mut |text| {
            found.push(text.to_owned());
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn files_come_by_their_names_and_hidden_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        for name in ["z.txt", "a.txt", "b/two", "b/one", ".hidden"] {
            fs::write(at(name), name).unwrap();
        }
        let names = |paths: &[PathBuf]| -> Vec<PathBuf> {
            sources(paths).unwrap().into_iter().map(|source| source.path).collect()
        };
        assert_eq!(names(&[folder.path().to_owned()]), ["a.txt", "b/one", "b/two", "z.txt"].map(at));
        // What is named apart keeps its place.
        assert_eq!(names(&[at("z.txt"), at("a.txt")]), [at("z.txt"), at("a.txt")]);
        assert_eq!(sources(&[at("a.txt")]).unwrap()[0].bytes, 5);
        assert!(sources(&[at("missing")]).unwrap_err().to_string().contains("missing"));
        fs::create_dir(at("empty")).unwrap();
        assert!(sources(&[at("empty")]).is_err());
    }

    #[test]
    fn folders_that_go_round_are_not_followed_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert!(format!("{:#}", sources(&[folder.path().to_owned()]).unwrap_err()).contains("deep"));
    }

    #[test]
    fn a_file_is_a_document_and_so_is_a_line_of_jsonl() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("one.txt"), "first\nsecond").unwrap();
        fs::write(at("many.jsonl"), "{\"text\": \"first\", \"id\": 1}\n\n{\"text\": \"second\"}\n").unwrap();
        assert_eq!(read(&at("one.txt")).unwrap(), ["first\nsecond"]);
        assert_eq!(read(&at("many.jsonl")).unwrap(), ["first", "second"]);
        fs::write(at("bad.jsonl"), "{\"text\": \"first\"}\n{\"body\": 1}\n").unwrap();
        assert!(format!("{:#}", read(&at("bad.jsonl")).unwrap_err()).contains("line 2"));
        fs::write(at("bytes"), [0xff, 0xfe]).unwrap();
        assert!(read(&at("bytes")).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn pieces_are_the_text_again() {
        let text = "a line\nanother line\nwörter ohne ende wörter ohne ende";
        for most in 4..40 {
            let pieces: Vec<_> = pieces(text, most).collect();
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= most), "{most}: {pieces:?}");
        }
        assert_eq!(pieces(text, 12).next(), Some("a line\n"));
        assert_eq!(pieces("", 12).next(), None);
    }
}
