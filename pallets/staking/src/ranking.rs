//! Who is elected, and who stays: pure functions.

use crate::Balance;
use alloc::{collections::BTreeSet, vec::Vec};
use core::cmp::Reverse;

/// Why somebody could validate. The first come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// A candidate that wants to, and has enough of its own at stake.
    Stake,
    /// A present validator, and a candidate that is chilled or has too little of its own at stake.
    Presence,
    /// As before, with a slash announced against it.
    SuspectPresence,
    /// A present validator that is no candidate any more.
    FormerPresence,
}

/// Somebody who could validate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contender<AccountId> {
    /// Who.
    pub(crate) who: AccountId,
    /// With how much stake.
    pub(crate) stake: Balance,
    /// On what ground.
    pub(crate) claim: Claim,
}

/// The contenders with the most stake, ties going to the first account: up to `seats` who have a claim by stake, and, while
/// there are fewer than `floor`, the others in the order of their claims. `can_serve` is asked of as few as possible. In the
/// order of accounts, so that an unchanged set is an unchanged list.
pub(crate) fn elect<AccountId: Ord>(
    mut contenders: Vec<Contender<AccountId>>,
    seats: usize,
    floor: usize,
    mut can_serve: impl FnMut(&AccountId) -> bool,
) -> Vec<AccountId> {
    contenders.sort_by(|a, b| (a.claim, Reverse(a.stake), &a.who).cmp(&(b.claim, Reverse(b.stake), &b.who)));
    let mut elected = Vec::new();
    for Contender { who, claim, .. } in contenders {
        let places = if claim == Claim::Stake { seats } else { floor.min(seats) };
        if elected.len() >= places {
            // Those after it have the same claim, or a weaker one to no more places.
            break;
        }
        if can_serve(&who) {
            elected.push(who);
        }
    }
    elected.sort();
    elected
}

/// Those of the `present` who stay until the next election: without the suspects, as long as no more than a third of the
/// present leave and `floor` stay. The first of the list leave first, the others at the sessions that follow.
pub(crate) fn retain<AccountId: Ord + Clone>(
    present: &[AccountId],
    floor: usize,
    mut can_serve: impl FnMut(&AccountId) -> bool,
    mut is_suspect: impl FnMut(&AccountId) -> bool,
) -> Vec<AccountId> {
    let able: Vec<_> = present.iter().filter(|who| can_serve(who)).cloned().collect();
    let third = present.len().saturating_sub(1).checked_div(3).unwrap_or(0);
    let most = third.min(able.len().saturating_sub(floor));
    let gone: BTreeSet<_> = able.iter().filter(|who| is_suspect(who)).take(most).cloned().collect();
    let mut stay: Vec<_> = able.into_iter().filter(|who| !gone.contains(who)).collect();
    stay.sort();
    stay
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contender(who: u8, stake: Balance, claim: Claim) -> Contender<u8> {
        Contender { who, stake, claim }
    }

    fn all(_: &u8) -> bool {
        true
    }

    #[test]
    fn the_most_stake_is_elected_and_ties_go_to_the_first_account() {
        let contenders =
            [(9, 5), (1, 7), (4, 5), (7, 5), (2, 1)].map(|(who, stake)| contender(who, stake, Claim::Stake));
        assert_eq!(elect(contenders.to_vec(), 3, 1, all), [1, 4, 7]);
        assert_eq!(elect(contenders.to_vec(), 4, 1, |who| *who != 4), [1, 2, 7, 9]);
        assert_eq!(elect(contenders.to_vec(), 9, 1, all), [1, 2, 4, 7, 9]);
    }

    #[test]
    fn missing_places_go_to_the_present_by_their_claims() {
        let contenders = vec![
            contender(1, 5, Claim::FormerPresence),
            contender(2, 5, Claim::SuspectPresence),
            contender(3, 1, Claim::Presence),
            contender(4, 9, Claim::Presence),
            contender(5, 1, Claim::Stake),
        ];
        let elected = |floor| elect(contenders.clone(), 10, floor, all);
        assert_eq!(elected(1), [5]);
        assert_eq!(elected(2), [4, 5]);
        assert_eq!(elected(3), [3, 4, 5]);
        assert_eq!(elected(4), [2, 3, 4, 5]);
        assert_eq!(elected(9), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn suspects_leave_but_not_more_than_a_third_at_once() {
        let present: Vec<u8> = (1..=10).collect();
        let suspect = |who: &u8| who.is_multiple_of(2);
        let stay = retain(&present, 1, all, suspect);
        assert_eq!(stay, [1, 3, 5, 7, 8, 9, 10]);
        assert_eq!(retain(&stay, 1, all, suspect), [1, 3, 5, 7, 9]);
        assert_eq!(retain(&present, 9, all, suspect), [1, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(retain(&[1, 2], 1, all, suspect), [1, 2]);
        // Who has no keys cannot stay, however few there are.
        assert_eq!(retain(&present, 9, |who| *who > 4, suspect), [5, 6, 7, 8, 9, 10]);
    }

    fn claim() -> impl Strategy<Value = Claim> {
        prop_oneof![
            3 => Just(Claim::Stake),
            1 => Just(Claim::Presence),
            1 => Just(Claim::SuspectPresence),
            1 => Just(Claim::FormerPresence),
        ]
    }

    fn contenders() -> impl Strategy<Value = Vec<Contender<u8>>> {
        prop::collection::btree_map(any::<u8>(), (0u128..20, claim()), 0..60)
            .prop_map(|all| all.into_iter().map(|(who, (stake, claim))| Contender { who, stake, claim }).collect())
    }

    proptest! {
        #[test]
        fn an_election_is_sound(
            contenders in contenders(), seats in 1usize..20, floor in 1usize..20, keys: [bool; 256], seed: u64,
        ) {
            let can_serve = |who: &u8| keys[usize::from(*who)];
            let elected = elect(contenders.clone(), seats, floor, can_serve);
            let able = |claim: fn(Claim) -> bool| {
                contenders.iter().filter(|c| claim(c.claim) && can_serve(&c.who)).count()
            };
            let (by_stake, in_all) = (able(|c| c == Claim::Stake), able(|_| true));
            // As many as there can be.
            prop_assert_eq!(elected.len(), by_stake.min(seats).max(in_all.min(floor.min(seats))));
            prop_assert!(elected.windows(2).all(|pair| pair[0] < pair[1]));
            // Nobody who is not has a better right.
            let find = |who: &u8| contenders.iter().find(|c| c.who == *who).unwrap();
            let right = |c: &Contender<u8>| (c.claim, Reverse(c.stake), c.who);
            let last = elected.iter().map(|who| right(find(who))).max();
            let first_out =
                contenders.iter().filter(|c| can_serve(&c.who) && !elected.contains(&c.who)).map(right).min();
            if let (Some(last), Some(first_out)) = (last, first_out) {
                prop_assert!(last < first_out);
            }
            // The order in which contenders are listed decides nothing.
            let mut shuffled = contenders.clone();
            shuffled.sort_by_key(|c| u64::from(c.who).wrapping_mul(seed | 1));
            prop_assert_eq!(elect(shuffled, seats, floor, can_serve), elected);
        }

        #[test]
        fn the_set_keeps_its_floor(present in prop::collection::btree_set(any::<u8>(), 0..60), floor in 1usize..20) {
            let present: Vec<_> = present.into_iter().collect();
            let stay = retain(&present, floor, all, |who| who % 3 > 0);
            prop_assert!(stay.len() >= floor.min(present.len()));
            prop_assert!(present.len() - stay.len() <= present.len() / 3);
            prop_assert!(present.iter().filter(|who| *who % 3 == 0).all(|who| stay.contains(who)));
        }
    }
}
