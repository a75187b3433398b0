//! What does not add up is seen.

use crate::{mock::*, Current, CurrentHash, Network as FixedNetwork};
use blyan_primitives::pact::{Network, Pact, Ppm};

/// Corrupts a chain, and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        GenesisPact::do_try_state().unwrap();
        corrupt();
        let error: &str = GenesisPact::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn change(change: fn(&mut Pact)) -> impl FnOnce() {
    move || Current::<Test>::mutate(|pact| change(pact.as_mut().unwrap()))
}

#[test]
fn what_is_missing_is_seen() {
    assert_eq!(seen(FixedNetwork::<Test>::kill), "there is no network");
    assert_eq!(seen(Current::<Test>::kill), "there is no Pact");
    assert_eq!(seen(CurrentHash::<Test>::kill), "there is no hash of the Pact");
}

#[test]
fn a_pact_that_cannot_stand_is_seen() {
    assert_eq!(seen(change(|p| p.staking.max_validators = 0)), "a parameter of the Pact is out of its bounds");
    assert_eq!(seen(change(|p| p.economy.data = Ppm(0))), "the pools' shares of the emission are not the whole of it");
}

#[test]
fn a_hash_that_is_not_the_pacts_is_seen() {
    assert_eq!(seen(change(|p| p.staking.max_validators = 9)), "the stored hash is not the Pact's");
    assert_eq!(seen(|| CurrentHash::<Test>::put([0; 32])), "the stored hash is not the Pact's");
    let longer = Network { session_slots: 11, ..Network::LOCAL };
    assert_eq!(seen(|| FixedNetwork::<Test>::put(longer)), "the stored hash is not the Pact's");
}
