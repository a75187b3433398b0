//! Benchmarks of the calls, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    missing_docs,
    reason = "never part of a chain's runtime; what the macros make has no documentation"
)]

use crate::pallet::*;
use alloc::{format, string::String, vec, vec::Vec};
use blyan_primitives::{
    block::{
        BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, MAX_ONCHAIN_HEADER_LEN,
        TENSOR_ALIGN,
    },
    ids::{ContentHash, SpecId, TileRoot},
    traits::{SlotHeads, SpecRegistry},
};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::Get,
    traits::{
        fungible::{Inspect, Mutate},
        EnsureOrigin,
    },
};
use frame_system::RawOrigin;
use polkadot_sdk::*;
use sp_runtime::DispatchError;

/// What benchmarks need of the runtime.
pub trait BenchmarkHelper {
    /// Publishes a spec without parent, none of whose slots is filled. Called once.
    fn publish_spec() -> SpecId;

    /// Deprecates that spec.
    fn deprecate_spec(spec: SpecId);
}

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

/// Registers an expert that the slots of a spec can hold.
fn expert<T: Config>(who: &T::AccountId, spec: SpecId) -> Result<ContentHash, BenchmarkError> {
    let (_, dimensions) = T::Specs::known_spec(spec).ok_or("the spec is published")?;
    let (ffn, hidden) = (dimensions.ffn, dimensions.hidden);
    let mut header = BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Expert,
        form: Form::Serving,
        quantisation: Quantisation::PerChannel,
        arch: String::new(),
        engine: Vec::new(),
        tensors: Vec::new(),
        data_len: 0,
        root: TileRoot([8; 32]),
    };
    for (name, rows, k) in [("gate", ffn, hidden), ("up", ffn, hidden), ("down", hidden, ffn)] {
        for (name, dtype, layout, shape) in [
            (String::from(name), DType::Int8, Layout::Rows16K4, vec![rows, k]),
            (format!("{name}.scale"), DType::F32, Layout::RowMajor, vec![rows]),
        ] {
            let offset = header.data_len.next_multiple_of(TENSOR_ALIGN);
            let length = TensorInfo::bytes(dtype, layout, &shape).ok_or("a tensor of a sound spec")?;
            header.data_len = offset + length;
            header.tensors.push(TensorInfo { name, dtype, layout, shape, offset, length });
        }
    }
    register::<T>(who, header.encode(), None)
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

    #[benchmark]
    fn fill_head() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let spec = T::BenchmarkHelper::publish_spec();
        let block = expert::<T>(&funded::<T>(), spec)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, spec, 0, 0, block);

        assert_eq!(Filled::<T>::iter_prefix(spec).next(), Some((0, 1)));
        Ok(())
    }

    /// `n`: slots that are emptied, each of another layer.
    #[benchmark]
    fn release_heads(n: Linear<1, { T::MaxReleased::get() }>) -> Result<(), BenchmarkError> {
        let caller = funded::<T>();
        let spec = T::BenchmarkHelper::publish_spec();
        let block = expert::<T>(&caller, spec)?;
        let (_, dimensions) = T::Specs::known_spec(spec).ok_or("the spec is published")?;
        for i in 0..n {
            let (layer, index) = (i % u32::from(dimensions.layers), i / u32::from(dimensions.layers));
            <Pallet<T> as SlotHeads>::fill_head(spec, layer as u16, index as u16, block)
                .map_err(DispatchError::from)?;
        }
        T::BenchmarkHelper::deprecate_spec(spec);

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), spec, n);

        assert!(Filled::<T>::iter_prefix(spec).next().is_none());
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
