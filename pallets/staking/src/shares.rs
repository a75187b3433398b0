//! How a reward is divided, and what a slash takes from where: pure functions.

use crate::{Balance, Exposure};
use polkadot_sdk::*;
use sp_runtime::{helpers_128bit::multiply_by_rational_with_rounding, Perbill, Rounding};

/// `amount` × `part` / `whole`, rounded down; not more than `amount`, and nothing of no whole.
pub(crate) fn proportion(amount: Balance, part: Balance, whole: Balance) -> Balance {
    if whole == 0 {
        return 0;
    }
    multiply_by_rational_with_rounding(amount, part.min(whole), whole, Rounding::Down).unwrap_or(0)
}

/// What a validator's blocks are paid, divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Division {
    /// For the validator: its commission, and what its own bond has earned.
    pub(crate) validator: Balance,
    /// What all stake together has earned, the validator's own among it.
    pub(crate) earned: Balance,
}

/// Divides `reward` between a validator and its stake. Who has nothing at stake earns nothing.
pub(crate) fn divide(reward: Balance, exposure: &Exposure) -> Division {
    if exposure.total == 0 {
        return Division { validator: 0, earned: 0 };
    }
    let commission = exposure.commission.of(reward);
    let earned = reward.saturating_sub(commission);
    let own = proportion(earned, exposure.own, exposure.total);
    Division { validator: commission.saturating_add(own), earned }
}

/// What a slash still has to take from somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debt(Balance);

impl Debt {
    /// `fraction` of what somebody was exposed with, rounded down.
    pub(crate) fn of(fraction: Perbill, exposed: Balance) -> Self {
        Self(fraction.mul_floor(exposed))
    }

    /// So much.
    pub(crate) fn exactly(amount: Balance) -> Self {
        Self(amount)
    }

    /// How much is left to take.
    pub(crate) fn left(&self) -> Balance {
        self.0
    }

    /// Pays with what `take` gives when it is asked for all that is left. Asks for nothing when nothing is.
    pub(crate) fn pay(&mut self, take: impl FnOnce(Balance) -> Balance) {
        if self.0 > 0 {
            self.0 = self.0.saturating_sub(take(self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::Ppm;
    use proptest::prelude::*;

    fn exposure(own: Balance, delegated: Balance, commission: u32) -> Exposure {
        Exposure { own, total: own + delegated, commission: Ppm(commission), delegators: 0, copied: 0 }
    }

    #[test]
    fn a_reward_is_divided_by_stake_after_the_commission() {
        let division = divide(1_000, &exposure(300, 700, 100_000));
        assert_eq!(division, Division { validator: 100 + 270, earned: 900 });
        assert_eq!(proportion(division.earned, 700, 1_000), 630);
    }

    #[test]
    fn who_has_nothing_at_stake_earns_nothing() {
        assert_eq!(divide(1_000, &exposure(0, 0, 1_000_000)), Division { validator: 0, earned: 0 });
        assert_eq!(proportion(5, 0, 0), 0);
    }

    #[test]
    fn a_part_is_never_more_than_the_whole() {
        assert_eq!(proportion(5, 7, 3), 5);
        assert_eq!(proportion(Balance::MAX, Balance::MAX, Balance::MAX), Balance::MAX);
    }

    #[test]
    fn a_debt_takes_from_one_place_after_the_other() {
        let mut debt = Debt::of(Perbill::from_percent(10), 1_009);
        assert_eq!(debt.left(), 100);
        debt.pay(|wanted| wanted.min(30));
        debt.pay(|wanted| wanted.min(90));
        assert_eq!(debt, Debt::exactly(0));
        debt.pay(|_| unreachable!("nothing is left to ask for"));
    }

    proptest! {
        #[test]
        fn no_more_is_paid_than_there_is(
            reward in 0..=1u128 << 90,
            own in 0..=1u128 << 90,
            shares in prop::collection::vec(0..=1u128 << 80, 0..70),
            commission in 0..=1_000_000u32,
        ) {
            let delegated: Balance = shares.iter().sum();
            let exposure = exposure(own, delegated, commission);
            let division = divide(reward, &exposure);
            let delegators: Balance =
                shares.iter().map(|share| proportion(division.earned, *share, exposure.total)).sum();
            let paid = division.validator + delegators;
            prop_assert!(paid <= reward);
            // What is lost to rounding is less than a unit for each who is paid.
            if exposure.total > 0 {
                prop_assert!(reward - paid <= shares.len() as u128 + 1);
            }
        }

        #[test]
        fn blocks_share_an_era(reward in 0..=1u128 << 90, blocks in prop::collection::vec(0..=500u32, 1..50)) {
            let all: u32 = blocks.iter().sum();
            let paid: Balance = blocks.iter().map(|n| proportion(reward, (*n).into(), all.into())).sum();
            prop_assert!(paid <= reward);
        }

        #[test]
        fn a_slash_takes_its_fraction_or_all_there_is(
            parts in 0..=1_000_000_000u32,
            exposed in 0..=1u128 << 90,
            places in prop::collection::vec(0..=1u128 << 88, 0..20),
        ) {
            let fraction = Perbill::from_parts(parts);
            let mut debt = Debt::of(fraction, exposed);
            let owed = debt.left();
            prop_assert!(owed <= exposed);
            prop_assert_eq!(owed, exposed * u128::from(parts) / 1_000_000_000);
            let mut taken = 0;
            for place in &places {
                debt.pay(|wanted| {
                    let part = wanted.min(*place);
                    taken += part;
                    part
                });
            }
            prop_assert_eq!(taken, owed.min(places.iter().sum()));
            prop_assert_eq!(debt.left(), owed - taken);
        }

        #[test]
        fn fractions_announced_one_after_the_other_are_no_more_than_the_largest(
            fractions in prop::collection::vec(0..=1_000_000_000u32, 1..6),
            exposed in 0..=1u128 << 90,
        ) {
            let mut largest = Perbill::zero();
            let mut taken = 0;
            for fraction in fractions.into_iter().map(Perbill::from_parts) {
                taken += Debt::of(fraction - largest.min(fraction), exposed).left();
                largest = largest.max(fraction);
            }
            prop_assert!(taken <= largest.mul_floor(exposed));
        }
    }
}
