//! Where the blocks of a round come from: the worker's peers, and whoever has made them, at the addresses that the chain has.

use super::{Context, LearnError};
use crate::fetch::FetchError;
use blyan_chain::{AccountId, Delta, State, WorkerStatus};
use blyan_learning::{evaluate::Blocks, hidden};
use blyan_primitives::{ids::ContentHash, learning::RoundId};
use blyan_tensorblock::VerifiedBlock;
use std::time::Duration;

/// How long those are waited for who have taken a delta over, before its learner is asked: one that keeps everybody waiting
/// does not keep a delta from being measured.
const KEEPERS: Duration = Duration::from_secs(5);

/// Base URLs that a worker is reached under. Blocks are verified tile by tile, so that plain HTTP cannot harm them.
pub fn urls(worker: &WorkerStatus) -> Vec<String> {
    let text = worker.info.addresses.iter().filter_map(|address| std::str::from_utf8(address).ok());
    let is_url = |url: &&str| url.starts_with("http://") && url.parse::<axum::http::Uri>().is_ok();
    text.filter(is_url).map(str::to_owned).collect()
}

/// Base URLs of an account's worker.
async fn addresses(state: &State, account: &AccountId) -> Result<Vec<String>, LearnError> {
    Ok(state.worker(account).await?.as_ref().map(urls).unwrap_or_default())
}

impl Context {
    /// The block of a delta of a round: from who has taken it over, from its learner, or from whoever else has it.
    pub(super) async fn delta(
        &self,
        state: &State,
        round: RoundId,
        delta: &Delta,
    ) -> Result<VerifiedBlock, LearnError> {
        let header = &delta.header;
        // What it has to have its learner says on chain. Nobody is made to fetch more.
        let asking = |urls: &[String]| self.fetcher.asking(urls).at_most(header.size.into());
        if self.store.contains(&header.block)? {
            return Ok(asking(&[]).ensure_one(header.block).await?);
        }
        let keepers = self.keepers(state, round, delta).await?;
        if !keepers.is_empty() {
            match tokio::time::timeout(KEEPERS, asking(&keepers).ensure_one(header.block)).await {
                Ok(Ok(block)) => return Ok(block),
                Ok(Err(error)) => tracing::debug!(round, block = %header.block, %error, "no aggregator has a delta"),
                Err(_) => tracing::debug!(round, block = %header.block, "aggregators are slow with a delta"),
            }
        }
        let urls = addresses(state, &delta.learner).await?;
        Ok(asking(&urls).ensure_one(header.block).await?)
    }

    /// Where those are reached who take a delta over: first those of this worker's region.
    async fn keepers(&self, state: &State, round: RoundId, delta: &Delta) -> Result<Vec<String>, LearnError> {
        let own = state.worker(&self.account).await?.map(|worker| worker.info.region);
        let (mut accounts, mut workers) = (Vec::new(), Vec::new());
        for account in delta.aggregator.into_iter().chain(state.primaries(round).await?) {
            if account != self.account && account != delta.learner && !accounts.contains(&account) {
                accounts.push(account);
                workers.extend(state.worker(&account).await?.filter(|worker| worker.online));
            }
        }
        workers.sort_by_key(|worker| Some(worker.info.region) != own);
        Ok(workers.iter().flat_map(urls).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::{
        hardware::{HardwareProfile, Tier},
        worker::{Region, Roles, WorkerInfo},
    };

    #[test]
    fn a_worker_is_asked_where_blocks_can_be_had() {
        let addresses = ["http://127.0.0.1:8645", "https://a.example", "/ip4/1.2.3.4/tcp/1", "http://"];
        let addresses = addresses.map(|address| address.as_bytes().to_vec().try_into().unwrap()).to_vec();
        let info = WorkerInfo {
            key: [1; 32],
            peer_id: vec![1; 38].try_into().unwrap(),
            addresses: addresses.try_into().unwrap(),
            region: Region::new("DE").unwrap(),
            hardware: HardwareProfile::default(),
            hardware_id: blyan_chain::hardware_id(b"machine"),
            roles: Roles::SERVE,
        };
        let tier = Tier(0);
        let worker = WorkerStatus { info, tier, registered_at: 1, online: true, last_heartbeat: None, bond: 0 };
        assert_eq!(urls(&worker), ["http://127.0.0.1:8645"]);
    }
}
