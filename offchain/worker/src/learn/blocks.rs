//! Where the blocks of a round come from: the worker's peers, and whoever has made them, at the addresses that the chain has.

use super::{Context, LearnError};
use crate::fetch::FetchError;
use blyan_chain::{AccountId, State, WorkerStatus};
use blyan_learning::{evaluate::Blocks, hidden};
use blyan_primitives::{ids::ContentHash, learning::DeltaHeader};
use blyan_tensorblock::VerifiedBlock;

/// Base URLs that a worker is reached under. Blocks are verified tile by tile, so that plain HTTP cannot harm them.
pub(crate) fn urls(worker: &WorkerStatus) -> Vec<String> {
    let text = worker.info.addresses.iter().filter_map(|address| std::str::from_utf8(address).ok());
    let is_url = |url: &&str| url.starts_with("http://") && url.parse::<axum::http::Uri>().is_ok();
    text.filter(is_url).map(str::to_owned).collect()
}

/// Base URLs of an account's worker.
async fn addresses(state: &State, account: &AccountId) -> Result<Vec<String>, LearnError> {
    Ok(state.worker(account).await?.as_ref().map(urls).unwrap_or_default())
}

impl Context {
    /// The block of a delta, from its learner or from whoever else has it.
    pub(super) async fn delta(
        &self,
        state: &State,
        learner: &AccountId,
        header: &DeltaHeader,
    ) -> Result<VerifiedBlock, LearnError> {
        let urls = addresses(state, learner).await?;
        // What it has to have it says on chain. Nobody is made to fetch more.
        let fetcher = self.fetcher.asking(&urls).at_most(header.size.into());
        Ok(fetcher.ensure_one(header.block).await?)
    }

    /// All of these blocks.
    pub(super) async fn blocks(&self, hashes: &[ContentHash]) -> Result<Blocks, FetchError> {
        let mut names = hashes.to_vec();
        names.sort_unstable();
        names.dedup();
        let blocks = self.fetcher.ensure(&names).await?;
        Ok(blocks.into_iter().map(|block| (block.hash(), block)).collect())
    }

    /// Whether a hidden set is here, readable. It is decrypted once its key is known.
    pub(super) async fn hidden(&self, state: &State, block: ContentHash) -> Result<bool, LearnError> {
        if self.store.contains(&block)? {
            return Ok(true);
        }
        let Some(set) = state.hidden_set(block).await? else { return Ok(false) };
        let Some(key) = set.key else { return Ok(false) };
        let urls = addresses(state, &set.steward).await?;
        let encrypted = self.fetcher.asking(&urls).ensure_one(set.encrypted).await?;
        let store = self.store.clone();
        Self::blocking(move || match hidden::decrypt(&encrypted, &key) {
            Ok(items) if items.hash() == block => {
                store.put(&items)?;
                Ok(true)
            },
            Ok(items) => {
                tracing::warn!(%block, found = %items.hash(), "a hidden set decrypts to something else");
                Ok(false)
            },
            Err(error) => {
                tracing::warn!(%block, %error, "a hidden set cannot be decrypted");
                Ok(false)
            },
        })
        .await
    }
}
