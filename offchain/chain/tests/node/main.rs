//! The client against a real node: each test starts its own, on a chain of its own.

mod learning;
mod metadata;
mod node;
mod restricted;
mod stream;
mod transactions;
