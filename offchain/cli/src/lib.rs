//! What the `blyan` command is made of. Programs and tests that start networks use [`process`].

pub mod account;
pub mod api;
pub mod chat;
pub mod delegate;
pub mod dev;
pub mod genesis;
pub mod health;
pub mod model;
pub mod out;
pub mod pact;
pub mod poll;
pub mod process;
pub mod progress;
pub mod receipt;
pub mod referendum;
pub mod stake;
mod stakes;
pub mod submit;
pub mod unbond;
pub mod units;
pub mod validators;
pub mod vote;
pub mod worker;
