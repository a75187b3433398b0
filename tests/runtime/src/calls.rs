use super::preset;
use blyan_runtime::{
    configs::proxy::ProxyType, constants::currency::BLY, AllPalletsWithSystem, Balances, Proxy, Runtime, RuntimeCall,
    RuntimeEvent, RuntimeOrigin, System,
};
use codec::{Decode, Encode};
use frame_support::{
    assert_ok,
    dispatch::{DispatchResult, GetDispatchInfo, Pays},
    traits::{
        fungible::{Inspect, Mutate},
        Authorize, GetCallIndex, GetCallMetadata, GetCallName, InstanceFilter, PalletsInfoAccess,
    },
};
use polkadot_sdk::*;
use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie, Dave, Eve};
use sp_runtime::MultiAddress;

/// The call with this pallet's and this call's index whose arguments are all zeros: empty lists, first variants.
fn zero_call(pallet: u8, call: u8) -> RuntimeCall {
    let mut bytes = vec![0; 4096];
    bytes[0] = pallet;
    bytes[1] = call;
    RuntimeCall::decode(&mut bytes.as_slice()).unwrap()
}

fn calls_of<C: GetCallIndex + GetCallName>(pallet: u8) -> Vec<(RuntimeCall, &'static str)> {
    let names = C::get_call_names();
    C::get_call_indices().iter().map(|index| zero_call(pallet, *index)).zip(names.iter().copied()).collect()
}

/// Every call of our pallets, with its name.
pub(crate) fn our_calls() -> Vec<(RuntimeCall, &'static str)> {
    let mut calls = calls_of::<pallet_blyan_experts::Call<Runtime>>(50);
    calls.extend(calls_of::<pallet_blyan_meta::Call<Runtime>>(51));
    calls.extend(calls_of::<pallet_blyan_workers::Call<Runtime>>(52));
    calls.extend(calls_of::<pallet_blyan_inference::Call<Runtime>>(53));
    calls.extend(calls_of::<pallet_blyan_pact::Call<Runtime>>(12));
    calls.extend(calls_of::<pallet_blyan_economy::Call<Runtime>>(13));
    calls.extend(calls_of::<pallet_blyan_staking::Call<Runtime>>(24));
    calls.extend(calls_of::<pallet_blyan_dao::Call<Runtime>>(42));
    calls
}

#[test]
fn indices_of_pallets_never_move() {
    let pallets: Vec<_> = AllPalletsWithSystem::infos().into_iter().map(|info| (info.index, info.name)).collect();
    let expected = [
        (0, "System"),
        (1, "Babe"),
        (2, "Timestamp"),
        (10, "Balances"),
        (11, "TransactionPayment"),
        (12, "Pact"),
        (13, "Economy"),
        (3, "Authorship"),
        (24, "Staking"),
        (20, "Offences"),
        (21, "Historical"),
        (22, "Session"),
        (23, "Grandpa"),
        (30, "Utility"),
        (31, "Multisig"),
        (32, "Proxy"),
        (33, "Preimage"),
        (34, "Scheduler"),
        (35, "Migrations"),
        (40, "Sudo"),
        (41, "Referenda"),
        (42, "Dao"),
        (43, "SafeMode"),
        (50, "Experts"),
        (51, "Meta"),
        (52, "Workers"),
        (53, "Inference"),
        (54, "Pol"),
    ];
    assert_eq!(pallets, expected);
}

#[test]
fn every_call_of_ours_has_a_weight() {
    let calls = our_calls();
    assert!(calls.len() >= 20, "only {} calls", calls.len());
    for (call, name) in calls {
        assert_eq!(call.get_call_metadata().function_name, name);
        let info = call.get_dispatch_info();
        assert!(info.call_weight.ref_time() > 0, "{name} costs no time");
        // What is authorised pays nothing as such; a signed transaction with the same call pays for its failure.
        assert_eq!(info.pays_fee, Pays::Yes, "{name}");
    }
}

#[test]
fn heartbeats_and_anchors_alone_need_no_signature() {
    let authorised: Vec<_> = our_calls()
        .into_iter()
        .filter(|(call, _)| call.weight_of_authorize().ref_time() > 0)
        .map(|(_, name)| name)
        .collect();
    assert_eq!(authorised, ["heartbeat", "anchor"]);
}

#[test]
fn proxies_do_no_more_than_they_may() {
    let transfer = zero_call(10, 0);
    let sudo = zero_call(40, 0);
    let (register, heartbeat, redeem, open) = (zero_call(52, 0), zero_call(52, 4), zero_call(53, 2), zero_call(53, 0));
    for call in [&transfer, &sudo, &register, &heartbeat, &redeem, &open] {
        assert!(ProxyType::Any.filter(call));
        assert!(!ProxyType::CancelProxy.filter(call));
    }
    for kind in [ProxyType::NonTransfer, ProxyType::Worker] {
        assert!([&register, &heartbeat, &redeem].iter().all(|call| kind.filter(call)), "{kind:?}");
        assert!([&transfer, &sudo, &open].iter().all(|call| !kind.filter(call)), "{kind:?}");
    }
    // Of multisigs and proxies, those calls that act for other accounts are left out.
    let proxies = calls_of::<pallet_proxy::Call<Runtime>>(32);
    let multisigs = calls_of::<pallet_multisig::Call<Runtime>>(31);
    let allowed = |(call, _): &&(RuntimeCall, &'static str)| ProxyType::NonTransfer.filter(call);
    assert_eq!(multisigs.iter().filter(allowed).count(), 0);
    let left_out: Vec<_> = proxies.iter().filter(|call| !allowed(call)).map(|(_, name)| *name).collect();
    assert_eq!(left_out, ["proxy", "proxy_announced"]);
    assert!(ProxyType::NonTransfer.is_superset(&ProxyType::Worker));
    assert!(!ProxyType::Worker.is_superset(&ProxyType::Any));
}

/// What comes of `call` when Bob makes it for Alice as a proxy of this kind.
fn as_proxy(kind: ProxyType, call: impl Into<RuntimeCall>) -> DispatchResult {
    let (alice, bob) = (Alice.to_account_id(), Bob.to_account_id());
    let real = MultiAddress::Id(alice.clone());
    assert_ok!(Proxy::add_proxy(RuntimeOrigin::signed(alice), MultiAddress::Id(bob.clone()), kind, 0));
    assert_ok!(Proxy::proxy(RuntimeOrigin::signed(bob), real, Some(kind), Box::new(call.into())));
    let executed = System::events().into_iter().rev().find_map(|record| match record.event {
        RuntimeEvent::Proxy(pallet_proxy::Event::ProxyExecuted { result }) => Some(result),
        _ => None,
    });
    executed.unwrap()
}

#[test]
fn a_proxy_that_may_not_transfer_does_not_transfer_in_the_name_of_others() {
    preset("tiny_development").execute_with(|| {
        System::set_block_number(1);
        let [alice, charlie, dave, eve] = [Alice, Charlie, Dave, Eve].map(|who| who.to_account_id());
        let filtered = Err(frame_system::Error::<Runtime>::CallFiltered.into());
        let transfer =
            || pallet_balances::Call::transfer_keep_alive { dest: MultiAddress::Id(eve.clone()), value: BLY };
        let refused = |call: RuntimeCall| {
            let before = Balances::total_balance(&eve);
            assert_eq!(as_proxy(ProxyType::NonTransfer, call), filtered);
            assert_eq!(Balances::total_balance(&eve), before);
            assert_ok!(Proxy::remove_proxies(RuntimeOrigin::signed(alice.clone())));
        };
        refused(transfer().into());

        // Alice holds an account together with Charlie, out of which each of them can pay alone.
        let (other_signatories, threshold) = (vec![charlie.clone()], 1);
        let mut both = vec![alice.clone(), charlie.clone()];
        both.sort();
        let shared = pallet_multisig::Pallet::<Runtime>::multi_account_id(&both, threshold);
        assert_ok!(Balances::mint_into(&shared, 10 * BLY));
        let call = pallet_multisig::Call::as_multi_threshold_1 { other_signatories, call: Box::new(transfer().into()) };
        refused(call.into());

        // And she acts for Dave.
        assert_ok!(Proxy::add_proxy(
            RuntimeOrigin::signed(dave.clone()),
            MultiAddress::Id(alice.clone()),
            ProxyType::Any,
            0
        ));
        let call = Box::new(RuntimeCall::from(transfer()));
        let real = MultiAddress::Id(dave.clone());
        let nested = pallet_proxy::Call::proxy { real: real.clone(), force_proxy_type: None, call: call.clone() };
        refused(nested.clone().into());
        refused(pallet_utility::Call::batch_all { calls: vec![nested.into()] }.into());
        let announced = pallet_proxy::Call::proxy_announced {
            delegate: MultiAddress::Id(alice.clone()),
            real,
            force_proxy_type: None,
            call,
        };
        refused(announced.into());

        // What moves no money of anybody is done.
        assert_eq!(as_proxy(ProxyType::NonTransfer, frame_system::Call::remark { remark: vec![] }), Ok(()));
    });
}

#[test]
fn a_superset_allows_all_that_its_subset_does() {
    use ProxyType::*;
    let all: Vec<_> =
        our_calls().into_iter().map(|(call, _)| call).chain([zero_call(10, 0), zero_call(40, 0)]).collect();
    for outer in [Any, NonTransfer, Worker, CancelProxy] {
        for inner in [Any, NonTransfer, Worker, CancelProxy] {
            if outer.is_superset(&inner) {
                assert!(all.iter().all(|call| !inner.filter(call) || outer.filter(call)), "{outer:?} {inner:?}");
            }
        }
    }
    // The encoding of proxy kinds is in the state: it never moves either.
    assert_eq!([Any, NonTransfer, Worker, CancelProxy].encode(), [0, 1, 2, 3]);
}
