//! Levels of trust: how much an account may submit a day, how it rises, and how it falls.
//!
//! ```text
//!              `promotion` successes in a row            `demotion` failures in a row
//! Newcomer ───────────────────────────────────► Trusted ──────────────────────────────┐
//!    ▲ └─ `demotion` failures in a row ─► quarantine ── time, or a release ─► Newcomer │
//!    └─────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A quarantined account submits nothing, and does not vote. Everything here is pure: the caller gives height, day and rules.

use crate::pact::Trust as Rules;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// How far an account is trusted.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Level {
    /// Has shown nothing yet.
    #[default]
    #[codec(index = 0)]
    Newcomer,
    /// Has a record of accepted work.
    #[codec(index = 1)]
    Trusted,
}

/// What is known of an account.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Standing {
    /// How far it is trusted.
    pub level: Level,
    /// Accepted submissions since the last refused one.
    pub successes: u32,
    /// Refused submissions since the last accepted one.
    pub failures: u32,
    /// First height at which a quarantine is over.
    pub quarantined_until: Option<u32>,
    /// Day of the last submission.
    pub day: u32,
    /// Submissions of that day.
    pub used: u32,
}

/// Why an account may not submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is in quarantine.
    Quarantined {
        /// First height at which it is not.
        until: u32,
    },
    /// It has submitted as much as it may today.
    QuotaSpent {
        /// How much that is.
        quota: u32,
    },
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Change {
    /// A newcomer is trusted.
    #[codec(index = 0)]
    Promoted,
    /// A trusted account is a newcomer.
    #[codec(index = 1)]
    Demoted,
    /// A newcomer is in quarantine.
    #[codec(index = 2)]
    Quarantined {
        /// First height at which it is not.
        until: u32,
    },
}

impl Standing {
    /// Whether the account is not in quarantine.
    pub fn is_good(&self, now: u32) -> bool {
        self.quarantined_until.is_none_or(|until| until <= now)
    }

    /// Submissions that the account may make a day.
    pub fn quota(&self, rules: &Rules) -> u32 {
        match self.level {
            Level::Newcomer => rules.newcomer_quota,
            Level::Trusted => rules.trusted_quota,
        }
    }

    /// Submissions that are left on `day`.
    pub fn left(&self, day: u32, rules: &Rules) -> u32 {
        let used = if self.day == day { self.used } else { 0 };
        self.quota(rules).saturating_sub(used)
    }

    /// Counts a submission, if the account may make one.
    pub fn submit(&mut self, now: u32, day: u32, rules: &Rules) -> Result<(), Refusal> {
        if let Some(until) = self.quarantined_until.filter(|until| *until > now) {
            return Err(Refusal::Quarantined { until });
        }
        if self.left(day, rules) == 0 {
            return Err(Refusal::QuotaSpent { quota: self.quota(rules) });
        }
        if self.day != day {
            (self.day, self.used) = (day, 0);
        }
        self.used = self.used.saturating_add(1);
        Ok(())
    }

    /// A submission was accepted.
    pub fn succeed(&mut self, rules: &Rules) -> Option<Change> {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.level == Level::Newcomer && self.successes >= rules.promotion {
            self.level = Level::Trusted;
            return Some(Change::Promoted);
        }
        None
    }

    /// A submission was refused.
    pub fn fail(&mut self, now: u32, rules: &Rules) -> Option<Change> {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures < rules.demotion {
            return None;
        }
        self.failures = 0;
        match self.level {
            Level::Trusted => {
                self.level = Level::Newcomer;
                Some(Change::Demoted)
            },
            Level::Newcomer => Some(self.quarantine(now, rules)),
        }
    }

    /// Puts the account into quarantine, or prolongs one; what it had earned is gone.
    pub fn quarantine(&mut self, now: u32, rules: &Rules) -> Change {
        let until = now.saturating_add(rules.quarantine).max(self.quarantined_until.unwrap_or(0));
        let Self { day, used, .. } = *self;
        *self = Self { quarantined_until: Some(until), day, used, ..Self::default() };
        Change::Quarantined { until }
    }

    /// Ends a quarantine. Whether there was one.
    pub fn release(&mut self, now: u32) -> bool {
        let was = !self.is_good(now);
        self.quarantined_until = None;
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pact::{NetworkKind, Pact};
    use proptest::prelude::*;

    const RULES: Rules = Pact::default_for(NetworkKind::Public).trust;

    fn after(successes: u32) -> Standing {
        let mut standing = Standing::default();
        for _ in 0..successes {
            standing.succeed(&RULES);
        }
        standing
    }

    #[test]
    fn three_successes_make_a_newcomer_trusted() {
        assert_eq!(after(2).level, Level::Newcomer);
        let mut standing = after(2);
        assert_eq!(standing.succeed(&RULES), Some(Change::Promoted));
        assert_eq!(standing.quota(&RULES), 200);
        assert_eq!(standing.succeed(&RULES), None);
    }

    #[test]
    fn a_failure_in_between_starts_the_count_again() {
        let mut standing = after(2);
        assert_eq!(standing.fail(0, &RULES), None);
        assert_eq!(standing.succeed(&RULES), None);
        assert_eq!(standing.level, Level::Newcomer);
    }

    #[test]
    fn failures_demote_then_quarantine() {
        let mut standing = after(3);
        let changes: Vec<_> = (0..6).map(|_| standing.fail(10, &RULES)).collect();
        let until = 10 + RULES.quarantine;
        let expected = [None, None, Some(Change::Demoted), None, None, Some(Change::Quarantined { until })];
        assert_eq!(changes, expected);
        assert!(!standing.is_good(until - 1) && standing.is_good(until));
        assert_eq!(standing.submit(until - 1, 0, &RULES), Err(Refusal::Quarantined { until }));
        assert_eq!(standing.submit(until, 0, &RULES), Ok(()));
    }

    #[test]
    fn a_release_ends_a_quarantine_once() {
        let mut standing = Standing::default();
        standing.quarantine(5, &RULES);
        assert!(standing.release(6));
        assert!(standing.is_good(6) && !standing.release(6));
    }

    #[test]
    fn a_day_has_its_quota() {
        let mut standing = Standing::default();
        for left in (0..20).rev() {
            assert_eq!(standing.submit(0, 7, &RULES), Ok(()));
            assert_eq!(standing.left(7, &RULES), left);
        }
        assert_eq!(standing.submit(0, 7, &RULES), Err(Refusal::QuotaSpent { quota: 20 }));
        assert_eq!(standing.submit(0, 8, &RULES), Ok(()));
    }

    #[test]
    fn a_quarantine_does_not_give_back_what_was_used() {
        let mut standing = Standing::default();
        standing.submit(0, 7, &RULES).unwrap();
        standing.quarantine(0, &RULES);
        standing.release(1);
        assert_eq!(standing.left(7, &RULES), 19);
    }

    proptest! {
        #[test]
        fn trust_is_only_had_after_enough_successes_in_a_row(outcomes: Vec<bool>) {
            let mut standing = Standing::default();
            let (mut row, mut now) = (0, 0);
            for accepted in outcomes {
                now += 1;
                let before = standing.level;
                if accepted {
                    row += 1;
                    standing.succeed(&RULES);
                } else {
                    row = 0;
                    standing.fail(now, &RULES);
                }
                if before == Level::Newcomer && standing.level == Level::Trusted {
                    prop_assert!(row >= RULES.promotion);
                }
                prop_assert!(standing.failures < RULES.demotion);
            }
        }
    }
}
