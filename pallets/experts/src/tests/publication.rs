//! What was accepted is published, the head moves, and the work is paid.

use crate::{mock::*, weights::WeightInfo, Blocks, Config, Error, Event, HoldReason, Masters, Work};
use blyan_primitives::{
    block::{BlockHeader, Form},
    learning::{DeltaOutcome, Verdict},
    pol::{Candidate, CandidateSums, Refusal},
    traits::SlotHeads,
};
use codec::Encode;
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use polkadot_sdk::*;
use sp_runtime::TokenError;

fn deposits(who: u64) -> u128 {
    Balances::balance_on_hold(&HoldReason::BlockDeposit.into(), &who)
}

fn money(who: u64) -> u128 {
    Balances::total_balance(&who)
}

/// Accepts for a round with one delta what these headers name.
fn accept(master: &BlockHeader, serving: &BlockHeader) -> u32 {
    let id = evaluating(1);
    let (master, serving) = (master.content_hash(), serving.content_hash());
    let candidate = Candidate { master, serving, sums: CandidateSums::default() };
    decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate)));
    id
}

fn publish_headers(who: u64, id: u32, master: &BlockHeader, serving: &BlockHeader) -> sp_runtime::DispatchResult {
    let [master, serving] = [master, serving].map(|header| header.encode().try_into().unwrap());
    Experts::publish(signed(who), id, master, serving).map(|_| ()).map_err(|error| error.error)
}

#[test]
fn both_blocks_are_registered_for_who_publishes_them() {
    run(|| {
        let id = accepted();
        let bytes = expert(Form::Master, 1).encoded_size() + expert(Form::Serving, 1).encoded_size();
        let weight = publish(PRIMARY, id, 1).unwrap();
        assert_eq!(weight, Some(<Test as Config>::WeightInfo::publish(bytes as u32, 1, 3)));
        let Candidate { master, serving, .. } = candidate(1);
        assert_eq!(deposits(PRIMARY), 2 * DEPOSIT);
        assert_eq!(Experts::registration(serving, PRIMARY).unwrap().master, Some(master));
        let head = Experts::head(slot(0, 0)).unwrap();
        assert_eq!((head.block, head.since, head.moves), (serving, System::block_number(), 1));
        assert_eq!((Masters::<Test>::get(slot(0, 0)), Experts::head_master(slot(0, 0))), (Some(master), Some(master)));
    });
}

#[test]
fn head_and_master_stay_while_the_slot_holds_them() {
    run(|| {
        let id = accepted();
        assert_ok!(publish(PRIMARY, id, 1));
        let Candidate { master, serving, .. } = candidate(1);
        let unregister = |block| Experts::unregister(signed(PRIMARY), block);
        assert_noop!(unregister(serving), Error::<Test>::InUse);
        assert_noop!(unregister(master), Error::<Test>::InUse);
        // The head moves on.
        Experts::move_head(&slot(0, 0), serving, genesis()).map_err(sp_runtime::DispatchError::from).unwrap();
        assert_eq!(Experts::head_master(slot(0, 0)), Some(expert(Form::Master, 0).content_hash()));
        assert_ok!(unregister(serving));
        assert_ok!(unregister(master));
    });
}

#[test]
fn a_master_is_used_by_the_head_beside_all_registrations() {
    run(|| {
        let id = accepted();
        assert_ok!(publish(PRIMARY, id, 1));
        let Candidate { master, serving, .. } = candidate(1);
        assert_eq!((Blocks::<Test>::get(master).unwrap().uses, Blocks::<Test>::get(serving).unwrap().uses), (1, 1));
        // Somebody else's registration of the serving form frees the publisher's, and so its word for the master.
        assert_ok!(register(ALICE, &expert(Form::Serving, 1), None));
        assert_ok!(Experts::unregister(signed(PRIMARY), serving));
        assert_noop!(Experts::unregister(signed(PRIMARY), master), Error::<Test>::InUse);
    });
}

#[test]
fn a_second_round_goes_on_from_what_the_first_has_made() {
    run(|| {
        let id = accepted();
        assert_ok!(publish(PRIMARY, id, 1));
        let id = open(slot(0, 0));
        let base = candidate(1).serving;
        let header = blyan_primitives::learning::DeltaHeader { base, ..delta(5) };
        assert_ok!(submit(LEARNERS[3], id, header));
        run_to(System::block_number() + SUBMISSION);
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(2))));
        assert_ok!(publish(PRIMARY, id, 2));
        assert_eq!(Masters::<Test>::get(slot(0, 0)), Some(candidate(2).master));
        assert_eq!(Blocks::<Test>::get(candidate(1).master).unwrap().uses, 0);
        // What served before can be unregistered.
        assert_ok!(Experts::unregister(signed(PRIMARY), candidate(1).serving));
        assert_ok!(Experts::unregister(signed(PRIMARY), candidate(1).master));
    });
}

#[test]
fn only_primaries_publish_in_the_first_window_and_anyone_in_the_second() {
    run(|| {
        assert_ok!(stand(PRIMARY));
        let id = accepted();
        // Other workers that aggregate are nobody's primaries.
        let others = [BOB, LEARNERS[0], AGGREGATORS[1]];
        for who in others {
            assert_noop!(publish(who, id, 1), Error::<Test>::NotYourTurn);
        }
        run_to(System::block_number() + PUBLICATION - 1);
        for who in others {
            assert_noop!(publish(who, id, 1), Error::<Test>::NotYourTurn);
        }
        run_to(System::block_number() + 1);
        assert_ok!(publish(BOB, id, 1));
        // And is paid for it.
        assert_eq!(money(BOB), FUNDS + 100);
    });
}

#[test]
fn nobody_publishes_when_the_time_for_it_has_passed() {
    run(|| {
        let id = accepted();
        // The round is still to be worked on.
        System::set_block_number(System::block_number() + 2 * PUBLICATION);
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::PublicationOver);
        Experts::work_through_agenda(System::block_number());
    });
}

#[test]
fn there_is_nothing_to_publish_of_a_round_that_is_not_accepted() {
    run(|| {
        assert_noop!(publish(PRIMARY, 0, 1), Error::<Test>::UnknownRound);
        let id = opened_with(1);
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::NothingToPublish);
        run_to(1 + SUBMISSION);
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::NothingToPublish);
        decide(id, verdict(vec![DeltaOutcome::Merged(1 << 16)], Ok(candidate(1))));
        assert_ok!(publish(PRIMARY, id, 1));
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::NothingToPublish);
    });
}

#[test]
fn only_what_was_accepted_is_published() {
    run(|| {
        let id = accepted();
        assert_noop!(publish(PRIMARY, id, 2), Error::<Test>::OtherCandidate);
        let [first, second] = [1, 2].map(|seed| expert(Form::Master, seed));
        assert_noop!(publish_headers(PRIMARY, id, &second, &expert(Form::Serving, 1)), Error::<Test>::OtherCandidate);
        assert_noop!(publish_headers(PRIMARY, id, &first, &expert(Form::Serving, 2)), Error::<Test>::OtherCandidate);
        assert_noop!(publish_headers(PRIMARY, id, &expert(Form::Serving, 1), &first), Error::<Test>::OtherCandidate);
    });
}

#[test]
fn what_no_slot_can_hold_is_published_by_nobody() {
    run(|| {
        // A committee that accepts such a thing is as wrong as can be: the head stays.
        let (master, turned) = (expert(Form::Master, 1), expert_of(Form::Serving, 64, 128, 1));
        let id = accept(&master, &turned);
        assert_noop!(publish_headers(PRIMARY, id, &master, &turned), Error::<Test>::UnfitHead);
        run_to(System::block_number() + 2 * PUBLICATION);
        let id = accept(&expert(Form::Serving, 2), &expert(Form::Serving, 1));
        assert_noop!(
            publish_headers(PRIMARY, id, &expert(Form::Serving, 2), &expert(Form::Serving, 1)),
            Error::<Test>::NotAMaster
        );
        run_to(System::block_number() + 2 * PUBLICATION);
        let id = accept(&master, &expert(Form::Serving, 0));
        assert_noop!(publish_headers(PRIMARY, id, &master, &expert(Form::Serving, 0)), Error::<Test>::HeadUnchanged);
    });
}

#[test]
fn a_head_that_has_moved_is_not_moved_by_a_round() {
    run(|| {
        let id = accepted();
        let other = registered(&expert(Form::Serving, 7), None);
        Experts::move_head(&slot(0, 0), genesis(), other).map_err(sp_runtime::DispatchError::from).unwrap();
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::StaleBase);
        assert_eq!(Experts::head_master(slot(0, 0)), None);
    });
}

#[test]
fn what_the_publisher_has_registered_before_is_not_registered_again() {
    run(|| {
        let id = accepted();
        assert_ok!(register(PRIMARY, &expert(Form::Serving, 1), None));
        assert_ok!(publish(PRIMARY, id, 1));
        assert_eq!(deposits(PRIMARY), 2 * DEPOSIT);
        // Its word of the block is what it was; the chain's own is kept with the slot.
        assert_eq!(Experts::registration(candidate(1).serving, PRIMARY).unwrap().master, None);
        assert_eq!(Experts::head_master(slot(0, 0)), Some(candidate(1).master));
    });
}

#[test]
fn what_others_have_registered_is_in_nobodys_way() {
    run(|| {
        let id = accepted();
        assert_ok!(register(ALICE, &expert(Form::Master, 1), None));
        assert_ok!(register(ALICE, &expert(Form::Serving, 1), Some(candidate(1).master)));
        assert_ok!(publish(PRIMARY, id, 1));
        assert_eq!(Blocks::<Test>::get(candidate(1).master).unwrap().registrants, 2);
        assert_ok!(Experts::unregister(signed(ALICE), candidate(1).serving));
        assert_ok!(Experts::unregister(signed(ALICE), candidate(1).master));
    });
}

#[test]
fn who_cannot_cover_the_deposits_publishes_nothing() {
    run(|| {
        let id = accepted();
        run_to(System::block_number() + PUBLICATION);
        assert_noop!(publish(POOR, id, 1), TokenError::FundsUnavailable);
    });
}

#[test]
fn masters_in_use_do_not_overflow() {
    run(|| {
        let id = accepted();
        registered(&expert(Form::Master, 1), None);
        Blocks::<Test>::mutate(candidate(1).master, |entry| entry.as_mut().unwrap().uses = u32::MAX);
        assert_noop!(publish(PRIMARY, id, 1), Error::<Test>::TooManyUses);
    });
}

fn rewarded(id: u32, who: u64, work: Work, amount: u128) -> bool {
    let event = Event::Rewarded { round: id, who, work, amount };
    System::events().iter().any(|record| record.event == event.clone().into())
}

#[test]
fn work_is_paid_by_what_it_has_gained() {
    run(|| {
        let id = evaluating(3);
        let merged = |weight| DeltaOutcome::Merged(weight);
        let outcomes = vec![merged(3 << 14), DeltaOutcome::Refused(Refusal::NoGain), merged(1 << 14)];
        decide(id, Verdict { gain: 50_000, ..verdict(outcomes, Ok(candidate(1))) });
        let before = [PRIMARY, EVALUATORS[0]].map(money);
        assert_ok!(publish(PRIMARY, id, 1));
        // Half of what a tenth of a nat is paid: 300 to learners by weight, 25 to the primary, 100 to evaluators. The 25 of
        // aggregators, by the same weights, are the primary's where a delta names none.
        assert!(rewarded(id, LEARNERS[0], Work::Delta, 225) && rewarded(id, LEARNERS[2], Work::Delta, 75));
        assert!(rewarded(id, PRIMARY, Work::Publication, 25 + 18 + 6));
        assert!(EVALUATORS.iter().all(|who| rewarded(id, *who, Work::Evaluation, 33)));
        assert_eq!(LEARNERS.map(money), [FUNDS + 225, FUNDS - FEE, FUNDS + 75, FUNDS, FUNDS]);
        assert_eq!([PRIMARY, EVALUATORS[0]].map(money), [before[0] + 49, before[1] + 33]);
        // The share of data sets, and what rounding leaves, stay in the pool.
        assert_eq!(LearningPool::get(), 1_000_000 - 300 - 49 - 99);
    });
}

#[test]
fn no_more_is_paid_than_the_pool_has() {
    run(|| {
        LearningPool::set(100);
        let id = accepted();
        assert_ok!(publish(PRIMARY, id, 1));
        assert_eq!((money(LEARNERS[0]), money(PRIMARY), money(EVALUATORS[2])), (FUNDS + 60, FUNDS + 10, FUNDS + 6));
        assert_eq!(LearningPool::get(), 12);
    });
}

#[test]
fn a_head_moves_without_a_reward_when_there_is_none() {
    run(|| {
        LearningPool::set(0);
        let id = accepted();
        assert_ok!(publish(PRIMARY, id, 1));
        assert_eq!(Experts::head(slot(0, 0)).unwrap().block, candidate(1).serving);
        assert!(!System::events()
            .iter()
            .any(|record| matches!(record.event, RuntimeEvent::Experts(Event::Rewarded { .. }))));
    });
}

#[test]
fn a_gain_that_is_made_known_as_nothing_is_paid_nothing() {
    run(|| {
        let id = evaluating(1);
        let outcomes = vec![DeltaOutcome::Merged(1 << 16)];
        decide(id, Verdict { gain: -5, evaluators: vec![], ..verdict(outcomes, Ok(candidate(1))) });
        assert_ok!(publish(PRIMARY, id, 1));
        assert_eq!(LearningPool::get(), 1_000_000);
    });
}
