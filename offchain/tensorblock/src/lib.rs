//! TensorBlocks: the immutable files that hold weights.
//!
//! The format and the merkle tree are defined in [`blyan_primitives::block`] and [`blyan_primitives::merkle`], which the
//! chain shares. This crate writes such files, maps them, verifies them and moves them between machines.
//!
//! - [`BlockBuilder`] collects tensors and makes an [`UnwrittenBlock`], whose name is known before it is on disk.
//! - [`Block`] is a mapped file whose header was checked; [`VerifiedBlock`] one whose every subtile was hashed against the
//!   root. Only the latter hands out tensors, and it never copies one.
//! - [`quant`] is the canonical int8 quantisation and the layout that the dot-product kernels read.
//! - [`transfer`] checks tiles as they arrive, [`partial`] assembles them into a file over crashes.
//!
//! ```
//! use blyan_primitives::block::{BlockKind, DType, Form, Layout, Quantisation};
//! use blyan_tensorblock::BlockBuilder;
//!
//! let scales = [0.5f32, 0.25];
//! let mut builder = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
//! builder.tensor("up.scales", DType::F32, Layout::RowMajor, &[2], &scales[..])?;
//! let block = builder.finish()?.into_block()?;
//! assert_eq!(block.tensor("up.scales")?.f32()?, scales);
//! # Ok::<(), blyan_tensorblock::BlockError>(())
//! ```
//!
//! # Mapped files
//!
//! A mapped page is read when it is touched. Were the file truncated underneath, or its disk to fail, the process would
//! get `SIGBUS`; were it written to, verified weights would change. Blocks are therefore never modified in place: files
//! appear whole by rename, are opened read-only, and go away by unlink or rename, which leaves mappings intact. Whoever
//! edits a file in a store behind the back of a running worker breaks that rule: [`VerifiedBlock::verify_again`] finds out.

#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("TensorBlocks hold little-endian numbers that are used in place");

pub mod atomic;
mod builder;
mod error;
pub mod geometry;
mod hashing;
mod map;
pub mod partial;
pub mod quant;
mod reader;
mod tensor;
pub mod transfer;

pub use builder::{BlockBuilder, TensorBytes, UnwrittenBlock};
pub use error::BlockError;
pub use hashing::default_threads;
pub use partial::{PartialBlock, PartialError};
pub use reader::{Block, BlockSlice, CorruptBlock, VerifiedBlock};
pub use tensor::{TensorSlice, TensorView};
pub use transfer::{Outline, Proof, TileError, VerifiedTile, verify_tile};
