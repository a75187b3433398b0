//! Turning tokens into text while they come, without ever yielding half a character.

use super::Tokenizer;

/// Incremental detokenisation: text comes out as soon as its characters are complete.
///
/// At most three bytes, the longest beginning of an incomplete UTF-8 character, wait for the next token. Bytes that can
/// never become a character come out as U+FFFD. All text together is what [`Tokenizer::decode`] gives for all tokens.
///
/// ```text
/// push(b"caf")  -> "caf"
/// push(b"\xc3") -> ""       waits
/// push(b"\xa9") -> "é"
/// ```
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    pending: Vec<u8>,
    started: bool,
}

impl TextStream {
    /// A stream at the start of an answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text that `token` completes; control tokens and tokens outside the vocabulary have none.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        let mut bytes = tokenizer.bytes(token);
        if bytes.is_empty() || tokenizer.is_control(token) {
            return String::new();
        }
        if !self.started && tokenizer.strips_first_space() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.started = true;
        self.pending.extend_from_slice(bytes);

        let mut text = String::with_capacity(self.pending.len());
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                },
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(bad) = error.error_len() else {
                        rest = after;
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[bad..];
                },
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left when no token follows: nothing, or U+FFFD for a character that was never completed.
    pub fn finish(&mut self) -> String {
        let left = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&left).into_owned()
    }
}
