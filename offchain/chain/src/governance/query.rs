//! Questions about referenda and polls.

use super::{
    Deciding, Deposit, Ongoing, Poll, PollPhase, Proposal, Referendum, ReferendumIndex, Tally, referendum::Numbered,
};
use crate::{
    AccountId, ChainError, Hash, Result, State,
    codegen::blyan::{
        self,
        runtime_types::{
            frame_support::traits::preimages::Bounded, pallet_blyan_dao::types as dao, pallet_referenda::types,
        },
    },
};
use blyan_primitives::{ids::HardwareId, traits::PollId};
use subxt::utils::{H256, Static};

/// Polls asked for in one request; the chain gives no more.
const POLLS_PER_PAGE: u32 = 100;

impl State {
    /// How many referenda there were so far: the number of the next.
    pub async fn referendum_count(&self) -> Result<u32> {
        let count = self.get("the number of referenda", blyan::storage().referenda().referendum_count(), ()).await?;
        Ok(count.unwrap_or_default())
    }

    /// A referendum; `None` when there is none of this number.
    pub async fn referendum(&self, index: ReferendumIndex) -> Result<Option<Referendum>> {
        let info = blyan::storage().referenda().referendum_info_for();
        self.get("a referendum", info, (index,)).await?.map(referendum).transpose()
    }

    /// The last `limit` referenda, the newest first.
    pub async fn referenda(&self, limit: u32) -> Result<Vec<Numbered>> {
        let count = self.referendum_count().await?;
        let numbers: Vec<ReferendumIndex> = (count.saturating_sub(limit)..count).rev().collect();
        let info = blyan::storage().referenda().referendum_info_for();
        let found = self.get_all("the referenda", info, numbers.iter().map(|number| (*number,))).await?;
        let numbered = numbers.into_iter().zip(found).filter_map(|(number, info)| Some((number, info?)));
        numbered.map(|(number, info)| Ok((number, referendum(info)?))).collect()
    }

    /// How a machine has voted on a referendum; `None` when it has not.
    pub async fn vote(&self, referendum: ReferendumIndex, machine: HardwareId) -> Result<Option<bool>> {
        self.view("a vote", blyan::view_functions().dao().vote_on(referendum, Static(machine))).await
    }

    /// How many members there are: machines that are bound to an account.
    pub async fn members(&self) -> Result<u32> {
        let count = self.get("the number of members", blyan::storage().workers().counter_for_workers(), ()).await?;
        Ok(count.unwrap_or_default())
    }

    /// The encoding of the call that a proposal names; `None` when its preimage is not on chain.
    pub async fn proposed_call(&self, proposal: &Proposal) -> Result<Option<Vec<u8>>> {
        match proposal {
            Proposal::Inline(call) => Ok(Some(call.clone())),
            Proposal::Lookup { hash, len } => self.preimage(*hash, *len).await,
            Proposal::Legacy { .. } => Ok(None),
        }
    }

    /// The preimage of a hash; `None` when it is not on chain with this length.
    pub async fn preimage(&self, hash: Hash, len: u32) -> Result<Option<Vec<u8>>> {
        let address = blyan::storage().preimage().preimage_for();
        Ok(self.get("a preimage", address, ((H256(hash.0), len),)).await?.map(|bytes| bytes.0))
    }

    /// A poll; `None` when there is none of this number, or it is cleaned up.
    pub async fn poll(&self, poll: PollId) -> Result<Option<Poll>> {
        Ok(self.view("a poll", blyan::view_functions().dao().poll(poll)).await?.map(poll_record))
    }

    /// Polls that have not ended, at most `limit`.
    pub async fn open_polls(&self, limit: usize) -> Result<Vec<(PollId, Poll)>> {
        let mut found: Vec<(PollId, Poll)> = Vec::new();
        while found.len() < limit {
            let start = found.last().map(|(poll, _)| *poll);
            let payload = blyan::view_functions().dao().open_polls(start, POLLS_PER_PAGE);
            let page = self.view("the open polls", payload).await?;
            let ended = page.len() < POLLS_PER_PAGE as usize;
            found.extend(page.into_iter().map(|(id, poll)| (id, poll_record(poll))));
            if ended {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The outcome that a machine is for in a poll; `None` when it has not voted.
    pub async fn poll_vote(&self, poll: PollId, machine: HardwareId) -> Result<Option<u8>> {
        self.view("a vote in a poll", blyan::view_functions().dao().poll_vote_of(poll, Static(machine))).await
    }
}

type Info = blyan::referenda::storage::referendum_info_for::Output;

fn referendum(info: Info) -> Result<Referendum> {
    Ok(match info {
        types::ReferendumInfo::Ongoing(status) => Referendum::Ongoing(Box::new(Ongoing {
            track: status.track,
            proposal: proposal(status.proposal)?,
            submitted: status.submitted,
            submission_deposit: deposit(status.submission_deposit),
            decision_deposit: status.decision_deposit.map(deposit),
            deciding: status
                .deciding
                .map(|deciding| Deciding { since: deciding.since, confirming: deciding.confirming }),
            tally: Tally { ayes: status.tally.ayes, nays: status.tally.nays, electorate: status.tally.electorate },
            queued: status.in_queue,
        })),
        types::ReferendumInfo::Approved(at, ..) => Referendum::Approved(at),
        types::ReferendumInfo::Rejected(at, ..) => Referendum::Rejected(at),
        types::ReferendumInfo::Cancelled(at, ..) => Referendum::Cancelled(at),
        types::ReferendumInfo::TimedOut(at, ..) => Referendum::TimedOut(at),
        types::ReferendumInfo::Killed(at) => Referendum::Killed(at),
    })
}

fn deposit(deposit: types::Deposit<AccountId, u128>) -> Deposit {
    Deposit { who: deposit.who, amount: deposit.amount }
}

fn proposal<T, H>(bounded: Bounded<T, H>) -> Result<Proposal> {
    match bounded {
        Bounded::Inline(call) => Ok(Proposal::Inline(call.0)),
        Bounded::Lookup { hash, len } => Ok(Proposal::Lookup { hash: Hash(hash.0), len }),
        Bounded::Legacy { hash, .. } => Ok(Proposal::Legacy { hash: Hash(hash.0) }),
        // The generator's place for type parameters, which has no encoding.
        Bounded::__Ignore(_) => {
            Err(ChainError::Decode { what: "a referendum", reason: "its proposal is of no kind".to_owned() })
        },
    }
}

fn poll_record(poll: dao::Poll<AccountId, u32>) -> Poll {
    Poll {
        subject: poll.subject,
        counts: poll.counts.0,
        leader: poll.leader,
        electorate: poll.electorate,
        quorum: poll.rules.quorum.0,
        opened_at: poll.opened_at,
        ends_at: poll.ends_at,
        phase: match poll.phase {
            dao::Phase::Open => PollPhase::Open,
            dao::Phase::Ended { result, until } => PollPhase::Ended { result: result.0, until },
            dao::Phase::Appealed { result, by } => PollPhase::Appealed { result: result.0, by },
            dao::Phase::Settled { result } => PollPhase::Settled { result: result.0 },
        },
        appeal_of: poll.appeal.map(|appeal| appeal.of),
    }
}
