//! Session keys: what a validator's node signs blocks and votes with.

use crate::{AccountId, Call, ChainClient, ChainError, Result, StakingCall};

/// Public session keys of a node, and the proof that they belong to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// The public keys, as the runtime encodes them.
    pub keys: Vec<u8>,
    /// By each of the keys: that it belongs to the account.
    pub proof: Vec<u8>,
}

impl SessionKeys {
    /// The call by which the account that they were made for registers them.
    pub fn register(self) -> Call {
        StakingCall::SetKeys { keys: self.keys, proof: self.proof }.into()
    }
}

impl ChainClient {
    /// Has the node make new session keys for `owner`. Their secrets stay in the node's keystore: ask one's own node alone,
    /// for whoever runs it can sign with them.
    ///
    /// # Errors
    /// [`ChainError::Refused`] when the node does not take such requests from here, as nodes do that are asked from another
    /// machine; [`ChainError::TimedOut`], [`ChainError::Decode`].
    pub async fn rotate_session_keys(&self, owner: &AccountId) -> Result<SessionKeys> {
        let made = self.rpc().rotate_keys(&owner.0).await?;
        if made.keys.is_empty() || made.proof.is_empty() {
            return Err(ChainError::Decode { what: "new session keys", reason: "keys or proof are empty".to_owned() });
        }
        Ok(made)
    }

    /// Whether the node has the secrets of these session keys, and so can validate with them.
    ///
    /// # Errors
    /// As [`Self::rotate_session_keys`].
    pub async fn has_session_keys(&self, keys: &[u8]) -> Result<bool> {
        self.rpc().has_session_keys(keys).await
    }
}
