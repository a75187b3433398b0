//! Learners submit deltas, and what cannot be taken is refused by name.

use crate::{mock::*, Deltas, Error, Event, Lateness, Masters};
use blyan_primitives::{
    block::Form,
    ids::ContentHash,
    learning::{DeltaHeader, DeltaOutcome, ItemRange},
    pol::Refusal,
    traits::{BlockUses, SlotHeads},
    trust,
    worker::Roles,
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::TokenError;

/// A delta in which something is changed.
fn changed(change: impl FnOnce(&mut DeltaHeader)) -> DeltaHeader {
    let mut header = delta(9);
    change(&mut header);
    header
}

fn refused(header: DeltaHeader, error: Error<Test>) {
    assert_noop!(submit(LEARNERS[4], 0, header), error);
}

/// Whether the last thing that happened is that a delta was late, with this head told.
fn was_late(learner: u64, head: Option<ContentHash>, reason: Lateness) {
    System::assert_last_event(Event::DeltaRefused { round: 0, learner, head, reason }.into());
    assert_eq!((bond_of(learner), Deltas::<Test>::decode_len(0).unwrap_or(0)), (0, 0));
}

#[test]
fn a_delta_is_taken_with_its_bond() {
    run(|| {
        let id = open(slot(0, 0));
        assert_ok!(submit(LEARNERS[0], id, delta(1)));
        let (learner, block) = (LEARNERS[0], delta(1).block);
        System::assert_last_event(Event::DeltaSubmitted { round: id, index: 0, learner, block, bond: BOND }.into());
        assert_eq!((bond_of(learner), Balances::free_balance(learner)), (BOND, FUNDS - BOND));
        assert_ok!(submit(LEARNERS[1], id, delta(2)));
        let deltas = Experts::deltas(id);
        assert_eq!(deltas.iter().map(|delta| delta.learner).collect::<Vec<_>>(), LEARNERS[..2]);
        assert_eq!((&deltas[1].header, deltas[1].outcome), (&delta(2), None));
    });
}

#[test]
fn only_workers_that_train_submit() {
    run(|| {
        open(slot(0, 0));
        assert_noop!(submit(ALICE, 0, delta(1)), Error::<Test>::NotALearner);
        assert_noop!(submit(PRIMARY, 0, delta(1)), Error::<Test>::NotALearner);
        Workers::mutate(|workers| workers.insert(PRIMARY, Roles::AGGREGATE.union(Roles::TRAIN)));
        assert_ok!(submit(PRIMARY, 0, delta(1)));
    });
}

#[test]
fn a_delta_for_no_round_is_refused() {
    run(|| {
        assert_noop!(submit(LEARNERS[0], 0, delta(1)), Error::<Test>::UnknownRound);
    });
}

#[test]
fn a_delta_on_a_stale_base_is_refused_with_the_present_head_told() {
    run(|| {
        let next = registered(&expert(Form::Serving, 1), None);
        let base = genesis();
        Experts::move_head(&slot(0, 0), base, next).map_err(sp_runtime::DispatchError::from).unwrap();
        // As if a round had moved it: the chain knows its master.
        let master = registered(&expert(Form::Master, 1), None);
        assert_ok!(Experts::acquire(master));
        Masters::<Test>::insert(slot(0, 0), master);
        open(slot(0, 0));
        assert_ok!(submit(LEARNERS[0], 0, delta(1)));
        was_late(LEARNERS[0], Some(next), Lateness::StaleBase);
        assert_ok!(submit(LEARNERS[0], 0, DeltaHeader { base: next, ..delta(1) }));
        assert_eq!(bond_of(LEARNERS[0]), BOND);
    });
}

#[test]
fn a_round_that_is_closed_takes_nothing_and_tells_the_head() {
    run(|| {
        open(slot(0, 0));
        run_to(SUBMISSION);
        // Its time has come, though it was not worked on yet.
        System::set_block_number(1 + SUBMISSION);
        assert_ok!(submit(LEARNERS[0], 0, delta(1)));
        was_late(LEARNERS[0], Some(genesis()), Lateness::Closed);
        System::set_block_number(SUBMISSION);
        run_to(1 + SUBMISSION);
        assert_ok!(submit(LEARNERS[0], 0, delta(1)));
        was_late(LEARNERS[0], Some(genesis()), Lateness::Closed);
        set_life(LINEAGE, Life::Deprecated);
        while Experts::head(slot(0, 0)).is_some() {
            assert_ok!(Experts::release_heads(signed(BOB), LINEAGE, 1));
        }
        assert_ok!(submit(LEARNERS[0], 0, delta(1)));
        was_late(LEARNERS[0], None, Lateness::Closed);
    });
}

#[test]
fn a_round_that_is_evaluated_or_accepted_takes_nothing() {
    run(|| {
        let id = evaluating(1);
        let late = || {
            assert_ok!(submit(LEARNERS[1], id, delta(2)));
            let (learner, head, reason) = (LEARNERS[1], Some(genesis()), Lateness::Closed);
            System::assert_last_event(Event::DeltaRefused { round: id, learner, head, reason }.into());
            assert_eq!((bond_of(LEARNERS[1]), Experts::deltas(id).len()), (0, 1));
        };
        late();
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
        late();
    });
}

#[test]
fn a_delta_has_a_size_that_evaluators_can_fetch() {
    run(|| {
        open(slot(0, 0));
        refused(changed(|delta| delta.size = 0), Error::InvalidDeltaSize);
        refused(changed(|delta| delta.size = MAX_SIZE + 1), Error::InvalidDeltaSize);
        assert_ok!(submit(LEARNERS[4], 0, changed(|delta| delta.size = 1)));
    });
}

#[test]
fn a_delta_declares_registered_items_and_enough_of_them() {
    run(|| {
        open(slot(0, 0));
        let with = |first, count| changed(|delta| delta.data = ItemRange { block: ITEMS, first, count });
        refused(changed(|delta| delta.data.block = ContentHash([1; 32])), Error::UnknownItems);
        refused(with(0, OWN_ITEMS - 1), Error::InvalidItemRange);
        refused(with(93, OWN_ITEMS), Error::InvalidItemRange);
        refused(with(0, 101), Error::InvalidItemRange);
        refused(with(u32::MAX, OWN_ITEMS), Error::InvalidItemRange);
        assert_ok!(submit(LEARNERS[4], 0, with(92, OWN_ITEMS)));
        // At least one, whatever the Pact says.
        Numbers::mutate(|pact| pact.rounds.own_items = 0);
        let id = open(slot(0, 1));
        assert_noop!(submit(LEARNERS[3], id, with(0, 0)), Error::<Test>::InvalidItemRange);
        assert_ok!(submit(LEARNERS[3], id, with(99, 1)));
    });
}

#[test]
fn a_learner_has_one_delta_in_a_round() {
    run(|| {
        let id = opened_with(1);
        assert_noop!(submit(LEARNERS[0], id, delta(7)), Error::<Test>::AlreadySubmitted);
        // In as many rounds as it likes.
        let other = open(slot(0, 1));
        assert_ok!(submit(LEARNERS[0], other, delta(1)));
        assert_eq!(bond_of(LEARNERS[0]), 2 * BOND);
    });
}

#[test]
fn who_submits_the_names_of_another_delta_first_does_not_keep_it_out() {
    run(|| {
        opened_with(2);
        assert_ok!(submit(LEARNERS[4], 0, delta(1)));
        assert_eq!(Experts::deltas(0).len(), 3);
    });
}

#[test]
fn what_changes_nothing_is_refused() {
    run(|| {
        opened_with(2);
        refused(changed(|header| header.serving = genesis()), Error::ChangesNothing);
    });
}

#[test]
fn a_round_takes_as_many_deltas_as_the_pact_says() {
    run(|| {
        opened_with(MAX_DELTAS as usize);
        refused(delta(9), Error::RoundFull);
        // A round has never more than a committee can evaluate, whatever the Pact says.
        Numbers::mutate(|pact| pact.rounds.max_deltas = u32::MAX);
        let id = open(slot(0, 1));
        assert_eq!(Experts::round(id).unwrap().terms.max_deltas, blyan_primitives::pol::MAX_DELTAS);
    });
}

#[test]
fn a_learner_in_quarantine_or_without_quota_submits_nothing() {
    run(|| {
        open(slot(0, 0));
        let bar = |refusal| Barred::mutate(|barred| barred.insert(LEARNERS[4], refusal));
        bar(trust::Refusal::Quarantined { until: 9 });
        refused(delta(9), Error::Quarantined);
        bar(trust::Refusal::QuotaSpent { quota: 20 });
        refused(delta(9), Error::QuotaSpent);
        Barred::set(Default::default());
        assert_ok!(submit(LEARNERS[4], 0, delta(9)));
    });
}

#[test]
fn who_cannot_cover_the_bond_submits_nothing() {
    run(|| {
        open(slot(0, 0));
        assert_noop!(submit(POOR, 0, delta(1)), TokenError::FundsUnavailable);
    });
}

#[test]
fn a_local_network_can_do_without_bonds() {
    run(|| {
        Numbers::mutate(|pact| pact.rounds.delta_bond = 0);
        let id = open(slot(0, 0));
        assert_ok!(submit(POOR, id, delta(1)));
        assert_eq!(Balances::free_balance(POOR), 50);
        run_to(1 + SUBMISSION);
        decide(id, verdict(vec![DeltaOutcome::Refused(Refusal::Copied)], Err(Refusal::NothingMerged)));
        let outcome = DeltaOutcome::Refused(Refusal::Copied);
        let judged = Event::DeltaJudged { round: id, index: 0, learner: POOR, outcome, returned: 0, lost: 0 };
        assert!(System::events().iter().any(|record| record.event == judged.clone().into()));
        assert_eq!(Balances::free_balance(POOR), 50);
    });
}
