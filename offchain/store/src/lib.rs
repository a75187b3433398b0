//! The content-addressed folder that holds a worker's blocks.
//!
//! ```text
//! <root>/3f/3fa0….block        a TensorBlock, named by its hash
//! <root>/3f/3fa0….leaves       its leaf hashes; modified when the block was last used
//! <root>/incoming/3fa0….part   a block that is being fetched: see `blyan_tensorblock::partial`
//! <root>/quarantine/           damaged files, out of the way until their blocks are whole again
//! ```
//!
//! [`Store::get`] hands out blocks as verified mappings: every subtile of a file is hashed once a process, and its pages
//! are trusted from then on. A damaged file is moved into quarantine and reported by name, [`Store::resume`] and
//! [`Store::begin`] fetch what is missing of it, and nothing but the damaged tiles has to travel.
//!
//! ```
//! # use blyan_store::{Config, Store};
//! # use blyan_tensorblock::{BlockBuilder, Outline};
//! # use blyan_primitives::block::{BlockKind, DType, Form, Layout, Quantisation};
//! # let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! let registry = prometheus::Registry::new();
//! let store = Store::open(Config::new(here.path()).bounded(1 << 30), &registry)?;
//! # let peer = Store::open(Config::new(there.path()), &prometheus::Registry::new())?;
//! # let mut builder = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::None);
//! # builder.tensor("t", DType::U8, Layout::RowMajor, &[3], vec![1u8, 2, 3])?;
//! # let block = builder.finish()?;
//! # let hash = block.hash();
//! # peer.put(&block)?;
//! # let remote = peer.get(&hash)?;
//! # let (header, leaves) = (remote.header_bytes(), remote.tree().leaves().as_flattened());
//! # let fetch = |tile| remote.tile(tile);
//! let block = match store.get(&hash) {
//!     Err(error) if error.needs_fetch() => {
//!         // What a crash or damage left here already knows the block's outline; otherwise a peer sends it.
//!         let ingest = match store.resume(&hash)? {
//!             Some(ingest) => ingest,
//!             None => store.begin(Outline::new(&hash, header, leaves)?)?,
//!         };
//!         for tile in ingest.missing_tiles() {
//!             ingest.put_tile(tile, fetch(tile)?)?;
//!         }
//!         ingest.finish()
//!     },
//!     found => found,
//! }?;
//! assert_eq!(block.hash(), hash);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several processes
//!
//! Any number of processes may have one store open. Files appear by rename and are never changed, so a reader sees whole
//! blocks or none; a block that another process evicts stays readable for those who have it mapped, and is absent for
//! those who have not. One process at a time fetches a given block; the others get [`StoreError::Busy`]. The bound is each
//! process's own: one with a smaller bound evicts blocks that another would keep, so give it to the worker and leave tools
//! unbounded. When two processes fetch at the same moment, the folder can exceed the bound by what they fetch, until the
//! next block comes in.
//!
//! A file that is edited in place changes under those who have it mapped. [`Store::get`] notices that the file's metadata
//! changed and verifies again; whoever keeps a block to compute on has it looked after by [`Store::watch`], or computes on
//! the edited pages.

mod check;
mod error;
mod ingest;
mod layout;
mod metrics;
mod serve;
mod space;
mod store;
mod watch;

pub use check::{Progress, Verification, VerifyReport};
pub use error::StoreError;
pub use ingest::Ingest;
pub use serve::{Part, ServedPart};
pub use store::{Config, Store, StoredBlock};
pub use watch::Watched;
