//! The `blyan_*` methods: model, workers, receipts and payment channels as the chain knows them.
//!
//! Every method reads the state of one block: the one named by `at`, or the best. What can be answered is bounded, so that
//! a stranger's question costs no more than it is worth.

use super::{
    error::Error,
    types::{
        AccountParam, Anchor, AnchorState, ChainBlock, ChannelInfo, Hex32, LayerHeads, Pact, ReceiptStatus, SlotHeads,
        Spec, WeightBlock, Worker, WorkersPage,
    },
};
use blyan_primitives::{
    ids::{ContentHash, ReceiptId, SpecId},
    payment::ChannelId,
    receipt::{verify_in_batch, MAX_BATCH},
};
use blyan_runtime::{
    query::{BlyanApi, MAX_WORKERS},
    Hash, OpaqueBlock as Block,
};
use jsonrpsee::proc_macros::rpc;
use polkadot_sdk::*;
use sp_api::{ApiError, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use std::sync::Arc;

/// Most heads in one answer.
pub(crate) const MAX_HEADS: usize = 4096;
/// Most hashes of a proof: seven siblings at each level of the tree over the largest batch.
pub(crate) const MAX_PROOF: usize = 7 * MAX_BATCH.ilog2().div_ceil(3) as usize;

/// The methods. Runtime calls may take a while: each runs on a thread of its own.
#[rpc(server, namespace = "blyan")]
pub(crate) trait BlyanRpc {
    /// The active specification that is used when none is asked for; `null` when none is active.
    #[method(name = "activeSpec", blocking)]
    fn active_spec(&self, at: Option<Hash>) -> Result<Option<Spec>, Error>;

    /// Every active specification, the default first.
    #[method(name = "activeSpecs", blocking)]
    fn active_specs(&self, at: Option<Hash>) -> Result<Vec<Spec>, Error>;

    /// A specification in whatever state it is; `null` when none has this id.
    #[method(name = "spec", blocking)]
    fn spec(&self, id: SpecId, at: Option<Hash>) -> Result<Option<Spec>, Error>;

    /// The blocks in the slots of a specification: of one layer, or of as many as fit the answer.
    #[method(name = "slotHeads", blocking)]
    fn slot_heads(&self, spec: SpecId, layer: Option<u16>, at: Option<Hash>) -> Result<SlotHeads, Error>;

    /// The full record of a block of weights; `null` when none has this hash.
    #[method(name = "block", blocking)]
    fn block(&self, hash: ContentHash, at: Option<Hash>) -> Result<Option<WeightBlock>, Error>;

    /// A worker; `null` when the account has none.
    #[method(name = "worker", blocking)]
    fn worker(&self, account: AccountParam, at: Option<Hash>) -> Result<Option<Worker>, Error>;

    /// A page of workers in an order of no meaning: at most `limit`, after the account `after`, or from the first.
    #[method(name = "workers", blocking)]
    fn workers(&self, after: Option<AccountParam>, limit: Option<u32>, at: Option<Hash>) -> Result<WorkersPage, Error>;

    /// Whether a receipt is on chain: `proof` is checked against the worker's anchor `sequence`, in the last finalized
    /// block and, where that does not have it, in the best.
    #[method(name = "receiptStatus", blocking)]
    fn receipt_status(
        &self,
        worker: AccountParam,
        sequence: u64,
        index: u32,
        receipt: ReceiptId,
        proof: Vec<Hex32>,
    ) -> Result<ReceiptStatus, Error>;

    /// A payment channel; `null` when none has this number, or it is closed.
    #[method(name = "channel", blocking)]
    fn channel(&self, id: ChannelId, at: Option<Hash>) -> Result<Option<ChannelInfo>, Error>;

    /// The Genesis Pact: every number that governance can change, with its bounds.
    #[method(name = "pact", blocking)]
    fn pact(&self, at: Option<Hash>) -> Result<Pact, Error>;
}

/// Answers from the runtime of a client.
pub(crate) struct Blyan<C> {
    client: Arc<C>,
}

impl<C> Blyan<C> {
    /// Answers from `client`.
    pub(crate) fn new(client: Arc<C>) -> Self {
        Self { client }
    }
}

impl<C> Blyan<C>
where
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block>,
    C::Api: BlyanApi<Block>,
{
    /// The block to ask at.
    fn at(&self, at: Option<Hash>) -> Result<Hash, Error> {
        match at {
            None => Ok(self.client.info().best_hash),
            Some(hash) => self.client.number(hash)?.map(|_| hash).ok_or(Error::UnknownBlock(hash)),
        }
    }

    /// Asks the runtime at a block.
    fn ask<T>(&self, at: Hash, question: impl FnOnce(&C::Api) -> Result<T, ApiError>) -> Result<T, Error> {
        let source = match question(&self.client.runtime_api()) {
            Ok(answer) => return Ok(answer),
            Err(source) => source,
        };
        match (source, self.client.number(at)?) {
            // The block is there: what the client does not know is the state after it.
            (ApiError::UnknownBlock(_), Some(number)) => Err(Error::StatePruned { at, number }),
            (source, _) => Err(Error::Runtime { at, source }),
        }
    }
}

impl<C> BlyanRpcServer for Blyan<C>
where
    C: ProvideRuntimeApi<Block> + HeaderBackend<Block> + Send + Sync + 'static,
    C::Api: BlyanApi<Block>,
{
    fn active_spec(&self, at: Option<Hash>) -> Result<Option<Spec>, Error> {
        Ok(self.active_specs(at)?.into_iter().next())
    }

    fn active_specs(&self, at: Option<Hash>) -> Result<Vec<Spec>, Error> {
        let at = self.at(at)?;
        let specs = self.ask(at, |api| api.active_specs(at))?;
        Ok(specs.into_iter().map(Spec::from).collect())
    }

    fn spec(&self, id: SpecId, at: Option<Hash>) -> Result<Option<Spec>, Error> {
        let at = self.at(at)?;
        let entry = self.ask(at, |api| api.spec(at, id))?;
        Ok(entry.map(|entry| (id, entry).into()))
    }

    fn slot_heads(&self, spec: SpecId, layer: Option<u16>, at: Option<Hash>) -> Result<SlotHeads, Error> {
        let at = self.at(at)?;
        let entry = self.ask(at, |api| api.spec(at, spec))?.ok_or(Error::UnknownSpec(spec))?;
        let (lineage, layers) = (entry.lineage, entry.spec.dimensions.layers);
        let range = match layer {
            Some(layer) => layer..layer.saturating_add(1),
            None => 0..layers,
        };
        let mut answer = SlotHeads { lineage, layers: Vec::new(), next_layer: None };
        let mut count = 0;
        for layer in range {
            let heads = self.ask(at, |api| api.layer_heads(at, spec, layer))?;
            if heads.is_empty() {
                return Err(Error::UnknownLayer { spec, layer, layers });
            }
            count += heads.len();
            // One layer always fits: a specification has at most 1024 experts a layer.
            if count > MAX_HEADS {
                answer.next_layer = Some(layer);
                break;
            }
            let heads = heads.into_iter().map(|head| head.map(Into::into)).collect();
            answer.layers.push(LayerHeads { layer, heads });
        }
        Ok(answer)
    }

    fn block(&self, hash: ContentHash, at: Option<Hash>) -> Result<Option<WeightBlock>, Error> {
        let at = self.at(at)?;
        let Some(entry) = self.ask(at, |api| api.block(at, hash))? else { return Ok(None) };
        let registrations = self.ask(at, |api| api.registrations(at, hash))?;
        Ok(Some((hash, entry, registrations).into()))
    }

    fn worker(&self, account: AccountParam, at: Option<Hash>) -> Result<Option<Worker>, Error> {
        let at = self.at(at)?;
        let AccountParam(account) = account;
        let entry = self.ask(at, |api| api.worker(at, account.clone()))?;
        Ok(entry.map(|entry| (account, entry).into()))
    }

    fn workers(&self, after: Option<AccountParam>, limit: Option<u32>, at: Option<Hash>) -> Result<WorkersPage, Error> {
        let limit = limit.unwrap_or(MAX_WORKERS);
        if limit > MAX_WORKERS {
            return Err(Error::LimitTooHigh { most: MAX_WORKERS });
        }
        let at = self.at(at)?;
        let page = self.ask(at, |api| api.workers(at, after.map(|AccountParam(account)| account), limit))?;
        let full = u32::try_from(page.len()).is_ok_and(|len| len == limit);
        let next = page.last().filter(|_| full).map(|(account, _)| account.clone());
        Ok(WorkersPage { workers: page.into_iter().map(Into::into).collect(), next })
    }

    fn receipt_status(
        &self,
        AccountParam(worker): AccountParam,
        sequence: u64,
        index: u32,
        receipt: ReceiptId,
        proof: Vec<Hex32>,
    ) -> Result<ReceiptStatus, Error> {
        if proof.len() > MAX_PROOF {
            return Err(Error::ProofTooLong { most: MAX_PROOF });
        }
        let info = self.client.info();
        let finalized = ChainBlock { number: info.finalized_number, hash: Some(info.finalized_hash) };
        let anchor_at = |at| self.ask(at, |api| api.anchor(at, worker.clone(), sequence));
        let (state, anchor) = match anchor_at(info.finalized_hash)? {
            Some(anchor) => (AnchorState::Finalized, Some(anchor)),
            None => {
                let served = self.ask(info.finalized_hash, |api| api.served(info.finalized_hash, worker.clone()))?;
                if sequence < served.oldest {
                    (AnchorState::Pruned, None)
                } else {
                    match anchor_at(info.best_hash)? {
                        Some(anchor) => (AnchorState::Included, Some(anchor)),
                        None => (AnchorState::NotAnchored, None),
                    }
                }
            },
        };
        let Some(anchor) = anchor else {
            return Ok(ReceiptStatus { state, valid: None, problem: None, anchor: None, finalized });
        };
        let proof: Vec<_> = proof.into_iter().map(|Hex32(digest)| digest).collect();
        let verdict = verify_in_batch(anchor.root, anchor.count, index, receipt, &proof);
        let number = anchor.anchored_at;
        Ok(ReceiptStatus {
            state,
            valid: Some(verdict.is_ok()),
            problem: verdict.err().map(|error| error.to_string()),
            anchor: Some(Anchor {
                root: anchor.root,
                count: anchor.count,
                tokens: anchor.tokens,
                block: ChainBlock { number, hash: self.client.hash(number)? },
            }),
            finalized,
        })
    }

    fn channel(&self, id: ChannelId, at: Option<Hash>) -> Result<Option<ChannelInfo>, Error> {
        let at = self.at(at)?;
        let channel = self.ask(at, |api| api.channel(at, id))?;
        Ok(channel.map(|channel| (id, channel).into()))
    }

    fn pact(&self, at: Option<Hash>) -> Result<Pact, Error> {
        let at = self.at(at)?;
        Ok(self.ask(at, |api| api.pact(at))?.into())
    }
}

#[cfg(test)]
mod tests;
