//! How the Pact changes.

use crate::{pallet::*, Change};
use alloc::vec::Vec;
use blyan_primitives::{
    pact::{Pact, PactError, Parameter},
    traits::OnChange,
};
use frame_support::{ensure, pallet_prelude::DispatchResult, traits::DefensiveTruncateFrom, BoundedVec};
use polkadot_sdk::*;

/// `old` with new values for `parameters`, and what is different then: each parameter once. The caller checks whether the
/// new Pact can stand.
pub fn apply(old: &Pact, parameters: &[Parameter]) -> (Pact, Vec<Change>) {
    let mut new = old.clone();
    for parameter in parameters {
        new.set(*parameter);
    }
    let mut changes = Vec::new();
    for parameter in parameters {
        // Read after all are in: of a parameter that is given twice, both readings are the same.
        let change = Change { old: old.get(*parameter), new: new.get(*parameter) };
        if change.old != change.new && !changes.contains(&change) {
            changes.push(change);
        }
    }
    (new, changes)
}

impl<T> From<PactError> for Error<T> {
    fn from(error: PactError) -> Self {
        match error {
            PactError::OutOfBounds { .. } => Self::OutOfBounds,
            PactError::Contradiction(_) => Self::Contradiction,
        }
    }
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_change(parameters: &BoundedVec<Parameter, T::MaxChanges>) -> DispatchResult {
        let (network, old) = (Self::fixed(), Self::current());
        let (new, changes) = apply(&old, parameters);
        ensure!(!changes.is_empty(), Error::<T>::NoChanges);
        new.check(&network).map_err(Error::<T>::from)?;

        let hash = new.hash(&network);
        // A change takes a vote: there are never as many as can be counted.
        let revision = Revision::<T>::get().saturating_add(1);
        Revision::<T>::put(revision);
        CurrentHash::<T>::put(hash);
        Current::<T>::put(&new);
        T::OnChange::on_change(&old, &new);

        // There is at most one change for each parameter that was given.
        let changes = BoundedVec::defensive_truncate_from(changes);
        Self::deposit_event(Event::Changed { revision, hash, changes });
        Ok(())
    }
}
