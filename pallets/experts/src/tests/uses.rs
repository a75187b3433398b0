use crate::{mock::*, Blocks, Error, Registrations};
use blyan_primitives::{
    block::Form,
    ids::ContentHash,
    traits::{BlockRegistry, BlockUses, SlotHeads, UseError},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use proptest::prelude::*;

fn uses(block: ContentHash) -> u32 {
    Blocks::<Test>::get(block).unwrap().uses
}

fn unregister(block: ContentHash) -> sp_runtime::DispatchResult {
    Experts::unregister(RuntimeOrigin::signed(ALICE), block)
}

#[test]
fn a_block_in_use_stays_until_the_last_use_is_given_back() {
    run(|| {
        let block = registered(&expert(Form::Serving, 1), None);
        assert_ok!(Experts::acquire(block));
        assert_ok!(Experts::acquire(block));
        Experts::release(block);
        assert_noop!(unregister(block), Error::<Test>::InUse);
        Experts::release(block);
        assert_ok!(unregister(block));
    });
}

#[test]
fn a_block_in_use_stays_with_the_last_who_registered_it() {
    run(|| {
        let header = expert(Form::Serving, 1);
        let block = registered(&header, None);
        assert_ok!(register(BOB, &header, None));
        assert_ok!(Experts::acquire(block));
        assert_ok!(unregister(block));
        let bob = RuntimeOrigin::signed(BOB);
        assert_noop!(Experts::unregister(bob.clone(), block), Error::<Test>::InUse);
        Experts::release(block);
        assert_ok!(Experts::unregister(bob, block));
        assert_eq!(Experts::block(block), None);
    });
}

#[test]
fn a_master_stays_while_its_account_has_a_serving_form_of_it_registered() {
    run(|| {
        let (master_header, serving_header) = (expert(Form::Master, 1), expert(Form::Serving, 1));
        let master = registered(&master_header, None);
        let serving = registered(&serving_header, Some(master));
        // Not even beside somebody else's, for that one can go at any time.
        assert_ok!(register(BOB, &master_header, None));
        assert_eq!((uses(master), Experts::registration(master, ALICE).unwrap().derived), (0, 1));
        assert_noop!(unregister(master), Error::<Test>::InUse);
        assert_ok!(Experts::unregister(RuntimeOrigin::signed(BOB), master));
        assert_ok!(unregister(serving));
        assert_ok!(unregister(master));
    });
}

#[test]
fn what_is_not_registered_cannot_be_used() {
    run(|| {
        let unknown = ContentHash([7; 32]);
        assert_eq!(Experts::acquire(unknown), Err(UseError::Unknown));
        Experts::release(unknown);
        assert_eq!(<Experts as BlockRegistry>::block(unknown), None);
    });
}

#[test]
fn uses_do_not_overflow() {
    run(|| {
        let master = registered(&expert(Form::Master, 1), None);
        Blocks::<Test>::mutate(master, |entry| entry.as_mut().unwrap().uses = u32::MAX);
        assert_eq!(Experts::acquire(master), Err(UseError::TooMany));
        let block = registered(&expert(Form::Serving, 2), None);
        Blocks::<Test>::mutate(block, |entry| entry.as_mut().unwrap().uses = u32::MAX);
        let base = expert(Form::Serving, 0).content_hash();
        assert!(matches!(Experts::move_head(&slot(0, 0), base, block), Err(Error::TooManyUses)));
    });
}

#[test]
fn serving_forms_of_a_master_do_not_overflow() {
    new_test_ext().execute_with(|| {
        let master = registered(&expert(Form::Master, 1), None);
        Registrations::<Test>::mutate(master, ALICE, |own| own.as_mut().unwrap().derived = u32::MAX);
        assert_noop!(register(ALICE, &expert(Form::Serving, 1), Some(master)), Error::<Test>::TooManyUses);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register(u64, u8, bool),
    Unregister(u64, u8, bool),
    Move(u16, u8),
    Fill(u16, u16, u8),
    Release(u32),
    Deprecate(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, seed) = (1u64..4, 0u8..4);
    prop_oneof![
        (who.clone(), seed.clone(), any::<bool>()).prop_map(|(who, seed, form)| Step::Register(who, seed, form)),
        (who, seed.clone(), any::<bool>()).prop_map(|(who, seed, form)| Step::Unregister(who, seed, form)),
        (0u16..3, seed.clone()).prop_map(|(index, seed)| Step::Move(index, seed)),
        (0u16..3, 0u16..4, seed).prop_map(|(layer, index, seed)| Step::Fill(layer, index, seed)),
        (0u32..6).prop_map(Step::Release),
        any::<bool>().prop_map(Step::Deprecate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn deposits_and_uses_add_up_whatever_happens(steps in proptest::collection::vec(step(), 1..40)) {
        new_test_ext().execute_with(|| {
            publish_successor();
            for step in steps {
                // A refused step changes nothing, which the invariants after it would show.
                let _ = match step {
                    Step::Register(who, seed, true) => register(who, &expert(Form::Master, seed), None),
                    Step::Register(who, seed, false) => {
                        let master = Some(expert(Form::Master, seed).content_hash());
                        register(who, &expert(Form::Serving, seed), master)
                    },
                    Step::Unregister(who, seed, master) => {
                        let form = if master { Form::Master } else { Form::Serving };
                        let block = expert(form, seed).content_hash();
                        Experts::unregister(RuntimeOrigin::signed(who), block)
                    },
                    Step::Move(index, seed) => {
                        let base = Experts::head(slot(0, index)).map_or_else(Default::default, |head| head.block);
                        let next = expert(Form::Serving, seed).content_hash();
                        Experts::move_head(&slot(0, index), base, next).map_err(Into::into)
                    },
                    Step::Fill(layer, index, seed) => {
                        let block = expert(Form::Serving, seed).content_hash();
                        Experts::fill_head(RuntimeOrigin::root(), SUCCESSOR, layer, index, block)
                    },
                    Step::Release(limit) => {
                        let signed = RuntimeOrigin::signed(BOB);
                        Experts::release_heads(signed, LINEAGE, limit).map(|_| ()).map_err(|error| error.error)
                    },
                    Step::Deprecate(deprecated) => {
                        let life = if deprecated { Life::Deprecated } else { Life::Active };
                        set_life(LINEAGE, life);
                        set_life(SUCCESSOR, life);
                        Ok(())
                    },
                };
                prop_assert_eq!(Experts::do_try_state(), Ok(()));
            }
            Ok(())
        })?;
    }
}
