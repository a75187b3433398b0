//! Whether the text and the end of an answer are what its tokens say.
//!
//! A receipt commits to tokens. What a person reads is text, and why an answer ended is a word: both follow from the tokens,
//! but for the stop sequences, which are the client's and in no receipt. So text may end before its tokens do only where one
//! of the length that is allowed fits, completed by the last token.

use crate::stop::MAX_STOP;
use blyan_model::{chat::TextProcessor, tokenizer::TextStream};

/// How a text departs from its tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not a reason for which answers end.
    #[error("answers do not end by {0:?}")]
    Reason(String),
    /// A token that ends an answer, with more after it.
    #[error("token {position} of the answer ends it, but others follow")]
    EndInside {
        /// Its place in the answer.
        position: usize,
    },
    /// The text says something else.
    #[error("the text is not what the tokens say: they differ from character {character} on")]
    Differs {
        /// Number of characters that agree.
        character: usize,
    },
    /// The text ends early, and no stop sequence explains it.
    #[error("the text ends {missing} bytes before its tokens do, which no stop sequence explains")]
    Cut {
        /// Bytes that the tokens say and the text does not.
        missing: usize,
    },
    /// The reason is not the one that the tokens show.
    #[error("the answer is said to have ended by {said:?}, but its tokens {shown}")]
    End {
        /// The reason given.
        said: String,
        /// What the tokens show.
        shown: &'static str,
    },
}

const GO_ON: &str = "do not end it";
const ENDED: &str = "end it";

/// Checks that `text` is what the tokens of `output` say, and `finish` a reason for which they can have ended: `stop`,
/// `length` or `cancelled`.
pub fn check(processor: &TextProcessor, output: &[u32], finish: &str, text: &str) -> Result<(), TextError> {
    let end = |shown| Err(TextError::End { said: finish.to_owned(), shown });
    let ends = |token: &u32| processor.generation().stop.contains(token);
    let (said, ended) = match output.split_last() {
        Some((last, said)) if ends(last) => (said, true),
        _ => (output, false),
    };
    if let Some(position) = said.iter().position(ends) {
        return Err(TextError::EndInside { position });
    }
    let (mut stream, mut whole) = (TextStream::new(), String::new());
    let mut before_last = 0;
    for token in said {
        before_last = whole.len();
        whole.push_str(&stream.push(processor.tokenizer(), *token));
    }
    if ended {
        before_last = whole.len();
    }
    whole.push_str(&stream.finish());

    let Some(rest) = whole.strip_prefix(text) else {
        let agree = whole.chars().zip(text.chars()).take_while(|(ours, theirs)| ours == theirs);
        return Err(TextError::Differs { character: agree.count() });
    };
    // The sequence begins where the text ends, and is completed by what the last token added.
    let stopped = !rest.is_empty() && whole.len() > before_last && text.len() + MAX_STOP > before_last;
    match finish {
        "stop" if (ended && rest.is_empty()) || stopped => Ok(()),
        "stop" if rest.is_empty() => end(GO_ON),
        // A client that goes away has what was sent until then.
        "cancelled" if !ended => Ok(()),
        "length" if !ended && rest.is_empty() => Ok(()),
        "length" | "cancelled" if ended => end(ENDED),
        "stop" | "length" => Err(TextError::Cut { missing: rest.len() }),
        other => Err(TextError::Reason(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{canonical::Text, scheduler::AnswerText};
    use blyan_model::tiny;
    use blyan_store::{Config, Store};
    use proptest::prelude::*;
    use std::sync::{Arc, LazyLock};

    /// The tiny model's: a token a byte, so that characters are cut in two.
    static TINY: LazyLock<Arc<TextProcessor>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Config::new(folder.path()), &prometheus::Registry::new()).unwrap();
        let model = tiny::build(tiny::GENESIS_SEED).unwrap();
        model.blocks.iter().for_each(|block| assert!(store.put(block).is_ok()));
        let block = store.get(&model.genesis.spec.tokenizer).unwrap();
        Arc::new(TextProcessor::from_block(&block).unwrap())
    });

    fn bytes(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    fn ended(text: &str) -> Vec<u32> {
        [bytes(text), vec![tiny::EOS]].concat()
    }

    #[test]
    fn text_is_what_the_tokens_say() {
        assert_eq!(check(&TINY, &bytes("café"), "length", "café"), Ok(()));
        assert_eq!(check(&TINY, &ended("café"), "stop", "café"), Ok(()));
        assert_eq!(check(&TINY, &bytes("caf\u{e9}")[..4], "length", "caf\u{fffd}"), Ok(()));
        assert_eq!(check(&TINY, &bytes("Paris"), "length", "Pariz"), Err(TextError::Differs { character: 4 }));
        assert_eq!(check(&TINY, &ended("Paris"), "stop", "Paris."), Err(TextError::Differs { character: 5 }));
    }

    #[test]
    fn an_end_is_the_one_that_the_tokens_show() {
        let end = |said: &str, shown| Err(TextError::End { said: said.into(), shown });
        assert_eq!(check(&TINY, &bytes("Paris"), "stop", "Paris"), end("stop", GO_ON));
        assert_eq!(check(&TINY, &ended("Paris"), "length", "Paris"), end("length", ENDED));
        assert_eq!(check(&TINY, &ended("Paris"), "cancelled", "Par"), end("cancelled", ENDED));
        assert_eq!(check(&TINY, &bytes("Paris"), "tired", "Paris"), Err(TextError::Reason("tired".into())));
        let twice = [ended("Pa"), bytes("ris")].concat();
        assert_eq!(check(&TINY, &twice, "length", "Paris"), Err(TextError::EndInside { position: 2 }));
    }

    #[test]
    fn text_may_be_cut_by_a_stop_sequence_and_by_a_client_that_leaves() {
        assert_eq!(check(&TINY, &bytes("Paris, Fr"), "stop", "Paris"), Ok(()));
        assert_eq!(check(&TINY, &bytes("Paris, Fr"), "cancelled", "Par"), Ok(()));
        assert_eq!(check(&TINY, &bytes("Paris, Fr"), "length", "Paris"), Err(TextError::Cut { missing: 4 }));
        // The answer would have ended with the sequence, before the token that ends it.
        assert_eq!(check(&TINY, &ended("Paris"), "stop", "Par"), Err(TextError::Cut { missing: 2 }));
        let long = bytes(&"x".repeat(MAX_STOP + 1));
        assert_eq!(check(&TINY, &long, "stop", "x"), Ok(()), "the longest stop sequence there is");
        assert_eq!(check(&TINY, &long, "stop", ""), Err(TextError::Cut { missing: MAX_STOP + 1 }));
    }

    proptest! {
        #[test]
        fn every_answer_that_a_worker_can_give_is_accepted_and_a_changed_one_is_not(
            tokens in proptest::collection::vec(prop_oneof![4 => 97u32..101, 1 => 0u32..256, 1 => Just(tiny::PAD)], 1..60),
            ends in any::<bool>(),
            leaves in any::<bool>(),
            stops in proptest::collection::vec("[abcd\u{fffd}]{1,5}", 0..4),
        ) {
            // What the engine does, token by token.
            let mut text = AnswerText::new(Text::new(TINY.clone()), stops);
            let mut output = Vec::new();
            let mut stopped = false;
            for token in tokens {
                output.push(token);
                stopped = text.push(token).stopped;
                if stopped {
                    break;
                }
            }
            let (finish, text) = if leaves && !stopped {
                ("cancelled", text.sent())
            } else {
                let ends = ends && !stopped;
                if ends {
                    output.push(tiny::EOS);
                }
                let finish = if !stopped && !text.finish().stopped && !ends { "length" } else { "stop" };
                (finish, text.whole().0)
            };
            prop_assert_eq!(check(&TINY, &output, finish, &text), Ok(()));
            let changed = format!("{text}\u{1}");
            prop_assert!(check(&TINY, &output, finish, &changed).is_err() || output.contains(&1));
        }
    }
}
