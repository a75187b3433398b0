//! Votes on referenda.

use crate::{pallet::*, Tally};
use blyan_primitives::{ids::HardwareId, traits::Members};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchError, DispatchResult, Get},
    traits::{PollStatus, Polling},
};
use frame_system::pallet_prelude::BlockNumberFor;
use pallet_referenda::ReferendumIndex;
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    /// The machine that `who` votes for in a question that was asked in block `asked_at`.
    pub(crate) fn voter(who: &T::AccountId, asked_at: BlockNumberFor<T>) -> Result<HardwareId, Error<T>> {
        let machine = T::Members::vote_of(who).ok_or(Error::<T>::NotAMember)?;
        let in_time = T::Members::since(who).is_none_or(|since| BlockNumberFor::<T>::from(since) <= asked_at);
        ensure!(in_time, Error::<T>::BoundTooLate);
        Ok(machine)
    }

    pub(crate) fn do_vote(who: T::AccountId, referendum: ReferendumIndex, aye: bool) -> DispatchResult {
        let (machine, ayes, nays) = Self::access(referendum, |tally| {
            let machine = Self::voter(&who, tally.opened_at)?;
            tally.replace(Votes::<T>::get(referendum, machine), Some(aye));
            Votes::<T>::insert(referendum, machine, aye);
            Ok((machine, tally.ayes, tally.nays))
        })?;
        Self::deposit_event(Event::Voted { referendum, who, machine, aye, ayes, nays });
        Ok(())
    }

    pub(crate) fn do_remove_vote(who: T::AccountId, referendum: ReferendumIndex) -> DispatchResult {
        let (machine, ayes, nays) = Self::access(referendum, |tally| {
            let machine = Self::voter(&who, tally.opened_at)?;
            let former = Votes::<T>::take(referendum, machine).ok_or(Error::<T>::NotVoted)?;
            tally.replace(Some(former), None);
            Ok((machine, tally.ayes, tally.nays))
        })?;
        Self::deposit_event(Event::VoteRemoved { referendum, who, machine, ayes, nays });
        Ok(())
    }

    /// Removes votes on a referendum that has ended, and says how many.
    pub(crate) fn do_clean_up(referendum: ReferendumIndex, max: u32) -> Result<u32, DispatchError> {
        ensure!(T::Referenda::as_ongoing(referendum).is_none(), Error::<T>::ReferendumOngoing);
        let limit = max.min(T::MaxCleanUp::get());
        let votes = Votes::<T>::drain_prefix(referendum).take(limit as usize).fold(0u32, |n, _| n.saturating_add(1));
        ensure!(votes > 0, Error::<T>::NothingToCleanUp);
        Self::deposit_event(Event::CleanedUp { referendum, votes });
        Ok(votes)
    }

    /// Changes the count of a referendum that is being voted on. `pallet-referenda` looks at it again in the next block.
    fn access<R>(
        referendum: ReferendumIndex,
        change: impl FnOnce(&mut Tally<T>) -> Result<R, DispatchError>,
    ) -> Result<R, DispatchError> {
        T::Referenda::try_access_poll(referendum, |status| match status {
            PollStatus::Ongoing(tally, _) => change(tally),
            PollStatus::None | PollStatus::Completed(..) => Err(Error::<T>::ReferendumNotOngoing.into()),
        })
    }
}
