//! Reports validators that write two blocks in one slot.
//!
//! The SDK's BABE import watches for the same, but in this release it looks at headers whose seal the verifier has taken off
//! already. A runtime cannot tell who signed those, and refuses every report (`InvalidEquivocationProof`). So that layer is
//! given a pool that takes none of its reports, and this one around it compares sealed headers.

use blyan_runtime::{Hash, Header, OpaqueBlock as Block};
use parking_lot::Mutex;
use polkadot_sdk::*;
use sc_consensus::{BlockCheckParams, BlockImport, BlockImportParams, ImportResult};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_api::{ApiError, ApiExt, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_consensus::BlockOrigin;
use sp_consensus_babe::{AuthorityIndex, BabeApi, EquivocationProof, Slot};
use std::{
    collections::{btree_map::Entry, BTreeMap},
    sync::Arc,
};

/// Slots that are watched: those no further than this behind the latest.
const WATCHED_SLOTS: u64 = 1_000;

/// Imports blocks into `inner`, and reports authors of two blocks in one slot.
pub(crate) struct ReportEquivocations<I, C> {
    inner: I,
    client: Arc<C>,
    pool: OffchainTransactionPoolFactory<Block>,
    sightings: Arc<Mutex<Sightings>>,
}

impl<I: Clone, C> Clone for ReportEquivocations<I, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            client: self.client.clone(),
            pool: self.pool.clone(),
            sightings: self.sightings.clone(),
        }
    }
}

/// Why a report was not made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the header does not say who claimed which slot: {0}")]
    PreDigest(String),
    #[error("the runtime did not answer: {0}")]
    Runtime(#[from] ApiError),
    #[error("authority {0} is not among those of the block's epoch")]
    UnknownAuthority(AuthorityIndex),
    #[error("the two headers do not prove that one authority sealed both")]
    Unproven,
    #[error("the runtime has no proof that the offender's key is a validator's")]
    NoKeyOwner,
    #[error("the runtime did not take the report")]
    Refused,
}

impl<I, C> ReportEquivocations<I, C> {
    /// Watches what goes into `inner`. Reports go to `pool`.
    pub(crate) fn new(inner: I, client: Arc<C>, pool: OffchainTransactionPoolFactory<Block>) -> Self {
        Self { inner, client, pool, sightings: Arc::default() }
    }
}

impl<I, C> ReportEquivocations<I, C>
where
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block>,
    C::Api: BabeApi<Block> + ApiExt<Block>,
{
    /// Compares a sealed header with those seen before, and reports its author if need be.
    fn watch(&self, header: Header) -> Result<(), Error> {
        let claim = sc_consensus_babe::find_pre_digest::<Block>(&header)
            .map_err(|error| Error::PreDigest(error.to_string()))?;
        let (slot, author) = (claim.slot(), claim.authority_index());
        let Some(first) = self.sightings.lock().see(slot, author, &header) else { return Ok(()) };
        tracing::warn!(%slot, author, first = %first.hash(), second = %header.hash(), "A validator wrote two blocks in one slot");
        self.report(slot, author, first, header)
    }

    fn report(&self, slot: Slot, author: AuthorityIndex, first: Header, second: Header) -> Result<(), Error> {
        let parent = second.parent_hash;
        // An instance of the API answers of one block only.
        let api = || self.client.runtime_api();
        // The epoch of the block: its parent's, or the next one when the block is the first of it.
        let mut epoch = api().current_epoch(parent)?;
        if slot >= epoch.start_slot.saturating_add(epoch.duration) {
            epoch = api().next_epoch(parent)?;
        }
        let index = usize::try_from(author).map_err(|_| Error::UnknownAuthority(author))?;
        let (offender, _) = epoch.authorities.get(index).cloned().ok_or(Error::UnknownAuthority(author))?;

        let imported = first.hash();
        let proof = EquivocationProof { offender: offender.clone(), slot, first_header: first, second_header: second };
        if !sp_consensus_babe::check_equivocation_proof(proof.clone()) {
            return Err(Error::Unproven);
        }

        // The proof of the key must be of the session that the slot belongs to. That is the session of the state after the
        // block, and not always of the state before it. Should the block not be imported yet, the best one's has to do.
        let best = self.client.info().best_hash;
        let prove_key = |at: Hash| api().generate_key_ownership_proof(at, slot, offender.clone());
        let key_owner = prove_key(imported).or_else(|_| prove_key(best))?.ok_or(Error::NoKeyOwner)?;

        let mut api = api();
        api.register_extension(self.pool.offchain_transaction_pool(best));
        api.submit_report_equivocation_unsigned_extrinsic(best, proof, key_owner)?.ok_or(Error::Refused)
    }
}

#[async_trait::async_trait]
impl<I, C> BlockImport<Block> for ReportEquivocations<I, C>
where
    I: BlockImport<Block> + Send + Sync,
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block> + Send + Sync,
    C::Api: BabeApi<Block> + ApiExt<Block>,
{
    type Error = I::Error;

    async fn check_block(&self, block: BlockCheckParams<Block>) -> Result<ImportResult, Self::Error> {
        self.inner.check_block(block).await
    }

    async fn import_block(&self, block: BlockImportParams<Block>) -> Result<ImportResult, Self::Error> {
        // What is imported in bulk is history, and an offence in it was reported when it was news.
        let news =
            matches!(block.origin, BlockOrigin::Own | BlockOrigin::NetworkBroadcast | BlockOrigin::ConsensusBroadcast);
        if news {
            // The verifier has checked the seal, and a block that cannot be reported can still be imported.
            if let Err(error) = self.watch(block.post_header()) {
                tracing::warn!(%error, "An equivocation was not reported");
            }
        }
        self.inner.import_block(block).await
    }
}

/// The first header of each author in each of the latest slots.
#[derive(Default)]
struct Sightings(BTreeMap<(Slot, AuthorityIndex), Sighting>);

/// A header, until its author has written another one in the same slot.
enum Sighting {
    One(Header),
    Reported,
}

impl Sightings {
    /// Notes a header. Returns the other header of the same author in the same slot when there is one, once.
    fn see(&mut self, slot: Slot, author: AuthorityIndex, header: &Header) -> Option<Header> {
        let latest = self.0.last_key_value().map_or(slot, |((latest, _), _)| slot.max(*latest));
        let oldest = latest.saturating_sub(WATCHED_SLOTS);
        self.0 = self.0.split_off(&(oldest, 0));
        if slot < oldest {
            return None;
        }
        match self.0.entry((slot, author)) {
            Entry::Vacant(entry) => {
                entry.insert(Sighting::One(header.clone()));
                None
            },
            Entry::Occupied(mut entry) => match entry.get() {
                Sighting::One(first) if first.hash() != header.hash() => match entry.insert(Sighting::Reported) {
                    Sighting::One(first) => Some(first),
                    Sighting::Reported => None,
                },
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u32) -> Header {
        Header {
            parent_hash: Default::default(),
            number,
            state_root: Default::default(),
            extrinsics_root: Default::default(),
            digest: Default::default(),
        }
    }

    #[test]
    fn two_blocks_of_one_author_in_one_slot_are_seen_once() {
        let mut sightings = Sightings::default();
        assert_eq!(sightings.see(5.into(), 1, &header(1)), None);
        assert_eq!(sightings.see(5.into(), 1, &header(1)), None, "the same block came twice");
        assert_eq!(sightings.see(5.into(), 2, &header(2)), None, "another author's");
        assert_eq!(sightings.see(6.into(), 1, &header(2)), None, "another slot's");
        assert_eq!(sightings.see(5.into(), 1, &header(2)), Some(header(1)));
        assert_eq!(sightings.see(5.into(), 1, &header(3)), None, "reported already");
    }

    #[test]
    fn old_slots_are_forgotten() {
        let mut sightings = Sightings::default();
        for slot in 0..3 * WATCHED_SLOTS {
            assert_eq!(sightings.see(slot.into(), 0, &header(1)), None);
            assert!(sightings.0.len() as u64 <= WATCHED_SLOTS + 1);
        }
        assert_eq!(sightings.see(0.into(), 0, &header(2)), None);
        assert_eq!(sightings.see((3 * WATCHED_SLOTS - 1).into(), 0, &header(2)), Some(header(1)));
    }
}
