//! The model that is served now.

use crate::scheduler::Handle;
use blyan_model::chat::TextProcessor;
use blyan_primitives::{
    ids::{SpecId, WeightsId},
    spec::ModelSpec,
    version::SemVer,
};
use parking_lot::RwLock;
use std::sync::Arc;

/// A model, its text side, and the way to its engine.
#[derive(Debug)]
pub struct Served {
    /// The specification.
    pub spec: ModelSpec,
    /// Its name on chain.
    pub id: SpecId,
    /// Names the spec and every expert block.
    pub weights: WeightsId,
    /// Text to tokens and back.
    pub text: Arc<TextProcessor>,
    /// The engine.
    pub engine: Handle,
    /// Unix time in seconds since when it is served.
    pub since: u64,
}

impl Served {
    /// Whether a request for `model` is for this one: by name, by a name and a version that the spec can stand in for, or
    /// for whatever is the default.
    pub fn answers_to(&self, model: &str) -> bool {
        let name = self.spec.name.as_str();
        if model == "default" || model == name {
            return true;
        }
        // A name may hold an `@` itself.
        let Some((head, version)) = model.rsplit_once('@') else { return false };
        head == name && version.parse::<SemVer>().is_ok_and(|version| self.spec.compatible.contains(version))
    }
}

/// The model that is served now, shared by all requests. A request keeps the one it began with.
#[derive(Clone, Debug, Default)]
pub struct Current {
    inner: Arc<RwLock<Option<Arc<Served>>>>,
}

impl Current {
    /// The model, once there is one.
    pub fn get(&self) -> Option<Arc<Served>> {
        self.inner.read().clone()
    }

    /// Serves `next` from now on. Answers that are running finish with the model they began with.
    pub fn set(&self, next: Arc<Served>) {
        *self.inner.write() = Some(next);
    }

    /// Serves nothing any more, so that the engine ends once it is idle.
    pub fn clear(&self) {
        *self.inner.write() = None;
    }
}
