//! Benchmarks of the calls, each at its worst case.

use crate::{pallet::*, Status};
use blyan_primitives::{
    ids::ContentHash,
    spec::{Dimensions, F32Bits, ModelSpec, Name},
    version::{SemVer, VersionRange},
};
use frame_benchmarking::v2::*;
use frame_support::traits::{EnsureOrigin, Get};
use polkadot_sdk::*;

/// What benchmarks need of the runtime.
pub trait BenchmarkHelper {
    /// Registers the blocks that a spec names, in serving form: tokenizer, trunk and router.
    fn register_shared_blocks() -> [ContentHash; 3];
}

fn spec(blocks: [ContentHash; 3], patch: u16) -> Result<ModelSpec, BenchmarkError> {
    let [tokenizer, trunk, router] = blocks;
    let version = SemVer::new(1, 0, patch);
    Ok(ModelSpec {
        name: Name::new(core::str::from_utf8(&[b'x'; 64]).map_err(|_| "ASCII is UTF-8")?)
            .ok_or("64 letters are a name")?,
        version,
        compatible: VersionRange::caret(SemVer::new(1, 0, 0)),
        parent: None,
        dimensions: Dimensions {
            layers: 512,
            hidden: 1024,
            heads: 16,
            kv_heads: 4,
            head_dim: 64,
            ffn: 4096,
            vocab: 1 << 16,
            context: 1 << 15,
            experts: 1024,
            top_k: 8,
            activation_block: 32,
            rope_theta: F32Bits::new(10_000.0),
            rms_eps: F32Bits::new(1e-5),
            tied_embeddings: true,
            qk_norm: true,
            checkpoint_every: 4,
        },
        tokenizer,
        trunk,
        router,
    })
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn publish() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let blocks = T::BenchmarkHelper::register_shared_blocks();
        let parent = spec(blocks, 0)?;
        let child = ModelSpec { parent: Some(parent.id()), ..spec(blocks, 1)? };
        Pallet::<T>::do_publish(parent)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, child.clone());

        assert!(Specs::<T>::contains_key(child.id()));
        Ok(())
    }

    #[benchmark]
    fn activate() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let blocks = T::BenchmarkHelper::register_shared_blocks();
        let free = T::MaxActive::get() - ActiveSpecs::<T>::decode_len().unwrap_or(0) as u32;
        for patch in 1..free {
            let spec = spec(blocks, patch as u16)?;
            let id = spec.id();
            Pallet::<T>::do_publish(spec)?;
            Pallet::<T>::do_activate(id)?;
        }
        let last = spec(blocks, 0)?;
        let id = last.id();
        Pallet::<T>::do_publish(last)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, id);

        assert_eq!(ActiveSpecs::<T>::get().first(), Some(&id));
        Ok(())
    }

    #[benchmark]
    fn deprecate() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let blocks = T::BenchmarkHelper::register_shared_blocks();
        let mut id = Default::default();
        for patch in 0..2 {
            let spec = spec(blocks, patch)?;
            id = spec.id();
            Pallet::<T>::do_publish(spec)?;
            Pallet::<T>::do_activate(id)?;
        }

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, id);

        assert_eq!(Specs::<T>::get(id).map(|record| record.status), Some(Status::Deprecated));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
