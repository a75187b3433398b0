//! BLAKE2b-256 over several byte strings, with a domain in front.

/// Length of every digest in the protocol, in bytes.
pub const HASH_LEN: usize = 32;

/// A domain separator: names the purpose and version of a hash or signature, so that no two kinds of message collide.
///
/// Domains are at most 32 bytes and zero-padded to 32 before hashing, so that none is a prefix of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(pub &'static str);

impl Domain {
    /// The separator as it enters a hash: its bytes, zero-padded.
    pub fn bytes(self) -> [u8; HASH_LEN] {
        let mut out = [0; HASH_LEN];
        for (to, from) in out.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        out
    }
}

/// BLAKE2b-256 of the padded domain followed by `parts`, concatenated without separators: callers pass parts of fixed
/// length, or a last part of any length.
pub fn hash(domain: Domain, parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut state = state();
    state.update(&domain.bytes());
    for part in parts {
        state.update(part);
    }
    finish(&state)
}

/// Plain BLAKE2b-256, for content that is named by its bytes alone.
pub fn blake2_256(bytes: &[u8]) -> [u8; HASH_LEN] {
    let mut state = state();
    state.update(bytes);
    finish(&state)
}

fn state() -> blake2b_simd::State {
    blake2b_simd::Params::new().hash_length(HASH_LEN).to_state()
}

fn finish(state: &blake2b_simd::State) -> [u8; HASH_LEN] {
    let mut out = [0; HASH_LEN];
    out.copy_from_slice(state.finalize().as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_one_prefix_do_not_collide() {
        assert_ne!(hash(Domain("blyan/a"), &[b"b"]), hash(Domain("blyan/ab"), &[b""]));
    }

    #[test]
    fn parts_are_concatenated() {
        let domain = Domain("blyan/test");
        assert_eq!(hash(domain, &[b"ab", b"c"]), hash(domain, &[b"abc"]));
    }
}
