use super::{chain::two_blocks, preset};
use blyan_runtime::{
    AccountId, Babe, Header, Historical, Offences, Runtime, RuntimeEvent, RuntimeOrigin, Session, SessionKeys, Staking,
    System,
};
use frame_support::traits::KeyOwnerProofSystem;
use pallet_blyan_staking::Charge;
use pallet_session::{DisabledValidators, NextKeys, QueuedKeys, SessionManager};
use polkadot_sdk::*;
use sp_core::{ed25519, sr25519};
use sp_keyring::Sr25519Keyring::{Alice, Bob};
use sp_runtime::Perbill;
use sp_staking::offence::ReportOffence;

fn new_session() -> Option<Vec<AccountId>> {
    <Staking as SessionManager<_>>::new_session(2)
}

fn report(offender: AccountId) -> Result<(), sp_staking::offence::OffenceError> {
    let offence = pallet_babe::EquivocationOffence {
        slot: 7.into(),
        session_index: 0,
        validator_set_count: 4,
        offender: (offender, ()),
    };
    Offences::report_offence(vec![Bob.to_account_id()], offence)
}

#[test]
fn the_validators_stay_who_they_are() {
    preset("tiny_local").execute_with(|| {
        assert_eq!(Session::validators().len(), 4);
        // Nothing to announce, so that GRANDPA does not change its set.
        assert_eq!(new_session(), None);
    });
}

#[test]
fn rotated_keys_are_announced_with_the_whole_set() {
    preset("tiny_local").execute_with(|| {
        let keys = SessionKeys {
            babe: sr25519::Public::from_raw([1; 32]).into(),
            grandpa: ed25519::Public::from_raw([2; 32]).into(),
        };
        NextKeys::<Runtime>::insert(Alice.to_account_id(), keys);
        assert_eq!(new_session().unwrap().len(), 4);
    });
}

#[test]
fn a_validator_without_keys_leaves() {
    preset("tiny_local").execute_with(|| {
        NextKeys::<Runtime>::remove(Alice.to_account_id());
        let next = new_session().unwrap();
        assert_eq!(next.len(), 3);
        assert!(!next.contains(&Alice.to_account_id()));
    });
}

/// Ends the present session, and the one after it, so that what is decided now is in force.
fn two_sessions() {
    Session::rotate_session();
    Session::rotate_session();
}

#[test]
fn the_last_validators_stay_whatever_becomes_of_their_keys() {
    for (id, count) in [("tiny_development", 1), ("tiny_local", 4)] {
        preset(id).execute_with(|| {
            System::set_block_number(1);
            let validators = Session::validators();
            assert_eq!(validators.len(), count);
            let keys = QueuedKeys::<Runtime>::get();
            for who in &validators {
                Session::purge_keys(RuntimeOrigin::signed(who.clone())).unwrap();
            }
            assert_eq!(NextKeys::<Runtime>::iter().count(), 0);
            for _ in 0..3 {
                two_sessions();
                assert_eq!(Session::validators(), validators);
                assert_eq!(QueuedKeys::<Runtime>::get(), keys);
                assert_eq!(Babe::authorities().len(), count);
                assert_eq!(blyan_runtime::Grandpa::grandpa_authorities().len(), count);
            }
            // Their keys can be told again, and changed: the deposit is asked for then.
            let alice = Alice.to_account_id();
            assert_eq!(Session::key_owner(sp_consensus_babe::KEY_TYPE, Alice.public().as_ref()), Some(alice.clone()));
            Session::purge_keys(RuntimeOrigin::signed(alice.clone())).unwrap();
            two_sessions();
            assert_eq!(Session::validators().contains(&alice), count == 1);
        });
    }
}

#[test]
fn strangers_with_keys_do_not_become_validators() {
    preset("tiny_local").execute_with(|| {
        let (_, keys) = QueuedKeys::<Runtime>::get().remove(0);
        NextKeys::<Runtime>::insert(AccountId::from([9; 32]), keys);
        assert_eq!(new_session(), None);
    });
}

#[test]
fn an_equivocation_is_kept_and_disables_the_offender_until_it_has_left_the_set() {
    preset("tiny_local").execute_with(|| {
        System::set_block_number(1);
        let offender = Alice.to_account_id();
        report(offender.clone()).unwrap();
        assert!(System::events().iter().any(|record| matches!(record.event, RuntimeEvent::Offences(_))));
        assert_eq!(pallet_offences::Reports::<Runtime>::iter().count(), 1);
        let index = Session::validators().iter().position(|who| *who == offender).unwrap() as u32;
        let disabled: Vec<_> = DisabledValidators::<Runtime>::get().into_iter().map(|(index, _)| index).collect();
        assert_eq!(disabled, [index]);
        assert!(report(offender.clone()).is_err(), "the same offence counts once");

        // The set is announced without it, and the session pallet clears the list when it changes.
        let next = new_session().unwrap();
        assert_eq!(next.len(), 3);
        assert!(!next.contains(&offender));
    });
}

#[test]
fn too_many_offenders_do_not_stop_finality() {
    preset("tiny_local").execute_with(|| {
        for validator in Session::validators() {
            report(validator).unwrap();
        }
        assert_eq!(DisabledValidators::<Runtime>::get().len(), 1);
    });
}

/// Two different blocks that Alice wrote and sealed in the same slot.
fn alices_two_blocks(slot: u64) -> sp_consensus_babe::EquivocationProof<Header> {
    let author = Session::validators().iter().position(|who| *who == Alice.to_account_id()).unwrap() as u32;
    two_blocks(&Alice.pair(), author, slot)
}

#[test]
fn two_sealed_blocks_and_a_proof_of_the_key_make_a_report() {
    preset("tiny_local").execute_with(|| {
        System::set_block_number(1);
        pallet_babe::GenesisSlot::<Runtime>::put(sp_consensus_babe::Slot::from(1));
        let proof = alices_two_blocks(7);
        let owner = Historical::prove((sp_consensus_babe::KEY_TYPE, proof.offender.clone())).unwrap();
        let report = |proof| Babe::report_equivocation_unsigned(RuntimeOrigin::none(), Box::new(proof), owner.clone());

        // Without seals, nobody can tell who wrote the blocks.
        let mut unsealed = proof.clone();
        unsealed.first_header.digest.pop();
        unsealed.second_header.digest.pop();
        assert!(report(unsealed).is_err());
        assert_eq!(DisabledValidators::<Runtime>::get().len(), 0);

        report(proof.clone()).unwrap();
        assert_eq!(DisabledValidators::<Runtime>::get().len(), 1);
        assert!(report(proof).is_err(), "the same offence counts once");
    });
}

#[test]
fn what_happens_in_the_last_slot_of_a_session_is_reported_in_the_next() {
    preset("tiny_local").execute_with(|| {
        System::set_block_number(1);
        pallet_babe::GenesisSlot::<Runtime>::put(sp_consensus_babe::Slot::from(1));
        let proof = alices_two_blocks(10);
        let owner = Historical::prove((sp_consensus_babe::KEY_TYPE, proof.offender.clone())).unwrap();
        Session::rotate_session();
        assert_eq!((owner.session, Session::current_index()), (0, 1));
        Babe::report_equivocation_unsigned(RuntimeOrigin::none(), Box::new(proof), owner).unwrap();
        let [(_, slash)] = Staking::pending_slashes(None, 2).try_into().unwrap();
        assert_eq!(slash.who, Alice.to_account_id());
        let Charge::Validator { era, fraction } = slash.charge else { panic!("{:?} is no validator's", slash.charge) };
        assert_eq!((era, fraction), (0, Perbill::from_rational(9u32, 16)));
    });
}

#[test]
fn what_happens_in_the_first_slot_of_a_session_is_proved_in_that_session() {
    preset("tiny_local").execute_with(|| {
        System::set_block_number(1);
        pallet_babe::GenesisSlot::<Runtime>::put(sp_consensus_babe::Slot::from(1));
        let proof = alices_two_blocks(11);
        let prove_key = || Historical::prove((sp_consensus_babe::KEY_TYPE, proof.offender.clone())).unwrap();
        let report = |owner| Babe::report_equivocation_unsigned(RuntimeOrigin::none(), Box::new(proof.clone()), owner);
        let before = prove_key();
        Session::rotate_session();
        assert!(report(before).is_err(), "a key of the session before");
        report(prove_key()).unwrap();
        assert_eq!(Staking::pending_slashes(None, 2).len(), 1);
    });
}
