//! Parts of a bond on their way back: pure functions. They are kept in the order of their eras, one for each.

use crate::{Balance, Chunk, EraIndex};
use frame_support::{pallet_prelude::Get, BoundedVec};
use polkadot_sdk::*;

type Chunks<Max> = BoundedVec<Chunk, Max>;

/// There is no room for another part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// All of it.
pub(crate) fn sum(chunks: &[Chunk]) -> Balance {
    chunks.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.amount))
}

/// Adds `amount`, due in era `due`.
pub(crate) fn add<Max: Get<u32>>(chunks: &mut Chunks<Max>, amount: Balance, due: EraIndex) -> Result<(), Full> {
    let at = chunks.partition_point(|chunk| chunk.due < due);
    match chunks.get_mut(at).filter(|chunk| chunk.due == due) {
        Some(chunk) => {
            chunk.amount = chunk.amount.saturating_add(amount);
            Ok(())
        },
        None => chunks.try_insert(at, Chunk { amount, due }).map_err(|_| Full),
    }
}

/// Adds `amount`, due in era `due`. Where there is no room it joins the next part that is due later, or the last part, which
/// then is due when it is: nothing comes back too early, and there is always a way out.
pub(crate) fn force<Max: Get<u32>>(chunks: &mut Chunks<Max>, amount: Balance, due: EraIndex) {
    if add(chunks, amount, due).is_ok() {
        return;
    }
    let last = chunks.len().saturating_sub(1);
    let at = chunks.partition_point(|chunk| chunk.due < due).min(last);
    if let Some(chunk) = chunks.get_mut(at) {
        *chunk = Chunk { amount: chunk.amount.saturating_add(amount), due: chunk.due.max(due) };
    }
}

/// Takes out what is due in era `now`, but not more than `most`.
pub(crate) fn withdraw<Max: Get<u32>>(chunks: &mut Chunks<Max>, now: EraIndex, most: Balance) -> Balance {
    let mut left = most;
    for chunk in chunks.iter_mut().take_while(|chunk| chunk.due <= now) {
        let taken = chunk.amount.min(left);
        left = left.saturating_sub(taken);
        chunk.amount = chunk.amount.saturating_sub(taken);
    }
    chunks.retain(|chunk| chunk.amount > 0);
    most.saturating_sub(left)
}

/// Takes out up to `amount`, the last due first: what was exposed last came last.
pub(crate) fn slash<Max: Get<u32>>(chunks: &mut Chunks<Max>, amount: Balance) -> Balance {
    let mut left = amount;
    for chunk in chunks.iter_mut().rev() {
        let taken = chunk.amount.min(left);
        left = left.saturating_sub(taken);
        chunk.amount = chunk.amount.saturating_sub(taken);
    }
    chunks.retain(|chunk| chunk.amount > 0);
    amount.saturating_sub(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame_support::traits::ConstU32;
    use proptest::prelude::*;

    type Some3 = Chunks<ConstU32<3>>;

    fn chunks(parts: &[(Balance, EraIndex)]) -> Some3 {
        let parts: Vec<_> = parts.iter().map(|(amount, due)| Chunk { amount: *amount, due: *due }).collect();
        parts.try_into().unwrap()
    }

    #[test]
    fn parts_due_in_one_era_are_one_part() {
        let mut some = chunks(&[(5, 2), (7, 4)]);
        assert_eq!(add(&mut some, 1, 4), Ok(()));
        assert_eq!(add(&mut some, 1, 3), Ok(()));
        assert_eq!(some, chunks(&[(5, 2), (1, 3), (8, 4)]));
        assert_eq!(add(&mut some, 1, 5), Err(Full));
        assert_eq!(add(&mut some, 1, 2), Ok(()));
    }

    #[test]
    fn what_has_no_room_waits_with_the_next_part() {
        let full = chunks(&[(5, 2), (1, 4), (8, 6)]);
        let forced = |due| {
            let mut some = full.clone();
            force(&mut some, 10, due);
            some
        };
        assert_eq!(forced(1), chunks(&[(15, 2), (1, 4), (8, 6)]));
        assert_eq!(forced(3), chunks(&[(5, 2), (11, 4), (8, 6)]));
        assert_eq!(forced(4), chunks(&[(5, 2), (11, 4), (8, 6)]));
        assert_eq!(forced(9), chunks(&[(5, 2), (1, 4), (18, 9)]));
    }

    #[test]
    fn the_last_due_is_slashed_first() {
        let mut some = chunks(&[(5, 2), (1, 4), (8, 6)]);
        assert_eq!(slash(&mut some, 10), 10);
        assert_eq!(some, chunks(&[(4, 2)]));
        assert_eq!(slash(&mut some, 10), 4);
        assert!(some.is_empty());
    }

    #[test]
    fn what_is_kept_back_is_of_the_last_due() {
        let mut some = chunks(&[(5, 2), (3, 4), (8, 6)]);
        assert_eq!(withdraw(&mut some, 1, 100), 0);
        assert_eq!(withdraw(&mut some, 4, 6), 6);
        assert_eq!(some, chunks(&[(2, 4), (8, 6)]));
        assert_eq!(withdraw(&mut some, 6, Balance::MAX), 10);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(Balance, EraIndex),
        Force(Balance, EraIndex),
        Withdraw(EraIndex, Balance),
        Slash(Balance),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1u128..100, 0u32..10).prop_map(|(amount, due)| Step::Add(amount, due)),
            (1u128..100, 0u32..10).prop_map(|(amount, due)| Step::Force(amount, due)),
            (0u32..10, 0u128..200).prop_map(|(now, most)| Step::Withdraw(now, most)),
            (0u128..100).prop_map(Step::Slash),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_nor_due_early(steps in proptest::collection::vec(step(), 0..40)) {
            let mut some = Some3::default();
            for step in steps {
                let (before, sum_before) = (some.clone(), sum(&some));
                match step {
                    Step::Add(amount, due) => {
                        let added = add(&mut some, amount, due).map_or(0, |()| amount);
                        prop_assert_eq!(sum(&some), sum_before + added);
                    },
                    Step::Force(amount, due) => {
                        force(&mut some, amount, due);
                        prop_assert_eq!(sum(&some), sum_before + amount);
                        // What was not due in any era is not due in it now.
                        for era in 0..10 {
                            let early = |chunks: &[Chunk]| -> Balance {
                                chunks.iter().filter(|chunk| chunk.due <= era).map(|chunk| chunk.amount).sum()
                            };
                            let more = if due <= era { amount } else { 0 };
                            prop_assert!(early(&some) <= early(&before) + more);
                        }
                    },
                    Step::Withdraw(now, most) => {
                        let due: Balance = before.iter().filter(|chunk| chunk.due <= now).map(|chunk| chunk.amount).sum();
                        let taken = withdraw(&mut some, now, most);
                        prop_assert_eq!(taken, due.min(most));
                        prop_assert_eq!(sum(&some), sum_before - taken);
                    },
                    Step::Slash(amount) => {
                        let taken = slash(&mut some, amount);
                        prop_assert_eq!(taken, amount.min(sum_before));
                        prop_assert_eq!(sum(&some), sum_before - taken);
                    },
                }
                prop_assert!(some.windows(2).all(|pair| pair[0].due < pair[1].due));
                prop_assert!(some.iter().all(|chunk| chunk.amount > 0));
            }
        }
    }
}
