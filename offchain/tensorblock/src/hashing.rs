//! Hashing many subtiles: several at once in vector lanes, and on several threads.

use blake2b_simd::{Params, State, many};
use blyan_primitives::{
    hash::HASH_LEN,
    merkle::{Digest, LEAF, SUBTILE},
};
use std::{borrow::Cow, thread};

/// Subtiles hashed in one go: the vector lanes that the hasher can use.
const LANES: usize = many::MAX_DEGREE;
/// Fewest subtiles that are worth a thread.
const PER_THREAD: usize = 2 * LANES;

/// As many threads as the process may run at once.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Leaf hashes of the subtiles `leaves`, the first of which has the index `first`.
fn hash_lanes<'d>(first: u64, leaves: &[Cow<'d, [u8]>], out: &mut [Digest]) {
    let mut params = Params::new();
    params.hash_length(HASH_LEN);
    let mut states: Vec<State> = (first..)
        .zip(leaves)
        .map(|(index, _)| {
            let mut state = params.to_state();
            state.update(&LEAF.bytes()).update(&index.to_le_bytes());
            state
        })
        .collect();
    many::update_many(states.iter_mut().zip(leaves));
    for (to, state) in out.iter_mut().zip(&states) {
        to.copy_from_slice(state.finalize().as_bytes());
    }
}

/// Leaf hashes of `count` subtiles, the first of which has the index `first`, on up to `threads` threads. `subtile(i)`
/// gives the bytes of the subtile with leaf index `i`.
pub(crate) fn leaf_hashes<'d>(
    first: u64,
    count: usize,
    threads: usize,
    subtile: impl Fn(u64) -> Cow<'d, [u8]> + Sync,
) -> Vec<Digest> {
    let mut out = vec![Digest::default(); count];
    let threads = threads.clamp(1, count.div_ceil(PER_THREAD).max(1));
    let share = count.div_ceil(threads).next_multiple_of(LANES).max(1);
    let work = |start: u64, out: &mut [Digest]| {
        for (group, out) in out.chunks_mut(LANES).enumerate() {
            let start = start + (group * LANES) as u64;
            let leaves: Vec<Cow<'d, [u8]>> = (start..).take(out.len()).map(&subtile).collect();
            hash_lanes(start, &leaves, out);
        }
    };
    thread::scope(|scope| {
        let mut shares = (first..).step_by(share).zip(out.chunks_mut(share));
        // The first share is this thread's own.
        let own = shares.next();
        for (start, out) in shares {
            let work = &work;
            scope.spawn(move || work(start, out));
        }
        if let Some((start, out)) = own {
            work(start, out);
        }
    });
    out
}

/// Leaf hashes of contiguous `data`, cut into subtiles; the first has the index `first`.
pub(crate) fn leaf_hashes_of(first: u64, data: &[u8], threads: usize) -> Vec<Digest> {
    let size = SUBTILE as usize;
    leaf_hashes(first, data.len().div_ceil(size), threads, |index| {
        let start = (index - first) as usize * size;
        Cow::Borrowed(&data[start..data.len().min(start + size)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::merkle::{Tree, leaf_hash};

    #[test]
    fn lanes_and_threads_change_no_hash() {
        let size = SUBTILE as usize;
        let data: Vec<u8> = (0..23 * size + 777).map(|i| (i * 31 % 251) as u8).collect();
        for len in [1, 100, size - 1, size, size + 1, 5 * size, 23 * size + 777] {
            let expected = Tree::of_data(&data[..len]);
            for threads in [0, 1, 2, 3, 64] {
                assert_eq!(leaf_hashes_of(0, &data[..len], threads), expected.leaves());
            }
        }
        assert!(leaf_hashes_of(0, &[], 4).is_empty());
        assert_eq!(leaf_hashes_of(9, &data[..10], 1), [leaf_hash(9, &data[..10])]);
    }
}
