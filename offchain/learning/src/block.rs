//! Deltas as blocks: what a learner serves, and whoever measures or merges it fetches.
//!
//! A block of kind *delta* has one tensor of bytes for each matrix of the expert that it changes, called as the matrix is and
//! in the same order, each the encoding of a [`delta`](crate::delta) of that matrix, all in one codec. After them it has the
//! account of its learner: whoever sees a delta before it is in a block of the chain cannot submit it as its own. Nothing else
//! is in it, so that equal changes of one learner have equal names. It says nothing of what it changes: its [`DeltaHeader`] on
//! chain does.

use crate::delta::{DeltaError, Shape, Update};
use blyan_model::expert::Matrix;
use blyan_primitives::{
    block::{BlockKind, DType, ExpertShape, Form, Layout, PayloadType, Quantisation},
    ids::ContentHash,
    learning::{Codec, DeltaInfo},
};
use blyan_tensorblock::{BlockBuilder, BlockError, UnwrittenBlock, VerifiedBlock};

/// The tensor with the learner's account.
pub(crate) const LEARNER: &str = "learner";

/// Why there is no delta of an expert, or a block is none.
#[derive(Debug, thiserror::Error)]
pub enum DeltaBlockError {
    /// A matrix has another shape than the expert's.
    #[error("the change of {name} is one of a matrix of {found:?}, the expert's is {expected:?}", name = matrix.name())]
    Shape {
        /// Which.
        matrix: Matrix,
        /// What the expert has.
        expected: Shape,
        /// What the change is for.
        found: Shape,
    },
    /// The matrices are in different codecs.
    #[error("the change of {name} is in the codec {found:?}, the one of gate in {expected:?}: encode all in one", name = matrix.name())]
    Codecs {
        /// Which.
        matrix: Matrix,
        /// The first one's codec.
        expected: Codec,
        /// This one's.
        found: Codec,
    },
    /// The block is of another kind.
    #[error("block {hash} is a {found} block, needed is a delta")]
    Kind {
        /// The block.
        hash: ContentHash,
        /// What it is.
        found: BlockKind,
    },
    /// The block has other tensors, or says something of itself that deltas do not.
    #[error(
        "block {0} is not laid out as deltas are: four tensors of bytes, gate, up, down and learner, and nothing else"
    )]
    Layout(ContentHash),
    /// Bytes do not decode to a change of the expert's matrix.
    #[error("the change of {name}: {error}", name = matrix.name())]
    Update {
        /// Which.
        matrix: Matrix,
        /// Why not.
        error: DeltaError,
    },
    /// The header on chain names another block.
    #[error("the delta's header names block {expected}, given was {found}")]
    OtherBlock {
        /// What the header names.
        expected: ContentHash,
        /// What was given.
        found: ContentHash,
    },
    /// Another account has trained it.
    #[error("the delta is of another learner than the account that submitted it")]
    OtherLearner,
    /// The header on chain says another codec.
    #[error("the delta's header says that its codec is {expected:?}, it is {found:?}")]
    OtherCodec {
        /// What the header says.
        expected: Codec,
        /// What the block has.
        found: Codec,
    },
    /// The header on chain says another size.
    #[error("the delta's header says that it has {expected} bytes of data, it has {found}")]
    OtherSize {
        /// What the header says.
        expected: u32,
        /// What the block has.
        found: u64,
    },
    /// A block cannot be built, or has padding that is not zero.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A change to an expert.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpertDelta {
    shape: ExpertShape,
    /// In the order of [`Matrix::ALL`].
    updates: [Update; 3],
}

/// The shape of a matrix of an expert.
pub(crate) fn shape_of(matrix: Matrix, expert: ExpertShape) -> Shape {
    let [rows, k] = matrix.shape(expert).map(|dimension| dimension as usize);
    Shape { rows, k }
}

impl ExpertDelta {
    /// Of changes to each matrix of an expert of this shape, in the order of [`Matrix::ALL`].
    ///
    /// # Errors
    /// When one of them is for a matrix of another shape, or in another codec than the first.
    pub fn new(shape: ExpertShape, updates: [Update; 3]) -> Result<Self, DeltaBlockError> {
        let codec = updates[0].codec();
        for (matrix, update) in Matrix::ALL.into_iter().zip(&updates) {
            let (expected, found) = (shape_of(matrix, shape), update.shape());
            if found != expected {
                return Err(DeltaBlockError::Shape { matrix, expected, found });
            }
            if update.codec() != codec {
                return Err(DeltaBlockError::Codecs { matrix, expected: codec, found: update.codec() });
            }
        }
        Ok(Self { shape, updates })
    }

    /// Reads the delta of an expert of this shape, and whose it is.
    ///
    /// # Errors
    /// When the block is not what [`Self::to_block`] makes of a delta of such an expert.
    pub fn read(block: &VerifiedBlock, shape: ExpertShape) -> Result<(Self, [u8; 32]), DeltaBlockError> {
        let (hash, header) = (block.hash(), block.header());
        if header.kind != BlockKind::Delta {
            return Err(DeltaBlockError::Kind { hash, found: header.kind });
        }
        let is_plain = header.payload == PayloadType::TensorBlock
            && header.form == Form::Master
            && header.quantisation == Quantisation::None
            && header.arch.is_empty()
            && header.engine.is_empty();
        if !is_plain || header.tensors.len() != Matrix::ALL.len() + 1 {
            return Err(DeltaBlockError::Layout(hash));
        }
        block.check_padding()?;
        let bytes = |place: usize, name: &str| {
            let info = &header.tensors[place];
            let is_bytes = info.dtype == DType::U8 && info.layout == Layout::RowMajor && info.shape.len() == 1;
            if info.name != name || !is_bytes {
                return Err(DeltaBlockError::Layout(hash));
            }
            Ok(block.tensor(name)?.u8()?)
        };
        let read = |matrix: Matrix| {
            Update::decode(bytes(matrix as usize, matrix.name())?, shape_of(matrix, shape))
                .map_err(|error| DeltaBlockError::Update { matrix, error })
        };
        let learner = bytes(Matrix::ALL.len(), LEARNER)?.try_into().map_err(|_| DeltaBlockError::Layout(hash))?;
        let [gate, up, down] = Matrix::ALL;
        Ok((Self::new(shape, [read(gate)?, read(up)?, read(down)?])?, learner))
    }

    /// Reads a delta as it stands on chain, where its learner is an account's 32 bytes.
    ///
    /// # Errors
    /// When it is none of an expert of this shape, not what the header says, or another learner's.
    pub fn of(
        DeltaInfo { learner, header }: &DeltaInfo<[u8; 32]>,
        block: &VerifiedBlock,
        shape: ExpertShape,
    ) -> Result<Self, DeltaBlockError> {
        let (expected, found) = (header.block, block.hash());
        if found != expected {
            return Err(DeltaBlockError::OtherBlock { expected, found });
        }
        // Before anything is decoded: the size is what its author has paid for.
        let (expected, found) = (header.size, block.header().data_len);
        if found != u64::from(expected) {
            return Err(DeltaBlockError::OtherSize { expected, found });
        }
        let (delta, author) = Self::read(block, shape)?;
        if author != *learner {
            return Err(DeltaBlockError::OtherLearner);
        }
        let (expected, found) = (header.codec, delta.codec());
        if found != expected {
            return Err(DeltaBlockError::OtherCodec { expected, found });
        }
        Ok(delta)
    }

    /// The block, for a learner's account. The size that a header on chain says is [`data_len`](blyan_primitives::block::BlockHeader::data_len) of it.
    ///
    /// # Errors
    /// When it would be larger than a block can be.
    pub fn to_block(&self, learner: &[u8; 32]) -> Result<UnwrittenBlock<'static>, BlockError> {
        let mut builder = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
        for (matrix, update) in Matrix::ALL.into_iter().zip(&self.updates) {
            let bytes = update.encode();
            // An encoding is not much longer than the matrix has elements, at most 2^28.
            builder.tensor(matrix.name(), DType::U8, Layout::RowMajor, &[bytes.len() as u32], bytes)?;
        }
        builder.tensor(LEARNER, DType::U8, Layout::RowMajor, &[learner.len() as u32], learner.to_vec())?;
        builder.finish()
    }

    /// Shape of the expert that it changes.
    pub fn shape(&self) -> ExpertShape {
        self.shape
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        self.updates[0].codec()
    }

    /// The change of a matrix.
    pub fn update(&self, matrix: Matrix) -> &Update {
        &self.updates[matrix as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delta::{Dense, Factors, LowRank, Sparse},
        noise::matrix,
    };
    use blyan_primitives::learning::DeltaHeader;
    use blyan_primitives::learning::ItemRange;
    use proptest::prelude::*;

    const SHAPE: ExpertShape = ExpertShape { ffn: 18, hidden: 10 };

    fn update(codec: Codec, matrix_of: Matrix, seed: u64) -> Update {
        let shape = shape_of(matrix_of, SHAPE);
        let change = matrix(seed + matrix_of as u64, shape.rows * shape.k, 1e-3);
        match codec {
            Codec::LowRank => {
                let factors = Factors::of(&change, shape, 2).unwrap();
                Update::LowRank(LowRank::quantise(&factors, shape, 63).unwrap())
            },
            Codec::Sparse => Update::Sparse(Sparse::select(&change, shape, 5, 6).unwrap()),
            Codec::Dense => Update::Dense(Dense::quantise(&change, shape).unwrap()),
        }
    }

    const LEARNER: [u8; 32] = [0x1e; 32];
    const CODECS: [Codec; 3] = [Codec::LowRank, Codec::Sparse, Codec::Dense];

    fn delta(codec: Codec) -> ExpertDelta {
        ExpertDelta::new(SHAPE, Matrix::ALL.map(|matrix| update(codec, matrix, 1))).unwrap()
    }

    fn block(delta: &ExpertDelta) -> VerifiedBlock {
        delta.to_block(&LEARNER).unwrap().into_block().unwrap()
    }

    fn info(block: &VerifiedBlock, codec: Codec) -> DeltaInfo<[u8; 32]> {
        let none = ContentHash([0; 32]);
        let data = ItemRange { block: none, first: 0, count: 1 };
        let size = block.header().data_len as u32;
        let header =
            DeltaHeader { base: none, block: block.hash(), serving: none, size, codec, manifest: [0; 32], data };
        DeltaInfo { learner: LEARNER, header }
    }

    #[test]
    fn what_is_written_is_read() {
        for codec in CODECS {
            let delta = delta(codec);
            let block = block(&delta);
            assert_eq!(ExpertDelta::read(&block, SHAPE).unwrap(), (delta.clone(), LEARNER));
            assert_eq!(ExpertDelta::of(&info(&block, codec), &block, SHAPE).unwrap(), delta);
            assert_eq!(delta.codec(), codec);
        }
    }

    #[test]
    fn names_are_pinned() {
        // A part of the protocol: with others, deltas that were submitted cannot be read any more.
        let names = CODECS.map(|codec| block(&delta(codec)).hash().to_string()[..18].to_owned());
        assert_eq!(names, ["0x65363d162862136c", "0xfea16110458ba34e", "0x01757886e432e110"]);
    }

    #[test]
    fn a_header_that_says_something_else_is_found_out() {
        let block = block(&delta(Codec::Sparse));
        let good = info(&block, Codec::Sparse);
        let thief = DeltaInfo { learner: [1; 32], ..good.clone() };
        assert!(matches!(ExpertDelta::of(&thief, &block, SHAPE), Err(DeltaBlockError::OtherLearner)));
        let good = good.header;
        let of = |header| ExpertDelta::of(&DeltaInfo { learner: LEARNER, header }, &block, SHAPE);
        let refused = |header: DeltaHeader| of(header).unwrap_err();
        let other = DeltaHeader { block: ContentHash([1; 32]), ..good.clone() };
        assert!(matches!(refused(other), DeltaBlockError::OtherBlock { .. }));
        let other = DeltaHeader { size: good.size + 1, ..good.clone() };
        assert!(matches!(refused(other), DeltaBlockError::OtherSize { .. }));
        let other = DeltaHeader { codec: Codec::Dense, ..good };
        assert!(matches!(refused(other), DeltaBlockError::OtherCodec { expected: Codec::Dense, found: Codec::Sparse }));
    }

    #[test]
    fn a_delta_of_another_expert_is_refused() {
        let block = block(&delta(Codec::Dense));
        let turned = ExpertShape { ffn: 10, hidden: 18 };
        assert!(matches!(ExpertDelta::read(&block, turned), Err(DeltaBlockError::Update { .. })));
        let mixed = [update(Codec::Dense, Matrix::Gate, 1), update(Codec::Sparse, Matrix::Up, 1)];
        let [gate, up] = mixed;
        let down = update(Codec::Dense, Matrix::Down, 1);
        let refused = ExpertDelta::new(SHAPE, [gate.clone(), up, down.clone()]);
        assert!(matches!(refused, Err(DeltaBlockError::Codecs { matrix: Matrix::Up, .. })));
        let refused = ExpertDelta::new(SHAPE, [gate.clone(), gate.clone(), gate]);
        assert!(matches!(refused, Err(DeltaBlockError::Shape { matrix: Matrix::Down, .. })));
    }

    /// A block of bytes under these names.
    fn of_bytes(kind: BlockKind, form: Form, tensors: &[(&str, Vec<u8>)]) -> VerifiedBlock {
        let mut builder = BlockBuilder::new(kind, form, Quantisation::None);
        for (name, bytes) in tensors {
            builder.tensor(name, DType::U8, Layout::RowMajor, &[bytes.len() as u32], bytes).unwrap();
        }
        builder.finish().unwrap().into_block().unwrap()
    }

    fn encoded(codec: Codec) -> [Vec<u8>; 3] {
        Matrix::ALL.map(|matrix| update(codec, matrix, 1).encode())
    }

    #[test]
    fn blocks_that_are_laid_out_in_another_way_are_refused() {
        let [gate, up, down] = encoded(Codec::LowRank);
        let learner = || ("learner", LEARNER.to_vec());
        let all = [("gate", gate.clone()), ("up", up.clone()), ("down", down.clone()), learner()];
        let read = |kind, form, tensors: &[(&str, Vec<u8>)]| ExpertDelta::read(&of_bytes(kind, form, tensors), SHAPE);
        assert!(read(BlockKind::Delta, Form::Master, &all).is_ok());
        let refused = read(BlockKind::Expert, Form::Master, &all);
        assert!(matches!(refused, Err(DeltaBlockError::Kind { found: BlockKind::Expert, .. })));
        let swapped = [("up", up.clone()), ("gate", gate.clone()), ("down", down.clone()), learner()];
        let more = [&all[..], &[("bias", vec![1])]].concat();
        let short = [&all[..3], &[("learner", vec![1; 31])]].concat();
        for (form, tensors) in [
            (Form::Serving, &all[..]),
            (Form::Master, &all[..3]),
            (Form::Master, &swapped),
            (Form::Master, &more),
            (Form::Master, &short),
        ] {
            assert!(matches!(read(BlockKind::Delta, form, tensors), Err(DeltaBlockError::Layout(_))));
        }
        // Bytes of another type.
        let mut builder = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
        for (name, bytes) in &all {
            builder.tensor(name, DType::U8, Layout::RowMajor, &[1, bytes.len() as u32], bytes).unwrap();
        }
        let flat = builder.finish().unwrap().into_block().unwrap();
        assert!(matches!(ExpertDelta::read(&flat, SHAPE), Err(DeltaBlockError::Layout(_))));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_read_or_refused(
            codec in 0usize..3, which in 0usize..3, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = encoded(CODECS[codec]);
            for (at, byte) in changes {
                let at = at.index(bytes[which].len());
                bytes[which][at] = byte;
            }
            if let Some(cut) = cut {
                let cut = cut.index(bytes[which].len()).max(1);
                bytes[which].truncate(cut);
            }
            let [gate, up, down] = bytes;
            let tensors = [("gate", gate), ("up", up), ("down", down), ("learner", LEARNER.to_vec())];
            let block = of_bytes(BlockKind::Delta, Form::Master, &tensors);
            if let Ok((delta, learner)) = ExpertDelta::read(&block, SHAPE) {
                // Whatever is accepted has one name.
                prop_assert_eq!(delta.to_block(&learner).unwrap().hash(), block.hash());
            }
        }
    }
}
