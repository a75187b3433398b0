//! Benchmarks of the calls, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "never part of a chain's runtime; what the macros make has no documentation"
)]

use crate::{pallet::*, Status};
use blyan_primitives::{
    ids::{ContentHash, SpecId},
    spec::{Dimensions, F32Bits, ModelSpec, Name, MAX_LAYERS},
    version::{SemVer, VersionRange},
};
use frame_benchmarking::v2::*;
use frame_support::traits::{EnsureOrigin, Get};
use polkadot_sdk::*;

/// What benchmarks need of the runtime.
pub trait BenchmarkHelper {
    /// Registers blocks that a spec of these dimensions can name, in serving form: tokenizer, trunk and router.
    fn register_shared_blocks(dimensions: &Dimensions) -> [ContentHash; 3];

    /// Fills every slot that a spec of these dimensions has in `lineage`.
    fn fill_slots(lineage: SpecId, dimensions: &Dimensions);
}

fn dimensions(layers: u16) -> Dimensions {
    Dimensions {
        layers,
        hidden: 1024,
        heads: 16,
        kv_heads: 4,
        head_dim: 64,
        ffn: 4096,
        vocab: 1 << 16,
        context: 1 << 15,
        experts: 1,
        top_k: 1,
        activation_block: 32,
        rope_theta: F32Bits::new(10_000.0),
        rms_eps: F32Bits::new(1e-5),
        tied_embeddings: true,
        qk_norm: true,
        checkpoint_every: 4,
    }
}

/// A spec without parent.
fn spec<T: Config>(layers: u16, patch: u16) -> Result<ModelSpec, BenchmarkError> {
    let dimensions = dimensions(layers);
    let [tokenizer, trunk, router] = T::BenchmarkHelper::register_shared_blocks(&dimensions);
    Ok(ModelSpec {
        name: Name::new(core::str::from_utf8(&[b'x'; 64]).map_err(|_| "ASCII is UTF-8")?)
            .ok_or("64 letters are a name")?,
        version: SemVer::new(1, 0, patch),
        compatible: VersionRange::caret(SemVer::new(1, 0, 0)),
        parent: None,
        dimensions,
        tokenizer,
        trunk,
        router,
    })
}

/// Publishes a spec, and fills its slots.
fn filled<T: Config>(spec: ModelSpec) -> Result<SpecId, BenchmarkError> {
    let (id, dimensions) = (spec.id(), spec.dimensions.clone());
    Pallet::<T>::do_publish(spec)?;
    T::BenchmarkHelper::fill_slots(id, &dimensions);
    Ok(id)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn publish() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let parent = spec::<T>(1, 0)?;
        let child = ModelSpec { parent: Some(parent.id()), ..spec::<T>(1, 1)? };
        Pallet::<T>::do_publish(parent)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, child.clone());

        assert!(Specs::<T>::contains_key(child.id()));
        Ok(())
    }

    /// `l`: layers of the spec.
    #[benchmark]
    fn activate(l: Linear<1, { MAX_LAYERS as u32 }>) -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let free = T::MaxActive::get() - ActiveSpecs::<T>::decode_len().unwrap_or(0) as u32;
        for patch in 1..free {
            let id = filled::<T>(spec::<T>(1, patch as u16)?)?;
            Pallet::<T>::do_activate(id)?;
        }
        let id = filled::<T>(spec::<T>(l as u16, 0)?)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, id);

        assert_eq!(ActiveSpecs::<T>::get().first(), Some(&id));
        Ok(())
    }

    #[benchmark]
    fn deprecate() -> Result<(), BenchmarkError> {
        let origin = T::GovernanceOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let mut id = Default::default();
        for patch in 0..2 {
            id = filled::<T>(spec::<T>(1, patch)?)?;
            Pallet::<T>::do_activate(id)?;
        }

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, id);

        assert_eq!(Specs::<T>::get(id).map(|record| record.status), Some(Status::Deprecated));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
