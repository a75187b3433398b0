//! On which terms referenda are decided.

use crate::{pallet::*, Balance};
use alloc::borrow::Cow;
use blyan_primitives::{
    pact::{Governance, Ppm},
    traits::PactProvider,
};
use core::marker::PhantomData;
use frame_support::traits::{CallerTrait, OriginTrait};
use frame_system::pallet_prelude::BlockNumberFor;
use pallet_referenda::{Curve, Track, TrackInfo, TracksInfo};
use polkadot_sdk::*;
use sp_runtime::{str_array, Perbill};

/// Names a track.
pub type TrackId = u16;

/// Track of calls that need root, upgrades of the runtime among them.
pub const ROOT: TrackId = 0;
/// Track of changes of the Pact.
pub const PACT: TrackId = 1;
/// Track of spending from the treasury.
pub const TREASURY: TrackId = 2;
/// Track of cancelling slashes.
pub const CANCEL_SLASH: TrackId = 3;

/// Support that is needed at the beginning of a decision, on every track.
const FIRST_SUPPORT: Perbill = Perbill::from_percent(50);

/// The tracks of `pallet-referenda`, on the terms that the Pact has now.
pub struct Tracks<T>(PhantomData<T>);

type PalletsOriginOf<T> = <<T as frame_system::Config>::RuntimeOrigin as OriginTrait>::PalletsOrigin;

impl<T: Config> TracksInfo<Balance, BlockNumberFor<T>> for Tracks<T>
where
    for<'a> &'a PalletsOriginOf<T>: TryInto<&'a Origin>,
{
    type Id = TrackId;
    type RuntimeOrigin = PalletsOriginOf<T>;

    fn tracks() -> impl Iterator<Item = Cow<'static, Track<Self::Id, Balance, BlockNumberFor<T>>>> {
        tracks_of(&T::Pact::pact().governance).into_iter().map(Cow::Owned)
    }

    fn track_for(origin: &Self::RuntimeOrigin) -> Result<Self::Id, ()> {
        if origin.is_root() {
            return Ok(ROOT);
        }
        let decided: &Origin = origin.try_into().map_err(|_| ())?;
        match decided {
            Origin::Pact => Ok(PACT),
            Origin::Treasury => Ok(TREASURY),
            Origin::CancelSlash => Ok(CANCEL_SLASH),
        }
    }

    /// The order is fixed below. Integrity tests run without storage, and so without a Pact to read.
    fn check_integrity() -> Result<(), &'static str> {
        Ok(())
    }
}

/// The tracks on the terms of `pact`, by id.
pub fn tracks_of<BlockNumber: From<u32>>(pact: &Governance) -> [Track<TrackId, Balance, BlockNumber>; 4] {
    let track = |id, name, max_deciding, approval, support| Track {
        id,
        info: TrackInfo {
            name: str_array(name),
            max_deciding,
            decision_deposit: pact.decision_deposit,
            prepare_period: pact.prepare.into(),
            decision_period: pact.decision.into(),
            confirm_period: pact.confirm.into(),
            min_enactment_period: pact.enactment.into(),
            min_approval: falling(Perbill::one(), approval),
            min_support: falling(FIRST_SUPPORT, support),
        },
    };
    // More than one at a time on each: a deposit that returns must not be enough to keep others waiting.
    let root = track(ROOT, "root", 4, pact.root_approval, pact.root_support);
    let parameters = track(PACT, "pact", 8, pact.pact_approval, pact.pact_support);
    let treasury = track(TREASURY, "treasury", 16, pact.treasury_approval, pact.treasury_support);
    // A slash is applied when its dispute is over, and the Pact's dispute is long enough for this vote and nothing else: it
    // begins at once, and never waits for another.
    let Track { id, info } = track(CANCEL_SLASH, "cancel_slash", u32::MAX, pact.cancel_approval, pact.cancel_support);
    let cancel = Track {
        id,
        info: TrackInfo {
            prepare_period: 0.into(),
            decision_period: pact.cancel_decision.into(),
            confirm_period: pact.cancel_confirm.into(),
            min_enactment_period: pact.cancel_enactment.into(),
            ..info
        },
    };
    [root, parameters, treasury, cancel]
}

/// What is needed falls from `first`, evenly over the decision period, to `last`.
fn falling(first: Perbill, Ppm(last): Ppm) -> Curve {
    let floor = Perbill::from_parts(last.saturating_mul(1_000)).min(first);
    Curve::LinearDecreasing { length: Perbill::one(), floor, ceil: first }
}
