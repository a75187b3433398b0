//! The alphabet of byte-level BPE: a printable character for each byte, so that tokens can be written as text.
//!
//! Bytes that are printable in Latin-1 stand for themselves; the other 68, in ascending order, for U+0100 and on.

use std::sync::LazyLock;

static ENCODE: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100u32;
    std::array::from_fn(|byte| {
        let itself = char::from(byte as u8);
        if is_itself(byte as u8) {
            return itself;
        }
        let stand_in = char::from_u32(next).unwrap_or(itself);
        next += 1;
        stand_in
    })
});

fn is_itself(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// The character that stands for `byte`.
pub(crate) fn encode(byte: u8) -> char {
    ENCODE[usize::from(byte)]
}

/// The byte that `character` stands for.
pub(super) fn decode(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ 0..=0xff if is_itself(code as u8) => Some(code as u8),
        code @ 0x100..=0x143 => ENCODE.iter().position(|c| u32::from(*c) == code).map(|byte| byte as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        for byte in 0..=255 {
            assert_eq!(decode(encode(byte)), Some(byte));
            assert!(!encode(byte).is_whitespace() && !encode(byte).is_control());
        }
    }

    #[test]
    fn a_space_is_the_dotted_g_of_gpt2() {
        assert_eq!((encode(b' '), encode(b'\n'), encode(b'a')), ('Ġ', 'Ċ', 'a'));
        assert_eq!((decode(' '), decode('\u{144}'), decode('\u{ad}')), (None, None, None));
    }
}
