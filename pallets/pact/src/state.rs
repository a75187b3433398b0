//! Proof of the pallet's invariants.

use crate::pallet::*;
use blyan_primitives::pact::PactError;
use frame_support::ensure;
use polkadot_sdk::*;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let network = Network::<T>::get().ok_or("there is no network")?;
        let pact = Current::<T>::get().ok_or("there is no Pact")?;
        let hash = CurrentHash::<T>::get().ok_or("there is no hash of the Pact")?;
        pact.check(&network).map_err(|error| match error {
            PactError::OutOfBounds { .. } => "a parameter of the Pact is out of its bounds",
            PactError::Contradiction(what) => what,
        })?;
        ensure!(hash == pact.hash(&network), "the stored hash is not the Pact's");
        Ok(())
    }
}
