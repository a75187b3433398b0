use crate::{mock::*, Current, CurrentHash, Network as FixedNetwork};
use blyan_primitives::pact::{Network, NetworkKind, Pact, Ppm};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What the genesis of a chain with this Pact panics with.
fn refusal(network: Network, pact: Pact) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| genesis_ext(network, Some(pact)))).err().unwrap();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn a_chain_starts_with_the_defaults_of_its_kind() {
    for network in [Network::PUBLIC, Network::LOCAL] {
        genesis_ext(network, None).execute_with(|| {
            let pact = Pact::default_for(network.kind);
            assert_eq!(FixedNetwork::<Test>::get(), Some(network));
            assert_eq!(CurrentHash::<Test>::get(), Some(pact.hash(&network)));
            assert_eq!(Current::<Test>::get(), Some(pact));
            assert_eq!(GenesisPact::revision(), 0);
            GenesisPact::do_try_state().unwrap();
        });
    }
}

#[test]
fn a_chain_can_start_with_a_pact_of_its_own() {
    let mut pact = Pact::default_for(NetworkKind::Local);
    pact.staking.max_validators = 9;
    genesis_ext(Network::LOCAL, Some(pact.clone())).execute_with(|| {
        assert_eq!(GenesisPact::pact(), pact);
        assert_eq!(GenesisPact::hash(), pact.hash(&Network::LOCAL));
        GenesisPact::do_try_state().unwrap();
    });
}

#[test]
fn a_pact_that_cannot_stand_does_not_start() {
    let mut pact = Pact::default_for(NetworkKind::Public);
    pact.staking.max_validators = 100_000;
    let text = refusal(Network::PUBLIC, pact);
    assert!(text.contains("staking.max_validators is 100000, and must be between 4 and 256"), "{text}");

    let mut pact = Pact::default_for(NetworkKind::Local);
    pact.economy.validation = Ppm(0);
    let text = refusal(Network::LOCAL, pact);
    assert!(text.contains("shares of the emission are not the whole of it"), "{text}");

    let text = refusal(Network { session_slots: 1, ..Network::LOCAL }, Pact::default_for(NetworkKind::Local));
    assert!(text.contains("network.session_slots is 1"), "{text}");
}

#[test]
fn the_defaults_of_a_local_network_are_no_public_pact() {
    let text = refusal(Network::PUBLIC, Pact::default_for(NetworkKind::Local));
    assert!(text.contains("must be between"), "{text}");
}

#[test]
fn a_genesis_passes_through_json() {
    let pact = Pact::default_for(NetworkKind::Public);
    let config =
        crate::GenesisConfig::<Test> { network: Network::PUBLIC, pact: Some(pact), _config: Default::default() };
    let json = serde_json::to_string(&config).unwrap();
    let read: crate::GenesisConfig<Test> = serde_json::from_str(&json).unwrap();
    assert_eq!((read.network, read.pact), (config.network, config.pact));

    let short = r#"{"network":{"kind":"local","session_slots":10,"sessions_per_era":1},"pact":null}"#;
    let read: crate::GenesisConfig<Test> = serde_json::from_str(short).unwrap();
    assert_eq!((read.network, read.pact), (Network::LOCAL, None));
}
