//! Waits between attempts.

use std::time::Duration;

/// Between half of `base` and all of it, so that many who failed together do not come back together.
pub fn jittered(base: Duration) -> Duration {
    let mut byte = [0u8; 1];
    // Without random bytes the wait is the whole base: still correct, only less spread.
    let share = getrandom::fill(&mut byte).map_or(u32::from(u8::MAX), |()| u32::from(byte[0]));
    base / 2 + (base / 2) * share / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let base = Duration::from_secs(8);
        assert!((0..100).map(|_| jittered(base)).all(|wait| wait >= base / 2 && wait <= base));
    }
}
