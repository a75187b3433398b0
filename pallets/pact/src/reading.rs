//! How the Pact is read.

use crate::pallet::*;
use blyan_primitives::{
    pact::{self, Pact},
    traits::PactProvider,
};
use core::marker::PhantomData;
use frame_support::traits::Get;
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    /// Slots of a session, which BABE takes for the length of its epochs. Reads the network alone, never the Pact.
    pub fn session_slots() -> u32 {
        Self::fixed().session_slots
    }

    pub(crate) fn fixed() -> pact::Network {
        Network::<T>::get().unwrap_or_default()
    }

    pub(crate) fn current() -> Pact {
        Current::<T>::get().unwrap_or_else(|| Pact::default_for(Self::fixed().kind))
    }

    pub(crate) fn current_hash() -> [u8; 32] {
        CurrentHash::<T>::get().unwrap_or_else(|| Self::current().hash(&Self::fixed()))
    }
}

impl<T: Config> PactProvider for Pallet<T> {
    fn pact() -> Pact {
        Self::current()
    }

    fn network() -> pact::Network {
        Self::fixed()
    }
}

/// [`Pallet::session_slots`], for configurations that ask for a number.
pub struct SessionSlots<T>(PhantomData<T>);

impl<T: Config, N: From<u32>> Get<N> for SessionSlots<T> {
    fn get() -> N {
        Pallet::<T>::session_slots().into()
    }
}
