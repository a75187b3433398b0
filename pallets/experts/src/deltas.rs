//! Submission: learners bind themselves to deltas while a round is open.
//!
//! A delta that is submitted stays until it is judged: there is no call that takes it back. Who could withdraw would submit
//! whatever might be lucky and take back, once it has seen what others submit and what becomes of them, all that is not, so
//! that its bond costs nothing; and who has copied from a delta that is taken back would be the first with it.
//!
//! Two deltas of a round can have the same names. They are public before they are in a block, and whoever submitted them first
//! could keep out those who have the bytes; these name their learner, and are nobody else's.

use crate::{pallet::*, Delta, Lateness, Phase};
use blyan_primitives::{
    learning::{DeltaHeader, ItemRange, ItemSets, RoundId},
    traits::{Standings, WorkerRegistry},
    trust::Refusal,
    worker::Roles,
};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchResult, Get},
};
use polkadot_sdk::*;

impl<T: Config> From<Refusal> for Error<T> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Quarantined { .. } => Self::Quarantined,
            Refusal::QuotaSpent { .. } => Self::QuotaSpent,
        }
    }
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_submit_delta(
        learner: T::AccountId,
        id: RoundId,
        header: DeltaHeader,
        aggregator: Option<T::AccountId>,
    ) -> DispatchResult {
        let trains = T::Workers::roles(&learner).is_some_and(|roles| roles.contains(Roles::TRAIN));
        ensure!(trains, Error::<T>::NotALearner);
        let round = Rounds::<T>::get(id).ok_or(Error::<T>::UnknownRound)?;
        if let Err(reason) = Self::is_in_time(&round, &header) {
            // No error, because with it the event would be gone: the author has to know the present head to rebase on it. The
            // fee is paid.
            let head = Heads::<T>::get(round.slot).map(|head| head.block);
            Self::deposit_event(Event::DeltaRefused { round: id, learner, head, reason });
            return Ok(());
        }
        ensure!((1..=T::MaxDeltaSize::get()).contains(&header.size), Error::<T>::InvalidDeltaSize);
        Self::check_items(&header.data, round.terms.own_items)?;

        let stands = aggregator.as_ref().is_none_or(Candidacies::<T>::contains_key);
        ensure!(stands, Error::<T>::AggregatorDoesNotStand);
        let mut deltas = Deltas::<T>::get(id);
        ensure!(deltas.iter().all(|delta| delta.learner != learner), Error::<T>::AlreadySubmitted);
        ensure!(header.serving != round.base, Error::<T>::ChangesNothing);
        ensure!((deltas.len() as u64) < u64::from(round.terms.max_deltas), Error::<T>::RoundFull);

        T::Standings::submit(&learner).map_err(Error::<T>::from)?;
        let bond = round.terms.bond;
        Self::hold_bond(&learner, bond)?;
        let (index, block) = (deltas.len() as u32, header.block);
        let delta = Delta { learner: learner.clone(), header, aggregator, outcome: None };
        deltas.try_push(delta).map_err(|_| Error::<T>::RoundFull)?;
        Deltas::<T>::insert(id, deltas);
        Self::deposit_event(Event::DeltaSubmitted { round: id, index, learner, block, bond });
        Ok(())
    }

    /// Whether a round still takes a delta, and the delta changes what the round is about.
    fn is_in_time(round: &RoundOf<T>, header: &DeltaHeader) -> Result<(), Lateness> {
        let now = frame_system::Pallet::<T>::block_number();
        // A round whose time has come but was not worked on yet takes nothing.
        match round.phase {
            Phase::Open { until } if now < until => {},
            _ => return Err(Lateness::Closed),
        }
        if header.base != round.base {
            return Err(Lateness::StaleBase);
        }
        Ok(())
    }

    /// Whether there are such items, and enough of them for evaluators to draw.
    fn check_items(data: &ItemRange, least: u32) -> Result<(), Error<T>> {
        let items = T::Sets::training_items(data.block).ok_or(Error::<T>::UnknownItems)?;
        let ends_inside = data.first.checked_add(data.count).is_some_and(|end| end <= items);
        ensure!(ends_inside && data.count >= least.max(1), Error::<T>::InvalidItemRange);
        Ok(())
    }
}
