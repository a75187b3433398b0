//! Benchmarks of the calls, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

use crate::{pallet::*, HardwareBinding, WorkerRecord};
use alloc::vec;
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::HardwareId,
    traits::Standings as _,
    trust::Standing,
    worker::{Heartbeat, PeerId, Region, Roles, WorkerInfo, MAX_ADDRESSES, MAX_ADDRESS_LEN},
};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{Get, TransactionSource},
    traits::{
        fungible::{Inspect, Mutate},
        Authorize, EnsureOrigin,
    },
    BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use polkadot_sdk::*;
use sp_core::{crypto::KeyTypeId, sr25519};

const KEY_TYPE: KeyTypeId = KeyTypeId(*b"blyn");
const HARDWARE: HardwareId = HardwareId([3; 32]);

fn fund<T: Config<Currency: Mutate<T::AccountId>>>(who: &T::AccountId) {
    let amount = T::Deposit::get() + T::Currency::minimum_balance();
    T::Currency::set_balance(who, amount * 10u32.into());
}

fn funded<T: Config<Currency: Mutate<T::AccountId>>>() -> T::AccountId {
    let who = whitelisted_caller::<T::AccountId>();
    fund::<T>(&who);
    who
}

/// Information as long as it can be, with a new key, and the key's signature.
fn signed_info<T: Config>(who: &T::AccountId) -> Result<(WorkerInfo, sr25519::Signature), BenchmarkError> {
    let key = sp_io::crypto::sr25519_generate(KEY_TYPE, None);
    let mut address = vec![b'a'; MAX_ADDRESS_LEN as usize];
    address[0] = b'/';
    let address = BoundedVec::try_from(address).map_err(|_| "an address of the greatest length")?;
    let mut peer_id = vec![0x00, 42];
    peer_id.resize(44, 7);
    let info = WorkerInfo {
        key: key.0,
        peer_id: peer_id.try_into().map_err(|_| "a peer id of the greatest length")?,
        addresses: vec![address; MAX_ADDRESSES as usize].try_into().map_err(|_| "as many addresses as there can be")?,
        region: Region::new("GB-ENG").ok_or("a region")?,
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 8, ..Default::default() },
        hardware_id: HARDWARE,
        roles: Roles::ALL,
    };
    Ok((info.clone(), sign(&info.key, &info.signing_hash(Pallet::<T>::genesis().as_ref(), who))?))
}

fn sign(key: &[u8; 32], message: &[u8]) -> Result<sr25519::Signature, BenchmarkError> {
    let key = sr25519::Public::from_raw(*key);
    Ok(sp_io::crypto::sr25519_sign(KEY_TYPE, &key, message).ok_or("the keystore has the key")?)
}

/// Registers `who`, and gives its information.
fn registered<T: Config>(who: &T::AccountId) -> Result<WorkerInfo, BenchmarkError> {
    let (info, signature) = signed_info::<T>(who)?;
    Pallet::<T>::do_register(who.clone(), info.clone(), &signature)?;
    Ok(info)
}

/// Gives `who` a standing of which nothing counts any more.
fn outlive_quarantine<T: Config>(who: &T::AccountId) {
    Standings::<T>::insert(who, Standing { quarantined_until: Some(0), ..Standing::default() });
}

/// Waits until a machine that was left in this block is free.
fn cool_down<T: Config>() {
    frame_system::Pallet::<T>::set_block_number(frame_system::Pallet::<T>::block_number() + T::CoolingPeriod::get());
}

/// Makes `account` a member with `machine`, as if its worker had registered and sent its heartbeat. No deposit is held, so
/// that the account needs no money.
pub(crate) fn add_member<T: Config>(account: &T::AccountId, machine: HardwareId) {
    let digest = [&[0x12, 32][..], &machine.0].concat();
    let (Ok(peer_id), Some(region)) = (PeerId::try_from(digest), Region::new("DE")) else {
        unreachable!("both are sound")
    };
    let info = WorkerInfo {
        key: machine.0,
        peer_id,
        addresses: Default::default(),
        region,
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 1, ..Default::default() },
        hardware_id: machine,
        roles: Roles::SERVE,
    };
    let (tier, registered_at) = (info.hardware.tier(), frame_system::Pallet::<T>::block_number());
    Keys::<T>::insert(info.key, account);
    Hardware::<T>::insert(machine, HardwareBinding { owner: account.clone(), deposit: 0u32.into(), free_at: None });
    Workers::<T>::insert(account, WorkerRecord { info, tier, registered_at });
    LastHeartbeat::<T>::insert(account, Pallet::<T>::current_period());
}

/// A heartbeat for the period after the present one, in whose first block it leaves the chain.
fn present_heartbeat<T: Config>() -> Heartbeat<T::AccountId, BlockNumberFor<T>> {
    let next = BlockNumberFor::<T>::from(Pallet::<T>::current_period() + 1);
    frame_system::Pallet::<T>::set_block_number(next * T::HeartbeatPeriod::get());
    Heartbeat {
        worker: whitelisted_caller(),
        period: Pallet::<T>::current_period(),
        expires_at: frame_system::Pallet::<T>::block_number(),
    }
}

#[benchmarks(where T: Config<Currency: Mutate<T::AccountId>>)]
mod benchmarks {
    use super::*;

    // The machine was bound to another account, whose deposit returns.
    #[benchmark]
    fn register() -> Result<(), BenchmarkError> {
        let former: T::AccountId = account("former", 0, 0);
        fund::<T>(&former);
        registered::<T>(&former)?;
        Pallet::<T>::do_leave(former.clone())?;
        outlive_quarantine::<T>(&former);
        cool_down::<T>();
        let who = funded::<T>();
        let (info, signature) = signed_info::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), info, signature);

        assert!(Workers::<T>::contains_key(who) && !Standings::<T>::contains_key(former));
        Ok(())
    }

    #[benchmark]
    fn update() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        let (info, signature) = signed_info::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), info.clone(), signature);

        assert_eq!(Keys::<T>::get(info.key), Some(who));
        Ok(())
    }

    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        Pallet::<T>::do_heartbeat(present_heartbeat::<T>())?;
        outlive_quarantine::<T>(&who);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Workers::<T>::contains_key(&who) && !Standings::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn release_hardware() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        Pallet::<T>::do_leave(who.clone())?;
        outlive_quarantine::<T>(&who);
        cool_down::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), HARDWARE);

        assert!(!Hardware::<T>::contains_key(HARDWARE) && !Standings::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn authorize_heartbeat() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        let info = registered::<T>(&who)?;
        let sound = present_heartbeat::<T>();
        let signature = sign(&info.key, &sound.signing_hash(Pallet::<T>::genesis().as_ref()))?;
        let call = Call::<T>::heartbeat { heartbeat: sound, signature };

        #[block]
        {
            call.authorize(TransactionSource::External)
                .ok_or("heartbeats are authorised")?
                .map_err(|_| "the heartbeat is sound")?;
        }

        Ok(())
    }

    #[benchmark]
    fn heartbeat() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        let sound = present_heartbeat::<T>();

        #[extrinsic_call]
        _(RawOrigin::Authorized, sound, sr25519::Signature::from_raw([0; 64]));

        assert!(LastHeartbeat::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn quarantine() -> Result<(), BenchmarkError> {
        let origin = T::GuardianOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let who = funded::<T>();
        registered::<T>(&who)?;
        Pallet::<T>::succeed(&who);

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, who.clone());

        assert!(Standings::<T>::get(who).quarantined_until.is_some());
        Ok(())
    }

    #[benchmark]
    fn release() -> Result<(), BenchmarkError> {
        let origin = T::GuardianOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let who = funded::<T>();
        registered::<T>(&who)?;
        Pallet::<T>::do_quarantine(who.clone())?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, who.clone());

        assert!(!Standings::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn forget_standing() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        outlive_quarantine::<T>(&who);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), who.clone());

        assert!(!Standings::<T>::contains_key(who));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
