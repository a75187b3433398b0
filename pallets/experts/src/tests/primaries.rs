//! Aggregators stand for election, and primaries are elected of them for as long as a round lasts.

use crate::{
    mock::*, weights::WeightInfo, Candidacies, Candidacy, Config, Error, Event, Primaries, DELAY_UNITS, NEWCOMER,
    PRIMARIES,
};
use blyan_primitives::{
    learning::{DeltaOutcome, RoundId, Rounds as KeepRounds},
    pol::Refusal,
    worker::Roles,
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchResult;
use std::collections::{BTreeMap, BTreeSet};

type Weights = <Test as Config>::WeightInfo;

/// Blocks of each window of a round with these primaries.
pub(super) const WINDOW: u64 = 9;

pub(super) fn stand_down(caller: u64, who: u64) -> DispatchResult {
    Experts::stand_down(signed(caller), who)
}

fn set_roles(who: u64, roles: Roles) {
    Workers::mutate(|workers| workers.insert(who, roles));
}

/// Who stands, and with which delay.
fn standing() -> BTreeMap<u64, u32> {
    Experts::standing().into_iter().map(|(who, candidacy)| (who, candidacy.delay)).collect()
}

fn who_stands() -> Vec<u64> {
    standing().into_keys().collect()
}

/// Has these stand, each of which has always been quick.
pub(super) fn all_stand(who: &[u64]) {
    for who in who {
        stand(*who).unwrap();
        Candidacies::<Test>::insert(who, Candidacy { delay: 0 });
    }
}

fn happened(event: Event<Test>) -> bool {
    System::events().iter().any(|record| record.event == event.clone().into())
}

pub(super) fn set_window(blocks: u64) {
    Numbers::mutate(|pact| pact.rounds.publication = blocks as u32);
}

/// A round that was just accepted, with so many primaries: those, the first to publish first.
pub(super) fn elected(count: usize) -> (RoundId, Vec<u64>) {
    set_window(WINDOW);
    all_stand(&AGGREGATORS[..count]);
    let id = accepted();
    let primaries = Experts::primaries(id);
    assert_eq!(primaries.len(), count);
    (id, primaries)
}

/// The same, with as many primaries as there can be.
pub(super) fn three_elected() -> (RoundId, [u64; 3]) {
    let (id, primaries) = elected(3);
    (id, primaries.try_into().unwrap())
}

pub(super) fn wait(blocks: u64) {
    run_to(System::block_number() + blocks);
}

/// Delays of so many accounts, none of those that do not stand.
pub(super) fn delays<const N: usize>(of: [u64; N]) -> [Option<u32>; N] {
    let all = standing();
    of.map(|who| all.get(&who).copied())
}

// Standing.

#[test]
fn an_aggregator_with_enough_at_stake_stands() {
    run(|| {
        let weight = |who| Experts::stand(signed(who)).unwrap().actual_weight;
        assert_eq!(weight(31), Some(Weights::stand(0)));
        System::assert_last_event(Event::Stands { who: 31 }.into());
        assert_eq!(Experts::standing(), [(31, Candidacy { delay: NEWCOMER })]);
        // Whether it is online only counts when primaries are elected.
        set_online(32, false);
        set_stake(32, 1_000_000);
        assert_eq!(weight(32), Some(Weights::stand(1)));
        assert_eq!(who_stands(), [31, 32]);
    });
}

#[test]
fn nobody_stands_twice() {
    run(|| {
        all_stand(&[31]);
        assert_noop!(stand(31), Error::<Test>::AlreadyStands);
        // Nor who could not stand now.
        set_stake(31, 0);
        assert_noop!(stand(31), Error::<Test>::AlreadyStands);
    });
}

#[test]
fn only_a_worker_that_aggregates_stands() {
    run(|| {
        for who in [ALICE, LEARNERS[0]] {
            set_stake(who, BOND);
            assert_noop!(stand(who), Error::<Test>::CannotStand);
        }
        set_roles(ALICE, Roles::ALL);
        assert_ok!(stand(ALICE));
        Workers::mutate(|workers| workers.remove(&31));
        assert_noop!(stand(31), Error::<Test>::CannotStand);
    });
}

#[test]
fn nobody_stands_with_less_at_stake_than_the_pact_asks() {
    run(|| {
        for stake in [0, 1, BOND - 1] {
            set_stake(31, stake);
            assert_noop!(stand(31), Error::<Test>::CannotStand);
        }
        // With nothing at all, whatever the Pact says.
        Numbers::mutate(|pact| pact.staking.min_worker_bond = 0);
        set_stake(31, 0);
        assert_noop!(stand(31), Error::<Test>::CannotStand);
        set_stake(31, 1);
        assert_ok!(stand(31));
        Numbers::mutate(|pact| pact.staking.min_worker_bond = BOND + 1);
        assert_noop!(stand(32), Error::<Test>::CannotStand);
    });
}

#[test]
fn who_has_more_at_stake_takes_the_place_of_who_has_the_least() {
    run(|| {
        for (more, who) in (0..).zip([33, 31, 35, 32, 34]) {
            set_stake(who, BOND + more);
            assert_ok!(stand(who));
        }
        // As much as the least is not enough.
        set_stake(36, BOND);
        assert_noop!(stand(36), Error::<Test>::TooManyStand);
        set_stake(36, BOND + 1);
        let weight = Experts::stand(signed(36)).unwrap().actual_weight;
        assert_eq!(weight, Some(Weights::stand(MAX_STANDING)));
        assert!(happened(Event::StandsDown { who: 33 }));
        System::assert_last_event(Event::Stands { who: 36 }.into());
        assert_eq!(who_stands(), [31, 32, 34, 35, 36]);
        // Who had to go comes back with more.
        assert_noop!(stand(33), Error::<Test>::TooManyStand);
        set_stake(33, BOND + 2);
        assert_ok!(stand(33));
        assert_eq!(who_stands().len(), MAX_STANDING as usize);
        assert!(who_stands().contains(&33));
    });
}

#[test]
fn who_could_not_stand_now_is_the_first_to_make_room() {
    run(|| {
        all_stand(&AGGREGATORS[..5]);
        // Much at stake, and no role.
        set_stake(34, 1_000 * BOND);
        set_roles(34, Roles::TRAIN);
        assert_ok!(stand(36));
        assert!(happened(Event::StandsDown { who: 34 }));
        // A role, and too little at stake.
        set_roles(34, Roles::AGGREGATE);
        set_stake(34, BOND);
        set_stake(32, BOND - 1);
        assert_ok!(stand(34));
        assert!(happened(Event::StandsDown { who: 32 }));
        assert_eq!(who_stands(), [31, 33, 34, 35, 36]);
    });
}

#[test]
fn a_place_that_is_free_is_given_to_anybody() {
    run(|| {
        all_stand(&AGGREGATORS[..5]);
        assert_noop!(stand(36), Error::<Test>::TooManyStand);
        assert_ok!(stand_down(31, 31));
        assert_ok!(stand(36));
        assert_eq!(who_stands(), [32, 33, 34, 35, 36]);
    });
}

#[test]
fn who_stands_ends_that_itself() {
    run(|| {
        assert_noop!(stand_down(31, 31), Error::<Test>::DoesNotStand);
        all_stand(&[31]);
        assert_ok!(stand_down(31, 31));
        System::assert_last_event(Event::StandsDown { who: 31 }.into());
        assert!(Experts::standing().is_empty());
        assert_noop!(stand_down(31, 31), Error::<Test>::DoesNotStand);
        assert_noop!(stand_down(BOB, 31), Error::<Test>::DoesNotStand);
        assert_ok!(stand(31));
    });
}

#[test]
fn anybody_ends_the_candidacy_of_who_could_not_stand_now() {
    run(|| {
        all_stand(&[31, 32, 33, 34]);
        assert_noop!(stand_down(BOB, 31), Error::<Test>::StillStands);
        // Being offline passes.
        set_online(31, false);
        assert_noop!(stand_down(BOB, 31), Error::<Test>::StillStands);
        set_stake(31, BOND - 1);
        assert_ok!(stand_down(BOB, 31));
        set_roles(32, Roles::TRAIN);
        assert_ok!(stand_down(BOB, 32));
        Workers::mutate(|workers| workers.remove(&33));
        assert_ok!(stand_down(BOB, 33));
        assert_noop!(stand_down(BOB, 34), Error::<Test>::StillStands);
        Numbers::mutate(|pact| pact.staking.min_worker_bond = BOND + 1);
        assert_ok!(stand_down(BOB, 34));
        assert!(Experts::standing().is_empty());
        assert!(happened(Event::StandsDown { who: 34 }));
    });
}

// Election.

#[test]
fn primaries_are_those_who_are_online_and_have_enough_at_stake() {
    run(|| {
        all_stand(&AGGREGATORS[..5]);
        set_online(33, false);
        set_stake(35, BOND - 1);
        let id = open(slot(0, 0));
        let primaries = Experts::primaries(id);
        System::assert_last_event(Event::PrimariesElected { round: id, primaries: primaries.clone() }.into());
        assert_eq!(primaries.into_iter().collect::<BTreeSet<_>>(), [31, 32, 34].into());
        // Who does not aggregate any more, and who is no worker any more, is not drawn.
        set_roles(31, Roles::TRAIN);
        Workers::mutate(|workers| workers.remove(&32));
        let id = open(slot(0, 1));
        assert_eq!(Experts::primaries(id), [34]);
    });
}

#[test]
fn who_does_not_stand_is_no_primary() {
    run(|| {
        all_stand(&[31, 32]);
        assert_ok!(stand_down(32, 32));
        let id = open(slot(0, 0));
        assert_eq!(Experts::primaries(id), [31]);
        assert_eq!(Experts::primaries(id + 1), [0; 0]);
    });
}

#[test]
fn no_more_are_primaries_than_there_can_be() {
    run(|| {
        all_stand(&AGGREGATORS[..5]);
        let mut orders = BTreeSet::new();
        for index in 0..3 {
            let primaries = Experts::primaries(open(slot(0, index)));
            let once: BTreeSet<_> = primaries.iter().copied().collect();
            assert_eq!((primaries.len(), once.len()), (PRIMARIES as usize, PRIMARIES as usize));
            assert!(once.iter().all(|who| AGGREGATORS[..5].contains(who)));
            orders.insert(primaries);
        }
        // Rounds of one block have others.
        assert!(orders.len() > 1);
    });
}

#[test]
fn opening_a_round_costs_what_its_election_takes() {
    run(|| {
        let weight = |index| Experts::open_round(signed(BOB), slot(0, index), LINEAGE).unwrap().actual_weight;
        assert_eq!(weight(0), Some(Weights::open_round(0)));
        all_stand(&[31, 32]);
        // Whoever stands is looked at.
        set_online(32, false);
        assert_eq!(weight(1), Some(Weights::open_round(2)));
    });
}

/// How often each is the first of a thousand elections.
fn firsts() -> BTreeMap<u64, u32> {
    let mut firsts = BTreeMap::new();
    for number in 0..1_000u64 {
        System::set_parent_hash(sp_core::H256::from_low_u64_be(number));
        Experts::elect(0);
        *firsts.entry(Experts::primaries(0)[0]).or_default() += 1;
    }
    Primaries::<Test>::remove(0);
    firsts
}

#[test]
fn who_has_more_at_stake_is_first_more_often() {
    run(|| {
        all_stand(&[31, 32]);
        set_stake(31, 3 * BOND);
        // Four standard errors of a draw of 750 of 1000 are 55.
        let first = firsts()[&31];
        assert!((695..=805).contains(&first), "{first}");
    });
}

#[test]
fn who_takes_longer_is_first_less_often() {
    run(|| {
        all_stand(&[31, 32]);
        // A block: it counts half, and is first in a third of elections.
        Candidacies::<Test>::insert(31, Candidacy { delay: DELAY_UNITS });
        let first = firsts()[&31];
        assert!((273..=394).contains(&first), "{first}");
    });
}

#[test]
fn without_anybody_to_elect_anybody_publishes_at_once() {
    run(|| {
        let id = accepted();
        let is_election = |event: &RuntimeEvent| matches!(event, RuntimeEvent::Experts(Event::PrimariesElected { .. }));
        assert!(!System::events().iter().any(|record| is_election(&record.event)));
        assert!(Experts::primaries(id).is_empty() && !Primaries::<Test>::contains_key(id));
        assert_eq!(Experts::turn(id, BOB), Some(System::block_number()));
        assert_ok!(publish(BOB, id, 1));
    });
}

#[test]
fn who_stands_and_is_offline_keeps_nobody_from_publishing() {
    run(|| {
        all_stand(&[31, 32]);
        set_online(31, false);
        set_stake(32, 1);
        let id = accepted();
        assert!(Experts::primaries(id).is_empty());
        // Coming back does not make it a primary.
        set_online(31, true);
        assert_ok!(publish(BOB, id, 1));
        assert_eq!(delays([31, 32]), [Some(0); 2]);
    });
}

#[test]
fn what_becomes_of_candidacies_does_not_change_who_is_elected() {
    run(|| {
        let (id, primaries) = three_elected();
        let unchanged = || assert_eq!(Experts::primaries(id), primaries);
        assert_ok!(stand_down(primaries[0], primaries[0]));
        unchanged();
        // Three more make room for nobody, then one of the elected for who has more.
        all_stand(&[34, 35, 36]);
        unchanged();
        set_stake(primaries[1], BOND - 1);
        assert_ok!(stand(primaries[0]));
        assert_eq!(delays([primaries[1]]), [None]);
        unchanged();
        set_stake(primaries[2], 1_000 * BOND);
        set_online(primaries[2], false);
        unchanged();
        assert_ok!(stand_down(primaries[0], primaries[0]));
        assert_ok!(publish(primaries[0], id, 1));
    });
}

// What is left of them.

/// Opens a round with primaries, brings it to an end, and sees that nothing is left of them.
fn are_gone_after(end: impl FnOnce(RoundId)) {
    run(|| {
        all_stand(&AGGREGATORS[..3]);
        let id = opened_with(1);
        let primaries = Experts::primaries(id);
        assert_eq!(primaries.len(), 3);
        end(id);
        assert!(Experts::round(id).unwrap().is_over());
        assert!(Experts::primaries(id).is_empty() && Primaries::<Test>::iter_keys().next().is_none());
        assert_eq!(primaries.first().map(|who| Experts::turn(id, *who)), Some(None));
    });
}

/// Has a round be accepted.
fn accept(id: RoundId) {
    wait(SUBMISSION);
    assert_eq!(Experts::primaries(id).len(), 3);
    decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
    assert_eq!(Experts::primaries(id).len(), 3);
}

#[test]
fn primaries_are_gone_when_the_round_is_over() {
    are_gone_after(|id| {
        accept(id);
        assert_ok!(publish(Experts::primaries(id)[0], id, 1));
    });
    are_gone_after(|id| {
        accept(id);
        wait(2 * PUBLICATION);
    });
    are_gone_after(|id| {
        wait(SUBMISSION);
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Err(Refusal::Harmful)));
    });
    are_gone_after(|id| {
        wait(SUBMISSION);
        <Experts as KeepRounds<u64>>::failed(id);
    });
    are_gone_after(|_| {
        NoCommittee::set(true);
        wait(SUBMISSION);
    });
}

#[test]
fn primaries_of_a_round_without_deltas_are_gone_when_it_is_over() {
    run(|| {
        all_stand(&[31]);
        let id = open(slot(0, 0));
        assert_eq!(Experts::primaries(id), [31]);
        wait(SUBMISSION);
        assert!(Experts::primaries(id).is_empty() && Primaries::<Test>::iter_keys().next().is_none());
    });
}

#[test]
fn each_round_has_its_own_primaries() {
    run(|| {
        all_stand(&[31, 32]);
        let first = accepted();
        set_online(32, false);
        let second = open(slot(0, 1));
        assert_eq!((Experts::primaries(first).len(), Experts::primaries(second)), (2, vec![31]));
        assert_ok!(publish(Experts::primaries(first)[0], first, 1));
        assert_eq!((Experts::primaries(first).len(), Experts::primaries(second)), (0, vec![31]));
    });
}
