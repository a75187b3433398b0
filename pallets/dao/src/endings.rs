//! The agenda: polls end, and results become final, in the block that they are due in.

use crate::{pallet::*, Phase, WeightInfo};
use alloc::vec::Vec;
use blyan_primitives::traits::{Members, OnPollEnd, PollId, PollResult};
use frame_support::{
    defensive,
    pallet_prelude::{Get, Weight},
    traits::{
        fungible::{BalancedHold, MutateHold},
        tokens::Precision,
        Imbalance, OnUnbalanced,
    },
};
use frame_system::pallet_prelude::BlockNumberFor;
use polkadot_sdk::*;
use sp_runtime::traits::{One, Saturating};

/// Most blocks whose agenda is looked at in one block, when work was left over.
pub const CATCH_UP: u32 = 8;

impl<T: Config> Pallet<T> {
    /// Works through what is due in block `now`, after what was left over from blocks before: [`Config::MaxEndings`] polls at
    /// most. What is left over waits for the next block.
    pub(crate) fn work_through_agenda(now: BlockNumberFor<T>) -> Weight {
        let mut weight = T::WeightInfo::agenda();
        let mut block = Behind::<T>::take().unwrap_or(now);
        let mut left = T::MaxEndings::get();
        for _ in 0..CATCH_UP {
            weight = weight.saturating_add(T::WeightInfo::agenda_block());
            // Collected first: what ends puts something new on the agenda.
            let due: Vec<PollId> = Agenda::<T>::drain_prefix(block).map(|(id, ())| id).take(left as usize).collect();
            for id in due {
                left = left.saturating_sub(1);
                weight = weight.saturating_add(Self::advance(id, now));
            }
            if left == 0 {
                break;
            }
            block = block.saturating_add(One::one());
            if block > now {
                return weight;
            }
        }
        Behind::<T>::put(block);
        weight
    }

    /// The most that [`Self::work_through_agenda`] takes.
    pub fn heaviest_agenda() -> Weight {
        let each = T::WeightInfo::end_poll().max(T::WeightInfo::end_appeal()).max(T::WeightInfo::settle_poll());
        T::WeightInfo::agenda()
            .saturating_add(T::WeightInfo::agenda_block().saturating_mul(CATCH_UP.into()))
            .saturating_add(each.saturating_add(T::PollEndWeight::get()).saturating_mul(T::MaxEndings::get().into()))
    }

    /// Takes a poll that is due to its next phase, and says what that costs.
    fn advance(id: PollId, now: BlockNumberFor<T>) -> Weight {
        let Some(poll) = Polls::<T>::get(id) else {
            defensive!("the agenda names a poll that does not exist");
            return T::WeightInfo::settle_poll();
        };
        let weight = match poll.phase {
            Phase::Open => {
                OpenPolls::<T>::remove(id);
                let result = poll.result(T::Members::count());
                match &poll.appeal {
                    None => {
                        Self::end(id, poll, result, now);
                        T::WeightInfo::end_poll()
                    },
                    Some(appeal) => {
                        let appeal = appeal.clone();
                        Self::end_appeal(id, poll, result, appeal);
                        T::WeightInfo::end_appeal()
                    },
                }
            },
            Phase::Ended { result, .. } => {
                Self::settle(id, poll, result);
                T::WeightInfo::settle_poll()
            },
            Phase::Appealed { .. } | Phase::Settled { .. } => {
                defensive!("the agenda names a poll that waits for nothing");
                T::WeightInfo::settle_poll()
            },
        };
        weight.saturating_add(T::PollEndWeight::get())
    }

    /// A first poll has ended: from now on somebody can appeal, for as long as members had to vote.
    fn end(id: PollId, mut poll: PollOf<T>, result: PollResult, now: BlockNumberFor<T>) {
        let until = now.saturating_add(poll.rules.period.max(1).into());
        let subject = poll.subject;
        poll.phase = Phase::Ended { result, until };
        Agenda::<T>::insert(until, id, ());
        Polls::<T>::insert(id, poll);
        Self::deposit_event(Event::PollEnded { poll: id, result });
        T::OnPollEnd::ended(id, subject, result);
    }

    /// The second poll of an appeal has ended. It changes the result when it decides something else than the first.
    fn end_appeal(id: PollId, mut poll: PollOf<T>, result: PollResult, appeal: AppealOf<T>) {
        poll.phase = Phase::Settled { result };
        Polls::<T>::insert(id, poll);
        Self::deposit_event(Event::PollEnded { poll: id, result });
        let changed = matches!(result, PollResult::Decided(_)) && result != appeal.former;
        Self::settle_deposit(id, &appeal, changed);
        match Polls::<T>::get(appeal.of) {
            Some(first) => Self::settle(appeal.of, first, if changed { result } else { appeal.former }),
            None => {
                defensive!("an appeal is against a poll that does not exist");
            },
        }
    }

    /// Nothing changes the result of a poll any more.
    fn settle(id: PollId, mut poll: PollOf<T>, result: PollResult) {
        let subject = poll.subject;
        poll.phase = Phase::Settled { result };
        Polls::<T>::insert(id, poll);
        Self::deposit_event(Event::PollSettled { poll: id, subject, result });
        T::OnPollEnd::settled(id, subject, result);
    }

    /// Returns an appeal's deposit when the appeal has changed something. One that cannot be returned is lost like any other:
    /// nothing stays held for an appeal that is over.
    fn settle_deposit(id: PollId, appeal: &AppealOf<T>, changed: bool) {
        let (reason, who, amount) = (HoldReason::Appeal.into(), appeal.by.clone(), appeal.deposit);
        if changed && T::Currency::release(&reason, &who, amount, Precision::Exact).is_ok() {
            Self::deposit_event(Event::AppealDepositReturned { poll: id, who, amount });
        } else {
            let (credit, _) = T::Currency::slash(&reason, &who, amount);
            let amount = credit.peek();
            T::OnLostDeposit::on_unbalanced(credit);
            Self::deposit_event(Event::AppealDepositLost { poll: id, who, amount });
        }
    }
}
