//! What pallets hold to be impossible, made to fail a test.
//!
//! With the release profile, in which tests are built as everything is, `defensive!` only writes an error to the log and
//! `debug_assert!` does nothing; nor are there checks for overflow. Our pallets have no arithmetic that could overflow: clippy
//! refuses it there. So their `defensive!` are what is left to see, and those of the SDK's pallets.

use std::{cell::RefCell, sync::Once};

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Defensive;

impl log::Log for Defensive {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target() == "runtime::defensive"
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            SEEN.with_borrow_mut(|seen| seen.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Starts to watch, and forgets what this thread has seen so far.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Defensive).expect("nobody else logs in these tests");
        log::set_max_level(log::LevelFilter::Error);
    });
    SEEN.take();
}

/// Fails if something happened that a pallet holds to be impossible.
pub(super) fn check() -> Result<(), String> {
    match SEEN.take() {
        seen if seen.is_empty() => Ok(()),
        seen => Err(format!("what cannot be has happened: {}", seen.join("; "))),
    }
}

#[test]
fn the_impossible_is_seen() {
    use polkadot_sdk::*;
    watch();
    assert_eq!(check(), Ok(()));
    // A debug assertion as well, where there are such.
    let _ = std::panic::catch_unwind(|| {
        frame_support::defensive!("a circle was squared");
    });
    assert!(check().unwrap_err().contains("a circle was squared"));
    assert_eq!(check(), Ok(()));
}
