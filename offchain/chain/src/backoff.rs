//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential growth up to a ceiling, each wait drawn uniformly from the upper half of its step, so that many clients of
/// one restarted node do not return at the same instant. Never ends: limits on time belong to whoever waits.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { next: first.min(max), max }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.max);
        Some(step.mul_f64(0.5 + fastrand::f64() / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_ceiling_and_stay_within_half_of_each_step() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut step = first;
        for wait in Backoff::new(first, max).take(50) {
            assert!(wait <= step && wait >= step / 2, "{wait:?} of {step:?}");
            step = (step * 2).min(max);
        }
    }

    #[test]
    fn two_clients_do_not_wait_in_step() {
        let waits = || Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).take(8).collect::<Vec<_>>();
        assert_ne!(waits(), waits());
    }
}
