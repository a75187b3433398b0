//! Proof of the pallet's invariants.

use crate::{pallet::*, Balance, Phase};
use alloc::collections::{BTreeMap, BTreeSet};
use blyan_primitives::{
    block::Form,
    ids::{ContentHash, SlotId},
    learning::RoundId,
};
use frame_support::{ensure, pallet_prelude::Get, traits::fungible::InspectHold};
use polkadot_sdk::*;
use sp_runtime::{traits::Saturating, TryRuntimeError};

impl<T: Config> Pallet<T> {
    /// Proves the invariants of the [pallet](crate).
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::try_heads()?;
        Self::try_former_heads()?;
        Self::try_registrations()?;
        Self::try_rounds()?;
        Self::try_deltas()?;
        Self::try_agenda()?;
        Self::try_bonds()
    }

    fn try_heads() -> Result<(), TryRuntimeError> {
        let mut uses = BTreeMap::<ContentHash, u32>::new();
        let mut slots = 0u64;
        for (slot, head) in Heads::<T>::iter() {
            let record = Self::record(head.block).ok_or("a slot holds a block that is not registered")?;
            ensure!(record.is_served_expert(), "a slot holds what is not the serving form of an expert");
            ensure!(slot.index < Filled::<T>::get(slot.lineage, slot.layer), "a slot is filled and not counted");
            uses.entry(head.block).or_default().saturating_inc();
            slots.saturating_inc();
        }
        for (slot, master) in Masters::<T>::iter() {
            ensure!(Heads::<T>::contains_key(slot), "the master of an empty slot is kept");
            let record = Self::record(master).ok_or("the master of a head is not registered")?;
            ensure!(record.form == Form::Master, "a head is derived from what is no master");
            uses.entry(master).or_default().saturating_inc();
        }
        let mut counted = 0u64;
        for (lineage, layer, filled) in Filled::<T>::iter() {
            ensure!(filled > 0, "a layer without heads is stored");
            let last = SlotId { lineage, layer, index: filled.saturating_sub(1) };
            ensure!(Heads::<T>::contains_key(last), "a slot is counted and not filled");
            counted = counted.saturating_add(u64::from(filled));
        }
        ensure!(slots == counted, "a slot is counted and not filled");
        for (_, entry) in Blocks::<T>::iter().filter(|(_, entry)| entry.genesis) {
            let Some(hash) = entry.record.master else { continue };
            // A master that came later was not there to be counted.
            if Blocks::<T>::get(hash).is_some_and(|master| master.genesis) {
                uses.entry(hash).or_default().saturating_inc();
            }
        }
        for (hash, counted) in uses {
            let entry = Blocks::<T>::get(hash).ok_or("a block in use is not registered")?;
            ensure!(entry.uses >= counted, "a block has fewer uses counted than there are");
        }
        Ok(())
    }

    fn try_former_heads() -> Result<(), TryRuntimeError> {
        for (slot, former) in FormerHeads::<T>::iter() {
            let head = Heads::<T>::get(slot).ok_or("it is remembered what an empty slot held")?;
            ensure!(!former.is_empty(), "nothing is remembered of a slot");
            let heads = former.iter().chain([&head]);
            let follows = |(one, next): (&HeadOf<T>, &HeadOf<T>)| {
                one.since <= next.since && one.moves.saturating_add(1) == next.moves && one.block != next.block
            };
            ensure!(heads.clone().zip(heads.skip(1)).all(follows), "what a slot held before is out of order");
        }
        Ok(())
    }

    fn try_registrations() -> Result<(), TryRuntimeError> {
        let mut registrants = BTreeMap::<ContentHash, u32>::new();
        let mut derived = BTreeMap::<(ContentHash, T::AccountId), u32>::new();
        let mut deposits = BTreeMap::<T::AccountId, Balance>::new();
        for (block, who, registration) in Registrations::<T>::iter() {
            registrants.entry(block).or_default().saturating_inc();
            deposits.entry(who.clone()).or_default().saturating_accrue(registration.deposit);
            let Some(hash) = registration.master else { continue };
            let master = Blocks::<T>::get(hash).ok_or("the master of a registered block is not registered")?;
            ensure!(master.record.form == Form::Master, "a serving form is derived from another serving form");
            if !master.genesis {
                derived.entry((hash, who)).or_default().saturating_inc();
            }
        }
        for (block, who, registration) in Registrations::<T>::iter() {
            let counted = derived.remove(&(block, who)).unwrap_or_default();
            ensure!(registration.derived == counted, "serving forms that name a master are miscounted");
        }
        ensure!(derived.is_empty(), "an account names a master that it has not registered");
        for (block, entry) in Blocks::<T>::iter() {
            let counted = registrants.remove(&block).unwrap_or_default();
            ensure!(entry.registrants == counted, "the accounts that registered a block are miscounted");
            ensure!(entry.genesis || counted > 0, "a block is there that nobody has registered");
        }
        ensure!(registrants.is_empty(), "a registration is for no block");
        for who in frame_system::Account::<T>::iter_keys() {
            let deposit = deposits.remove(&who).unwrap_or_default();
            let held = T::Currency::balance_on_hold(&HoldReason::BlockDeposit.into(), &who);
            ensure!(held == deposit, "deposits for blocks are not what is held");
        }
        ensure!(deposits.is_empty(), "a deposit is from an account that does not exist");
        Ok(())
    }

    fn try_rounds() -> Result<(), TryRuntimeError> {
        let mut ongoing = 0u32;
        for (id, round) in Rounds::<T>::iter() {
            ensure!(id < NextRound::<T>::get(), "a round has a number that is still to be given");
            let is_ongoing = Ongoing::<T>::get(round.slot) == Some(id);
            ensure!(round.is_over() != is_ongoing, "a round is not listed as what it is");
            ongoing.saturating_accrue(u32::from(is_ongoing));
            let is_accepted = matches!(round.phase, Phase::Accepted { .. });
            ensure!(is_accepted == Evaluators::<T>::contains_key(id), "it is not known who has evaluated a round");
            let dues_fit = match round.phase {
                Phase::Open { until } => round.opened_at < until,
                Phase::Accepted { primary_until, until, .. } => {
                    round.opened_at < primary_until && primary_until < until
                },
                Phase::Evaluating => true,
                Phase::Over { at, .. } => round.opened_at <= at,
            };
            ensure!(dues_fit, "a round waits for no time that is to come");
        }
        let listed = Ongoing::<T>::iter_keys().fold(0u32, |sum, _| sum.saturating_add(1));
        ensure!(listed == ongoing, "a round is listed that does not exist");
        ensure!(Ongoing::<T>::count() == ongoing, "rounds are miscounted");
        ensure!(Evaluators::<T>::iter_keys().all(Rounds::<T>::contains_key), "somebody has evaluated no round");
        let is_ongoing = |id| Rounds::<T>::get(id).is_some_and(|round| !round.is_over());
        for (id, primaries) in Primaries::<T>::iter() {
            ensure!(is_ongoing(id), "a round that is over has primaries");
            ensure!(!primaries.is_empty(), "no primaries of a round are stored");
            let once: BTreeSet<_> = primaries.iter().collect();
            ensure!(once.len() == primaries.len(), "an account is two primaries of a round");
        }
        let standing = Candidacies::<T>::iter_keys().fold(0u32, |sum, _| sum.saturating_add(1));
        ensure!(standing == Candidacies::<T>::count(), "those who stand for election are miscounted");
        ensure!(standing <= T::MaxStanding::get(), "more stand for election than can");
        Ok(())
    }

    fn try_deltas() -> Result<(), TryRuntimeError> {
        for (id, deltas) in Deltas::<T>::iter() {
            let round = Rounds::<T>::get(id).ok_or("a delta is in no round")?;
            ensure!(deltas.len() as u64 <= u64::from(round.terms.max_deltas), "a round has more deltas than it takes");
            let (mut learners, mut judged) = (BTreeSet::new(), 0usize);
            for delta in &deltas {
                ensure!(delta.header.base == round.base, "a delta changes another block than its round's base");
                ensure!(learners.insert(&delta.learner), "a round has two deltas of one learner");
                judged = judged.saturating_add(usize::from(delta.outcome.is_some()));
            }
            let is_judged = match round.phase {
                Phase::Open { .. } | Phase::Evaluating => judged == 0,
                Phase::Accepted { .. } => judged == deltas.len(),
                // All of them, or none when the round has failed.
                Phase::Over { .. } => judged == deltas.len() || judged == 0,
            };
            ensure!(is_judged, "deltas are judged before their round is, or not with it");
        }
        let has_deltas = |(id, round): (RoundId, RoundOf<T>)| {
            !matches!(round.phase, Phase::Evaluating | Phase::Accepted { .. }) || Deltas::<T>::contains_key(id)
        };
        ensure!(Rounds::<T>::iter().all(has_deltas), "a round without deltas is evaluated");
        Ok(())
    }

    fn try_agenda() -> Result<(), TryRuntimeError> {
        let now = frame_system::Pallet::<T>::block_number();
        for (id, round) in Rounds::<T>::iter() {
            if let Some(block) = round.due() {
                ensure!(Agenda::<T>::contains_key(block, id), "a round is not on the agenda");
            }
        }
        let behind = Behind::<T>::get();
        ensure!(behind.is_none_or(|block| block <= now), "work is left over from a block that is to come");
        // With what is due named for its own time alone, each is on the agenda once.
        for (block, id, ()) in Agenda::<T>::iter() {
            let round = Rounds::<T>::get(id).ok_or("the agenda names a round that does not exist")?;
            ensure!(round.due() == Some(block), "the agenda names a round for another time");
            ensure!(block > now || behind.is_some_and(|first| first <= block), "the agenda was passed over");
        }
        Ok(())
    }

    fn try_bonds() -> Result<(), TryRuntimeError> {
        let mut bonds = BTreeMap::<T::AccountId, Balance>::new();
        for (id, round) in Rounds::<T>::iter().filter(|(_, round)| round.holds_bonds()) {
            for delta in Deltas::<T>::get(id) {
                bonds.entry(delta.learner).or_default().saturating_accrue(round.terms.bond);
            }
        }
        for who in frame_system::Account::<T>::iter_keys() {
            let sum = bonds.remove(&who).unwrap_or_default();
            let held = T::Currency::balance_on_hold(&HoldReason::DeltaBond.into(), &who);
            ensure!(held == sum, "bonds of deltas are not what is held");
        }
        // On a local network there may be deltas without a bond, from accounts that are gone.
        ensure!(bonds.values().all(|sum| *sum == 0), "a bond is from an account that does not exist");
        Ok(())
    }
}
