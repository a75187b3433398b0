//! Benchmarks of the calls, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

use crate::pallet::*;
use alloc::vec::Vec;
use blyan_primitives::pact::{Entry, Parameter};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::{EnsureOrigin, Get},
    BoundedVec,
};
use polkadot_sdk::*;

/// New values that can stand together, for as many parameters as can move without others.
fn movable<T: Config>() -> Vec<Parameter> {
    let (network, mut pact) = (Pallet::<T>::fixed(), Pallet::<T>::current());
    let mut parameters = Vec::new();
    for Entry { name, value, .. } in pact.entries(network.kind) {
        for value in [value.checked_add(1), value.checked_sub(1)].into_iter().flatten() {
            let Ok(parameter) = Parameter::parse(&name, value) else { continue };
            let mut next = pact.clone();
            next.set(parameter);
            if next.check(&network).is_ok() {
                pact = next;
                parameters.push(parameter);
                break;
            }
        }
    }
    parameters
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// `n`: parameters that are changed; beyond those that can move without others, they are given again.
    #[benchmark]
    fn change(n: Linear<1, { T::MaxChanges::get() }>) -> Result<(), BenchmarkError> {
        let origin = T::ChangeOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        let changes: Vec<_> = movable::<T>().into_iter().cycle().take(n as usize).collect();
        let changes = BoundedVec::try_from(changes).map_err(|_| "no more changes than the most")?;
        let before = Pallet::<T>::current_hash();

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, changes);

        assert_ne!(Pallet::<T>::current_hash(), before);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
