//! Who may do what a referendum has decided.

use crate::pallet::Origin;
use frame_support::traits::{EnsureOrigin, OriginTrait};
use polkadot_sdk::*;

macro_rules! ensure_origins {
    ($($(#[$doc:meta])* $name:ident: $origin:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl<O> EnsureOrigin<O> for $name
        where
            O: OriginTrait + From<Origin>,
            for<'a> &'a O::PalletsOrigin: TryInto<&'a Origin>,
        {
            type Success = ();

            fn try_origin(origin: O) -> Result<(), O> {
                let decided = matches!(origin.caller().try_into(), Ok(Origin::$origin));
                if decided { Ok(()) } else { Err(origin) }
            }

            #[cfg(feature = "runtime-benchmarks")]
            fn try_successful_origin() -> Result<O, ()> {
                Ok(Origin::$origin.into())
            }
        }
    )*};
}

ensure_origins! {
    /// Lets through what was decided on the track of the Pact.
    EnsurePact: Pact;
    /// Lets through what was decided on the track of the treasury.
    EnsureTreasury: Treasury;
    /// Lets through what was decided on the track of cancelling slashes.
    EnsureCancelSlash: CancelSlash;
}
