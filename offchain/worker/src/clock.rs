//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds; 0 should the clock stand before 1970.
pub fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
