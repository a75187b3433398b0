//! Building and writing blocks.

use crate::{
    BlockError, VerifiedBlock, atomic,
    geometry::subtile_range,
    hashing::{default_threads, leaf_hashes},
    map::Mapping,
    reader::Mapped,
};
use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, DType, FORMAT_VERSION, Form, HeaderError, Layout, MAGIC, MAX_DATA_LEN, MAX_HEADER_LEN,
        PREFIX_LEN, PayloadType, Quantisation, TENSOR_ALIGN, TensorInfo, data_offset, header_hash,
    },
    ids::{ContentHash, TileRoot},
    merkle::{Tree, subtile_count},
};
use codec::Encode;
use std::{
    borrow::Cow,
    io::{self, Write},
    path::Path,
};

/// The bytes of a tensor, borrowed or owned, in the type that their owner has them in.
#[derive(Debug)]
pub enum TensorBytes<'a> {
    /// Raw bytes.
    Bytes(Cow<'a, [u8]>),
    /// 8-bit integers.
    I8(Cow<'a, [i8]>),
    /// 32-bit floats.
    F32(Cow<'a, [f32]>),
    /// 32-bit integers without sign.
    U32(Cow<'a, [u32]>),
}

impl TensorBytes<'_> {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::I8(values) => bytemuck::must_cast_slice(values),
            Self::F32(values) => bytemuck::must_cast_slice(values),
            Self::U32(values) => bytemuck::must_cast_slice(values),
        }
    }
}

macro_rules! tensor_bytes_from {
    ($($variant:ident $element:ty),*) => {$(
        impl<'a> From<&'a [$element]> for TensorBytes<'a> {
            fn from(values: &'a [$element]) -> Self {
                Self::$variant(Cow::Borrowed(values))
            }
        }

        impl<'a> From<&'a Vec<$element>> for TensorBytes<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                Self::$variant(Cow::Borrowed(values))
            }
        }

        impl From<Vec<$element>> for TensorBytes<'_> {
            fn from(values: Vec<$element>) -> Self {
                Self::$variant(Cow::Owned(values))
            }
        }

        impl<'a> From<Cow<'a, [$element]>> for TensorBytes<'a> {
            fn from(values: Cow<'a, [$element]>) -> Self {
                Self::$variant(values)
            }
        }
    )*};
}
tensor_bytes_from!(Bytes u8, I8 i8, F32 f32, U32 u32);

/// Collects the tensors of a block. Borrowed tensors are not copied, before or while the block is written.
#[derive(Debug)]
pub struct BlockBuilder<'a> {
    kind: BlockKind,
    form: Form,
    quantisation: Quantisation,
    tensors: Vec<TensorInfo>,
    data: Vec<TensorBytes<'a>>,
    data_len: u64,
}

impl<'a> BlockBuilder<'a> {
    /// A block without tensors so far.
    pub fn new(kind: BlockKind, form: Form, quantisation: Quantisation) -> Self {
        Self { kind, form, quantisation, tensors: Vec::new(), data: Vec::new(), data_len: 0 }
    }

    /// Appends a tensor. `shape` is logical, outermost dimension first; `bytes` are little endian in the order that
    /// `layout` says, its padding included.
    ///
    /// Refuses a shape that type and layout cannot have, and bytes of another length than the shape's.
    pub fn tensor(
        &mut self,
        name: &str,
        dtype: DType,
        layout: Layout,
        shape: &[u32],
        bytes: impl Into<TensorBytes<'a>>,
    ) -> Result<&mut Self, BlockError> {
        let bytes = bytes.into();
        let found = bytes.as_bytes().len() as u64;
        let expected = TensorInfo::bytes(dtype, layout, shape)
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| BlockError::Shape { name: name.into(), dtype, layout, shape: shape.to_vec() })?;
        if found != expected {
            return Err(BlockError::Length { name: name.into(), expected, found });
        }
        let offset = self.data_len.next_multiple_of(TENSOR_ALIGN);
        let end = offset + found;
        if end > MAX_DATA_LEN {
            return Err(BlockError::Unbuildable(HeaderError::TooMany));
        }
        self.tensors.push(TensorInfo {
            name: name.into(),
            dtype,
            layout,
            shape: shape.to_vec(),
            offset,
            length: found,
        });
        self.data.push(bytes);
        self.data_len = end;
        Ok(self)
    }

    /// Hashes the data region and fixes the header, and with it the block's name.
    ///
    /// Refuses a block without tensors, names that are used twice or are not printable ASCII, and what else the format
    /// does not allow.
    pub fn finish(self) -> Result<UnwrittenBlock<'a>, BlockError> {
        if self.tensors.is_empty() {
            return Err(BlockError::Empty);
        }
        let Self { kind, form, quantisation, tensors, data, data_len } = self;
        let mut header = BlockHeader {
            payload: PayloadType::TensorBlock,
            kind,
            form,
            quantisation,
            arch: String::new(),
            engine: Vec::new(),
            tensors,
            data_len,
            root: TileRoot::default(),
        };
        header.check().map_err(BlockError::Unbuildable)?;
        let region = Region { tensors: &header.tensors, data: &data, len: data_len };
        let leaves = leaf_hashes(0, subtile_count(data_len) as usize, default_threads(), |index| region.subtile(index));
        let tree = Tree::new(leaves);
        header.root = TileRoot(tree.root());
        let header_bytes = header.encode();
        if header_bytes.len() as u64 > u64::from(MAX_HEADER_LEN) {
            return Err(BlockError::Unbuildable(HeaderError::TooLong));
        }
        let hash = header_hash(&header_bytes);
        Ok(UnwrittenBlock { hash, header, header_bytes, data, tree })
    }
}

/// A data region that is not contiguous in memory yet: tensors, and zeros between them.
struct Region<'r, 'a> {
    tensors: &'r [TensorInfo],
    data: &'r [TensorBytes<'a>],
    len: u64,
}

impl<'r> Region<'r, '_> {
    /// A subtile; gathered in a buffer only where it reaches over a tensor's edge.
    fn subtile(&self, index: u64) -> Cow<'r, [u8]> {
        let range = subtile_range(self.len, index).unwrap_or_default();
        let first = self.tensors.partition_point(|tensor| tensor.offset + tensor.length <= range.start);
        let mut parts = self.tensors[first..].iter().zip(&self.data[first..]).peekable();
        if let Some((tensor, data)) = parts.peek()
            && tensor.offset <= range.start
            && tensor.offset + tensor.length >= range.end
        {
            let start = (range.start - tensor.offset) as usize;
            return Cow::Borrowed(&data.as_bytes()[start..start + (range.end - range.start) as usize]);
        }
        let mut gathered = vec![0; (range.end - range.start) as usize];
        for (tensor, data) in parts.take_while(|(tensor, _)| tensor.offset < range.end) {
            let (start, end) = (tensor.offset.max(range.start), (tensor.offset + tensor.length).min(range.end));
            gathered[(start - range.start) as usize..(end - range.start) as usize]
                .copy_from_slice(&data.as_bytes()[(start - tensor.offset) as usize..(end - tensor.offset) as usize]);
        }
        Cow::Owned(gathered)
    }
}

/// A block that is complete and named, but not in a file yet.
#[derive(Debug)]
pub struct UnwrittenBlock<'a> {
    hash: ContentHash,
    header: BlockHeader,
    header_bytes: Vec<u8>,
    data: Vec<TensorBytes<'a>>,
    tree: Tree,
}

impl UnwrittenBlock<'_> {
    /// The block's name.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// The header.
    pub fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The header's SCALE encoding, of which [`Self::hash`] is the hash.
    pub fn header_bytes(&self) -> &[u8] {
        &self.header_bytes
    }

    /// The tree over the data region.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> u64 {
        data_offset(self.header_len()) + self.header.data_len
    }

    fn header_len(&self) -> u32 {
        // `finish` keeps headers below `MAX_HEADER_LEN`.
        self.header_bytes.len() as u32
    }

    /// Writes the whole file to `to`.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&file_head(&self.header_bytes))?;
        let mut at = 0;
        for (tensor, data) in self.header.tensors.iter().zip(&self.data) {
            let gap = (tensor.offset - at) as usize;
            to.write_all(&[0; TENSOR_ALIGN as usize][..gap])?;
            to.write_all(data.as_bytes())?;
            at = tensor.offset + tensor.length;
        }
        Ok(())
    }

    /// Writes the file so that it appears at `path` whole or not at all: see [`atomic::write`].
    pub fn write_file(&self, path: &Path) -> Result<(), BlockError> {
        atomic::write(path, |file| self.write_to(file)).map_err(BlockError::io("write", path))
    }

    /// Copies the block into page-aligned memory without a file, where it can be used like a mapped one.
    pub fn into_block(self) -> Result<VerifiedBlock, BlockError> {
        let (hash, bytes) = (self.hash, self.file_len());
        let refused = |source| BlockError::Memory { hash, bytes, source };
        let len = usize::try_from(bytes).map_err(|_| refused(io::ErrorKind::OutOfMemory.into()))?;
        let map = Mapping::anonymous(len, |mut to| self.write_to(&mut to)).map_err(refused)?;
        let header_len = self.header_bytes.len();
        // The tree was computed from the very bytes that were copied: they are borrowed or owned by `self`, unchanged.
        Ok(VerifiedBlock::new(Mapped { map, header: self.header, header_len, hash, path: None }, self.tree))
    }
}

/// What stands in front of the data region: prefix, header, and zeros up to a page.
pub(crate) fn file_head(header: &[u8]) -> Vec<u8> {
    let header_len = header.len() as u32;
    let mut head = Vec::with_capacity(data_offset(header_len) as usize);
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    head.extend_from_slice(&header_len.to_le_bytes());
    debug_assert_eq!(head.len() as u64, PREFIX_LEN);
    head.extend_from_slice(header);
    head.resize(data_offset(header_len) as usize, 0);
    head
}
