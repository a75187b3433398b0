//! Benchmarks of the calls, each at its worst case.

use crate::{pallet::*, Bond, Unbonding};
use alloc::vec;
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::HardwareId,
    worker::{Heartbeat, Region, Roles, WorkerInfo, MAX_ADDRESSES, MAX_ADDRESS_LEN},
};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{Get, TransactionSource},
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        Authorize,
    },
    BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use polkadot_sdk::*;
use sp_core::{crypto::KeyTypeId, sr25519};
use sp_runtime::traits::{One, Saturating, Zero};

const KEY_TYPE: KeyTypeId = KeyTypeId(*b"blyn");
const HARDWARE: HardwareId = HardwareId([3; 32]);

fn fund<T: Config<Currency: Mutate<T::AccountId>>>(who: &T::AccountId) {
    let amount = T::Deposit::get() + T::MinBond::get() + T::Currency::minimum_balance();
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
    Ok((info.clone(), sign::<T>(&info.key, &info.signing_hash(Pallet::<T>::genesis().as_ref(), who))?))
}

fn sign<T: Config>(key: &[u8; 32], message: &[u8]) -> Result<sr25519::Signature, BenchmarkError> {
    let key = sr25519::Public::from_raw(*key);
    Ok(sp_io::crypto::sr25519_sign(KEY_TYPE, &key, message).ok_or("the keystore has the key")?)
}

/// Registers `who`, and gives its information.
fn registered<T: Config>(who: &T::AccountId) -> Result<WorkerInfo, BenchmarkError> {
    let (info, signature) = signed_info::<T>(who)?;
    Pallet::<T>::do_register(who.clone(), info.clone(), &signature)?;
    Ok(info)
}

/// Fills the bond of `who`, all but one part of it on its way back.
fn fill_bond<T: Config<Currency: Mutate<T::AccountId>>>(
    who: &T::AccountId,
    due: BlockNumberFor<T>,
) -> Result<(), BenchmarkError> {
    let part = Unbonding { amount: T::Currency::minimum_balance(), due };
    let parts = T::MaxUnbonding::get() - 1;
    let unbonding =
        BoundedVec::try_from(vec![part.clone(); parts as usize]).map_err(|_| "fewer parts than the most")?;
    let active = T::MinBond::get();
    let total = active + part.amount * parts.into();
    T::Currency::set_balance(who, total * 10u32.into() + T::Currency::balance(who));
    T::Currency::hold(&HoldReason::Bond.into(), who, total)?;
    Bonds::<T>::insert(who, Bond { active, unbonding });
    Ok(())
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
        Pallet::<T>::do_leave(former)?;
        frame_system::Pallet::<T>::set_block_number(
            frame_system::Pallet::<T>::block_number() + T::CoolingPeriod::get(),
        );
        let who = funded::<T>();
        let (info, signature) = signed_info::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), info, signature);

        assert!(Workers::<T>::contains_key(who));
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
        fill_bond::<T>(&who, One::one())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Workers::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn release_hardware() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        Pallet::<T>::do_leave(who.clone())?;
        frame_system::Pallet::<T>::set_block_number(
            frame_system::Pallet::<T>::block_number() + T::CoolingPeriod::get(),
        );

        #[extrinsic_call]
        _(RawOrigin::Signed(who), HARDWARE);

        assert!(!Hardware::<T>::contains_key(HARDWARE));
        Ok(())
    }

    #[benchmark]
    fn authorize_heartbeat() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        let info = registered::<T>(&who)?;
        let sound = present_heartbeat::<T>();
        let signature = sign::<T>(&info.key, &sound.signing_hash(Pallet::<T>::genesis().as_ref()))?;
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
    fn bond() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        fill_bond::<T>(&who, One::one())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), T::MinBond::get());

        assert_eq!(Bonds::<T>::get(who).map(|held| held.active), Some(T::MinBond::get() * 2u32.into()));
        Ok(())
    }

    #[benchmark]
    fn unbond() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        fill_bond::<T>(&who, One::one())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), T::MinBond::get());

        assert!(Bonds::<T>::get(who).is_some_and(|held| held.active.is_zero()));
        Ok(())
    }

    // Every part is due.
    #[benchmark]
    fn withdraw_unbonded() -> Result<(), BenchmarkError> {
        let who = funded::<T>();
        registered::<T>(&who)?;
        fill_bond::<T>(&who, One::one())?;
        Pallet::<T>::do_unbond(who.clone(), T::MinBond::get())?;
        let now = frame_system::Pallet::<T>::block_number();
        frame_system::Pallet::<T>::set_block_number(
            now.saturating_add(T::UnbondingPeriod::get()).saturating_add(One::one()),
        );

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Bonds::<T>::contains_key(who));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
