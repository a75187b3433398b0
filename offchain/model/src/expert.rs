//! The two forms of an expert: the master, in f32, that deltas apply to, and the serving form that follows from it.
//!
//! Both are named on chain, and whoever has the weights makes the same bytes: three matrices in the order of [`Matrix::ALL`],
//! in the serving form each followed by its scales, quantised as [`blyan_tensorblock::quant`] says.

use blyan_primitives::{
    block::{BlockKind, DType, ExpertShape, Form, Layout, PayloadType, Quantisation},
    ids::ContentHash,
};
use blyan_tensorblock::{
    BlockBuilder, BlockError, UnwrittenBlock, VerifiedBlock,
    quant::{QuantError, pack_rows16k4, quantise_rows},
};

/// A matrix of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matrix {
    /// `[ffn, hidden]`.
    Gate,
    /// `[ffn, hidden]`.
    Up,
    /// `[hidden, ffn]`.
    Down,
}

impl Matrix {
    /// All of an expert, in the order of its blocks.
    pub const ALL: [Self; 3] = [Self::Gate, Self::Up, Self::Down];

    /// Name of its tensor in a block.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// Its rows and columns in an expert of this shape.
    pub fn shape(self, ExpertShape { ffn, hidden }: ExpertShape) -> [u32; 2] {
        match self {
            Self::Gate | Self::Up => [ffn, hidden],
            Self::Down => [hidden, ffn],
        }
    }
}

/// Why there are no blocks of an expert, or a block is not the master of one.
#[derive(Debug, thiserror::Error)]
pub enum ExpertError {
    /// A matrix cannot be quantised.
    #[error("matrix {name}: {error}", name = matrix.name())]
    Weights {
        /// Which.
        matrix: Matrix,
        /// Why not.
        error: QuantError,
    },
    /// There are more or fewer matrices than an expert has.
    #[error("an expert has {} matrices", Matrix::ALL.len())]
    Matrices,
    /// The block has another use.
    #[error("block {hash} is a {found_form} {found} block, needed is the master of an expert")]
    Kind {
        /// The block.
        hash: ContentHash,
        /// What it is.
        found: BlockKind,
        /// Its form.
        found_form: Form,
    },
    /// The block has other tensors beside the matrices, or its bytes are to be used in another way.
    #[error("block {0} has more than the three matrices of an expert in f32, or something else")]
    Surplus(ContentHash),
    /// A block could not be built, lacks a tensor, or has one of another type, layout or shape.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// Both forms of an expert.
#[derive(Debug)]
pub struct Forms {
    /// What deltas apply to.
    pub master: UnwrittenBlock<'static>,
    /// What inference computes on.
    pub serving: UnwrittenBlock<'static>,
}

/// Makes both forms of an expert from its matrices.
#[derive(Debug)]
pub struct ExpertBuilder {
    shape: ExpertShape,
    left: std::array::IntoIter<Matrix, 3>,
    master: BlockBuilder<'static>,
    serving: BlockBuilder<'static>,
}

impl ExpertBuilder {
    /// An expert without matrices so far.
    pub fn new(shape: ExpertShape) -> Self {
        Self {
            shape,
            left: Matrix::ALL.into_iter(),
            master: BlockBuilder::new(BlockKind::Expert, Form::Master, Quantisation::None),
            serving: BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel),
        }
    }

    /// Adds the next of [`Matrix::ALL`], row by row.
    ///
    /// # Errors
    /// When there are all already, or `values` are not as many as its shape says, or not finite.
    pub fn push(&mut self, values: Vec<f32>) -> Result<(), ExpertError> {
        let matrix = self.left.next().ok_or(ExpertError::Matrices)?;
        let shape @ [rows, k] = matrix.shape(self.shape);
        quantise(&values, rows as usize, k as usize).map_err(|error| ExpertError::Weights { matrix, error })?.add_to(
            &mut self.serving,
            matrix.name(),
            rows as usize,
            k as usize,
        )?;
        self.master.tensor(matrix.name(), DType::F32, Layout::RowMajor, &shape, values)?;
        Ok(())
    }

    /// Both forms.
    ///
    /// # Errors
    /// When matrices are missing.
    pub fn finish(self) -> Result<Forms, ExpertError> {
        if self.left.len() > 0 {
            return Err(ExpertError::Matrices);
        }
        Ok(Forms { master: self.master.finish()?, serving: self.serving.finish()? })
    }
}

/// The master form of an expert, in a verified block.
#[derive(Clone, Debug)]
pub struct Master {
    block: VerifiedBlock,
    shape: ExpertShape,
}

impl Master {
    /// Takes a block as the master of an expert of this shape.
    ///
    /// # Errors
    /// When it is another kind of block, or has other tensors.
    pub fn new(block: VerifiedBlock, shape: ExpertShape) -> Result<Self, ExpertError> {
        let (hash, header) = (block.hash(), block.header());
        if header.kind != BlockKind::Expert || header.form != Form::Master {
            return Err(ExpertError::Kind { hash, found: header.kind, found_form: header.form });
        }
        let is_plain = header.payload == PayloadType::TensorBlock && header.quantisation == Quantisation::None;
        if !is_plain || header.tensors.len() != Matrix::ALL.len() {
            return Err(ExpertError::Surplus(hash));
        }
        for matrix in Matrix::ALL {
            block.tensor(matrix.name())?.expect(DType::F32, Layout::RowMajor, &matrix.shape(shape))?;
        }
        Ok(Self { block, shape })
    }

    /// The block's name.
    pub fn hash(&self) -> ContentHash {
        self.block.hash()
    }

    /// The expert's shape.
    pub fn shape(&self) -> ExpertShape {
        self.shape
    }

    /// A matrix, row by row, in the mapped bytes.
    ///
    /// # Errors
    /// None, for what [`Self::new`] has checked.
    pub fn matrix(&self, matrix: Matrix) -> Result<&[f32], BlockError> {
        self.block.tensor(matrix.name())?.f32()
    }
}

/// Rows of a quantised matrix, packed for the kernels.
#[derive(Default)]
pub(crate) struct Int8Matrix {
    packed: Vec<i8>,
    scales: Vec<f32>,
}

impl Int8Matrix {
    /// Appends rows; all but the last piece have whole groups, so their packed bytes are simply put behind each other.
    pub(crate) fn append(&mut self, piece: Self) {
        if self.packed.is_empty() {
            *self = piece;
        } else {
            self.packed.extend(piece.packed);
            self.scales.extend(piece.scales);
        }
    }

    pub(crate) fn add_to<'a>(
        self,
        to: &mut BlockBuilder<'a>,
        name: &str,
        rows: usize,
        k: usize,
    ) -> Result<(), BlockError> {
        to.tensor(name, DType::Int8, Layout::Rows16K4, &[rows as u32, k as u32], self.packed)?;
        to.tensor(&format!("{name}.scale"), DType::F32, Layout::RowMajor, &[rows as u32], self.scales)?;
        Ok(())
    }
}

pub(crate) fn quantise(values: &[f32], rows: usize, k: usize) -> Result<Int8Matrix, QuantError> {
    let quantised = quantise_rows(values, rows, k)?;
    Ok(Int8Matrix { packed: pack_rows16k4(&quantised.values, rows, k)?, scales: quantised.scales })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ExpertShape = ExpertShape { ffn: 18, hidden: 5 };

    fn values(matrix: Matrix) -> Vec<f32> {
        (0..18 * 5).map(|i| (i as f32 - 40.0) * 0.03 + matrix as u8 as f32).collect()
    }

    fn forms() -> Forms {
        let mut builder = ExpertBuilder::new(SHAPE);
        Matrix::ALL.into_iter().for_each(|matrix| builder.push(values(matrix)).unwrap());
        builder.finish().unwrap()
    }

    #[test]
    fn both_forms_are_what_the_chain_takes() {
        let Forms { master, serving } = forms();
        assert_eq!(master.header().expert_shape(), Some(SHAPE));
        assert_eq!(serving.header().served_expert_shape(), Some(SHAPE));
        let master = Master::new(master.into_block().unwrap(), SHAPE).unwrap();
        for matrix in Matrix::ALL {
            assert_eq!(master.matrix(matrix).unwrap(), values(matrix));
        }
    }

    #[test]
    fn what_is_no_expert_is_refused() {
        let mut builder = ExpertBuilder::new(SHAPE);
        assert!(matches!(builder.push(vec![0.0; 89]), Err(ExpertError::Weights { matrix: Matrix::Gate, .. })));
        let mut bad = values(Matrix::Up);
        bad[7] = f32::NAN;
        assert!(matches!(builder.push(bad), Err(ExpertError::Weights { matrix: Matrix::Up, .. })));
        assert!(matches!(builder.finish(), Err(ExpertError::Matrices)));
        let mut builder = ExpertBuilder::new(SHAPE);
        Matrix::ALL.into_iter().for_each(|matrix| builder.push(values(matrix)).unwrap());
        assert!(matches!(builder.push(values(Matrix::Gate)), Err(ExpertError::Matrices)));
    }

    #[test]
    fn other_blocks_are_no_master() {
        let Forms { master, serving } = forms();
        let refused = |block: UnwrittenBlock<'_>, shape| Master::new(block.into_block().unwrap(), shape).unwrap_err();
        assert!(matches!(refused(serving, SHAPE), ExpertError::Kind { found_form: Form::Serving, .. }));
        let turned = ExpertShape { ffn: 5, hidden: 18 };
        assert!(matches!(refused(master, turned), ExpertError::Block(BlockError::Mismatch { .. })));
        let master = |extra: bool, quantisation| {
            let mut builder = BlockBuilder::new(BlockKind::Expert, Form::Master, quantisation);
            for matrix in Matrix::ALL {
                let shape = matrix.shape(SHAPE);
                builder.tensor(matrix.name(), DType::F32, Layout::RowMajor, &shape, values(matrix)).unwrap();
            }
            if extra {
                builder.tensor("bias", DType::F32, Layout::RowMajor, &[1], vec![1f32]).unwrap();
            }
            builder.finish().unwrap()
        };
        assert!(matches!(refused(master(true, Quantisation::None), SHAPE), ExpertError::Surplus(_)));
        assert!(matches!(refused(master(false, Quantisation::PerChannel), SHAPE), ExpertError::Surplus(_)));
        assert!(Master::new(master(false, Quantisation::None).into_block().unwrap(), SHAPE).is_ok());
    }
}
