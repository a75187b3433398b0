//! Governance's calls and events between our types and the chain's.

use super::{GovernanceCall, GovernanceEvent, Proposal, Track};
use crate::{
    Hash, Result,
    codegen::blyan::{
        self, dao, economy, pact, preimage, referenda,
        runtime_types::{
            blyan_runtime::OriginCaller,
            bounded_collections::bounded_vec::BoundedVec,
            frame_support::{
                dispatch::RawOrigin,
                traits::{preimages::Bounded, schedule::DispatchTime},
            },
            pallet_blyan_dao::pallet::Origin,
        },
    },
    config::BlyanConfig,
    decode::fields,
    encode::{Encoded, checked},
    runtime::Runtime,
};
use subxt::{
    events::Event as Raw,
    utils::{H256, Static},
};

/// Encodes a call.
pub(crate) fn encode(runtime: &Runtime, call: GovernanceCall) -> Result<Encoded> {
    let tx = blyan::tx();
    match call {
        GovernanceCall::NotePreimage { bytes } => {
            checked(runtime, "Preimage", "note_preimage", tx.preimage().note_preimage(bytes))
        },
        GovernanceCall::UnnotePreimage { hash } => {
            checked(runtime, "Preimage", "unnote_preimage", tx.preimage().unnote_preimage(H256(hash.0)))
        },
        GovernanceCall::Submit { track, proposal, after } => {
            let origin = match track {
                Track::Root => OriginCaller::system(RawOrigin::Root),
                Track::Pact => OriginCaller::Dao(Origin::Pact),
                Track::Treasury => OriginCaller::Dao(Origin::Treasury),
                Track::CancelSlash => OriginCaller::Dao(Origin::CancelSlash),
            };
            let proposal = match proposal {
                Proposal::Inline(call) => Bounded::Inline(BoundedVec(call)),
                Proposal::Lookup { hash, len } => Bounded::Lookup { hash: H256(hash.0), len },
                Proposal::Legacy { hash } => Bounded::Legacy { hash: H256(hash.0) },
            };
            let payload = tx.referenda().submit(origin, proposal, DispatchTime::After(after));
            checked(runtime, "Referenda", "submit", payload)
        },
        GovernanceCall::PlaceDecisionDeposit { referendum } => {
            let payload = tx.referenda().place_decision_deposit(referendum);
            checked(runtime, "Referenda", "place_decision_deposit", payload)
        },
        GovernanceCall::RefundDecisionDeposit { referendum } => {
            let payload = tx.referenda().refund_decision_deposit(referendum);
            checked(runtime, "Referenda", "refund_decision_deposit", payload)
        },
        GovernanceCall::RefundSubmissionDeposit { referendum } => {
            let payload = tx.referenda().refund_submission_deposit(referendum);
            checked(runtime, "Referenda", "refund_submission_deposit", payload)
        },
        GovernanceCall::Vote { referendum, aye } => checked(runtime, "Dao", "vote", tx.dao().vote(referendum, aye)),
        GovernanceCall::RemoveVote { referendum } => {
            checked(runtime, "Dao", "remove_vote", tx.dao().remove_vote(referendum))
        },
        GovernanceCall::CleanUp { referendum, max } => {
            checked(runtime, "Dao", "clean_up", tx.dao().clean_up(referendum, max))
        },
        GovernanceCall::VotePoll { poll, outcome } => {
            checked(runtime, "Dao", "vote_poll", tx.dao().vote_poll(poll, outcome))
        },
        GovernanceCall::RemovePollVote { poll } => {
            checked(runtime, "Dao", "remove_poll_vote", tx.dao().remove_poll_vote(poll))
        },
        GovernanceCall::Appeal { poll } => checked(runtime, "Dao", "appeal", tx.dao().appeal(poll)),
        GovernanceCall::CleanUpPoll { poll, max } => {
            checked(runtime, "Dao", "clean_up_poll", tx.dao().clean_up_poll(poll, max))
        },
        GovernanceCall::ChangePact { changes } => {
            let changes = BoundedVec(changes.into_iter().map(Static).collect());
            checked(runtime, "Pact", "change", tx.pact().change(changes))
        },
        GovernanceCall::Spend { to, amount } => checked(runtime, "Economy", "spend", tx.economy().spend(to, amount)),
        GovernanceCall::SetCode { code } => checked(runtime, "System", "set_code", tx.system().set_code(code)),
        GovernanceCall::OpenPoll { subject, outcomes } => {
            checked(runtime, "Dao", "open_poll", tx.dao().open_poll(subject, outcomes))
        },
    }
}

/// Decodes an event of the pallets; `None` for those that nothing is done with.
pub(crate) fn event(event: &Raw<'_, BlyanConfig>) -> Result<Option<GovernanceEvent>> {
    match event.pallet_name() {
        "Referenda" => referenda_event(event),
        "Dao" => dao_event(event),
        "Pact" => pact_event(event),
        "Economy" => economy_event(event),
        "Preimage" => preimage_event(event),
        _ => Ok(None),
    }
}

fn referenda_event(event: &Raw<'_, BlyanConfig>) -> Result<Option<GovernanceEvent>> {
    use referenda::events;
    Ok(Some(match event.event_name() {
        "Submitted" => {
            let events::Submitted { index, track, .. } = fields(event)?;
            GovernanceEvent::Submitted { referendum: index, track }
        },
        "DecisionDepositPlaced" => {
            let events::DecisionDepositPlaced { index, who, amount } = fields(event)?;
            GovernanceEvent::DecisionDepositPlaced { referendum: index, who, amount }
        },
        "DecisionDepositRefunded" => {
            let events::DecisionDepositRefunded { index, who, amount } = fields(event)?;
            GovernanceEvent::DepositRefunded { referendum: index, who, amount }
        },
        "SubmissionDepositRefunded" => {
            let events::SubmissionDepositRefunded { index, who, amount } = fields(event)?;
            GovernanceEvent::DepositRefunded { referendum: index, who, amount }
        },
        "DecisionStarted" => {
            let events::DecisionStarted { index, .. } = fields(event)?;
            GovernanceEvent::DecisionStarted { referendum: index }
        },
        "ConfirmStarted" => {
            let events::ConfirmStarted { index } = fields(event)?;
            GovernanceEvent::ConfirmStarted { referendum: index }
        },
        "ConfirmAborted" => {
            let events::ConfirmAborted { index } = fields(event)?;
            GovernanceEvent::ConfirmAborted { referendum: index }
        },
        "Approved" => {
            let events::Approved { index } = fields(event)?;
            GovernanceEvent::Approved { referendum: index }
        },
        "Rejected" => {
            let events::Rejected { index, .. } = fields(event)?;
            GovernanceEvent::Rejected { referendum: index }
        },
        _ => return Ok(None),
    }))
}

fn dao_event(event: &Raw<'_, BlyanConfig>) -> Result<Option<GovernanceEvent>> {
    use dao::events;
    Ok(Some(match event.event_name() {
        "Voted" => {
            let events::Voted { referendum, who, machine, aye, ayes, nays } = fields(event)?;
            GovernanceEvent::Voted { referendum, who, machine: machine.0, aye, ayes, nays }
        },
        "VoteRemoved" => {
            let events::VoteRemoved { referendum, who, machine, ayes, nays } = fields(event)?;
            GovernanceEvent::VoteRemoved { referendum, who, machine: machine.0, ayes, nays }
        },
        "CleanedUp" => {
            let events::CleanedUp { referendum, votes } = fields(event)?;
            GovernanceEvent::CleanedUp { referendum, votes }
        },
        "PollOpened" => {
            let events::PollOpened { poll, subject, outcomes, ends_at, appeal_of } = fields(event)?;
            GovernanceEvent::PollOpened { poll, subject, outcomes, ends_at, appeal_of }
        },
        "PollVoted" => {
            let events::PollVoted { poll, who, machine, outcome } = fields(event)?;
            GovernanceEvent::PollVoted { poll, who, machine: machine.0, outcome }
        },
        "PollVoteRemoved" => {
            let events::PollVoteRemoved { poll, who, machine } = fields(event)?;
            GovernanceEvent::PollVoteRemoved { poll, who, machine: machine.0 }
        },
        "PollEnded" => {
            let events::PollEnded { poll, result } = fields(event)?;
            GovernanceEvent::PollEnded { poll, result: result.0 }
        },
        "PollAppealed" => {
            let events::PollAppealed { poll, by, who, deposit } = fields(event)?;
            GovernanceEvent::PollAppealed { poll, by, who, deposit }
        },
        "PollSettled" => {
            let events::PollSettled { poll, subject, result } = fields(event)?;
            GovernanceEvent::PollSettled { poll, subject, result: result.0 }
        },
        "PollCleanedUp" => {
            let events::PollCleanedUp { poll, votes, done } = fields(event)?;
            GovernanceEvent::PollCleanedUp { poll, votes, done }
        },
        _ => return Ok(None),
    }))
}

fn pact_event(event: &Raw<'_, BlyanConfig>) -> Result<Option<GovernanceEvent>> {
    Ok(match event.event_name() {
        "Changed" => {
            let pact::events::Changed { revision, hash, changes } = fields(event)?;
            let changes = changes.0.into_iter().map(|change| (change.old.0, change.new.0)).collect();
            Some(GovernanceEvent::PactChanged { revision, hash: Hash(hash), changes })
        },
        _ => None,
    })
}

fn economy_event(event: &Raw<'_, BlyanConfig>) -> Result<Option<GovernanceEvent>> {
    Ok(match event.event_name() {
        "TreasurySpent" => {
            let economy::events::TreasurySpent { to, amount } = fields(event)?;
            Some(GovernanceEvent::TreasurySpent { to, amount })
        },
        _ => None,
    })
}

fn preimage_event(event: &Raw<'_, BlyanConfig>) -> Result<Option<GovernanceEvent>> {
    Ok(match event.event_name() {
        "Noted" => {
            let preimage::events::Noted { hash } = fields(event)?;
            Some(GovernanceEvent::PreimageNoted { hash: Hash(hash.0) })
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, encode::call_bytes, runtime::tests::built_in};
    use blyan_primitives::pact::Parameter;
    use codec::Encode;

    #[test]
    fn every_call_is_one_of_the_runtimes() {
        let (referendum, poll, hash) = (3, 4, Hash([5; 32]));
        let calls = [
            GovernanceCall::NotePreimage { bytes: vec![1; 200] },
            GovernanceCall::UnnotePreimage { hash },
            GovernanceCall::PlaceDecisionDeposit { referendum },
            GovernanceCall::RefundDecisionDeposit { referendum },
            GovernanceCall::RefundSubmissionDeposit { referendum },
            GovernanceCall::Vote { referendum, aye: true },
            GovernanceCall::RemoveVote { referendum },
            GovernanceCall::CleanUp { referendum, max: 10 },
            GovernanceCall::VotePoll { poll, outcome: 1 },
            GovernanceCall::RemovePollVote { poll },
            GovernanceCall::Appeal { poll },
            GovernanceCall::CleanUpPoll { poll, max: 10 },
            GovernanceCall::ChangePact { changes: vec![Parameter::parse("staking.max_validators", 9).unwrap()] },
            GovernanceCall::Spend { to: AccountId::from([9; 32]), amount: 5 },
            GovernanceCall::SetCode { code: vec![0; 100] },
            GovernanceCall::OpenPoll { subject: [7; 32], outcomes: 2 },
        ];
        for call in calls {
            let encoded = call_bytes(&built_in(), &call.clone().into());
            assert!(encoded.is_ok(), "{call:?}: {encoded:?}");
        }
    }

    #[test]
    fn a_submission_names_its_track_and_holds_or_names_its_call() {
        let submitted = |track, proposal| {
            let call = GovernanceCall::Submit { track, proposal, after: 10 };
            call_bytes(&built_in(), &call.into()).unwrap().split_off(2)
        };
        // `system`, `Root`; then the call inline, and when.
        let inline = submitted(Track::Root, Proposal::Inline(vec![6, 7]));
        assert_eq!(inline, [&[0, 0][..], &[1], &vec![6u8, 7].encode(), &[1], &10u32.encode()].concat());
        // The DAO's pallet, the track's origin.
        let named = submitted(Track::CancelSlash, Proposal::Lookup { hash: Hash([5; 32]), len: 300 });
        let (origin, rest) = named.split_at(2);
        assert_eq!(origin.get(1), Some(&2));
        assert_eq!(rest, [&[2][..], &[5; 32], &300u32.encode(), &[1], &10u32.encode()].concat());
        assert_ne!(
            submitted(Track::Pact, Proposal::Inline(vec![1])),
            submitted(Track::Treasury, Proposal::Inline(vec![1]))
        );
    }
}
