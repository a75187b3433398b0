//! Changes to routers: a row of one layer's for each, small enough to send, and what they make of the router's block.
//!
//! Which expert a token is sent to concerns all experts of its layer, so that a router does not change in a slot's round: a
//! spec names its router, and a successor of it names another. Whoever trains an expert with its row
//! ([`RouterSettings`](crate::train::RouterSettings)) has a change of it, of as many elements as the model's hidden state. Those of several
//! learners make one block, the same to the last bit for whoever folds them:
//!
//! ```text
//! w' = w + ((c_1·d_1 + c_2·d_2) + c_3·d_3) + …)      c_j = n_j / 2^16
//! ```
//!
//! in f32, every operation rounded by itself, in the order given; a row that no delta is for stays as it is.
//!
//! A delta is a block of kind *delta* with two tensors of bytes: one is named `layer.router.expert` and is the encoding of a
//! *dense* [`delta`](crate::delta) of that row, the other is its `learner`'s account.

use crate::{
    block::LEARNER,
    delta::{DeltaError, Dense, Shape, Update},
    fold::{add_part, too_large},
};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, PayloadType, Quantisation},
    ids::ContentHash,
    learning::Codec,
    spec::Dimensions,
};
use blyan_tensorblock::{BlockBuilder, BlockError, UnwrittenBlock, VerifiedBlock};
use std::fmt;

/// Why there is no change of a router.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The block is of another kind, or is laid out in another way.
    #[error("block {0} is not a change of a router: a delta with a tensor such as 20.router.1, and its learner")]
    Layout(ContentHash),
    /// The model has no such row.
    #[error("the model has no expert {0}: the change is for another model")]
    NoRow(Row),
    /// The row has another length than the model's hidden state.
    #[error("the change of {row} has {found} elements, a row of the model's routers has {expected}")]
    Length {
        /// Which.
        row: Row,
        /// What the model has.
        expected: usize,
        /// What the change has.
        found: usize,
    },
    /// The block to fold into is no router of the model.
    #[error("block {0} is not the router of the model that the changes are for")]
    NotTheRouter(ContentHash),
    /// A change is too large, or its sum with the weight is no number.
    #[error("the change of {0} is too large: no element may become infinite")]
    TooLarge(Row),
    /// The bytes do not decode to a change.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// A block cannot be built, or has padding that is not zero.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A row of a router: the one that scores an expert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The layer.
    pub layer: u16,
    /// The expert in it.
    pub index: u16,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.layer, self.index)
    }
}

impl Row {
    fn tensor(self) -> String {
        format!("{}.router.{}", self.layer, self.index)
    }

    /// The row that a tensor is for. A name has one spelling.
    fn of(name: &str) -> Option<Self> {
        let (layer, index) = name.split_once(".router.")?;
        let row = Self { layer: layer.parse().ok()?, index: index.parse().ok()? };
        (row.tensor() == name).then_some(row)
    }

    fn check(self, d: &Dimensions) -> Result<(), RouterError> {
        if self.layer >= d.layers || self.index >= d.experts { Err(RouterError::NoRow(self)) } else { Ok(()) }
    }
}

/// A change of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterDelta {
    row: Row,
    change: Update,
}

/// The shape of a row as a matrix.
fn shape(k: usize) -> Shape {
    Shape { rows: 1, k }
}

impl RouterDelta {
    /// Keeps a change of a row, one int8 and a common scale for each element.
    ///
    /// # Errors
    /// When it is not finite, or there is nothing to change.
    pub fn quantise(row: Row, change: &[f32]) -> Result<Self, RouterError> {
        Ok(Self { row, change: Update::Dense(Dense::quantise(change, shape(change.len()))?) })
    }

    /// Reads the change of a row of a model of these dimensions, and whose it is.
    ///
    /// # Errors
    /// When the block is not what [`Self::to_block`] makes of such a change.
    pub fn read(block: &VerifiedBlock, d: &Dimensions) -> Result<(Self, [u8; 32]), RouterError> {
        let (hash, header) = (block.hash(), block.header());
        let malformed = || RouterError::Layout(hash);
        let is_plain = header.kind == BlockKind::Delta
            && header.payload == PayloadType::TensorBlock
            && header.form == Form::Master
            && header.quantisation == Quantisation::None
            && header.arch.is_empty()
            && header.engine.is_empty();
        let [change, learner] = header.tensors.as_slice() else { return Err(malformed()) };
        let are_bytes = [change, learner]
            .iter()
            .all(|info| info.dtype == DType::U8 && info.layout == Layout::RowMajor && info.shape.len() == 1);
        if !is_plain || !are_bytes || learner.name != LEARNER {
            return Err(malformed());
        }
        block.check_padding()?;
        let row = Row::of(&change.name).ok_or_else(malformed)?;
        row.check(d)?;
        let change = Update::decode(block.tensor(&change.name)?.u8()?, shape(d.hidden as usize))?;
        if change.codec() != Codec::Dense {
            return Err(malformed());
        }
        let learner = block.tensor(LEARNER)?.u8()?.try_into().map_err(|_| malformed())?;
        Ok((Self { row, change }, learner))
    }

    /// The block, for a learner's account.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn to_block(&self, learner: &[u8; 32]) -> Result<UnwrittenBlock<'static>, BlockError> {
        let mut builder = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
        let bytes = self.change.encode();
        builder.tensor(&self.row.tensor(), DType::U8, Layout::RowMajor, &[bytes.len() as u32], bytes)?;
        builder.tensor(LEARNER, DType::U8, Layout::RowMajor, &[learner.len() as u32], learner.to_vec())?;
        builder.finish()
    }

    /// Which row it changes.
    pub fn row(&self) -> Row {
        self.row
    }
}

/// Folds changes, each with its weight in parts of 2^16, into the router of a model of these dimensions: see the
/// [module](self). Where no change has a weight that is the router as it was, to the last bit.
///
/// # Errors
/// When the block is no router of such a model, a change is for another one, or the result is not finite.
pub fn fold_router(
    router: &VerifiedBlock,
    d: &Dimensions,
    deltas: &[(&RouterDelta, u32)],
) -> Result<UnwrittenBlock<'static>, RouterError> {
    let (experts, hidden) = (u32::from(d.experts), d.hidden);
    for (RouterDelta { row, change }, _) in deltas {
        row.check(d)?;
        let (expected, found) = (hidden as usize, change.shape().k);
        if found != expected {
            return Err(RouterError::Length { row: *row, expected, found });
        }
    }
    let other = || RouterError::NotTheRouter(router.hash());
    if router.header().kind != BlockKind::Router || router.header().tensors.len() != usize::from(d.layers) {
        return Err(other());
    }
    let mut builder = BlockBuilder::new(BlockKind::Router, Form::Serving, Quantisation::None);
    for layer in 0..d.layers {
        let name = format!("{layer}.router");
        let tensor = router.tensor(&name).map_err(|_| other())?;
        if tensor.info.shape[..] != [experts, hidden] {
            return Err(other());
        }
        let mut weights = tensor.f32().map_err(|_| other())?.to_vec();
        for (index, weights) in (0u16..).zip(weights.chunks_exact_mut(hidden as usize)) {
            add(Row { layer, index }, deltas, weights)?;
        }
        builder.tensor(&name, DType::F32, Layout::RowMajor, &[experts, hidden], weights)?;
    }
    Ok(builder.finish()?)
}

/// Adds to a row what changes of it come to.
fn add(row: Row, deltas: &[(&RouterDelta, u32)], weights: &mut [f32]) -> Result<(), RouterError> {
    let mut sum: Vec<f32> = Vec::new();
    for (delta, weight) in deltas.iter().filter(|(delta, weight)| delta.row == row && *weight > 0) {
        let change = delta.change.to_dense();
        if too_large(&change).is_some() {
            return Err(RouterError::TooLarge(row));
        }
        add_part(&mut sum, &change, *weight);
    }
    weights.iter_mut().zip(&sum).for_each(|(weight, sum)| *weight += sum);
    if weights.iter().all(|weight| weight.is_finite()) { Ok(()) } else { Err(RouterError::TooLarge(row)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fold::WHOLE, noise::matrix};
    use blyan_model::tiny::{TinyModel, build};
    use proptest::prelude::*;

    const LEARNER: [u8; 32] = [0x1e; 32];

    /// The tiny model's router and dimensions.
    fn tiny() -> (VerifiedBlock, Dimensions) {
        let TinyModel { genesis, blocks } = build(0).unwrap();
        let router = blocks.into_iter().find(|block| block.hash() == genesis.spec.router).unwrap();
        (router.into_block().unwrap(), genesis.spec.dimensions)
    }

    fn delta(layer: u16, index: u16, seed: u64) -> RouterDelta {
        let hidden = tiny().1.hidden as usize;
        RouterDelta::quantise(Row { layer, index }, &matrix(seed, hidden, 1e-2)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let ((_, d), delta) = (tiny(), delta(1, 2, 1));
        let block = delta.to_block(&LEARNER).unwrap().into_block().unwrap();
        assert_eq!(RouterDelta::read(&block, &d).unwrap(), (delta.clone(), LEARNER));
        // An int8 an element is a quarter of f32, and codes to less.
        assert!(block.header().data_len < 2 * u64::from(d.hidden) + 256, "{}", block.header().data_len);
        let fewer = Dimensions { experts: 2, ..d.clone() };
        assert!(matches!(RouterDelta::read(&block, &fewer), Err(RouterError::NoRow(Row { layer: 1, index: 2 }))));
        let other = Dimensions { hidden: d.hidden * 2, ..d.clone() };
        assert!(matches!(RouterDelta::read(&block, &other), Err(RouterError::Delta(_))));
    }

    #[test]
    fn nothing_changes_without_a_weight_and_only_its_row_with_one() {
        let (router, d) = tiny();
        let delta = delta(1, 2, 1);
        assert_eq!(fold_router(&router, &d, &[]).unwrap().hash(), router.hash());
        assert_eq!(fold_router(&router, &d, &[(&delta, 0)]).unwrap().hash(), router.hash());
        let folded = fold_router(&router, &d, &[(&delta, WHOLE)]).unwrap().into_block().unwrap();
        let change = delta.change.to_dense();
        let hidden = change.len();
        for layer in 0..d.layers {
            let of = |block: &VerifiedBlock| block.tensor(&format!("{layer}.router")).unwrap().f32().unwrap().to_vec();
            let (was, is) = (of(&router), of(&folded));
            for (row, (was, is)) in was.chunks(hidden).zip(is.chunks(hidden)).enumerate() {
                let changes = layer == 1 && row == 2;
                let expected: Vec<f32> =
                    was.iter().zip(&change).map(|(was, change)| if changes { was + change } else { *was }).collect();
                assert_eq!(is, expected, "{layer}.{row}");
            }
        }
        // The model takes it in a successor's spec.
        assert!(folded.header().kind == BlockKind::Router && folded.hash() != router.hash());
    }

    #[test]
    fn several_are_added_by_their_weights_in_order() {
        let (router, d) = tiny();
        let [one, two] = [delta(0, 1, 1), delta(0, 1, 2)];
        let both = fold_router(&router, &d, &[(&one, WHOLE / 4), (&two, 3 * WHOLE / 4)]).unwrap().into_block().unwrap();
        let hidden = d.hidden as usize;
        let row = |block: &VerifiedBlock| block.tensor("0.router").unwrap().f32().unwrap()[hidden..2 * hidden].to_vec();
        let (was, found) = (row(&router), row(&both));
        let (one, two) = (one.change.to_dense(), two.change.to_dense());
        for (place, found) in found.into_iter().enumerate() {
            assert_eq!(found.to_bits(), (was[place] + (0.25 * one[place] + 0.75 * two[place])).to_bits());
        }
    }

    #[test]
    fn what_is_for_another_model_is_refused_by_name() {
        let (router, d) = tiny();
        let hidden = d.hidden as usize;
        let fold = |delta: &RouterDelta| fold_router(&router, &d, &[(delta, WHOLE)]);
        let nowhere = delta(0, 99, 1);
        let wider = Dimensions { hidden: 2 * d.hidden, ..d.clone() };
        assert!(matches!(fold_router(&router, &wider, &[]), Err(RouterError::NotTheRouter(_))));
        let own = delta(0, 1, 1).to_block(&LEARNER).unwrap().into_block().unwrap();
        assert!(matches!(fold_router(&own, &d, &[]), Err(RouterError::NotTheRouter(_))));
        assert!(matches!(fold(&nowhere), Err(RouterError::NoRow(_))));
        let row = Row { layer: 0, index: 0 };
        let short = RouterDelta::quantise(row, &[0.5; 3]).unwrap();
        assert!(matches!(fold(&short), Err(RouterError::Length { found: 3, .. })));
        let huge = RouterDelta::quantise(row, &vec![f32::MAX / 2.0; hidden]).unwrap();
        assert!(matches!(fold(&huge), Err(RouterError::TooLarge(_))));
        assert!(RouterDelta::quantise(row, &[f32::NAN]).is_err() && RouterDelta::quantise(row, &[]).is_err());
    }

    #[test]
    fn a_row_has_one_name() {
        let row = Row { layer: 20, index: 1 };
        assert_eq!(Row::of("20.router.1"), Some(row));
        for name in
            ["020.router.1", "20.router.+1", "20.router.", "20.router", ".router.1", "65536.router.0", "20.up.1"]
        {
            assert_eq!(Row::of(name), None, "{name}");
        }
    }

    /// What is read of a delta with these bytes is what would be written.
    fn read(name: &str, bytes: &[u8], learner: &[u8]) -> Result<(), TestCaseError> {
        let (_, d) = tiny();
        let mut builder = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
        builder.tensor(name, DType::U8, Layout::RowMajor, &[bytes.len() as u32], bytes).unwrap();
        builder.tensor("learner", DType::U8, Layout::RowMajor, &[learner.len() as u32], learner).unwrap();
        let block = builder.finish().unwrap().into_block().unwrap();
        if let Ok((delta, learner)) = RouterDelta::read(&block, &d) {
            prop_assert_eq!(delta.to_block(&learner).unwrap().hash(), block.hash());
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_panic(
            bytes in proptest::collection::vec(any::<u8>(), 1..200), name in r"[0-9]{1,3}\.router\.[0-9]{1,3}", learner in 1usize..40,
        ) {
            read(&name, &bytes, &vec![7; learner])?;
        }

        #[test]
        fn no_damage_panics(place: prop::sample::Index, value: u8) {
            let mut bytes = delta(1, 2, 1).change.encode();
            let place = place.index(bytes.len());
            bytes[place] = value;
            read("1.router.2", &bytes, &LEARNER)?;
        }
    }
}
