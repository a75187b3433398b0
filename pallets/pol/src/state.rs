//! Proof of the pallet's invariants.

use crate::{evaluators::StakeTree, pallet::*, Committee, Due, ItemSet, Phase, Purpose};
use alloc::collections::{BTreeMap, BTreeSet};
use blyan_primitives::pol::{ItemBlock, StakeNodes};
use frame_support::ensure;
use polkadot_sdk::*;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_evaluators()?;
        Self::try_evaluations()?;
        Self::try_sets()
    }

    fn try_sets() -> Result<(), TryRuntimeError> {
        let mut drawable = BTreeSet::new();
        for (purpose, blocks) in Drawable::<T>::iter() {
            for ItemBlock { block, items } in blocks {
                ensure!(Sets::<T>::get(block) == Some(ItemSet { purpose, items }), "what is drawn from is no set");
                ensure!(drawable.insert(block), "a set is drawn from twice");
            }
        }
        let mut hidden_sets = 0usize;
        for (block, set) in Sets::<T>::iter() {
            let waits = drawable.contains(&block);
            let Some(hidden) = HiddenSets::<T>::get(block) else {
                ensure!(set.purpose != Purpose::Hidden, "a set is hidden, and has no steward");
                ensure!(waits, "a set is never drawn from");
                continue;
            };
            ensure!(set.purpose == Purpose::Hidden, "a set has a steward, and is not hidden");
            hidden_sets = hidden_sets.saturating_add(1);
            let is_given = hidden.given_to.is_some_and(|id| {
                let goes_on = Evaluations::<T>::get(id).is_some_and(|evaluation| evaluation.phase != Phase::Over);
                goes_on && Given::<T>::get(id) == Some(block)
            });
            ensure!(waits != is_given, "a hidden set neither waits nor is used, or does both");
            ensure!(hidden.key.is_none() || is_given, "the key of a set that waits is known");
        }
        ensure!(HiddenSets::<T>::iter_keys().count() == hidden_sets, "what is hidden is no set");
        for id in Given::<T>::iter_keys() {
            let goes_on = Evaluations::<T>::get(id).is_some_and(|evaluation| evaluation.phase != Phase::Over);
            ensure!(goes_on, "an evaluation that is over has a hidden set");
        }
        Ok(())
    }

    fn try_evaluators() -> Result<(), TryRuntimeError> {
        let (mut count, mut stakes) = (0u32, 0u128);
        for (who, enrolment) in Evaluators::<T>::iter() {
            count = count.saturating_add(1);
            stakes = stakes.saturating_add(enrolment.stake);
            ensure!(Leaves::<T>::get(enrolment.leaf) == Some(who), "an evaluator's leaf is another's");
            let (node, child) =
                (enrolment.leaf.checked_div(16).unwrap_or(0), enrolment.leaf.checked_rem(16).unwrap_or(0));
            let sums = StakeTree::<T>::new().get(0, node as u16);
            ensure!(sums.get(child as usize) == Some(&enrolment.stake), "a leaf has another stake than its evaluator");
            ensure!(enrolment.leaf < Enrolled::<T>::get(), "leaves have a gap");
        }
        ensure!(count == Enrolled::<T>::get(), "evaluators are not as many as are counted");
        ensure!(
            blyan_primitives::pol::all_stakes(&StakeTree::<T>::new()) == stakes,
            "the tree's sum is not that of stakes"
        );
        let mut seats = BTreeMap::<T::AccountId, u32>::new();
        for (_, who, _) in Seats::<T>::iter() {
            let seats = seats.entry(who).or_default();
            *seats = seats.saturating_add(1);
        }
        for (who, enrolment) in Evaluators::<T>::iter() {
            ensure!(
                seats.remove(&who).unwrap_or(0) == enrolment.seats,
                "an evaluator's seats are not as many as are counted"
            );
        }
        ensure!(seats.is_empty(), "who has a seat is not enrolled");
        Ok(())
    }

    fn try_evaluations() -> Result<(), TryRuntimeError> {
        let mut agenda = BTreeMap::<Due, u32>::new();
        for (_, due, ()) in Agenda::<T>::iter() {
            let times = agenda.entry(due).or_default();
            *times = times.saturating_add(1);
        }
        let mut active = 0u32;
        for (id, evaluation) in Evaluations::<T>::iter() {
            let due = agenda.remove(&Due::Phase(id)).unwrap_or(0);
            let games = Games::<T>::iter_prefix(id).count();
            for (number, _) in Games::<T>::iter_prefix(id) {
                ensure!(agenda.remove(&Due::Move(id, number)) == Some(1), "a game is not once on the agenda");
            }
            match evaluation.phase {
                Phase::Over => {
                    ensure!(due == 0, "an evaluation that is over is on the agenda");
                    ensure!(Seats::<T>::iter_prefix(id).next().is_none(), "an evaluation that is over has a committee");
                    let is_told = Reveals::<T>::iter_key_prefix(id).next().is_some()
                        || PostedScores::<T>::iter_key_prefix(id).next().is_some()
                        || Traces::<T>::iter_key_prefix(id).next().is_some();
                    ensure!(!is_told && games == 0, "what was told in an evaluation that is over is kept");
                },
                Phase::Games(_) => ensure!(due == 0 && games > 0, "nobody plays in an evaluation that waits for games"),
                _ => ensure!(due == 1 && games == 0, "an evaluation is not once on the agenda"),
            }
            if evaluation.phase != Phase::Over {
                active = active.saturating_add(1);
            }
            let done = Seats::<T>::iter_prefix(id).filter(|(_, seat)| match evaluation.phase {
                Phase::Availability => seat.available.is_some(),
                Phase::Commit => seat.commitment.is_some(),
                Phase::Reveal => seat.reveal.is_some(),
                _ => false,
            });
            let (done, counted) = (done.count(), Done::<T>::get(id) as usize);
            // Whoever has voted need not have all.
            let is_right = if evaluation.phase == Phase::Availability { counted <= done } else { counted == done };
            ensure!(is_right, "members who have done what they can are not as many as are counted");
            let mut committee = Committee::default();
            for (_, seat) in Seats::<T>::iter_prefix(id) {
                committee.members = committee.members.saturating_add(1);
                committee.votes = committee.votes.saturating_add(seat.votes);
                ensure!(seat.votes > 0, "a member has no vote");
            }
            ensure!(committee == Committees::<T>::get(id), "a committee is not as large as is counted");
        }
        ensure!(agenda.is_empty(), "the agenda names what does not exist");
        ensure!(active == Active::<T>::get(), "evaluations are not as many as are counted");
        Ok(())
    }
}
