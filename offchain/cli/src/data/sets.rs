//! `blyan data add` and `list`: sets on chain.

use super::PurposeName;
use crate::{
    governed::{command, proposal, with_all_rights},
    library::StoreArg,
    out,
    submit::{Reading, Sender, Sent, Signing},
    units,
};
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{AccountId, Call, HiddenSet, LearningCall, Purpose, State};
use blyan_learning::items::Items;
use blyan_primitives::{ids::ContentHash, pol::ItemBlock};
use clap::Args;
use serde_json::json;

/// Which block, and what it is for.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  blyan data add 0x5c…e1 --purpose training --store my-store --key //Alice
  blyan data add 0x77…02 --purpose hidden --encrypted 0x91…ab --steward 5FHn…94ty --store my-secret-store --key //Alice

The block of a hidden set itself has to be in a store that no worker serves from, until its key is revealed.")]
pub struct AddArgs {
    /// The block, as `blyan data pack` printed it.
    block: ContentHash,
    /// What it is for.
    #[arg(long, value_enum)]
    purpose: PurposeName,
    /// Of a hidden set: the block with its tokens encrypted.
    #[arg(long, value_name = "BLOCK", required_if_eq("purpose", "hidden"))]
    encrypted: Option<ContentHash>,
    /// Of a hidden set: who has the key.
    #[arg(long, value_name = "ACCOUNT", value_parser = units::account, required_if_eq("purpose", "hidden"))]
    steward: Option<AccountId>,
    #[command(flatten)]
    store: StoreArg,
    #[command(flatten)]
    signing: Signing,
}

impl AddArgs {
    /// What governance is to do.
    fn call(&self) -> Result<LearningCall> {
        let block = self.block;
        match (self.purpose, self.encrypted, self.steward) {
            (PurposeName::Hidden, Some(encrypted), Some(steward)) => {
                Ok(LearningCall::AddHiddenSet { block, encrypted, steward })
            },
            (PurposeName::Hidden, ..) => bail!("a hidden set has --encrypted and --steward"),
            (purpose, None, None) => Ok(LearningCall::AddSet { block, purpose: purpose.into() }),
            _ => bail!("--encrypted and --steward are for hidden sets alone"),
        }
    }
}

pub(super) async fn add(args: AddArgs) -> Result<()> {
    let call = Call::from(args.call()?);
    let block = args.store.open()?.get(&args.block)?;
    let header = block.header_bytes().to_vec();
    let items = Items::new(block)?;
    let mut sender = Sender::open(&args.signing).await?;
    let state = sender.state().await?;
    let expected = state.parameters()?.item_tokens;
    ensure!(
        items.tokens() == expected,
        "the items of {} have {} tokens, those of this chain {expected}: pack the texts anew",
        args.block,
        items.tokens()
    );
    if let Some(set) = state.set(args.block).await? {
        bail!("{} is a {} set of {} items already; `blyan data list` shows all", args.block, set.purpose, set.items);
    }
    let mut registered = None;
    if state.block_entry(args.block).await?.is_none() {
        let call = Call::register_block(header, None, None)?;
        registered = Some(sender.send(call).await.context("registering the block")?);
    }
    let (what, items) = (args.purpose.text(), items.count());
    let details = json!({ "set": args.block, "purpose": what, "items": items, "registered": registered.is_some() });
    match with_all_rights(&mut sender, &state, &call).await? {
        Some(sent) => sender.report(&sent, format_args!("{} is a {what} set of {items} items", args.block), details),
        None => propose(&sender, &state, &call, registered.as_ref(), details),
    }
}

/// Tells what is to be proposed.
fn propose(
    sender: &Sender,
    state: &State,
    call: &Call,
    registered: Option<&Sent>,
    mut details: serde_json::Value,
) -> Result<()> {
    let call = proposal(state, call)?;
    if sender.is_json() {
        details["proposal"] = json!(call);
        return out::line(serde_json::to_string_pretty(&details)?);
    }
    if let Some(sent) = registered {
        out::line(format_args!("the block is registered in block {}, final", sent.block))?;
    }
    out::line("what it is for is decided by all members; propose it to them:")?;
    out::line(command(&call))
}

/// A set as it is listed.
struct Listed {
    purpose: Purpose,
    set: ItemBlock,
    hidden: Option<HiddenSet>,
}

pub(super) async fn list(reading: &Reading) -> Result<()> {
    let state = reading.state().await?;
    let mut all = Vec::new();
    for purpose in [Purpose::Training, Purpose::HeldOut, Purpose::General, Purpose::Hidden] {
        for set in state.sets(purpose).await? {
            let hidden = if purpose == Purpose::Hidden { state.hidden_set(set.block).await? } else { None };
            all.push(Listed { purpose, set, hidden });
        }
    }
    if reading.json {
        let value =
            |Listed { purpose, set, hidden }: &Listed| json!({ "purpose": purpose, "set": set, "hidden": hidden });
        let sets: Vec<_> = all.iter().map(value).collect();
        let value =
            json!({ "block": state.block().number, "item_tokens": state.parameters()?.item_tokens, "sets": sets });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    if all.is_empty() {
        return out::line("there are no sets yet; `blyan data pack` makes them, `blyan data add` adds them");
    }
    let row = |Listed { purpose, set, hidden }: &Listed| {
        let steward = hidden.as_ref().map_or_else(String::new, |hidden| hidden.steward.to_string());
        [purpose.to_string().replace('_', "-"), set.items.to_string(), set.block.to_string(), steward]
    };
    out::table(["purpose", " items", "block", "steward"], &all.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(flatten)]
        args: AddArgs,
    }

    const BLOCK: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";
    const OTHER: &str = "0x0202020202020202020202020202020202020202020202020202020202020202";
    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    fn parse(words: &[&str]) -> Result<AddArgs, clap::Error> {
        let words = [&["blyan", BLOCK], words, &["--key", "//Alice"]].concat();
        Words::try_parse_from(words).map(|words| words.args)
    }

    #[test]
    fn a_set_is_for_one_purpose() {
        let block = ContentHash([1; 32]);
        let call = parse(&["--purpose", "held-out"]).unwrap().call().unwrap();
        assert_eq!(call, LearningCall::AddSet { block, purpose: Purpose::HeldOut });
        assert!(parse(&[]).is_err() && parse(&["--purpose", "other"]).is_err());
    }

    #[test]
    fn only_a_hidden_set_has_a_steward() {
        let hidden = ["--purpose", "hidden", "--encrypted", OTHER, "--steward", BOB];
        let call = parse(&hidden).unwrap().call().unwrap();
        let encrypted = ContentHash([2; 32]);
        assert!(matches!(call, LearningCall::AddHiddenSet { encrypted: found, .. } if found == encrypted));
        assert!(parse(&hidden[..4]).is_err() && parse(&hidden[..2]).is_err());
        let error = parse(&["--purpose", "general", "--steward", BOB]).unwrap().call().unwrap_err().to_string();
        assert!(error.contains("hidden"), "{error}");
    }
}
