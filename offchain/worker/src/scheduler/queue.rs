//! The bounded queue between requests and the engine.

use super::Job;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

/// Why a request was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many requests wait as may.
    #[error("{waiting} requests wait already")]
    Full {
        /// How many.
        waiting: usize,
    },
    /// The engine takes no more requests.
    #[error("the engine has stopped")]
    Closed,
}

/// How an engine ends before its answers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abort {
    /// What is running ends with the tokens it has.
    CutShort,
    /// What is running is lost: nobody can vouch for it.
    Discard,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
    closed: bool,
    abort: Option<Abort>,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limit }
    }

    fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.limit {
            // Who left while waiting keeps no place.
            state.waiting.retain(|job| !job.cancel.is_cancelled());
        }
        if state.waiting.len() >= self.limit {
            return Err(Refused::Full { waiting: state.waiting.len() });
        }
        state.waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes up to `room` requests whose clients still wait. With `idle`, waits for one; empty then means that the queue
    /// was closed.
    pub(super) fn take(&self, room: usize, idle: bool) -> Vec<Job> {
        let mut state = self.state.lock();
        loop {
            state.waiting.retain(|job| !job.cancel.is_cancelled());
            if !state.waiting.is_empty() || !idle || state.closed {
                break;
            }
            self.changed.wait(&mut state);
        }
        let count = room.min(state.waiting.len());
        let taken: Vec<_> = state.waiting.drain(..count).collect();
        // Under the same lock: a request is always counted as waiting or as running.
        state.running += taken.len();
        taken
    }

    /// Whether and how the engine is to end now.
    pub(super) fn aborted(&self) -> Option<Abort> {
        self.state.lock().abort
    }

    pub(super) fn set_running(&self, running: usize) {
        self.state.lock().running = running;
    }

    pub(super) fn close(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.closed = true;
        self.changed.notify_all();
        state.waiting.drain(..).collect()
    }

    fn stop_when_empty(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    fn abort(&self, how: Abort) {
        let mut state = self.state.lock();
        state.closed = true;
        state.abort = Some(how);
        self.changed.notify_all();
    }

    fn is_idle(&self) -> bool {
        self.counts() == (0, 0)
    }

    fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.waiting.len(), state.running)
    }
}

/// The way to the engine. When the last handle goes, the engine finishes what it has and ends.
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Guard>,
}

#[derive(Debug)]
struct Guard {
    queue: Arc<Queue>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.stop_when_empty();
    }
}

impl Handle {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { inner: Arc::new(Guard { queue }) }
    }

    /// Puts a request in line.
    pub fn submit(&self, job: Job) -> Result<(), Refused> {
        self.inner.queue.push(job)
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.inner.queue.counts().0
    }

    /// Answers being computed.
    pub fn running(&self) -> usize {
        self.inner.queue.counts().1
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.inner.queue.is_idle()
    }
}

/// Every engine that still has answers: the present one, and former ones whose answers are finishing.
///
/// Watching an engine does not keep it from ending.
#[derive(Debug, Default)]
pub struct Engines {
    watched: Mutex<Vec<Watched>>,
}

#[derive(Debug)]
struct Watched {
    queue: Arc<Queue>,
    handle: Weak<Guard>,
}

impl Engines {
    /// Watches one more engine.
    pub fn watch(&self, engine: &Handle) {
        let mut watched = self.watched.lock();
        // Whoever holds a handle may still submit; without one, an idle engine has ended.
        watched.retain(|one| one.handle.strong_count() > 0 || !one.queue.is_idle());
        watched.push(Watched { queue: engine.inner.queue.clone(), handle: Arc::downgrade(&engine.inner) });
    }

    /// Whether nothing waits and nothing runs on any of them.
    pub fn are_idle(&self) -> bool {
        self.watched.lock().iter().all(|one| one.queue.is_idle())
    }

    /// Cuts every answer short: what is running ends with the tokens it has, what waits is lost.
    pub fn abort(&self) {
        self.end(Abort::CutShort);
    }

    /// Ends every engine and loses its answers: the weights in memory are not what was verified.
    pub fn discard(&self) {
        self.end(Abort::Discard);
    }

    fn end(&self, how: Abort) {
        self.watched.lock().iter().for_each(|one| one.queue.abort(how));
    }
}
