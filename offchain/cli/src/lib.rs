//! What the `blyan` command is made of. Programs and tests that start networks use [`process`].

pub mod api;
pub mod chat;
pub mod dev;
pub mod genesis;
pub mod health;
pub mod model;
pub mod out;
pub mod process;
pub mod progress;
pub mod receipt;
pub mod worker;
