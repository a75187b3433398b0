//! Work on several threads, results in order, memory bounded.

use parking_lot::{Condvar, Mutex};
use std::{collections::BTreeMap, sync::mpsc, thread};

/// Results that may wait for an earlier one, for each thread.
const LOOKAHEAD: usize = 2;

struct State {
    next: usize,
    consumed: usize,
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// Lets everyone go when a thread panics: the others would wait for its result for ever.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Calls `work(0)` to `work(count - 1)` on `threads` threads, and `consume` with each result, in order, on this one.
///
/// No thread runs further ahead of `consume` than a few results. The first error, of either, ends it.
pub(super) fn in_order<T: Send, E: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
    mut consume: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.clamp(1, count.max(1));
    let shared = Shared { state: Mutex::new(State { next: 0, consumed: 0, stopped: false }), changed: Condvar::new() };
    let claim = || {
        let mut state = shared.state.lock();
        while !state.stopped && state.next < count && state.next >= state.consumed + threads * LOOKAHEAD {
            shared.changed.wait(&mut state);
        }
        let index = state.next;
        state.next += 1;
        (!state.stopped && index < count).then_some(index)
    };
    thread::scope(|scope| {
        let _released = StopOnPanic(&shared);
        let (sender, results) = mpsc::channel();
        for _ in 0..threads {
            let (sender, shared, claim, work) = (sender.clone(), &shared, &claim, &work);
            scope.spawn(move || {
                let _released = StopOnPanic(shared);
                while let Some(index) = claim() {
                    if sender.send((index, work(index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut consumed = 0;
        for (index, result) in results {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&consumed) {
                if let Err(error) = result.and_then(|value| consume(consumed, value)) {
                    shared.stop();
                    return Err(error);
                }
                consumed += 1;
                shared.state.lock().consumed = consumed;
                shared.changed.notify_all();
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 5] {
            let mut seen = Vec::new();
            let slow_first = |i: usize| {
                thread::sleep(std::time::Duration::from_micros((50 - i as u64) * 10));
                Ok::<_, ()>(i)
            };
            in_order(50, threads, slow_first, |index, value| {
                assert_eq!(index, value);
                seen.push(value);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, (0..50).collect::<Vec<_>>());
        }
        in_order(0, 3, |_| Ok::<_, ()>(()), |_, ()| Ok(())).unwrap();
    }

    #[test]
    fn nobody_runs_far_ahead() {
        let (started, consumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_| {
            let ahead = started.fetch_add(1, Ordering::SeqCst) - consumed.load(Ordering::SeqCst);
            assert!(ahead <= 2 * LOOKAHEAD, "{ahead}");
            Ok::<_, ()>(())
        };
        in_order(40, 2, work, |_, ()| {
            thread::sleep(std::time::Duration::from_millis(1));
            consumed.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn the_first_error_ends_it() {
        let failing = |i| if i == 7 { Err("work") } else { Ok(i) };
        let mut last = 0;
        let keep = |i, _| {
            last = i;
            Ok(())
        };
        assert_eq!(in_order(1000, 3, failing, keep), Err("work"));
        assert_eq!(last, 6);
        assert_eq!(in_order(1000, 3, Ok, |i, _| if i == 3 { Err("consume") } else { Ok(()) }), Err("consume"));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_does_not_hang() {
        let _ = in_order(100, 2, |i| if i == 5 { panic!("broken") } else { Ok::<_, ()>(()) }, |_, ()| Ok(()));
    }
}
