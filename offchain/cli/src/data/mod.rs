//! `blyan data`: texts to blocks of items, which learners train on and deltas are measured on.

mod corpus;
mod pack;
mod sets;

use crate::submit::Reading;
use anyhow::Result;
use blyan_chain::Purpose;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

pub use pack::PackArgs;
pub(crate) use pack::{Made, Split, Texts, items_of, pack};
pub use sets::AddArgs;

/// Sets of texts: what learners train on, and what their deltas are measured on.
///
/// A set is a block of items: windows of as many tokens as the chain says. The chain has its hash and its purpose; workers
/// have the block.
#[derive(Subcommand, Debug)]
#[command(after_help = "Examples:
  blyan data pack texts/ --split held-out:10% --store my-store
  blyan data add 0x5c…e1 --purpose training --store my-store --key //Alice
  blyan data list")]
pub enum DataCommand {
    /// Make blocks of items of texts, and put them into the store.
    ///
    /// Each file is a document; of a .jsonl file each line is one, {\"text\": \"…\"}. Folders are taken with all that is in them.
    /// A document is cut into items, windows of as many tokens as the chain says; what is left at its end is in none, and
    /// neither is a document that was there before. The same texts in the same order make the same blocks.
    Pack(PackArgs),
    /// Register a block of items and say what it is for.
    ///
    /// The second part is a matter of governance: on chains with a sudo key its holder does it at once, on others what is to be
    /// proposed is printed.
    Add(AddArgs),
    /// Show the sets that the chain has.
    List(Reading),
}

/// Runs the command.
pub async fn run(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Pack(args) => pack::run(args).await,
        DataCommand::Add(args) => sets::add(args).await,
        DataCommand::List(reading) => sets::list(&reading).await,
    }
}

/// What a set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PurposeName {
    /// Learners train on it.
    Training,
    /// Deltas are measured on it: of the same kind as what is trained on, and in no training set.
    HeldOut,
    /// Of what the model can do already, which deltas must not harm.
    General,
    /// As held-out; encrypted until it is used, and used once.
    Hidden,
}

impl PurposeName {
    /// As it is written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::HeldOut => "held-out",
            Self::General => "general",
            Self::Hidden => "hidden",
        }
    }
}

impl From<PurposeName> for Purpose {
    fn from(name: PurposeName) -> Self {
        match name {
            PurposeName::Training => Self::Training,
            PurposeName::HeldOut => Self::HeldOut,
            PurposeName::General => Self::General,
            PurposeName::Hidden => Self::Hidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_read_as_it_is_written() {
        for name in PurposeName::value_variants() {
            assert_eq!(PurposeName::from_str(name.text(), false), Ok(*name));
        }
    }
}
