//! Whatever members do, polls are what a plain model of them is.

use crate::{mock::*, Phase, Polls};
use blyan_primitives::{
    ids::HardwareId,
    pact::Ppm,
    traits::{PollId, PollResult},
};
use frame_support::traits::fungible::Inspect;
use polkadot_sdk::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Whoever appeals, and keeps nothing but money.
const APPELLANT: u64 = 20;

/// Accounts that have a machine at first.
const ACCOUNTS: u64 = 8;

/// Shares of the members that polls and appeals need: few, so that random votes reach them.
const QUORUM: Ppm = Ppm(150_000);
const APPEAL_QUORUM: Ppm = Ppm(300_000);

/// Polls are named by how many were opened after them.
#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Vote(PollId, u64, u8),
    Remove(PollId, u64),
    /// An account takes over a machine, and the registry says since when or cannot tell.
    Bind(u64, u64, bool),
    Unbind(u64),
    Appeal(PollId),
    CleanUp(PollId, u32),
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (poll, account) = (0u32..3, 1u64..=ACCOUNTS);
    prop_oneof![
        2 => (2u8..=3).prop_map(Step::Open),
        24 => (poll.clone(), account.clone(), 0u8..4).prop_map(|(poll, who, outcome)| Step::Vote(poll, who, outcome)),
        3 => (poll.clone(), account.clone()).prop_map(|(poll, who)| Step::Remove(poll, who)),
        3 => (account.clone(), 1..=ACCOUNTS + 2, any::<bool>()).prop_map(|(who, n, known)| Step::Bind(who, n, known)),
        1 => account.prop_map(Step::Unbind),
        3 => poll.clone().prop_map(Step::Appeal),
        1 => (poll, 0u32..9).prop_map(|(poll, max)| Step::CleanUp(poll, max)),
        6 => (1u32..10).prop_map(Step::Wait),
    ]
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Open,
    Ended(PollResult, u32),
    Appealed(PollResult),
    Settled(PollResult),
}

/// A poll as one would write it down by hand.
#[derive(Debug)]
struct Ballot {
    outcomes: u8,
    votes: BTreeMap<HardwareId, u8>,
    leader: Option<u8>,
    electorate: u32,
    opened_at: u32,
    ends_at: u32,
    /// The poll that this is an appeal against.
    against: Option<PollId>,
    state: State,
}

impl Ballot {
    fn period(&self) -> u32 {
        if self.against.is_some() {
            APPEAL_PERIOD
        } else {
            PERIOD
        }
    }

    fn votes_for(&self, outcome: u8) -> u32 {
        self.votes.values().filter(|vote| **vote == outcome).count() as u32
    }

    /// After a vote in block `now`.
    fn recount(&mut self, now: u32) {
        let most = (0..self.outcomes).map(|outcome| self.votes_for(outcome)).max().unwrap();
        let leaders: Vec<u8> = (0..self.outcomes).filter(|outcome| self.votes_for(*outcome) == most).collect();
        let leader = match self.leader {
            _ if most == 0 => None,
            Some(leader) if leaders.contains(&leader) => Some(leader),
            _ => Some(leaders[0]),
        };
        if leader != self.leader && leader.is_some() {
            let last = self.opened_at + 2 * self.period();
            self.ends_at = self.ends_at.max(last.min(now + CONFIRM));
        }
        self.leader = leader;
    }

    fn result(&self, members: u32) -> PollResult {
        let electorate = self.electorate.max(members) as usize;
        let Ppm(quorum) = if self.against.is_some() { APPEAL_QUORUM } else { QUORUM };
        match self.leader {
            Some(leader) if self.votes.len() * 1_000_000 >= electorate * quorum as usize => PollResult::Decided(leader),
            _ => PollResult::NoQuorum,
        }
    }
}

#[derive(Default)]
struct Model {
    ballots: BTreeMap<PollId, Ballot>,
    next: PollId,
    /// Appeals whose deposit is lost.
    lost: u128,
    settled: Vec<(PollId, PollResult)>,
}

impl Model {
    fn open(&mut self, outcomes: u8, against: Option<PollId>) {
        let now = System::block_number();
        let mut ballot = Ballot {
            outcomes,
            votes: BTreeMap::new(),
            leader: None,
            electorate: Machines::get().len() as u32,
            opened_at: now,
            ends_at: 0,
            against,
            state: State::Open,
        };
        ballot.ends_at = now + ballot.period();
        self.ballots.insert(self.next, ballot);
        self.next += 1;
    }

    /// The machine that `who` can vote for in a poll that is open.
    fn machine(&self, id: PollId, who: u64) -> Option<HardwareId> {
        let ballot = self.ballots.get(&id).filter(|ballot| ballot.state == State::Open)?;
        let (machine, since) = Machines::get().get(&who).copied()?;
        since.is_none_or(|since| since <= ballot.opened_at).then_some(machine)
    }

    fn vote(&mut self, id: PollId, who: u64, outcome: u8) -> bool {
        let machine = self.machine(id, who);
        let Some(ballot) = self.ballots.get_mut(&id) else { return false };
        let Some(machine) = machine.filter(|_| outcome < ballot.outcomes) else { return false };
        ballot.votes.insert(machine, outcome);
        ballot.recount(System::block_number());
        true
    }

    fn remove(&mut self, id: PollId, who: u64) -> bool {
        let Some(machine) = self.machine(id, who) else { return false };
        let Some(ballot) = self.ballots.get_mut(&id) else { return false };
        let had = ballot.votes.remove(&machine).is_some();
        ballot.recount(System::block_number());
        had
    }

    fn appeal(&mut self, id: PollId) -> bool {
        let Some(ballot) = self.ballots.get_mut(&id) else { return false };
        let State::Ended(result, _) = ballot.state else { return false };
        ballot.state = State::Appealed(result);
        let outcomes = ballot.outcomes;
        self.open(outcomes, Some(id));
        true
    }

    fn clean_up(&mut self, id: PollId, max: u32) -> bool {
        let Some(ballot) = self.ballots.get_mut(&id) else { return false };
        let max = max.min(MAX_CLEAN_UP) as usize;
        if max == 0 || !matches!(ballot.state, State::Settled(_)) {
            return false;
        }
        // Which of the votes go first is the storage's affair: the model only counts them.
        for _ in 0..max {
            if ballot.votes.pop_first().is_none() {
                self.ballots.remove(&id);
                break;
            }
        }
        true
    }

    /// What happens in the beginning of block `now`.
    fn advance(&mut self, now: u32) {
        let members = Machines::get().len() as u32;
        let mut appeals = vec![];
        for (id, ballot) in &mut self.ballots {
            match ballot.state {
                State::Open if ballot.ends_at == now => {
                    let result = ballot.result(members);
                    ballot.state = match ballot.against {
                        None => State::Ended(result, now + PERIOD),
                        Some(first) => {
                            appeals.push((first, result));
                            State::Settled(result)
                        },
                    };
                },
                State::Ended(result, until) if until == now => {
                    ballot.state = State::Settled(result);
                    self.settled.push((*id, result));
                },
                _ => {},
            }
        }
        for (first, result) in appeals {
            let ballot = self.ballots.get_mut(&first).unwrap();
            let State::Appealed(former) = ballot.state else { panic!("{ballot:?}") };
            let changed = result != PollResult::NoQuorum && result != former;
            self.lost += if changed { 0 } else { 1 };
            let result = if changed { result } else { former };
            ballot.state = State::Settled(result);
            self.settled.push((first, result));
        }
    }

    /// Polls that wait for a block: as many as end in one at most.
    fn waiting(&self) -> usize {
        self.ballots.values().filter(|ballot| matches!(ballot.state, State::Open | State::Ended(..))).count()
    }

    fn open_appeals(&self) -> u128 {
        self.ballots.values().filter(|ballot| ballot.against.is_some() && ballot.state == State::Open).count() as u128
    }

    /// Whether the chain's polls are these.
    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(Polls::<Test>::iter().count(), self.ballots.len());
        for (id, ballot) in &self.ballots {
            let poll = Dao::poll(*id).unwrap();
            let state = match poll.phase {
                Phase::Open => State::Open,
                Phase::Ended { result, until } => State::Ended(result, until),
                Phase::Appealed { result, .. } => State::Appealed(result),
                Phase::Settled { result } => State::Settled(result),
            };
            prop_assert_eq!(&state, &ballot.state);
            prop_assert_eq!((poll.ends_at, poll.leader), (ballot.ends_at, ballot.leader));
            if !matches!(state, State::Settled(_)) {
                let counts: Vec<u32> = (0..ballot.outcomes).map(|outcome| ballot.votes_for(outcome)).collect();
                prop_assert_eq!(poll.counts.to_vec(), counts);
                for (machine, outcome) in &ballot.votes {
                    prop_assert_eq!(Dao::poll_vote_of(*id, *machine), Some(*outcome));
                }
            }
        }
        prop_assert_eq!(held(APPELLANT), self.open_appeals() * DEPOSIT);
        prop_assert_eq!(Balances::total_balance(&APPELLANT), FUNDS - self.lost * DEPOSIT);
        prop_assert_eq!(Balances::total_balance(&TREASURER), FUNDS + self.lost * DEPOSIT);
        let mut settled: Vec<_> = Settled::get().into_iter().map(|(id, _, result)| (id, result)).collect();
        let mut expected = self.settled.clone();
        settled.sort_by_key(|(id, _)| *id);
        expected.sort_by_key(|(id, _)| *id);
        prop_assert_eq!(settled, expected);
        prop_assert_eq!(Dao::do_try_state(), Ok(()));
        Ok(())
    }
}

/// Whether the step succeeds on chain and in the model.
fn take(step: Step, model: &mut Model) -> (bool, bool) {
    let now = System::block_number();
    // Before enough are opened, a number that is not given yet.
    let named = |later: PollId| model.next.checked_sub(1 + later).unwrap_or(model.next);
    match step {
        Step::Open(_) if model.waiting() >= MAX_ENDINGS as usize => (true, true),
        Step::Open(outcomes) => {
            open(outcomes);
            model.open(outcomes, None);
            (true, true)
        },
        Step::Vote(later, who, outcome) => {
            let id = named(later);
            (Dao::vote_poll(signed(who), id, outcome).is_ok(), model.vote(id, who, outcome))
        },
        Step::Remove(later, who) => {
            let id = named(later);
            (Dao::remove_poll_vote(signed(who), id).is_ok(), model.remove(id, who))
        },
        Step::Bind(who, n, known) => {
            bind(who, machine(n), known.then_some(now));
            (true, true)
        },
        Step::Unbind(who) => {
            unbind(who);
            (true, true)
        },
        Step::Appeal(later) => {
            let id = named(later);
            (Dao::appeal(signed(APPELLANT), id).is_ok(), model.appeal(id))
        },
        Step::CleanUp(later, max) => {
            let id = named(later);
            (Dao::clean_up_poll(signed(APPELLANT), id, max).is_ok(), model.clean_up(id, max))
        },
        Step::Wait(blocks) => {
            for block in now + 1..=now + blocks {
                run_to(block);
                model.advance(block);
            }
            (true, true)
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn polls_are_what_the_model_is(steps in proptest::collection::vec(step(), 50..200)) {
        new_test_ext().execute_with(|| {
            Machines::mutate(|machines| machines.retain(|who, _| *who <= ACCOUNTS));
            Terms::mutate(|pact| {
                (pact.governance.poll_quorum, pact.governance.appeal_quorum) = (QUORUM, APPEAL_QUORUM);
            });
            let mut model = Model::default();
            for step in steps {
                let text = format!("{step:?}");
                let (done, expected) = take(step, &mut model);
                prop_assert_eq!(done, expected, "{}", text);
                model.check()?;
            }
            // In the end everything is decided, and nothing is left of it.
            take(Step::Wait(4 * PERIOD + 2 * APPEAL_PERIOD), &mut model);
            model.check()?;
            prop_assert_eq!((held(APPELLANT), Ended::get().len()), (0, Settled::get().len()));
            for id in 0..model.next {
                while Dao::poll(id).is_some() {
                    prop_assert!(Dao::clean_up_poll(signed(APPELLANT), id, MAX_CLEAN_UP).is_ok());
                }
            }
            prop_assert_eq!(crate::PollVotes::<Test>::iter().count(), 0);
            prop_assert_eq!(Polls::<Test>::iter().count() + crate::Agenda::<Test>::iter().count(), 0);
            Ok(())
        })?;
    }
}
