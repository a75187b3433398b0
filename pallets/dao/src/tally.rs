//! The count of a referendum.

use crate::{pallet::*, TrackId};
use blyan_primitives::traits::Members;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::VoteTally, CloneNoBound, DebugNoBound, EqNoBound, PartialEqNoBound};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use scale_info::TypeInfo;
use sp_runtime::Perbill;

/// The count of a referendum, which `pallet-referenda` keeps with it. Each machine counts once.
#[derive(
    CloneNoBound,
    DebugNoBound,
    PartialEqNoBound,
    EqNoBound,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    MaxEncodedLen,
)]
#[codec(mel_bound())]
#[scale_info(skip_type_params(T))]
pub struct Tally<T: Config> {
    /// Machines for it.
    pub ayes: u32,
    /// Machines against it.
    pub nays: u32,
    /// Members when it was submitted.
    pub electorate: u32,
    /// Block in which it was submitted.
    pub opened_at: BlockNumberFor<T>,
}

impl<T: Config> Tally<T> {
    /// Replaces a vote: `former` no longer counts, `vote` does.
    pub fn replace(&mut self, former: Option<bool>, vote: Option<bool>) {
        if let Some(aye) = former {
            let side = self.side(aye);
            *side = side.saturating_sub(1);
        }
        if let Some(aye) = vote {
            let side = self.side(aye);
            *side = side.saturating_add(1);
        }
    }

    fn side(&mut self, aye: bool) -> &mut u32 {
        if aye {
            &mut self.ayes
        } else {
            &mut self.nays
        }
    }

    fn empty() -> Self {
        let opened_at = frame_system::Pallet::<T>::block_number();
        Self { ayes: 0, nays: 0, electorate: T::Members::count(), opened_at }
    }

    /// As many members as it takes for a share of them to be exact enough.
    #[cfg(feature = "runtime-benchmarks")]
    fn large() -> Self {
        let empty = Self::empty();
        Self { electorate: empty.electorate.max(1_000_000), ..empty }
    }
}

impl<T: Config> VoteTally<u32, TrackId> for Tally<T> {
    fn new(_: TrackId) -> Self {
        Self::empty()
    }

    fn ayes(&self, _: TrackId) -> u32 {
        self.ayes
    }

    /// Ayes of the members, of when the referendum was submitted or of now, whichever are more: a vote does not weigh more
    /// because others leave, nor because there were few when it began.
    fn support(&self, _: TrackId) -> Perbill {
        Perbill::from_rational(self.ayes, self.electorate.max(T::Members::count()).max(1))
    }

    /// Ayes of all votes.
    fn approval(&self, _: TrackId) -> Perbill {
        Perbill::from_rational(self.ayes, self.ayes.saturating_add(self.nays).max(1))
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn unanimity(_: TrackId) -> Self {
        let large = Self::large();
        Self { ayes: large.electorate, ..large }
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn rejection(_: TrackId) -> Self {
        let large = Self::large();
        Self { nays: large.electorate, ..large }
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn from_requirements(support: Perbill, approval: Perbill, _: TrackId) -> Self {
        let large = Self::large();
        let ayes = support.mul_ceil(large.electorate);
        let all = approval.saturating_reciprocal_mul_floor(ayes);
        Self { ayes, nays: all.saturating_sub(ayes), ..large }
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn setup(_: TrackId, _: Perbill) {
        // The electorate of what the functions above make is large enough whoever is a member.
    }
}
