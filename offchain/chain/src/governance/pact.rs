//! The Genesis Pact.

use crate::{ChainError, Hash, Result, State, codegen::blyan};
use blyan_primitives::pact::{Entry, Network, Pact, bounds_hash};

/// The Pact as it stands, parameter by parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PactStatus {
    /// What is fixed with the first block.
    pub network: Network,
    /// Every parameter, with its bounds on this network.
    pub entries: Vec<Entry>,
    /// How often it was changed.
    pub revision: u32,
    /// Commits to the Pact and the network.
    pub hash: Hash,
    /// Commits to the bounds that are compiled into the runtime.
    pub bounds_hash: Hash,
}

impl PactStatus {
    /// Whether this program was compiled with the same parameters and bounds as the runtime.
    pub fn has_our_bounds(&self) -> bool {
        self.bounds_hash.0 == bounds_hash(self.network.kind)
    }
}

impl State {
    /// The Pact, parameter by parameter: also that of a runtime whose parameters this program does not know.
    pub async fn pact_status(&self) -> Result<PactStatus> {
        let views = blyan::view_functions();
        let what = "the Pact";
        let entries = self.view(what, views.pact().entries()).await?;
        Ok(PactStatus {
            network: self.view(what, views.pact().network()).await?.0,
            entries: entries.into_iter().map(|entry| entry.0).collect(),
            revision: self.view(what, views.pact().revision()).await?,
            hash: Hash(self.view(what, views.pact().hash()).await?),
            bounds_hash: Hash(self.view(what, views.pact().bounds_hash()).await?),
        })
    }

    /// The Pact with the parameters that this program knows.
    ///
    /// # Errors
    /// [`ChainError::IncompatibleRuntime`] when the runtime has others.
    pub async fn pact(&self) -> Result<Pact, ChainError> {
        Ok(self.view("the Pact", blyan::view_functions().pact().pact()).await?.0)
    }
}
