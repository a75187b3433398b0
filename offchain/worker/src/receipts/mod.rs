//! Receipts: on disk before an answer's last token leaves, on chain in batches, each exactly once.
//!
//! - [`journal`]: the database, and the state machine that takes a receipt from an answer to a finalized anchor.
//! - [`writer`]: signs and stores finished answers, several in one disk flush.
//! - [`anchor`]: drives the state machine against the chain.
//! - [`bundle`]: what `GET /v1/receipts/{id}` answers with.
//! - [`text`]: whether a bundle's text is what its tokens say.

pub mod anchor;
pub mod bundle;
pub mod journal;
pub mod text;
pub mod writer;
