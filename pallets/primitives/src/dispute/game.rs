//! The walk down two trees to the first value in which they differ.

use crate::{
    merkle::{self, Digest, Node},
    real::Single,
    trace::{Inputs, Leaf, Trace, Word, LEAF_WORDS},
};
use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

/// Levels of the tree that a move goes down.
pub const STRIDE: u32 = 3;
/// Most hashes of a move: a full tree of [`STRIDE`] levels has as many leaves.
pub const MAX_NODES: u32 = 512;

/// One of two players.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Side {
    /// The one.
    #[codec(index = 0)]
    First,
    /// The other.
    #[codec(index = 1)]
    Second,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];
}

/// What one side has of two.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Pair<T> {
    first: T,
    second: T,
}

impl<T> Pair<T> {
    /// What a side has.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::First => &self.first,
            Side::Second => &self.second,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::First => &mut self.first,
            Side::Second => &mut self.second,
        }
    }
}

/// Hashes of nodes.
pub type Nodes = BoundedVec<Digest, ConstU32<MAX_NODES>>;
/// Words of a leaf.
pub type Words = BoundedVec<u32, ConstU32<LEAF_WORDS>>;

/// What one side tells.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Move {
    /// The hashes of all nodes [`STRIDE`] levels below the one in which the trees differ, or of all leaves below it where that
    /// is less.
    #[codec(index = 0)]
    Nodes(Nodes),
    /// The words of the leaf in which they differ.
    #[codec(index = 1)]
    Words(Words),
}

/// How far a game is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Stage {
    /// Both have to tell what is below a node.
    #[codec(index = 0)]
    Nodes {
        /// The node, the first of its level that is not the same in both.
        at: Node,
        /// Its hash, but for the top, of which the root is known.
        hashes: Pair<Digest>,
        /// What is told.
        told: Pair<Option<Nodes>>,
    },
    /// Both have to tell the words of a leaf.
    #[codec(index = 1)]
    Words {
        /// The first leaf that is not the same in both.
        leaf: u64,
        /// Its hash.
        hashes: Pair<Digest>,
        /// What is told.
        told: Pair<Option<Words>>,
    },
    /// Somebody has to bring the evidence for a word.
    #[codec(index = 2)]
    Evidence {
        /// The leaf that it is in.
        leaf: u64,
        /// The first word that is not the same in both.
        word: Word,
        /// What it is for each.
        told: Pair<u32>,
    },
}

/// Why a move is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum MoveError {
    /// Something else has to be told now.
    NotNow,
    /// The side has told this already.
    Told,
    /// There are more or fewer hashes or words than the trace has there.
    Count,
    /// What is told does not belong to the side's root.
    Mismatch,
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNow => "something else has to be told now",
            Self::Told => "the side has told this already",
            Self::Count => "there are more or fewer hashes or words than the trace has there",
            Self::Mismatch => "what is told does not belong to the root that the side has named",
        })
    }
}

impl core::error::Error for MoveError {}

/// Two traces of one item whose roots differ.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Game {
    roots: Pair<Digest>,
    stage: Stage,
}

impl Game {
    /// A game about items of this shape. `None` when the roots are equal: there is nothing to play for.
    pub fn new(shape: &Trace, first: Digest, second: Digest) -> Option<Self> {
        let at = Node { level: merkle::height(shape.leaves()), index: 0 };
        let stage = Stage::Nodes { at, hashes: Pair { first, second }, told: Pair { first: None, second: None } };
        (first != second).then_some(Self { roots: Pair { first, second }, stage })
    }

    /// The root that a side has named.
    pub fn root(&self, side: Side) -> &Digest {
        self.roots.of(side)
    }

    /// How far it is.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Takes a move of a side. Once both have told it, the game goes on, and this says so.
    ///
    /// # Errors
    /// When the move is not due, or cannot be of the tree whose root the side has named. The game is as before.
    pub fn play(&mut self, shape: &Trace, side: Side, told: Move) -> Result<bool, MoveError> {
        match (&mut self.stage, told) {
            (Stage::Nodes { at, hashes, told }, Move::Nodes(nodes)) => {
                let place = told.of_mut(side);
                if place.is_some() {
                    return Err(MoveError::Told);
                }
                let leaves = shape.leaves();
                let levels = at.level.min(STRIDE);
                let below = at.below(levels, leaves);
                if nodes.len() as u64 != below.end.saturating_sub(below.start) {
                    return Err(MoveError::Count);
                }
                let node = merkle::fold(&nodes, levels).ok_or(MoveError::Count)?;
                let is_top = at.level == merkle::height(leaves);
                let found = if is_top { merkle::root_hash(leaves, &node) } else { node };
                if found != *hashes.of(side) {
                    return Err(MoveError::Mismatch);
                }
                *place = Some(nodes);
            },
            (Stage::Words { leaf, hashes, told }, Move::Words(words)) => {
                let place = told.of_mut(side);
                if place.is_some() {
                    return Err(MoveError::Told);
                }
                let columns = shape.leaf(*leaf).ok_or(MoveError::Count)?.columns;
                if words.len() != columns.len() {
                    return Err(MoveError::Count);
                }
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                if merkle::leaf_hash(*leaf, &bytes) != *hashes.of(side) {
                    return Err(MoveError::Mismatch);
                }
                *place = Some(words);
            },
            _ => return Err(MoveError::NotNow),
        }
        Ok(self.go_on(shape))
    }

    /// The next stage, once both sides have told what is due.
    fn go_on(&mut self, shape: &Trace) -> bool {
        let next = match &self.stage {
            Stage::Nodes { at, told: Pair { first: Some(first), second: Some(second) }, .. } => {
                let levels = at.level.min(STRIDE);
                let below = at.below(levels, shape.leaves());
                // Two nodes that differ are made of others of which one does.
                let differing = below.zip(first.iter().zip(second)).find(|(_, (one, other))| one != other);
                differing.map(|(index, (first, second))| {
                    let hashes = Pair { first: *first, second: *second };
                    match at.level.saturating_sub(levels) {
                        0 => Stage::Words { leaf: index, hashes, told: Pair { first: None, second: None } },
                        level => {
                            Stage::Nodes { at: Node { level, index }, hashes, told: Pair { first: None, second: None } }
                        },
                    }
                })
            },
            Stage::Words { leaf, told: Pair { first: Some(first), second: Some(second) }, .. } => {
                let place = shape.leaf(*leaf);
                let differing = place.and_then(|Leaf { step, row, columns }| {
                    let mut words = columns.zip(first.iter().zip(second));
                    words.find(|(_, (one, other))| one != other).map(|found| (step, row, found))
                });
                differing.map(|(step, row, (column, (first, second)))| Stage::Evidence {
                    leaf: *leaf,
                    word: Word { step, row, column },
                    told: Pair { first: *first, second: *second },
                })
            },
            _ => None,
        };
        let goes_on = next.is_some();
        if let Some(next) = next {
            self.stage = next;
        }
        goes_on
    }

    /// Whether a side has still to tell what is due. Once the evidence is, it is due from both.
    pub fn is_due(&self, side: Side) -> bool {
        match &self.stage {
            Stage::Nodes { told, .. } => told.of(side).is_none(),
            Stage::Words { told, .. } => told.of(side).is_none(),
            Stage::Evidence { .. } => true,
        }
    }

    /// The word that the evidence is for, and the leaf that it is in: evidence is of what is before that.
    pub fn word(&self) -> Option<(Word, u64)> {
        match &self.stage {
            Stage::Evidence { leaf, word, .. } => Some((*word, *leaf)),
            _ => None,
        }
    }

    /// Computes the word in which the sides differ, on floats of type `S`, and says for each side whether it was right. At
    /// least one was not.
    ///
    /// # Errors
    /// When `inputs` lacks something. `None` before the evidence is due.
    pub fn settle<S: Single, I: Inputs>(&self, shape: &Trace, inputs: &mut I) -> Result<Option<[bool; 2]>, I::Error> {
        let Stage::Evidence { word, told, .. } = &self.stage else { return Ok(None) };
        let truth = shape.compute::<S, I>(*word, inputs)?;
        Ok(Some(Side::BOTH.map(|side| *told.of(side) == truth)))
    }
}
