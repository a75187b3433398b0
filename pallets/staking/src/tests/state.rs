//! What does not add up is seen.

use crate::{mock::*, *};
use blyan_primitives::{pact::Ppm, traits::Slash};
use frame_support::{
    assert_ok,
    traits::{
        fungible::{Mutate, MutateHold},
        tokens::Precision,
    },
};
use polkadot_sdk::*;
use sp_runtime::Perbill;

/// Corrupts a chain with something of everything, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        Author::set(Some(1));
        assert_ok!(Staking::bond_worker(signed(7), 500));
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 100));
        delegate(DELEGATOR, 2, 100);
        delegate(12, 3, 100);
        run_to_era(1);
        // Validator 3 is leaving, era 0 is owed, and era 1 was copied.
        assert_ok!(Staking::leave(signed(3)));
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 100));
        report(4, 10);
        <Staking as Slash<_>>::slash_worker(&7, Ppm(500_000)).unwrap();
        assert_ok!(Staking::do_try_state());
        corrupt();
        let error: &str = Staking::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn candidate_with(change: fn(&mut Candidate)) -> impl FnOnce() {
    move || Candidates::<Test>::mutate(1, |candidate| change(candidate.as_mut().unwrap()))
}

fn delegation(amount: u128) -> Delegation {
    Delegation { amount, auto_compound: Default::default(), copied: None }
}

#[test]
fn bonds_that_do_not_add_up_are_seen() {
    let bonds = "bonds are not what is held";
    assert_eq!(seen(candidate_with(|candidate| candidate.own += 1)), bonds);
    assert_eq!(seen(|| WorkerBonds::<Test>::mutate(7, |bond| bond.active += 1)), bonds);
    let release = |kind: BondKind, who: u64| {
        move || {
            Balances::release(&HoldReason::from(kind).into(), &who, 1, Precision::Exact).unwrap();
        }
    };
    assert_eq!(seen(release(BondKind::Delegation, DELEGATOR)), bonds);
    assert_eq!(seen(release(BondKind::Validator, 3)), bonds);
    assert_eq!(seen(|| Balances::hold(&HoldReason::Worker.into(), &20, 100).unwrap()), bonds);
    let nobody = WorkerBond { active: 5, announced: 0 };
    assert_eq!(seen(|| WorkerBonds::<Test>::insert(999, nobody)), "a bond is of no account");
    let empty = WorkerBond::default();
    assert_eq!(seen(|| WorkerBonds::<Test>::insert(8, empty)), "an empty worker's bond is kept");
}

#[test]
fn parts_that_do_not_add_up_are_seen() {
    let kind = BondKind::Delegation;
    let parts = |change: fn(&mut ChunksOf<Test>)| move || Unbonding::<Test>::mutate(kind, DELEGATOR, change);
    assert_eq!(seen(parts(|parts| parts.clear())), "an empty list of parts on their way back is kept");
    assert_eq!(seen(parts(|parts| parts[0].amount = 0)), "nothing is on its way back");
    assert_eq!(seen(parts(|parts| parts[1].due = 0)), "parts on their way back are out of order");
    assert_eq!(seen(parts(|parts| parts[0].amount += 1)), "bonds are not what is held");
}

#[test]
fn candidates_that_do_not_add_up_are_seen() {
    assert_eq!(seen(candidate_with(|c| c.delegated += 1)), "a candidate's delegations do not add up");
    assert_eq!(seen(candidate_with(|c| c.delegators += 1)), "a candidate's delegators are miscounted");
    assert_eq!(seen(candidate_with(|c| c.commission = Ppm(1_000_001))), "a commission is more than all");
    assert_eq!(seen(|| MaxDelegators::set(0)), "a candidate has too many delegators");
    MaxDelegators::set(4);
    let leaving = |who| move || Leaving::<Test>::mutate(|leaving| leaving.try_push(who).unwrap());
    assert_eq!(seen(leaving(1)), "a candidate is leaving");
    assert_eq!(seen(leaving(3)), "a validator is leaving twice");
    assert_eq!(
        seen(|| {
            let prefix = Candidates::<Test>::hashed_key_for(4);
            sp_io::storage::clear(&prefix);
        }),
        "candidates are miscounted"
    );
    let none = Candidate { own: 0, delegated: 0, delegators: 0, commission: Ppm(0), standing: Standing::Chilled };
    assert_eq!(
        seen(|| (20..30).for_each(|who| Candidates::<Test>::insert(who, none.clone()))),
        "there are too many candidates"
    );
}

#[test]
fn delegations_that_do_not_add_up_are_seen() {
    assert_eq!(seen(Leaving::<Test>::kill), "a delegation is to nobody");
    assert_eq!(seen(|| Delegations::<Test>::insert(3, 13, delegation(0))), "nothing is delegated");
    assert_eq!(seen(|| Delegations::<Test>::insert(3, 13, delegation(5))), "a delegator does not list a delegation");
    let list = |who, validators: Vec<u64>| {
        move || Delegators::<Test>::insert(who, frame_support::BoundedVec::truncate_from(validators))
    };
    assert_eq!(seen(list(13, vec![])), "an empty list of delegations is kept");
    assert_eq!(seen(list(13, vec![1])), "a delegator lists what it does not delegate");
}

#[test]
fn eras_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| PlannedEra::<Test>::put(0)), "eras are not elected one ahead");
    assert_eq!(seen(|| NextPaid::<Test>::put(2)), "an era is paid that is not over");
    assert_eq!(seen(|| NextPruned::<Test>::put(1)), "an era is pruned that is not paid");
    assert_eq!(seen(|| Blocks::<Test>::insert(1, 9, 1)), "a block counts for nobody");
    assert_eq!(seen(|| Blocks::<Test>::insert(1, 2, 1)), "blocks are miscounted");
    let payout =
        |change: fn(&mut EraPayout)| move || Payouts::<Test>::mutate(0, |payout| change(payout.as_mut().unwrap()));
    assert_eq!(seen(|| NextPaid::<Test>::put(1)), "an era is owed that is paid or not over");
    assert_eq!(seen(payout(|payout| payout.left += 1)), "an era is owed more than it earned");
    assert_eq!(seen(payout(|payout| payout.left -= 1)), "what is owed does not add up");
    let rob = || {
        Balances::set_balance(&Staking::pot(), 100);
    };
    assert_eq!(seen(rob), "what is owed is not in the pot");
    let paying = |validator| move || PayingNow::<Test>::put(Paying { validator, earned: 1, page: 0 });
    assert_eq!(seen(paying(9)), "nobody is being paid");
    assert_eq!(
        seen(|| {
            paying(1)();
            run_blocks(1);
            paying(1)();
        }),
        "somebody is paid for an era that is not owed"
    );
}

#[test]
fn exposures_that_do_not_add_up_are_seen() {
    let exposure = |change: fn(&mut Exposure)| {
        move || Exposures::<Test>::mutate(1, 1, |exposure| change(exposure.as_mut().unwrap()))
    };
    let page = |change: fn(&mut PageOf<Test>)| move || ExposurePages::<Test>::mutate((1, 1, 0), change);
    assert_eq!(seen(exposure(|e| e.own += 1)), "an exposure does not add up");
    assert_eq!(seen(exposure(|e| e.copied += 1)), "an exposure has more delegations than it had");
    assert_eq!(seen(page(|page| page[0].amount += 1)), "an exposure does not add up");
    assert_eq!(seen(page(|page| page.clear())), "copied delegations are miscounted");
    assert_eq!(
        seen(page(|page| {
            let again = page[0].clone();
            page.try_push(again).unwrap();
        })),
        "a delegation is copied twice"
    );
    assert_eq!(seen(exposure(|e| (e.copied, e.delegators) = (65, 65))), "a page that is not the last has room");
    let none = Exposure { own: 0, total: 0, commission: Ppm(0), delegators: 0, copied: 0 };
    assert_eq!(seen(|| Exposures::<Test>::insert(2, 1, none)), "an exposure is of an era that is not elected");
    assert_eq!(
        seen(|| CopyingEra::<Test>::put(Copying { era: 0, validator: None, delegator: None })),
        "exposures are copied of an era that was not elected last"
    );
}

#[test]
fn slashes_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| NextSlash::<Test>::put(1)), "a slash has a number that was not given");
    assert_eq!(seen(|| SlashQueue::<Test>::remove(3, 0)), "a slash is not queued");
    assert_eq!(seen(|| SlashQueue::<Test>::insert(3, 7, ())), "a slash is queued that is not announced");
    assert_eq!(seen(|| NextSlashEra::<Test>::put(4)), "a slash was passed over");
    assert_eq!(seen(|| Suspects::<Test>::insert(1, 1)), "slashes against validators are miscounted");
    assert_eq!(seen(|| SlashesOf::<Test>::insert(1, 2)), "slashes about eras are miscounted");
    let worker = "slashes against a worker do not add up";
    assert_eq!(seen(|| WorkerBonds::<Test>::mutate(7, |bond| bond.announced += 1)), worker);
    assert_eq!(
        seen(|| {
            PendingSlashes::<Test>::mutate(1, |pending| pending.as_mut().unwrap().who = 8);
            WorkerBonds::<Test>::mutate(7, |bond| bond.announced = 0);
        }),
        "a slash is against no worker"
    );
    assert_eq!(seen(|| Convictions::<Test>::insert(0, 1, Perbill::zero())), "a conviction is for nothing");
}
