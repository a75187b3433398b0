//! Stop sequences in streamed text.

/// Longest stop sequence, in bytes.
pub const MAX_STOP: usize = 256;

/// Finds the first stop sequence in text that arrives in pieces, and holds back what may become one.
#[derive(Clone, Debug, Default)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Text that no stop sequence can begin in any more.
    pub text: String,
    /// Whether a stop sequence followed it; the sequence itself and all after it are dropped.
    pub stopped: bool,
}

impl StopMatcher {
    /// Stops at the earliest occurrence of any of `stops`; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), held: String::new() }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &str) -> Matched {
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            return Matched { text: std::mem::take(&mut self.held), stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let text = self.held.drain(..self.held.len() - keep).collect();
        Matched { text, stopped: false }
    }

    /// What is held back, when nothing follows.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes of the longest end of `text` that begins `stop` without completing it.
fn overlap(text: &str, stop: &str) -> usize {
    let begins = |len: &usize| stop.get(..*len).is_some_and(|start| text.ends_with(start));
    (1..stop.len()).rev().find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(|s| s.to_string()).collect());
        let mut out = String::new();
        for piece in pieces {
            let matched = matcher.push(piece);
            out.push_str(&matched.text);
            if matched.stopped {
                return (out, true);
            }
        }
        out.push_str(&matcher.finish());
        (out, false)
    }

    #[test]
    fn a_stop_across_pieces_is_found_and_dropped() {
        assert_eq!(run(&["END"], &["abE", "N", "Dxyz"]), ("ab".into(), true));
        assert_eq!(run(&["END"], &["abE", "N", "d"]), ("abENd".into(), false));
        assert_eq!(run(&["ab", "xb"], &["x", "xb"]), ("x".into(), true));
        assert_eq!(run(&["é!"], &["caf", "é", "?"]), ("café?".into(), false));
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(run(&["later", "soon"], &["a soon later"]), ("a ".into(), true));
    }

    #[test]
    fn text_that_cannot_become_a_stop_is_not_held() {
        let mut matcher = StopMatcher::new(vec!["##".into()]);
        assert_eq!(matcher.push("hello").text, "hello");
        assert_eq!(matcher.push("#").text, "");
        assert_eq!(matcher.push("a").text, "#a");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            text in "[abcé]{0,40}", stops in proptest::collection::vec("[abcé]{1,4}", 0..4), cuts in any::<u64>(),
        ) {
            let chars: Vec<char> = text.chars().collect();
            let mut pieces = vec![String::new()];
            for (i, c) in chars.iter().enumerate() {
                if cuts >> (i % 64) & 1 == 1 {
                    pieces.push(String::new());
                }
                pieces.last_mut().unwrap().push(*c);
            }
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let whole = match stops.iter().filter_map(|stop| text.find(stop)).min() {
                Some(at) => (text[..at].to_owned(), true),
                None => (text.clone(), false),
            };
            // A stop that ends later can begin earlier: streamed, the first to be complete is the one that counts.
            let streamed = run(&stops, &pieces);
            prop_assert_eq!(streamed.1, whole.1);
            prop_assert!(text.starts_with(&streamed.0));
            if !whole.1 {
                prop_assert_eq!(streamed.0, whole.0);
            }
        }
    }
}
