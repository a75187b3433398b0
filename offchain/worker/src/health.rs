//! Whether the worker can answer, and why not.

use parking_lot::RwLock;
use std::sync::Arc;

/// What the worker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ready yet; says what it waits for.
    Starting(String),
    /// Answers requests.
    Ready,
    /// Finishes running answers and takes no more.
    Draining,
    /// Broken until it is restarted; says why.
    Unhealthy(String),
}

impl State {
    /// The word that `/health` uses.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Starting(_) => "starting",
            Self::Ready => "ok",
            Self::Draining => "draining",
            Self::Unhealthy(_) => "unhealthy",
        }
    }

    /// Why requests are not answered.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Starting(reason) | Self::Unhealthy(reason) => Some(reason),
            Self::Ready => None,
            Self::Draining => Some("the worker is stopping"),
        }
    }
}

/// The state, shared by all tasks. What is unhealthy stays so; what drains does not start again.
#[derive(Clone, Debug)]
pub struct Health {
    state: Arc<RwLock<State>>,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: Arc::new(RwLock::new(State::Starting("the worker is starting".into()))) }
    }
}

impl Health {
    /// The state now.
    pub fn get(&self) -> State {
        self.state.read().clone()
    }

    /// Whether requests are answered.
    pub fn is_ready(&self) -> bool {
        *self.state.read() == State::Ready
    }

    /// Says what the start waits for.
    pub fn starting(&self, reason: impl Into<String>) {
        let mut state = self.state.write();
        if matches!(*state, State::Starting(_) | State::Ready) {
            *state = State::Starting(reason.into());
        }
    }

    /// Requests can be answered.
    pub fn ready(&self) {
        let mut state = self.state.write();
        if matches!(*state, State::Starting(_)) {
            *state = State::Ready;
        }
    }

    /// No more requests.
    pub fn draining(&self) {
        let mut state = self.state.write();
        if !matches!(*state, State::Unhealthy(_)) {
            *state = State::Draining;
        }
    }

    /// Something broke that only a restart can mend.
    pub fn unhealthy(&self, reason: impl Into<String>) {
        let reason = reason.into();
        tracing::error!(%reason, "the worker is unhealthy");
        *self.state.write() = State::Unhealthy(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unhealthy_do_not_recover_and_the_draining_do_not_start_again() {
        let health = Health::default();
        assert!(!health.is_ready());
        health.ready();
        assert!(health.is_ready());
        health.draining();
        health.ready();
        assert_eq!(health.get(), State::Draining);
        health.unhealthy("disk full");
        health.ready();
        health.draining();
        assert_eq!(health.get().reason(), Some("disk full"));
    }
}
