//! Benchmarks of the calls, each at its worst case.

use crate::pallet::*;
use alloc::{format, string::String, vec, vec::Vec};
use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, MAX_ONCHAIN_HEADER_LEN,
        TENSOR_ALIGN,
    },
    ids::{ContentHash, TileRoot},
};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::Get,
    traits::fungible::{Inspect, Mutate},
};
use frame_system::RawOrigin;
use polkadot_sdk::*;

/// A header of `tensors` small tensors: the more there are in a byte, the more there is to check.
fn header(form: Form, tensors: u32) -> Vec<u8> {
    let tensor = |i: u32| TensorInfo {
        name: format!("{i:x}"),
        dtype: DType::U8,
        layout: Layout::RowMajor,
        shape: vec![1],
        offset: u64::from(i) * TENSOR_ALIGN,
        length: 1,
    };
    BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Trunk,
        form,
        quantisation: Quantisation::None,
        arch: String::new(),
        engine: Vec::new(),
        tensors: (0..tensors).map(tensor).collect(),
        data_len: u64::from(tensors.saturating_sub(1)) * TENSOR_ALIGN + 1,
        root: TileRoot([7; 32]),
    }
    .encode()
}

/// An account that can pay for a few blocks.
fn funded<T: Config<Currency: Mutate<T::AccountId>>>() -> T::AccountId {
    let who = whitelisted_caller::<T::AccountId>();
    let amount = (T::BlockDeposit::get() + T::Currency::minimum_balance()) * 10u32.into();
    T::Currency::set_balance(&who, amount);
    who
}

fn register<T: Config>(
    who: &T::AccountId,
    header: Vec<u8>,
    master: Option<ContentHash>,
) -> Result<ContentHash, BenchmarkError> {
    let block = blyan_primitives::block::header_hash(&header);
    Pallet::<T>::do_register(who.clone(), &header, master, None)?;
    Ok(block)
}

#[benchmarks(where T: Config<Currency: Mutate<T::AccountId>>)]
mod benchmarks {
    use super::*;

    /// `h`: bytes of the header.
    #[benchmark]
    fn register(h: Linear<128, MAX_ONCHAIN_HEADER_LEN>) -> Result<(), BenchmarkError> {
        let owner = funded::<T>();
        let master = super::register::<T>(&owner, header(Form::Master, 1), None)?;
        // As many tensors as fit: one takes at most 27 bytes.
        let mut tensors = h / 27;
        while header(Form::Serving, tensors + 1).len() <= h as usize {
            tensors += 1;
        }
        let header = header(Form::Serving, tensors.max(1));
        let block = blyan_primitives::block::header_hash(&header);
        let header = HeaderBytes::try_from(header).map_err(|_| "the header is longer than allowed")?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), header, Some(master), Some([1; 32]));

        assert!(Blocks::<T>::contains_key(block));
        Ok(())
    }

    #[benchmark]
    fn unregister() -> Result<(), BenchmarkError> {
        let owner = funded::<T>();
        let master = super::register::<T>(&owner, header(Form::Master, 1), None)?;
        let block = super::register::<T>(&owner, header(Form::Serving, 1), Some(master))?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), block);

        assert!(!Blocks::<T>::contains_key(block));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
