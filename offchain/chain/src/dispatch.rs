//! Why the runtime refused a call.

use crate::{ChainError, Result};
use codec::{Decode, Encode};
use subxt::{ArcMetadata, error::DispatchError as Raw};

/// Why the runtime refused a call, by the names that the runtime gives in its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum DispatchError {
    /// An error of a pallet.
    #[error("{pallet}::{name}{}", sentence(docs))]
    #[codec(index = 0)]
    Pallet {
        /// The pallet.
        pallet: String,
        /// The error.
        name: String,
        /// What the pallet says of it, and what to do.
        docs: String,
    },
    /// An error of the runtime itself.
    #[error("{0}")]
    #[codec(index = 1)]
    Runtime(String),
}

fn sentence(docs: &str) -> String {
    if docs.is_empty() { String::new() } else { format!(": {docs}") }
}

impl DispatchError {
    /// Whether this is error `name` of `pallet`.
    pub fn is(&self, pallet: &str, name: &str) -> bool {
        matches!(self, Self::Pallet { pallet: p, name: n, .. } if p == pallet && n == name)
    }

    /// Decodes an error as it stands in an event.
    pub(crate) fn decode(bytes: &[u8], metadata: ArcMetadata) -> Result<Self> {
        let what = "a dispatch error";
        let raw = Raw::decode_from(bytes, metadata);
        match raw.map_err(|error| ChainError::Decode { what, reason: error.to_string() })? {
            Raw::Module(module) => {
                let details = module.details();
                let details = details.map_err(|error| ChainError::Decode { what, reason: error.to_string() })?;
                // A doc comment's lines are one text that was broken for the source.
                let docs = details.variant.docs.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
                Ok(Self::Pallet {
                    pallet: details.pallet.name().to_owned(),
                    name: details.variant.name.clone(),
                    docs: docs.collect::<Vec<_>>().join(" "),
                })
            },
            other => Ok(Self::Runtime(other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_name_and_advice() {
        let error = DispatchError::Pallet {
            pallet: "Workers".into(),
            name: "KeyTaken".into(),
            docs: "Another worker has this key. Make a new key.".into(),
        };
        assert_eq!(error.to_string(), "Workers::KeyTaken: Another worker has this key. Make a new key.");
        assert!(error.is("Workers", "KeyTaken") && !error.is("Workers", "HardwareTaken"));
    }
}
