//! The tile tree: an 8-ary BLAKE2b-256 merkle tree with single-leaf and range proofs.
//!
//! ```text
//! leaf  = H("blyan/merkle/leaf/1" ‖ index u64 LE ‖ data)
//! node  = H("blyan/merkle/node/1" ‖ child 0 ‖ … ‖ child n-1)     n = 8, fewer at the right edge
//! root  = H("blyan/merkle/root/1" ‖ leaf count u64 LE ‖ top)
//! ```
//!
//! Levels are built bottom up in groups of eight until one hash, the top, is left; the root binds the number of leaves, so
//! a proof cannot pretend another shape. The tree over no leaves has the top of 32 zero bytes.
//!
//! A block's leaves are its *subtiles*, 256 KiB of its data region (the last one may be shorter); sixteen make a *tile*
//! of 4 MiB, the unit of transfer and verification.

use crate::hash::{hash, Domain, HASH_LEN};
use alloc::{vec, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::{fmt, ops::Range};
use scale_info::TypeInfo;

/// Children of a full node.
pub const ARITY: u64 = 8;
/// Bytes of a subtile, the leaf of a block's tree.
pub const SUBTILE: u64 = 256 * 1024;
/// Bytes of a tile.
pub const TILE: u64 = 16 * SUBTILE;
/// Leaves of a full tile.
pub const SUBTILES_PER_TILE: u64 = TILE / SUBTILE;
/// Levels above the leaves that a tree over 2^63 leaves has: a bound on proofs.
pub const MAX_LEVELS: usize = 21;
/// Most hashes a proof can hold: up to seven on each side at each level.
pub const MAX_PROOF: usize = MAX_LEVELS * 14;

/// Domain of a leaf's hash. Public for those who feed several leaves to one vectorised hasher; others call [`leaf_hash`].
pub const LEAF: Domain = Domain("blyan/merkle/leaf/1");
const NODE: Domain = Domain("blyan/merkle/node/1");
const ROOT: Domain = Domain("blyan/merkle/root/1");

/// A digest inside a tree.
pub type Digest = [u8; HASH_LEN];

/// Number of subtiles of a data region of `bytes` bytes.
pub const fn subtile_count(bytes: u64) -> u64 {
    bytes.div_ceil(SUBTILE)
}

/// Number of tiles of a data region of `bytes` bytes.
pub const fn tile_count(bytes: u64) -> u64 {
    bytes.div_ceil(TILE)
}

/// Hash of leaf `index` holding `data`.
pub fn leaf_hash(index: u64, data: &[u8]) -> Digest {
    hash(LEAF, &[&index.to_le_bytes(), data])
}

fn node_hash(children: &[Digest]) -> Digest {
    // `[[u8; 32]]` is contiguous: the children are one byte string.
    hash(NODE, &[children.as_flattened()])
}

/// Root of a tree of so many leaves with this top.
pub fn root_hash(leaves: u64, top: &Digest) -> Digest {
    hash(ROOT, &[&leaves.to_le_bytes(), top])
}

/// Levels above the leaves of a tree of so many of them.
pub fn height(leaves: u64) -> u32 {
    let (mut width, mut levels) = (leaves, 0u32);
    while width > 1 {
        (width, levels) = (width.div_ceil(ARITY), levels.saturating_add(1));
    }
    levels
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Node {
    /// Its level above the leaves.
    pub level: u32,
    /// Its place in that level.
    pub index: u64,
}

impl Node {
    /// The places of those that are `levels` below it in a tree of `leaves` leaves. Nothing where the tree has no such node.
    pub fn below(self, levels: u32, leaves: u64) -> Range<u64> {
        let power = |levels: u32| ARITY.saturating_pow(levels);
        let width = leaves.div_ceil(power(self.level.saturating_sub(levels)));
        let place = |index: u64| index.saturating_mul(power(levels)).min(width);
        place(self.index)..place(self.index.saturating_add(1))
    }
}

/// Hash of a node out of those of all that are `levels` below it, `None` when there cannot be so many.
pub fn fold(below: &[Digest], levels: u32) -> Option<Digest> {
    let mut level = below.to_vec();
    for _ in 0..levels {
        level = level.chunks(ARITY as usize).map(node_hash).collect();
    }
    match level.as_slice() {
        [node] => Some(*node),
        _ => None,
    }
}

/// Why a proof was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum ProofError {
    /// The range is empty or reaches past the last leaf.
    Range,
    /// The proof has more or fewer hashes than a tree of this many leaves needs.
    Length,
    /// The hashes do not lead to the root: the data or the proof is not what was committed to.
    Mismatch,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Range => "the range of leaves is empty or reaches past the last leaf",
            Self::Length => "the proof has the wrong number of hashes for this tree",
            Self::Mismatch => "the data does not belong to the committed root",
        })
    }
}

impl core::error::Error for ProofError {}

/// A whole tree, kept to make proofs from. 32 bytes a leaf and a seventh more.
#[derive(Clone, Debug)]
pub struct Tree {
    /// `levels[0]` holds the leaves' hashes, the last level the top alone.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over leaves that were hashed with [`leaf_hash`], in order.
    pub fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            let next = last.chunks(ARITY as usize).map(node_hash).collect();
            levels.push(next);
        }
        Self { levels }
    }

    /// The tree over `data` cut into subtiles.
    pub fn of_data(data: &[u8]) -> Self {
        Self::new(data.chunks(SUBTILE as usize).zip(0u64..).map(|(leaf, i)| leaf_hash(i, leaf)).collect())
    }

    /// Number of leaves.
    pub fn leaf_count(&self) -> u64 {
        self.leaves().len() as u64
    }

    /// The leaves' hashes.
    pub fn leaves(&self) -> &[Digest] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Hashes of nodes of a level, `None` where there are none.
    pub fn nodes(&self, level: u32, places: Range<u64>) -> Option<&[Digest]> {
        self.levels.get(level as usize)?.get(places.start as usize..places.end as usize)
    }

    /// The root, which binds the number of leaves.
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default();
        root_hash(self.leaf_count(), &top)
    }

    /// Proof for the leaves of `range`: level by level upwards, the missing siblings left of the range, then right of it.
    pub fn prove(&self, range: Range<u64>) -> Result<Vec<Digest>, ProofError> {
        const WIDTH: usize = ARITY as usize;
        if range.start >= range.end || range.end > self.leaf_count() {
            return Err(ProofError::Range);
        }
        let (mut start, mut end) = (range.start as usize, range.end as usize);
        let mut proof = Vec::new();
        for level in self.levels.iter().take(self.levels.len().saturating_sub(1)) {
            let first = start.saturating_sub(start % WIDTH);
            let last = level.len().min(end.div_ceil(WIDTH).saturating_mul(WIDTH));
            proof.extend_from_slice(level.get(first..start).unwrap_or_default());
            proof.extend_from_slice(level.get(end..last).unwrap_or_default());
            (start, end) = (start / WIDTH, end.div_ceil(WIDTH));
        }
        Ok(proof)
    }
}

/// Checks that `leaves`, hashed with [`leaf_hash`], stand at `start` in the tree of `leaf_count` leaves under `root`.
///
/// Cost is bounded by `leaves.len() + MAX_PROOF` hashes whatever the input.
pub fn verify(
    root: &Digest,
    leaf_count: u64,
    start: u64,
    leaves: &[Digest],
    proof: &[Digest],
) -> Result<(), ProofError> {
    let end = start.checked_add(leaves.len() as u64).ok_or(ProofError::Range)?;
    if leaves.is_empty() || end > leaf_count {
        return Err(ProofError::Range);
    }
    if proof.len() > MAX_PROOF {
        return Err(ProofError::Length);
    }
    let mut siblings = proof.iter();
    let (mut start, mut end, mut width) = (start, end, leaf_count);
    let mut level = leaves.to_vec();
    while width > 1 {
        let left = (start % ARITY) as usize;
        let last = width.min(end.div_ceil(ARITY).saturating_mul(ARITY));
        let right = last.saturating_sub(end) as usize;
        let mut full = Vec::with_capacity(left.saturating_add(level.len()).saturating_add(right));
        full.extend(siblings.by_ref().take(left));
        full.append(&mut level);
        full.extend(siblings.by_ref().take(right));
        if full.len() as u64 != last.saturating_sub(start.saturating_sub(left as u64)) {
            return Err(ProofError::Length);
        }
        level = full.chunks(ARITY as usize).map(node_hash).collect();
        (start, end, width) = (start / ARITY, end.div_ceil(ARITY), width.div_ceil(ARITY));
    }
    if siblings.next().is_some() {
        return Err(ProofError::Length);
    }
    match level.first() {
        Some(top) if root_hash(leaf_count, top) == *root => Ok(()),
        _ => Err(ProofError::Mismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(i, &i.to_le_bytes())).collect()
    }

    #[test]
    fn roots_are_pinned() {
        // Part of the protocol: with other domains or another shape, every block on chain becomes unverifiable.
        let hex = |root: Digest| crate::ids::TileRoot(root).to_string();
        assert_eq!(
            hex(Tree::new(leaves(1)).root()),
            "0xa492cbd8e4b023cff2ab86107e32f5a0cfc2709b9fae33cad6bbc385a580aa04"
        );
        assert_eq!(
            hex(Tree::new(leaves(100)).root()),
            "0xc8d6e432ad6693dd6774f652e11fa0dd6242373861b0382aa0c5c8f7c26790b8"
        );
    }

    #[test]
    fn position_and_count_are_bound() {
        let all = leaves(9);
        let tree = Tree::new(all.clone());
        let proof = tree.prove(3..4).unwrap();
        assert_eq!(verify(&tree.root(), 9, 3, &all[3..4], &proof), Ok(()));
        assert!(verify(&tree.root(), 9, 2, &all[3..4], &proof).is_err());
        assert!(verify(&tree.root(), 10, 3, &all[3..4], &proof).is_err());
        assert_eq!(verify(&tree.root(), 9, 9, &all[3..4], &proof), Err(ProofError::Range));
        assert_eq!(verify(&tree.root(), 9, u64::MAX, &all[3..4], &proof), Err(ProofError::Range));
        assert_eq!(verify(&tree.root(), 9, 3, &[], &proof), Err(ProofError::Range));
    }

    proptest! {
        #[test]
        fn every_range_is_proved(count in 1u64..700, a: u64, b: u64) {
            let (a, b) = (a % count, b % count);
            let range = a.min(b)..a.max(b) + 1;
            let all = leaves(count);
            let tree = Tree::new(all.clone());
            let proof = tree.prove(range.clone()).unwrap();
            prop_assert!(proof.len() <= MAX_PROOF);
            let part = &all[range.start as usize..range.end as usize];
            prop_assert_eq!(verify(&tree.root(), count, range.start, part, &proof), Ok(()));
        }

        #[test]
        fn a_changed_proof_or_leaf_is_refused(count in 2u64..200, at: u64, byte in 0usize..32, bit in 0u8..8) {
            let at = at % count;
            let all = leaves(count);
            let tree = Tree::new(all.clone());
            let proof = tree.prove(at..at + 1).unwrap();
            let mut leaf = [all[at as usize]];
            leaf[0][byte] ^= 1 << bit;
            prop_assert_eq!(verify(&tree.root(), count, at, &leaf, &proof), Err(ProofError::Mismatch));
            for i in 0..proof.len() {
                let mut bad = proof.clone();
                bad[i][byte] ^= 1 << bit;
                prop_assert_eq!(
                    verify(&tree.root(), count, at, &[all[at as usize]], &bad), Err(ProofError::Mismatch)
                );
            }
            prop_assert_eq!(
                verify(&tree.root(), count, at, &[all[at as usize]], &proof[1..]), Err(ProofError::Length)
            );
        }

        /// A valid proof with a few of its parts changed, as an attacker who knows the format makes it.
        #[test]
        fn a_proof_that_is_nearly_right_is_accepted_only_for_what_is_true(
            count in 1u64..700, a: u64, b: u64,
            changes in proptest::collection::vec((0u8..11, any::<usize>(), any::<u64>()), 1..5),
        ) {
            let (a, b) = (a % count, b % count);
            let (start, end) = (a.min(b), a.max(b) + 1);
            let all = leaves(count);
            let tree = Tree::new(all.clone());
            let (mut root, mut width, mut start) = (tree.root(), count, start);
            let mut part = all[start as usize..end as usize].to_vec();
            let mut proof = tree.prove(start..end).unwrap();
            for (change, at, value) in changes {
                let some = leaf_hash(value, b"of another tree");
                match change {
                    0 => root[at % 32] ^= 1 << (value % 8),
                    1 => width = width.wrapping_add(value % 17).wrapping_sub(8),
                    2 => width = 1 << (value % 64),
                    3 => start = start.wrapping_add(value % 17).wrapping_sub(8),
                    4 => start = value,
                    5 => {
                        let place = at % (part.len() + 1);
                        part.insert(place, all[value as usize % all.len()]);
                    },
                    6 if !part.is_empty() => {
                        let place = at % part.len();
                        part.remove(place);
                    },
                    7 if !part.is_empty() => {
                        let by = at % part.len();
                        part.rotate_left(by);
                    },
                    8 => {
                        let place = at % (proof.len() + 1);
                        proof.insert(place, some);
                    },
                    9 if !proof.is_empty() => {
                        let place = at % proof.len();
                        proof.remove(place);
                    },
                    10 => proof.extend(core::iter::repeat_n(some, at % (2 * MAX_PROOF))),
                    _ => {},
                }
            }
            // Changes can undo each other, or make the proof of another range.
            let end = start.saturating_add(part.len() as u64);
            let truth = root == tree.root()
                && width == count
                && start < end
                && all.get(start as usize..end as usize) == Some(part.as_slice())
                && tree.prove(start..end) == Ok(proof.clone());
            prop_assert_eq!(verify(&root, width, start, &part, &proof).is_ok(), truth);
        }

        #[test]
        fn nodes_are_folded_from_those_below(count in 1u64..700, levels in 0u32..4, index in 0u64..90) {
            let tree = Tree::new(leaves(count));
            let height = height(count);
            prop_assert_eq!(root_hash(count, &tree.nodes(height, 0..1).unwrap()[0]), tree.root());
            for level in levels..=height {
                let below = Node { level, index }.below(levels, count);
                match tree.nodes(level, index..index + 1) {
                    Some(node) => {
                        let below = tree.nodes(level - levels, below).unwrap();
                        prop_assert_eq!(fold(below, levels), Some(node[0]));
                        prop_assert_ne!(fold(&below[1..], levels), Some(node[0]));
                    },
                    None => prop_assert!(below.is_empty()),
                }
            }
            prop_assert_eq!(fold(&[], levels), None);
        }

        #[test]
        fn garbage_never_panics(
            root: [u8; 32], count: u64, start: u64,
            leaves in proptest::collection::vec(any::<[u8; 32]>(), 0..20),
            proof in proptest::collection::vec(any::<[u8; 32]>(), 0..400),
        ) {
            // Once as it is, which mostly ends at the range, and once where the range is right and the proof is reached.
            prop_assert!(verify(&root, count, start, &leaves, &proof).is_err());
            let start = start % (1 << 40);
            let count = (start + leaves.len() as u64).saturating_add(count % (1 << 40));
            prop_assert!(verify(&root, count, start, &leaves, &proof).is_err());
        }
    }
}
