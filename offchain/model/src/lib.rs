//! The model: canonical execution, importers, tokenizer and chat template.
//!
//! - [`exec`]: a [`Model`](exec::Model) from verified blocks, an [`Engine`](exec::Engine) that executes it to the bit, and
//!   the definition of what that means.
//! - [`session`], [`sampler`], [`replay`]: an answer in the making, how its tokens are chosen, how it is checked.
//! - [`trace`]: every value of an evaluation, for those who differ about one.
//! - [`expert`]: the two forms of an expert.
//! - [`gguf`], [`hf`]: readers for files of other formats; [`import`] makes blocks of them.
//! - [`tokenizer`], [`chat`]: text and conversations to tokens, tokens to text.
//! - [`math`]: the functions of canonical execution that a machine's own library computes differently from another's.
//! - [`tiny`]: a small model for development chains and tests.

#![deny(unsafe_code)]

pub mod chat;
pub mod exec;
pub mod expert;
pub mod gguf;
pub mod hf;
pub mod import;
#[allow(unsafe_code, reason = "maps files")]
mod mapped;
pub use blyan_primitives::math;
pub mod replay;
pub mod sampler;
pub mod session;
pub mod tiny;
pub mod tokenizer;
pub mod trace;
