use crate::{mock::*, Blocks, Error};
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
fn a_master_stays_while_a_serving_form_of_it_is_registered() {
    run(|| {
        let master = registered(&expert(Form::Master, 1), None);
        let serving = registered(&expert(Form::Serving, 1), Some(master));
        assert_eq!(uses(master), 1);
        assert_noop!(unregister(master), Error::<Test>::InUse);
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
        assert_noop!(register(ALICE, &expert(Form::Serving, 1), Some(master)), Error::<Test>::TooManyUses);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register(u64, u8, bool),
    Unregister(u64, u8, bool),
    Move(u16, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, seed) = (1u64..4, 0u8..4);
    prop_oneof![
        (who.clone(), seed.clone(), any::<bool>()).prop_map(|(who, seed, form)| Step::Register(who, seed, form)),
        (who, seed.clone(), any::<bool>()).prop_map(|(who, seed, form)| Step::Unregister(who, seed, form)),
        (0u16..3, seed).prop_map(|(index, seed)| Step::Move(index, seed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn deposits_and_uses_add_up_whatever_happens(steps in proptest::collection::vec(step(), 1..40)) {
        new_test_ext().execute_with(|| {
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
                        let base = Experts::head(slot(0, index)).unwrap().block;
                        let next = expert(Form::Serving, seed).content_hash();
                        Experts::move_head(&slot(0, index), base, next).map_err(Into::into)
                    },
                };
                prop_assert_eq!(Experts::do_try_state(), Ok(()));
            }
            Ok(())
        })?;
    }
}
