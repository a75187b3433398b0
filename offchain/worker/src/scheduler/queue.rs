//! The bounded queue between requests and the engine.

use super::Job;
use parking_lot::{Condvar, Mutex};
use std::{collections::VecDeque, sync::Arc};

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

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
    closed: bool,
    aborted: bool,
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

    /// Whether answers are to be cut short.
    pub(super) fn is_aborted(&self) -> bool {
        self.state.lock().aborted
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

    fn abort(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.aborted = true;
        self.changed.notify_all();
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

    /// Cuts every answer short: what is running ends with the tokens it has, what waits is lost.
    pub fn abort(&self) {
        self.inner.queue.abort();
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.inner.queue.counts() == (0, 0)
    }
}
