//! The text of one answer, on its way from tokens to the client.

use super::TextStream;
use crate::stop::StopMatcher;

/// Turns an answer's tokens into pieces of text, and keeps the last piece back.
///
/// Whether a piece is the last one is known only when the next token is there, which may end the answer without any text.
/// So each piece leaves when there is another one to keep: the last one leaves when the receipt is on disk.
#[derive(Clone, Debug)]
pub struct AnswerText<T> {
    decoder: T,
    stop: StopMatcher,
    /// Everything that has left.
    sent: String,
    /// The piece that waits.
    held: String,
}

/// What a token led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What may leave now; often nothing.
    pub piece: String,
    /// Whether a stop sequence ended the answer.
    pub stopped: bool,
}

impl<T: TextStream> AnswerText<T> {
    /// The text of an answer that ends where one of `stops` begins.
    pub fn new(decoder: T, stops: Vec<String>) -> Self {
        Self { decoder, stop: StopMatcher::new(stops), sent: String::new(), held: String::new() }
    }

    /// Takes the next token.
    pub fn push(&mut self, token: u32) -> Step {
        let piece = self.decoder.push(token);
        let matched = self.stop.push(&piece);
        Step { piece: self.hold(matched.text), stopped: matched.stopped }
    }

    /// No token follows: takes what waits for one in the decoder or may have become a stop sequence.
    pub fn finish(&mut self) -> Step {
        let rest = self.decoder.finish();
        let matched = self.stop.push(&rest);
        let text = if matched.stopped { matched.text } else { matched.text + &self.stop.finish() };
        Step { piece: self.hold(text), stopped: matched.stopped }
    }

    /// All text, and the piece of it that is still to be sent.
    pub fn whole(self) -> (String, String) {
        (self.sent + &self.held, self.held)
    }

    /// The text that has left; what waited for the receipt is lost.
    pub fn sent(self) -> String {
        self.sent
    }

    /// Keeps `text` back, and lets go of what was kept before it.
    fn hold(&mut self, text: String) -> String {
        if text.is_empty() {
            return text;
        }
        let piece = std::mem::replace(&mut self.held, text);
        self.sent.push_str(&piece);
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a token; 0 has no text, as a control token or half a character.
    #[derive(Clone)]
    struct Letters;

    impl TextStream for Letters {
        fn push(&mut self, token: u32) -> String {
            char::from_u32(token).filter(|letter| *letter != '\0').map(String::from).unwrap_or_default()
        }

        fn finish(&mut self) -> String {
            String::new()
        }
    }

    fn say(text: &mut AnswerText<Letters>, said: &str) -> Vec<String> {
        said.chars().map(|letter| text.push(letter.into()).piece).collect()
    }

    #[test]
    fn a_piece_leaves_when_another_one_is_there_to_be_kept() {
        let mut text = AnswerText::new(Letters, vec![]);
        assert_eq!(say(&mut text, "ab"), ["", "a"]);
        assert_eq!(say(&mut text, "\0\0"), ["", ""], "tokens without text let nothing go");
        assert_eq!(text.finish(), Step { piece: String::new(), stopped: false });
        assert_eq!(text.whole(), ("ab".into(), "b".into()));
    }

    #[test]
    fn what_may_become_a_stop_sequence_is_kept_beside_the_last_piece() {
        let mut text = AnswerText::new(Letters, vec!["xyz".into()]);
        assert_eq!(say(&mut text, "abxy"), ["", "a", "", ""]);
        let mut stopped = text.clone();
        assert_eq!(stopped.push('z'.into()), Step { piece: String::new(), stopped: true });
        assert_eq!(stopped.whole(), ("ab".into(), "b".into()));
        assert_eq!(text.finish(), Step { piece: "b".into(), stopped: false });
        assert_eq!(text.whole(), ("abxy".into(), "xy".into()));
    }

    #[test]
    fn whoever_left_has_what_was_sent() {
        let mut text = AnswerText::new(Letters, vec![]);
        say(&mut text, "abc");
        assert_eq!(text.sent(), "ab");
    }
}
