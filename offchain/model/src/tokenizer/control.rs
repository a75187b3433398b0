//! Control tokens: those by which a template, never a user's text, steers the model.

use std::collections::BTreeMap;

/// A control token as text.
#[derive(Clone, Debug)]
pub(crate) struct ControlToken {
    pub(crate) content: String,
    pub(crate) id: u32,
    /// Takes the white space in front of it.
    pub(crate) lstrip: bool,
    /// Takes the white space behind it.
    pub(crate) rstrip: bool,
}

/// A piece of a rendered template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// A control token.
    Control(u32),
    /// Text between control tokens, not empty.
    Text(&'a str),
}

/// The control tokens of a vocabulary.
#[derive(Clone, Debug, Default)]
pub(crate) struct ControlTokens {
    /// By first byte, longest first: a longer token wins over its prefix.
    by_first: BTreeMap<u8, Vec<ControlToken>>,
    contents: BTreeMap<u32, String>,
}

impl ControlTokens {
    pub(super) fn new(tokens: impl IntoIterator<Item = ControlToken>) -> Self {
        let mut out = Self::default();
        for token in tokens {
            let Some(first) = token.content.as_bytes().first() else { continue };
            out.contents.insert(token.id, token.content.clone());
            out.by_first.entry(*first).or_default().push(token);
        }
        for tokens in out.by_first.values_mut() {
            tokens.sort_by(|a, b| (b.content.len(), &a.content).cmp(&(a.content.len(), &b.content)));
        }
        out
    }

    /// The text of control token `id`.
    pub(crate) fn content(&self, id: u32) -> Option<&str> {
        self.contents.get(&id).map(String::as_str)
    }

    /// All texts.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &str> {
        self.contents.values().map(String::as_str)
    }

    fn at<'a>(&'a self, text: &str) -> Option<&'a ControlToken> {
        let first = text.as_bytes().first()?;
        self.by_first.get(first)?.iter().find(|token| text.starts_with(&token.content))
    }

    /// Cuts `text` at its control tokens, leftmost and longest first.
    pub(crate) fn split<'a>(&self, text: &'a str) -> Vec<Segment<'a>> {
        let mut segments = Vec::new();
        let (mut from, mut at) = (0, 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(token) = self.at(rest) else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let before = &text[from..at];
            push_text(&mut segments, if token.lstrip { before.trim_end() } else { before });
            segments.push(Segment::Control(token.id));
            at += token.content.len();
            if token.rstrip {
                at = text.len() - text[at..].trim_start().len();
            }
            from = at;
        }
        push_text(&mut segments, &text[from..]);
        segments
    }
}

fn push_text<'a>(segments: &mut Vec<Segment<'a>>, text: &'a str) {
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(content: &str, id: u32, strip: bool) -> ControlToken {
        ControlToken { content: content.into(), id, lstrip: strip, rstrip: strip }
    }

    #[test]
    fn the_longest_token_wins_and_text_between_is_kept() {
        let control = ControlTokens::new([token("<a>", 1, false), token("<a>>", 2, false)]);
        use Segment::{Control, Text};
        assert_eq!(control.split("é<a>x<a>><a"), [Text("é"), Control(1), Text("x"), Control(2), Text("<a")]);
        assert_eq!(control.split(""), []);
    }

    #[test]
    fn stripping_tokens_take_white_space() {
        let control = ControlTokens::new([token("<m>", 1, true)]);
        assert_eq!(control.split("a \n<m>\t b"), [Segment::Text("a"), Segment::Control(1), Segment::Text("b")]);
    }
}
