//! `blyan referendum list` and `show`.

use super::known;
use crate::{
    out,
    submit::Reading,
    units::{Bly, span},
};
use anyhow::Result;
use blyan_chain::{Deposit, Ongoing, Proposal, Referendum, ReferendumIndex, Stage, State, Terms, Track};
use blyan_primitives::pact::{Governance, Ppm};
use clap::Args;
use serde_json::{Value, json};

/// Most referenda that are looked through, from the newest.
const MAX_REFERENDA: u32 = 10_000;

/// Which referenda.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Also those that are over.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Which referendum.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The referendum's number.
    referendum: ReferendumIndex,
    #[command(flatten)]
    reading: Reading,
}

/// What there is to know beside a referendum itself.
struct Setting {
    governance: Governance,
    members: u32,
    now: u32,
}

impl Setting {
    async fn of(state: &State) -> Result<Self> {
        Ok(Self {
            governance: state.pact().await?.governance,
            members: state.members().await?,
            now: state.block().number,
        })
    }

    /// The terms of a referendum's track, if this program knows it.
    fn terms(&self, ongoing: &Ongoing) -> Option<Terms> {
        Track::from_id(ongoing.track).map(|track| track.terms(&self.governance))
    }

    /// Approval and support that are needed in the present block.
    fn needed(&self, ongoing: &Ongoing, terms: &Terms) -> (Ppm, Ppm) {
        terms.needed(ongoing.deciding.map_or(0, |deciding| self.now.saturating_sub(deciding.since)))
    }

    fn stage(&self, ongoing: &Ongoing) -> String {
        let Some(terms) = self.terms(ongoing) else { return "on a track that this program does not know".to_owned() };
        match ongoing.stage(&terms) {
            Stage::AwaitsDeposit => "waits for its decision deposit".to_owned(),
            Stage::Preparing { until } => format!("to be read until {}", self.at(until)),
            Stage::Queued => "waits for others on its track".to_owned(),
            Stage::Deciding { until } => format!("being decided until {}", self.at(until)),
            Stage::Confirming { until } => format!("passing, approved in {}", self.at(until)),
        }
    }

    fn at(&self, block: u32) -> String {
        match block.checked_sub(self.now) {
            None | Some(0) => format!("block {block}"),
            Some(blocks) => format!("block {block} (in {})", span(blocks.into())),
        }
    }
}

fn track(ongoing: &Ongoing) -> String {
    Track::from_id(ongoing.track).map_or_else(|| ongoing.track.to_string(), |track| track.to_string())
}

/// Shows referenda.
pub(super) async fn list(args: &ListArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let setting = Setting::of(&state).await?;
    let mut referenda = state.referenda(MAX_REFERENDA).await?;
    referenda.retain(|(_, referendum)| args.all || referendum.ongoing().is_some());
    if args.reading.json {
        let all: Vec<_> = referenda.iter().map(|(number, one)| value(*number, one, &setting)).collect();
        let value = json!({ "block": setting.now, "members": setting.members, "referenda": all });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    if referenda.is_empty() {
        let more = if args.all { "there were none yet" } else { "none is open; --all shows those that are over" };
        return out::line(more);
    }
    let row = |(number, referendum): &(ReferendumIndex, Referendum)| match (referendum.ongoing(), referendum.end()) {
        (Some(ongoing), _) => [
            number.to_string(),
            track(ongoing),
            ongoing.tally.ayes.to_string(),
            ongoing.tally.nays.to_string(),
            setting.stage(ongoing),
        ],
        (None, end) => {
            let end = end.map_or_else(String::new, |(how, at)| format!("{how} in block {at}"));
            [number.to_string(), "-".to_owned(), "-".to_owned(), "-".to_owned(), end]
        },
    };
    out::table([" number", "track", " ayes", " nays", "state"], &referenda.iter().map(row).collect::<Vec<_>>())
}

/// Shows a referendum.
pub(super) async fn show(args: &ShowArgs) -> Result<()> {
    let (state, referendum) = known(&args.reading, args.referendum).await?;
    let setting = Setting::of(&state).await?;
    let call = match referendum.ongoing() {
        Some(ongoing) => state.proposed_call(&ongoing.proposal).await?.map(|bytes| state.decode_call(&bytes)),
        None => None,
    };
    if args.reading.json {
        let mut value = value(args.referendum, &referendum, &setting);
        if let (Some(value), Some(Ok(call))) = (value.as_object_mut(), &call) {
            value.insert("call".to_owned(), json!(call));
        }
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let Some(ongoing) = referendum.ongoing() else {
        let (how, at) = referendum.end().unwrap_or(("over", 0));
        return out::line(format_args!("referendum  {}, {how} in block {at}", args.referendum));
    };
    let call = match call {
        Some(Ok(call)) => format!("{}.{} {:#}", call.pallet, call.call, call.arguments).replace('\n', "\n            "),
        Some(Err(error)) => error.to_string(),
        None => "its preimage is not on chain: ask its author to note it, and do not vote for it before".to_owned(),
    };
    out::line(format_args!("referendum  {}, track {}, {}", args.referendum, track(ongoing), setting.stage(ongoing)))?;
    out::line(format_args!("proposal    {}{}", ongoing.proposal.hash(), length(&ongoing.proposal)))?;
    out::line(format_args!("            {call}"))?;
    lines(ongoing, &setting, args.referendum).iter().try_for_each(out::line)
}

fn length(proposal: &Proposal) -> String {
    match proposal {
        Proposal::Inline(call) => format!(", {} bytes", call.len()),
        Proposal::Lookup { len, .. } => format!(", {len} bytes"),
        Proposal::Legacy { .. } => String::new(),
    }
}

fn lines(ongoing: &Ongoing, setting: &Setting, number: ReferendumIndex) -> Vec<String> {
    let Deposit { who, amount } = ongoing.submission_deposit;
    let deposit = match ongoing.decision_deposit {
        Some(Deposit { who, amount }) => format!("{} by {who}", Bly(amount)),
        None => format!("none; anyone can place it: blyan referendum deposit {number}"),
    };
    let tally = &ongoing.tally;
    let mut lines = vec![
        format!("submitted   in block {} by {who}, with {}", ongoing.submitted, Bly(amount)),
        format!("deposit     {deposit}"),
        format!(
            "votes       {} aye, {} nay, of {} members",
            tally.ayes,
            tally.nays,
            tally.electorate.max(setting.members)
        ),
    ];
    if let Some(terms) = setting.terms(ongoing) {
        let (approval, support) = setting.needed(ongoing, &terms);
        let (last_approval, last_support) = terms.needed(terms.decision);
        lines.push(format!(
            "approval    {} of the votes; {approval} is needed now, {last_approval} at the end",
            tally.approval()
        ));
        lines.push(format!(
            "support     {} of the members; {support} is needed now, {last_support} at the end",
            tally.support(setting.members)
        ));
        lines.push(format!(
            "confirmed   when it has passed for {}; its call is made {} later at the earliest",
            span(terms.confirm.into()),
            span(terms.enactment.into())
        ));
    }
    lines
}

fn value(number: ReferendumIndex, referendum: &Referendum, setting: &Setting) -> Value {
    let Some(ongoing) = referendum.ongoing() else {
        let (state, at) = referendum.end().unwrap_or(("over", 0));
        return json!({ "referendum": number, "state": state, "ended_at": at });
    };
    let deposit =
        |deposit: &Deposit| json!({ "account": deposit.who.to_string(), "amount": deposit.amount.to_string() });
    let terms = setting.terms(ongoing);
    let needed = terms.as_ref().map(|terms| setting.needed(ongoing, terms));
    let (state, ends_at) = match terms.as_ref().map(|terms| ongoing.stage(terms)) {
        Some(Stage::AwaitsDeposit) => ("awaits_deposit", None),
        Some(Stage::Preparing { until }) => ("preparing", Some(until)),
        Some(Stage::Queued) => ("queued", None),
        Some(Stage::Deciding { until }) => ("deciding", Some(until)),
        Some(Stage::Confirming { until }) => ("confirming", Some(until)),
        None => ("unknown", None),
    };
    json!({
        "referendum": number, "state": state, "ends_at": ends_at, "track": track(ongoing),
        "proposal_hash": ongoing.proposal.hash(), "submitted_at": ongoing.submitted,
        "submission_deposit": deposit(&ongoing.submission_deposit),
        "decision_deposit": ongoing.decision_deposit.as_ref().map(deposit),
        "deciding_since": ongoing.deciding.map(|deciding| deciding.since),
        "confirming_until": ongoing.deciding.and_then(|deciding| deciding.confirming),
        "ayes": ongoing.tally.ayes, "nays": ongoing.tally.nays,
        "electorate": ongoing.tally.electorate.max(setting.members),
        "approval_ppm": ongoing.tally.approval().0, "support_ppm": ongoing.tally.support(setting.members).0,
        "approval_needed_ppm": needed.map(|(approval, _)| approval.0),
        "support_needed_ppm": needed.map(|(_, support)| support.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::{AccountId, Deciding, Tally};
    use blyan_primitives::pact::{NetworkKind, Pact};

    fn setting() -> Setting {
        Setting { governance: Pact::default_for(NetworkKind::Local).governance, members: 4, now: 130 }
    }

    fn ongoing() -> Ongoing {
        let who = AccountId::from([1; 32]);
        Ongoing {
            track: Track::Pact.id(),
            proposal: Proposal::Inline(vec![1, 2, 3]),
            submitted: 90,
            submission_deposit: Deposit { who, amount: 10u128.pow(19) },
            decision_deposit: Some(Deposit { who, amount: 10u128.pow(20) }),
            deciding: Some(Deciding { since: 100, confirming: None }),
            tally: Tally { ayes: 2, nays: 0, electorate: 3 },
            queued: false,
        }
    }

    #[test]
    fn a_decision_is_told_with_what_is_needed() {
        let text = lines(&ongoing(), &setting(), 3).join("\n");
        // Half of the local decision period of 60 blocks has passed: support falls from 50 % to 10 %.
        for part in [
            "10 BLY",
            "100 BLY by",
            "2 aye, 0 nay, of 4 members",
            "approval    100 % of the votes; 75 % is needed now, 50 % at the end",
            "support     50 % of the members; 30 % is needed now, 10 % at the end",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(setting().stage(&ongoing()), "being decided until block 160 (in 1 min 30 s)");
    }

    #[test]
    fn a_missing_deposit_is_asked_for() {
        let waiting = Ongoing { decision_deposit: None, deciding: None, ..ongoing() };
        assert!(lines(&waiting, &setting(), 3).join("\n").contains("blyan referendum deposit 3"));
        assert_eq!(setting().stage(&waiting), "waits for its decision deposit");
    }

    #[test]
    fn programs_get_state_end_and_shares() {
        let told = value(3, &Referendum::Ongoing(Box::new(ongoing())), &setting());
        assert_eq!(
            (&told["state"], &told["ends_at"], &told["track"]),
            (&json!("deciding"), &json!(160), &json!("pact"))
        );
        assert_eq!((&told["support_ppm"], &told["support_needed_ppm"]), (&json!(500_000), &json!(300_000)));
        let over = value(4, &Referendum::Approved(77), &setting());
        assert_eq!(over, json!({ "referendum": 4, "state": "approved", "ended_at": 77 }));
    }
}
