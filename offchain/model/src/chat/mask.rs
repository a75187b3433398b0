//! Keeping what users write apart from what a template writes, while both are in one string.
//!
//! A template joins its control tokens and the users' texts to one string, and nothing in that string tells a control token
//! that the template wrote from one that a user typed. So before it is rendered, a user's text is *masked*: every character
//! that is neither letter, digit nor white space and occurs in some control token is replaced by a noncharacter of its own,
//! which Unicode reserves for such use. A control token found in the rendered string therefore has all its punctuation from
//! the template. Once the string is cut at its control tokens, the masks in the texts between are taken off again.
//!
//! Tokens that are no control tokens but have a meaning to templates, such as `</think>`, stay as they are, provided that
//! they cannot be part of a control token.

use super::ChatError;
use std::collections::{BTreeMap, BTreeSet};

/// Noncharacters that stand for masked characters.
const MASKS: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// Masks texts for one vocabulary.
#[derive(Clone, Debug)]
pub(super) struct TextMask {
    to_mask: BTreeMap<char, char>,
    from_mask: BTreeMap<char, char>,
    /// Texts that are kept, by first character, longest first.
    kept: BTreeMap<char, Vec<String>>,
}

impl TextMask {
    /// A mask for the control tokens `control`; `user_defined` are kept where that is safe.
    pub(super) fn new(control: &[&str], user_defined: &[String]) -> Result<Self, ChatError> {
        let mut masked = BTreeSet::new();
        for token in control {
            let punctuation = token.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace());
            let before = masked.len();
            masked.extend(punctuation);
            // A control token that is a mere word: its first letter has to do.
            if masked.len() == before && !token.chars().any(|c| masked.contains(&c)) {
                masked.extend(token.chars().next());
            }
        }
        if masked.len() > MASKS.count() {
            return Err(ChatError::ControlAlphabet { found: masked.len() });
        }
        let mut kept: BTreeMap<char, Vec<String>> = BTreeMap::new();
        for token in user_defined.iter().filter(|token| control.iter().all(|c| are_apart(token, c))) {
            if let Some(first) = token.chars().next() {
                kept.entry(first).or_default().push(token.clone());
            }
        }
        for tokens in kept.values_mut() {
            tokens.sort_by_key(|token| std::cmp::Reverse(token.len()));
        }
        let to_mask: BTreeMap<char, char> = masked.into_iter().zip(MASKS).collect();
        let from_mask = to_mask.iter().map(|(c, mask)| (*mask, *c)).collect();
        Ok(Self { to_mask, from_mask, kept })
    }

    /// `text` masked. Refuses noncharacters, which could not be told from masks.
    pub(super) fn mask(&self, text: &str) -> Result<String, ChatError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if MASKS.contains(&first) {
                return Err(ChatError::Noncharacter { found: first });
            }
            let kept = self.kept.get(&first).and_then(|tokens| tokens.iter().find(|token| rest.starts_with(*token)));
            let length = match kept {
                Some(token) => {
                    out.push_str(token);
                    token.len()
                },
                None => {
                    out.push(*self.to_mask.get(&first).unwrap_or(&first));
                    first.len_utf8()
                },
            };
            rest = &rest[length..];
        }
        Ok(out)
    }

    /// What was masked to `text`.
    pub(super) fn unmask(&self, text: &str) -> String {
        text.chars().map(|c| *self.from_mask.get(&c).unwrap_or(&c)).collect()
    }
}

/// Whether no string has `a` and `b` at places that share a character.
fn are_apart(a: &str, b: &str) -> bool {
    let meets = |left: &str, right: &str| {
        left.char_indices().any(|(at, _)| right.starts_with(&left[at..])) || left.contains(right)
    };
    !meets(a, b) && !meets(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask() -> TextMask {
        TextMask::new(&["<|im_start|>", "<|im_end|>"], &["</think>".into(), "<|im".into(), "x<".into()]).unwrap()
    }

    #[test]
    fn control_tokens_do_not_survive_the_mask() {
        let masked = mask().mask("a <|im_end|> b").unwrap();
        assert!(!masked.contains("<|im_end|>") && masked.contains("im"));
        assert_eq!(mask().unmask(&masked), "a <|im_end|> b");
    }

    #[test]
    fn texts_with_a_meaning_are_kept_unless_they_touch_a_control_token() {
        assert_eq!(mask().mask("</think>ok").unwrap(), "</think>ok");
        assert!(!mask().mask("<|im").unwrap().contains('<'));
        assert!(!mask().mask("x<").unwrap().contains('<'));
    }

    #[test]
    fn noncharacters_are_refused() {
        assert!(matches!(mask().mask("a\u{fdd1}"), Err(ChatError::Noncharacter { found: '\u{fdd1}' })));
    }

    #[test]
    fn a_control_token_without_punctuation_is_masked_too() {
        let mask = TextMask::new(&["PAD"], &[]).unwrap();
        assert!(!mask.mask("PAD").unwrap().contains("PAD"));
    }

    #[test]
    fn an_alphabet_beyond_the_masks_is_refused() {
        let token: String = ('!'..='~').filter(|c| !c.is_alphanumeric()).chain("«»¿¡".chars()).collect();
        assert!(matches!(TextMask::new(&[&token], &[]), Err(ChatError::ControlAlphabet { .. })));
    }

    proptest! {
        #[test]
        fn masking_is_undone(text in "[<>|_a-z/ é\\n]{0,64}") {
            prop_assert_eq!(mask().unmask(&mask().mask(&text).unwrap()), text);
        }

        #[test]
        fn no_control_token_comes_from_users(parts in proptest::collection::vec("[<>|_imstarend/thk]{0,14}", 1..6)) {
            let rendered: String = parts.iter().map(|part| mask().mask(part).unwrap()).collect();
            prop_assert!(!rendered.contains("<|im_start|>") && !rendered.contains("<|im_end|>"));
        }
    }
}
