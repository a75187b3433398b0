use crate::{mock::*, Current, CurrentHash, Network as FixedNetwork, SessionSlots};
use blyan_primitives::{
    pact::{bounds_hash, Network, NetworkKind, Pact},
    traits::PactProvider,
};
use frame_support::traits::Get;
use polkadot_sdk::*;

#[test]
fn all_that_is_fixed_and_changeable_can_be_read() {
    run(|| {
        let pact = Pact::default_for(NetworkKind::Local);
        assert_eq!(GenesisPact::network(), Network::LOCAL);
        assert_eq!(GenesisPact::entries(), pact.entries(NetworkKind::Local));
        assert_eq!(GenesisPact::hash(), pact.hash(&Network::LOCAL));
        assert_eq!(GenesisPact::bounds_hash(), bounds_hash(NetworkKind::Local));
        assert_eq!(GenesisPact::pact(), pact);
    });
}

#[test]
fn other_pallets_read_the_same() {
    run(|| {
        assert_eq!(<GenesisPact as PactProvider>::pact(), GenesisPact::pact());
        assert_eq!(<GenesisPact as PactProvider>::network(), Network::LOCAL);
    });
}

#[test]
fn a_session_is_as_long_as_the_network_has_it() {
    run(|| {
        assert_eq!(GenesisPact::session_slots(), 10);
        assert_eq!(<SessionSlots<Test> as Get<u64>>::get(), 10);
        // Nothing but the network is needed to know it.
        let pact = Current::<Test>::take().unwrap();
        assert_eq!(<SessionSlots<Test> as Get<u32>>::get(), 10);
        Current::<Test>::put(pact);
    });
}

#[test]
fn without_a_genesis_the_defaults_of_a_public_network_hold() {
    sp_io::TestExternalities::default().execute_with(|| {
        let pact = Pact::default_for(NetworkKind::Public);
        assert_eq!(GenesisPact::network(), Network::PUBLIC);
        assert_eq!(GenesisPact::hash(), pact.hash(&Network::PUBLIC));
        assert_eq!(GenesisPact::pact(), pact);
        assert_eq!(GenesisPact::session_slots(), 200);
        assert_eq!(GenesisPact::bounds_hash(), bounds_hash(NetworkKind::Public));
    });
}

#[test]
fn without_a_pact_the_networks_defaults_hold() {
    run(|| {
        let (pact, hash) = (Current::<Test>::take().unwrap(), CurrentHash::<Test>::take().unwrap());
        assert_eq!(GenesisPact::pact(), Pact::default_for(NetworkKind::Local));
        assert_eq!(GenesisPact::hash(), hash);
        assert_eq!(FixedNetwork::<Test>::get(), Some(Network::LOCAL));
        Current::<Test>::put(pact);
        CurrentHash::<Test>::put(hash);
    });
}
