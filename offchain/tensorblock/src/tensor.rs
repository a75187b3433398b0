//! Tensors of a verified block, in place.

use crate::{BlockError, VerifiedBlock};
use blyan_primitives::{
    block::{DType, Layout, TensorInfo},
    ids::ContentHash,
};
use std::{fmt, marker::PhantomData, ops::Deref};

/// A tensor of a verified block, borrowed from the mapping.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    pub(crate) hash: ContentHash,
    /// Name, type, layout, shape and place.
    pub info: &'a TensorInfo,
    /// The tensor's bytes, padding of the layout included; 64-byte aligned.
    pub bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// The elements of a tensor of type f32.
    pub fn f32(&self) -> Result<&'a [f32], BlockError> {
        self.cast(DType::F32)
    }

    /// The elements of a tensor of type int8, in the order of its layout.
    pub fn i8(&self) -> Result<&'a [i8], BlockError> {
        self.cast(DType::Int8)
    }

    /// The elements of a tensor of type u32.
    pub fn u32(&self) -> Result<&'a [u32], BlockError> {
        self.cast(DType::U32)
    }

    /// The elements of a tensor of plain bytes.
    pub fn u8(&self) -> Result<&'a [u8], BlockError> {
        self.cast(DType::U8)
    }

    /// Refuses a tensor of another type, layout or shape.
    pub fn expect(&self, dtype: DType, layout: Layout, shape: &[u32]) -> Result<(), BlockError> {
        if self.info.dtype == dtype && self.info.layout == layout && self.info.shape == shape {
            return Ok(());
        }
        Err(self.mismatch(format!("{dtype} {layout} {shape:?}")))
    }

    fn cast<T: bytemuck::AnyBitPattern>(&self, dtype: DType) -> Result<&'a [T], BlockError> {
        if self.info.dtype != dtype {
            return Err(self.mismatch(dtype.to_string()));
        }
        // The data region begins at a page and tensors at 64 bytes, so that only a type of another size can fail.
        bytemuck::try_cast_slice(self.bytes).map_err(|_| self.mismatch(dtype.to_string()))
    }

    fn mismatch(&self, expected: String) -> BlockError {
        let TensorInfo { name, dtype, layout, shape, .. } = self.info;
        BlockError::Mismatch {
            hash: self.hash,
            name: name.clone(),
            found: format!("{dtype} {layout} {shape:?}"),
            expected,
        }
    }
}

/// The elements of a tensor with shared ownership of the mapping: what an engine keeps between tokens.
pub struct TensorSlice<T> {
    block: VerifiedBlock,
    /// Bytes of the data region.
    start: usize,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: bytemuck::AnyBitPattern> TensorSlice<T> {
    pub(crate) fn new(
        block: &VerifiedBlock,
        name: &str,
        dtype: DType,
        layout: Layout,
        shape: &[u32],
    ) -> Result<Self, BlockError> {
        let view = block.tensor(name)?;
        view.expect(dtype, layout, shape)?;
        view.cast::<T>(dtype)?;
        if size_of::<T>() as u64 != dtype.size() {
            return Err(view.mismatch(format!("elements of {} bytes", size_of::<T>())));
        }
        let (start, len) = (view.info.offset as usize, view.bytes.len());
        Ok(Self { block: block.clone(), start, len, element: PhantomData })
    }
}

impl<T: bytemuck::AnyBitPattern> Deref for TensorSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // `new` made this very cast with success.
        bytemuck::cast_slice(&self.block.data()[self.start..self.start + self.len])
    }
}

impl<T> Clone for TensorSlice<T> {
    fn clone(&self) -> Self {
        Self { block: self.block.clone(), ..*self }
    }
}

impl<T> fmt::Debug for TensorSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorSlice({} bytes at {} of {})", self.len, self.start, self.block.hash())
    }
}
