//! Publication: what a committee has accepted becomes the head.
//!
//! The accepted blocks follow from the round's master and the merged deltas to the last bit, and their names are known: who
//! publishes cannot choose anything. So nothing has to be proved of them here. The round's [primaries](crate::primaries), which
//! have the deltas, are the first to be asked, in turns; should all be gone, anybody else does the same and is paid for it.

use crate::{pallet::*, Accepted, Outcome, Phase};
use blyan_primitives::{
    block::header_hash,
    ids::ContentHash,
    learning::RoundId,
    traits::{BlockUses, SlotHeads},
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchError, DispatchResult},
};
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    /// Publishes what was accepted in a round, and says how many deltas and evaluators that has been about.
    pub(crate) fn do_publish(
        publisher: T::AccountId,
        id: RoundId,
        master: &[u8],
        serving: &[u8],
    ) -> Result<(u32, u32), DispatchError> {
        let round = Rounds::<T>::get(id).ok_or(Error::<T>::UnknownRound)?;
        let accepted = Self::publishable(id, &publisher, &round)?;
        let are_accepted = header_hash(master) == accepted.master && header_hash(serving) == accepted.serving;
        ensure!(are_accepted, Error::<T>::OtherCandidate);

        Self::vouch(&publisher, accepted.master, master, None)?;
        Self::vouch(&publisher, accepted.serving, serving, Some(accepted.master))?;
        <Self as SlotHeads>::move_head(&round.slot, round.base, accepted.serving)?;
        // The next deltas apply to it: it stays as long as the head does.
        Self::acquire(accepted.master).map_err(Error::<T>::from)?;
        Masters::<T>::insert(round.slot, accepted.master);

        if let Some(until) = round.due() {
            Agenda::<T>::remove(until, id);
        }
        if let Some((begun, window)) = round.publication() {
            Self::note_delays(id, Some(&publisher), begun, window);
        }
        // Ending a round forgets who has evaluated it.
        let evaluators = Evaluators::<T>::get(id);
        Self::finish(id, round, Outcome::Committed(accepted));
        Self::deposit_event(Event::RoundCommitted { round: id, publisher: publisher.clone(), accepted });
        let deltas = Self::reward(id, &round.terms, &accepted, &publisher, &evaluators);
        Ok((deltas, evaluators.len() as u32))
    }

    /// What of a round waits to be published, if `publisher` can do that now.
    fn publishable(id: RoundId, publisher: &T::AccountId, round: &RoundOf<T>) -> Result<Accepted, Error<T>> {
        let (Phase::Accepted { accepted, until, .. }, Some((begun, window))) = (round.phase, round.publication())
        else {
            return Err(Error::<T>::NothingToPublish);
        };
        let now = frame_system::Pallet::<T>::block_number();
        // A round whose time has come but was not worked on yet has lapsed all the same.
        ensure!(now < until, Error::<T>::PublicationOver);
        ensure!(now >= Self::turn_of(id, publisher, begun, window), Error::<T>::NotYourTurn);
        Ok(accepted)
    }

    /// Registers a block for its publisher, unless it has done so before: a head can return to what it once was.
    fn vouch(
        publisher: &T::AccountId,
        block: ContentHash,
        header: &[u8],
        master: Option<ContentHash>,
    ) -> DispatchResult {
        if Registrations::<T>::contains_key(block, publisher) {
            return Ok(());
        }
        Self::do_register(publisher.clone(), header, master, None)
    }
}
