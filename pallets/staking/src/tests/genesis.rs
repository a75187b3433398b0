use crate::{mock::*, *};
use blyan_primitives::pact::Ppm;

#[test]
fn the_first_validators_are_those_of_the_genesis() {
    run(|| {
        assert_eq!(Session::validators(), GENESIS);
        let exposure = Exposure { own: BOND, total: BOND + 5_000, commission: Ppm(100_000), delegators: 1, copied: 1 };
        assert_eq!(Exposures::<Test>::get(0, 1), Some(exposure));
        assert_eq!((held(BondKind::Validator, 1), held(BondKind::Delegation, DELEGATOR)), (BOND, 5_000));
        assert_eq!((ActiveEra::<Test>::get(), PlannedEra::<Test>::get()), (0, 0));
    });
}

#[test]
fn when_every_session_is_an_era_the_first_two_are_elected() {
    SessionsPerEra::set(1);
    run(|| {
        assert_eq!(PlannedEra::<Test>::get(), 1);
        for era in [0, 1] {
            assert!(GENESIS.iter().all(|who| Exposures::<Test>::get(era, who).unwrap().is_complete()));
        }
    });
}

#[test]
fn without_candidates_those_with_keys_validate() {
    genesis(vec![], vec![]).execute_with(|| {
        assert_eq!(Session::validators(), GENESIS);
        // Nobody has a stake: of those who are there, as many stay as must.
        run_to_session(3);
        assert_eq!(Session::validators(), [1, 2]);
        assert_eq!(Staking::do_try_state(), Ok(()));
    });
}

#[test]
fn only_as_many_as_there_are_seats_validate() {
    amend(|rules| rules.max_validators = 3);
    let bonds = [(1, 1_000), (2, 4_000), (3, 3_000), (4, 2_000)];
    let validators = bonds.map(|(who, bond)| (who, bond, Ppm(0))).to_vec();
    genesis(validators, vec![(11, 1, 3_500)]).execute_with(|| {
        assert_eq!(Session::validators(), [1, 2, 3]);
    });
}

fn refused(validators: Vec<(u64, u128, Ppm)>, delegations: Vec<(u64, u64, u128)>) -> String {
    let result = std::panic::catch_unwind(|| genesis(validators, delegations));
    let panic = result.err().unwrap();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| panic.downcast_ref::<&str>().unwrap().to_string())
}

#[test]
fn a_genesis_that_cannot_stand_is_refused() {
    let one = |bond, commission| vec![(1, bond, Ppm(commission))];
    let sound = || one(BOND, 0);
    assert!(refused(one(FUNDS + 1, 0), vec![]).contains("cannot bond"));
    assert!(refused(one(MIN_SELF - 1, 0), vec![]).contains("less than the least"));
    assert!(refused(one(BOND, 250_001), vec![]).contains("too high a commission"));
    assert!(refused([sound(), sound()].concat(), vec![]).contains("validator twice"));
    assert!(refused((1..=9).map(|who| (who, BOND, Ppm(0))).collect(), vec![]).contains("too many"));
    assert!(refused(sound(), vec![(11, 2, 100)]).contains("no place"));
    assert!(refused(sound(), (11..=15).map(|who| (who, 1, 100)).collect()).contains("no place"));
    assert!(refused(sound(), vec![(1, 1, 100)]).contains("to itself"));
    assert!(refused(sound(), vec![(11, 1, 100), (11, 1, 100)]).contains("delegates twice"));
    assert!(refused(sound(), vec![(11, 1, MIN_DELEGATION - 1)]).contains("less than the least"));
    assert!(refused(sound(), vec![(11, 1, FUNDS + 1)]).contains("cannot bond"));
    let four = (1..=4).map(|who| (who, BOND, Ppm(0))).collect();
    assert!(refused(four, (1..=4).map(|to| (11, to, 100)).collect()).contains("too many validators"));
    amend(|rules| rules.max_commission = Ppm(2_000_000));
    assert!(refused(one(BOND, 1_000_001), vec![]).contains("more than all"));
}
