//! `blyan referendum propose`: from what is wanted to a referendum.

use super::placed;
use crate::{
    submit::{Sender, Signing},
    units::{self, Bly, read},
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use blyan_chain::{
    AccountId, Call, Event, GovernanceCall, GovernanceEvent, MAX_INLINE, PactStatus, Proposal, StakingCall, State,
    Track,
};
use blyan_primitives::{
    hash::blake2_256,
    pact::{Pact, Parameter},
    traits::SlashId,
};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Most bytes that the chain keeps as a preimage.
const MAX_PREIMAGE: usize = 4 << 20;
/// How a WebAssembly module begins, and how one does that is compressed as runtimes are.
const MAGIC: [&[u8]; 2] = [b"\0asm", &[0x52, 0xBC, 0x53, 0x76, 0x46, 0xDB, 0x8E, 0x05]];

/// What is wanted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  blyan referendum propose --set staking.max_validators=32 --key my.key
  blyan referendum propose --set economy.fee_burn=40% --set economy.fee_treasury=30% --deposit --key my.key
  blyan referendum propose --runtime blyan_runtime.compact.compressed.wasm --key my.key
  blyan referendum propose --spend 500 --to 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty --key my.key
  blyan referendum propose --cancel-slash 7 --deposit --key my.key

Values are written as `blyan pact` shows them: BLY such as 12.5, shares such as 40%, times as a number of blocks or such as
6h, others as they are. The track is that of the kind of proposal; a call that is too long for the referendum itself, such
as a runtime, is noted as a preimage first, with a deposit for its bytes.")]
pub struct ProposeArgs {
    #[command(flatten)]
    what: What,
    /// Who gets what --spend spends.
    // Clap lets a requirement go that conflicts with what is there, as the things to propose do with each other.
    #[arg(
        long, value_name = "ACCOUNT", value_parser = units::account, requires = "spend",
        conflicts_with_all = ["set", "runtime", "cancel_slash", "call"],
    )]
    to: Option<AccountId>,
    /// The track of --call.
    #[arg(
        long, value_enum, default_value_t = TrackName::Root, requires = "call",
        conflicts_with_all = ["set", "runtime", "spend", "cancel_slash"],
    )]
    track: TrackName,
    /// Wait so long from the approval to the call, at least: a number of blocks, or a time such as 6h.
    #[arg(long, value_name = "BLOCKS", default_value = "0", value_parser = units::blocks)]
    after: u32,
    /// Place the decision deposit, too.
    #[arg(long)]
    deposit: bool,
    #[command(flatten)]
    signing: Signing,
}

/// One of these.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// Give a parameter of the Pact another value; several change together.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Replace the runtime by the one in this file.
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,
    /// Spend so much from the treasury, in BLY; --to says to whom.
    #[arg(long, value_name = "BLY", requires = "to")]
    spend: Option<Bly>,
    /// Cancel an announced slash, see `blyan stake slashes`.
    #[arg(long, value_name = "SLASH")]
    cancel_slash: Option<SlashId>,
    /// Make any other call, SCALE encoded as 0x…, as wallets print it.
    #[arg(long, value_name = "HEX")]
    call: Option<String>,
}

/// The name of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TrackName {
    /// Calls that need root.
    Root,
    /// Changes of the Pact.
    Pact,
    /// Spending from the treasury.
    Treasury,
    /// Cancelling slashes.
    CancelSlash,
}

impl From<TrackName> for Track {
    fn from(name: TrackName) -> Self {
        match name {
            TrackName::Root => Self::Root,
            TrackName::Pact => Self::Pact,
            TrackName::Treasury => Self::Treasury,
            TrackName::CancelSlash => Self::CancelSlash,
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: ProposeArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let state = sender.state().await?;
    let (track, call) = wanted(&args, &state).await?;
    // Everybody is shown the call by its names: what cannot be shown is not proposed.
    let decoded = state.decode_call(&call)?;
    let proposal = Proposal::of(&call);
    let hash = proposal.hash();
    let noted = match &proposal {
        Proposal::Lookup { hash, len } if state.preimage(*hash, *len).await?.is_none() => {
            sender.send(GovernanceCall::NotePreimage { bytes: call.clone() }).await.context("noting the preimage")?;
            true
        },
        _ => false,
    };
    let mut sent = sender.send(GovernanceCall::Submit { track, proposal, after: args.after }).await?;
    let referendum = sent.event(|event| match event {
        Event::Governance(GovernanceEvent::Submitted { referendum, .. }) => Some(*referendum),
        _ => None,
    })?;
    let mut text = format!(
        "referendum {referendum} on track {track}: {}.{}\nproposal {hash}, {} bytes",
        decoded.pallet,
        decoded.call,
        call.len()
    );
    let mut deposit = None;
    if args.deposit {
        let placing = sender.send(GovernanceCall::PlaceDecisionDeposit { referendum }).await;
        sent = placing.with_context(|| format!("referendum {referendum} is submitted, its deposit is not placed"))?;
        let amount = sent.event(placed)?;
        text.push_str(&format!("\n{} is placed for its decision", Bly(amount)));
        deposit = Some(amount.to_string());
    } else {
        text.push_str(&format!("\nit is decided once its deposit is placed: blyan referendum deposit {referendum}"));
    }
    let details = json!({
        "referendum": referendum, "track": track.name(), "call": decoded, "proposal_hash": hash,
        "proposal_length": call.len(), "preimage_noted": noted, "decision_deposit": deposit,
    });
    sender.report(&sent, text, details)
}

/// The track and the encoded call of what is wanted.
async fn wanted(args: &ProposeArgs, state: &State) -> Result<(Track, Vec<u8>)> {
    let What { set, runtime, spend, cancel_slash, call } = &args.what;
    let encoded = |call: Call| Ok::<_, anyhow::Error>(state.encode_call(&call)?);
    if let Some(call) = call {
        let bytes = hex::decode(call.trim_start_matches("0x")).context("--call is not hexadecimal")?;
        ensure!(bytes.len() <= MAX_PREIMAGE, "--call is longer than the {MAX_PREIMAGE} bytes that the chain keeps");
        return Ok((args.track.into(), bytes));
    }
    if let Some(file) = runtime {
        let code = read_runtime(file)?;
        return Ok((Track::Root, encoded(GovernanceCall::SetCode { code }.into())?));
    }
    if let (Some(Bly(amount)), Some(to)) = (*spend, args.to) {
        return Ok((Track::Treasury, encoded(GovernanceCall::Spend { to, amount }.into())?));
    }
    if let Some(slash) = *cancel_slash {
        return Ok((Track::CancelSlash, encoded(StakingCall::CancelSlash { slash }.into())?));
    }
    let (status, pact) = (state.pact_status().await?, state.pact().await?);
    let changes = changes(set, &status, &pact)?;
    Ok((Track::Pact, encoded(GovernanceCall::ChangePact { changes }.into())?))
}

/// The new values that `set` asks for, checked as the chain will check them: it would be a pity after the vote.
fn changes(set: &[String], status: &PactStatus, pact: &Pact) -> Result<Vec<Parameter>> {
    ensure!(
        status.has_our_bounds(),
        "the chain's Pact has other parameters or bounds than this program knows; use a release made for its runtime"
    );
    let mut next = pact.clone();
    let mut changes = Vec::new();
    for wish in set {
        let (name, text) = wish.split_once('=').with_context(|| format!("{wish} is not of the form NAME=VALUE"))?;
        let entry = status.entries.iter().find(|entry| entry.name == name);
        let entry =
            entry.with_context(|| format!("the Pact has no parameter called {name}; `blyan pact` lists them all"))?;
        let value = read(entry.unit, text).map_err(|problem| anyhow!("{name}={text}: {problem}"))?;
        let parameter = Parameter::parse(name, value).map_err(|problem| anyhow!("{name}={text}: {problem}"))?;
        next.set(parameter);
        changes.push(parameter);
    }
    if next == *pact {
        bail!("the Pact has these values already");
    }
    next.check(&status.network).map_err(|problem| anyhow!("the Pact could not stand: {problem}"))?;
    Ok(changes)
}

fn read_runtime(file: &Path) -> Result<Vec<u8>> {
    let code = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(
        MAGIC.iter().any(|magic| code.starts_with(magic)),
        "{} is no WebAssembly module, compressed or not; a build leaves one under wbuild/blyan-runtime/",
        file.display()
    );
    // The call has a few bytes of its own.
    ensure!(
        code.len() + MAX_INLINE <= MAX_PREIMAGE,
        "{} is longer than the {MAX_PREIMAGE} bytes that the chain keeps; propose the compressed one",
        file.display()
    );
    eprintln!("{}: {} bytes, BLAKE2b-256 0x{}", file.display(), code.len(), hex::encode(blake2_256(&code)));
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::Hash;
    use blyan_primitives::pact::{Network, NetworkKind, bounds_hash};

    fn pact() -> (PactStatus, Pact) {
        let kind = NetworkKind::Local;
        let pact = Pact::default_for(kind);
        let status = PactStatus {
            network: Network::LOCAL,
            entries: pact.entries(kind),
            revision: 0,
            hash: Hash(pact.hash(&Network::LOCAL)),
            bounds_hash: Hash(bounds_hash(kind)),
        };
        (status, pact)
    }

    fn asked(set: &[&str]) -> Result<Vec<Parameter>> {
        let (status, pact) = pact();
        changes(&set.iter().map(|wish| (*wish).to_owned()).collect::<Vec<_>>(), &status, &pact)
    }

    #[test]
    fn values_are_read_in_the_units_of_their_parameters() {
        let changes =
            asked(&["staking.max_validators=32", "staking.min_self_bond=12.5", "governance.decision=6m"]).unwrap();
        let values: Vec<_> = changes.iter().map(|change| (change.name(), change.value())).collect();
        assert_eq!(
            values,
            [
                ("staking.max_validators", 32),
                ("staking.min_self_bond", 12_500_000_000_000_000_000),
                ("governance.decision", 120),
            ]
        );
    }

    #[test]
    fn what_the_chain_would_refuse_after_the_vote_is_refused_before() {
        for (set, reason) in [
            (&["staking.max_validators"][..], "NAME=VALUE"),
            (&["staking.nothing=1"], "`blyan pact`"),
            (&["staking.max_validators=many"], "whole number"),
            (&["economy.fee_burn=400000"], "5%"),
            (&["staking.max_validators=1000"], "between 1 and 256"),
            (&["staking.min_validators=17"], "above max_validators"),
            (&["staking.max_validators=16"], "already"),
        ] {
            let error = format!("{:#}", asked(set).unwrap_err());
            assert!(error.contains(reason), "{set:?}: {error}");
        }
        assert!(asked(&["staking.min_validators=17", "staking.max_validators=17"]).is_ok(), "together they can stand");
    }

    #[test]
    fn a_program_with_other_bounds_does_not_propose() {
        let (mut status, pact) = pact();
        status.bounds_hash = Hash([9; 32]);
        let error = changes(&["staking.max_validators=32".to_owned()], &status, &pact).unwrap_err().to_string();
        assert!(error.contains("release"), "{error}");
    }

    fn parse(words: &[&str]) -> Result<ProposeArgs, clap::Error> {
        use clap::Parser;
        #[derive(clap::Parser, Debug)]
        struct Line {
            #[command(flatten)]
            args: ProposeArgs,
        }
        Line::try_parse_from([&["blyan", "--key", "//Alice"], words].concat()).map(|line| line.args)
    }

    #[test]
    fn one_thing_is_proposed_at_a_time() {
        let bob = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
        assert_eq!(parse(&["--set", "a.b=1", "--set", "c.d=2"]).unwrap().what.set.len(), 2);
        assert!(parse(&["--spend", "5", "--to", bob, "--after", "2d"]).is_ok_and(|args| args.after == 57_600));
        assert!(parse(&["--call", "0x00", "--track", "treasury"]).is_ok_and(|args| args.track == TrackName::Treasury));
        assert!(parse(&["--cancel-slash", "7", "--deposit"]).is_ok_and(|args| args.deposit));
        for words in [
            &[][..],
            &["--set", "a.b=1", "--cancel-slash", "7"],
            &["--spend", "5"],
            &["--cancel-slash", "7", "--to", bob],
            &["--cancel-slash", "7", "--track", "root"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn only_webassembly_is_taken_for_a_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runtime.wasm");
        std::fs::write(&file, b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(read_runtime(&file).unwrap().len(), 8);
        std::fs::write(&file, "text").unwrap();
        assert!(read_runtime(&file).unwrap_err().to_string().contains("WebAssembly"));
        assert!(read_runtime(folder.path()).unwrap_err().to_string().contains("cannot read"));
    }
}
