//! A turn's view of the real chain.

use super::{
    Shared, blocking,
    entry::{Attempt, Dispatch, Entry, SubmissionId},
    machine::{Answer, Effect, View},
    turn::{Port, Signing, lock},
};
use crate::{
    BlockRef, Call, ChainError, Event, Hash, Result,
    decode::Happening,
    encode,
    query::State,
    rpc::{PoolRefusal, extrinsic_hash},
};
use codec::{Decode, Encode};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use subxt::tx::TransactionInvalid;
use tracing::{debug, info, warn};

/// Finalized blocks whose hashes are remembered; further back, a node's word is taken for what is finalized.
const REMEMBERED: u32 = 512;

pub(super) struct ChainPort {
    shared: Arc<Shared>,
    /// Hashes of finalized blocks, each an ancestor of a finalized head that was seen.
    finalized: Mutex<BTreeMap<u32, Hash>>,
}

impl ChainPort {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, finalized: Mutex::default() }
    }

    /// Hash of the ancestor of `head` at `number`.
    ///
    /// A node that has just come back may have another block there which is not finalized: so the way is by parents.
    async fn ancestor(&self, head: BlockRef, number: u32) -> Result<Hash> {
        let rpc = self.shared.client.rpc();
        if head.number.saturating_sub(number) > REMEMBERED {
            return rpc.hash_at(number).await?.ok_or(ChainError::BlockUnavailable { number });
        }
        let known = || self.finalized.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = {
            let mut known = known();
            known.insert(head.number, head.hash);
            *known = known.split_off(&head.number.saturating_sub(REMEMBERED));
            known.range(number..=head.number).next().map(|(number, hash)| (*number, *hash))
        };
        let (mut at, mut hash) = nearest.unwrap_or((head.number, head.hash));
        while at > number {
            hash = rpc.header(hash).await?.parent;
            at = at.saturating_sub(1);
            known().insert(at, hash);
        }
        Ok(hash)
    }
}

impl Port for ChainPort {
    async fn extrinsics(&self, head: BlockRef, number: u32) -> Result<(BlockRef, Vec<Hash>)> {
        let block = BlockRef { number, hash: self.ancestor(head, number).await? };
        let body = self.shared.client.rpc().body(block.hash).await?;
        Ok((block, body.iter().map(|extrinsic| extrinsic_hash(extrinsic)).collect()))
    }

    async fn dispatch(&self, block: BlockRef, index: u32) -> Result<Dispatch> {
        let happenings = match self.shared.client.happenings(block).await {
            Err(ChainError::StatePruned { .. }) => return Ok(Dispatch::Unknown),
            happenings => happenings?,
        };
        let mut events = Vec::new();
        for (_, happening) in happenings.into_iter().filter(|(extrinsic, _)| *extrinsic == Some(index)) {
            match happening {
                Happening::ExtrinsicFailed(error) => return Ok(Dispatch::Failed(error)),
                // The extrinsic succeeded, the call inside did not: that is what the caller asks about.
                Happening::Event(Event::Sudone { result: Err(error) }) => return Ok(Dispatch::Failed(error)),
                Happening::Event(event) => events.push(event),
            }
        }
        Ok(Dispatch::Ok(events))
    }

    async fn view(&self, head: BlockRef, calls: Vec<(SubmissionId, Call)>) -> Result<View> {
        let state = self.shared.client.at(head).await?;
        let nonce = state.balance(&self.shared.key.account()).await?.nonce;
        let mut effects = BTreeMap::new();
        for (id, call) in calls {
            if let Some(effect) = effect(&state, &call).await? {
                effects.insert(id, effect);
            }
        }
        Ok(View { head, nonce, spec_version: state.spec_version(), effects })
    }

    async fn sign(&self, call: Call, nonce: Option<u64>, head: BlockRef) -> Result<Signing> {
        let runtime = self.shared.client.runtime(head).await?;
        encode::sign(&runtime, &self.shared.key, &call, nonce, head)
    }

    async fn submit(&self, attempt: &Attempt) -> Answer {
        self.shared.client.metrics().tx_submitted.inc();
        let answer = match self.shared.client.rpc().submit(&attempt.bytes).await {
            Ok(Ok(()) | Err(PoolRefusal::AlreadyThere)) => Answer::Taken,
            // What it said when it refused them first stands.
            Ok(Err(PoolRefusal::Banned)) => Answer::Waits,
            Ok(Err(PoolRefusal::Later(said))) => Answer::Later(said),
            Ok(Err(PoolRefusal::Invalid(said))) => match self.why(attempt).await {
                Ok(Verdict::Final) => Answer::Refused(said),
                Ok(Verdict::Waiting) => Answer::Waits,
                Ok(Verdict::Passing) => Answer::Later(said),
                Err(error) => Answer::Later(format!("{said} (and then: {error})")),
            },
            Err(error) => {
                info!(hash = %attempt.hash, %error, "no answer to an extrinsic");
                Answer::Silence
            },
        };
        debug!(hash = %attempt.hash, nonce = ?attempt.nonce, ?answer, "submitted an extrinsic");
        answer
    }

    async fn save(&self, entries: Vec<(SubmissionId, Entry)>) -> Result<()> {
        let gone = lock(&self.shared.machine).surplus();
        let (journal, surplus) = (self.shared.journal.clone(), gone.clone());
        let entries = blocking(move || journal.save(&entries, &surplus).map(|()| entries)).await?;
        for id in &gone {
            lock(&self.shared.machine).forget(id);
        }
        let metrics = self.shared.client.metrics();
        for (id, entry) in &entries {
            if let Some(outcome) = &entry.outcome {
                metrics.tx_done.with_label_values(&[outcome.label()]).inc();
                match outcome {
                    super::Outcome::NeverIncluded(reason) => warn!(%id, %reason, "a submission is in no block"),
                    super::Outcome::Included(inclusion) => {
                        info!(%id, block = inclusion.block.number, result = outcome.label(), "a submission is final");
                    },
                    super::Outcome::AlreadyOnChain { seen_at } => {
                        info!(%id, seen_at = seen_at.number, "a submission's effect is on chain already");
                    },
                }
                self.shared.outcomes.send_modify(|count| *count = count.wrapping_add(1));
            } else if let Some(attempt) = entry.live.as_ref().filter(|_| entry.signed > 1) {
                metrics.tx_signed_again.inc();
                debug!(%id, hash = %attempt.hash, nonce = ?attempt.nonce, times = entry.signed, "signed again");
            }
        }
        Ok(())
    }
}

enum Verdict {
    /// It will not become valid by waiting.
    Final,
    /// It is included already, waits for others, or its time is over: the finalized chain will tell.
    Waiting,
    /// It may become valid, once something else has happened.
    Passing,
}

impl ChainPort {
    /// Has the runtime say why it calls an extrinsic invalid, on the node's best block.
    async fn why(&self, attempt: &Attempt) -> Result<Verdict> {
        const EXTERNAL: u8 = 2;
        let what = "the validity of an extrinsic";
        let rpc = self.shared.client.rpc();
        let best = rpc.best_hash().await?;
        let mut arguments = vec![EXTERNAL];
        arguments.extend_from_slice(&attempt.bytes);
        best.encode_to(&mut arguments);
        let answer = match rpc.call(what, "TaggedTransactionQueue_validate_transaction", &arguments, best).await {
            // The runtime cannot even read it.
            Err(ChainError::Refused { .. }) => return Ok(Verdict::Final),
            answer => answer?,
        };
        let reason = match &*answer {
            // `Err(Invalid(reason))`; everything else is valid by now, or unknown.
            [1, 0, reason @ ..] => TransactionInvalid::decode(&mut &*reason)
                .map_err(|error| ChainError::Decode { what, reason: error.to_string() })?,
            _ => return Ok(Verdict::Waiting),
        };
        let authorised = attempt.nonce.is_none();
        Ok(match reason {
            TransactionInvalid::Stale
            | TransactionInvalid::Future
            | TransactionInvalid::AncientBirthBlock
            | TransactionInvalid::ExhaustsResources => Verdict::Waiting,
            // A deposit may still be paid in, a registration may be on its way.
            TransactionInvalid::Payment | TransactionInvalid::BadSigner if authorised => Verdict::Passing,
            // Signed for the runtime that was just replaced: it is signed again once the upgrade is final.
            TransactionInvalid::BadProof if !authorised => {
                let (spec_version, _) = rpc.runtime_version(best).await?;
                if attempt.spec_version == Some(spec_version) { Verdict::Final } else { Verdict::Passing }
            },
            _ => Verdict::Final,
        })
    }
}

/// What the state says of an authorised call; `None` when it says nothing.
async fn effect(state: &State, call: &Call) -> Result<Option<Effect>> {
    match call {
        Call::Heartbeat { worker, period } => Ok(match state.last_heartbeat(worker).await? {
            Some(last) if last == *period => Some(Effect::Present),
            Some(last) if last > *period => Some(Effect::Excluded(format!("a heartbeat of period {last} is on chain"))),
            _ => None,
        }),
        Call::Anchor { worker, sequence, root, count, tokens } => {
            if state.served(worker).await?.next <= *sequence {
                return Ok(None);
            }
            Ok(Some(match state.anchor(worker, *sequence).await? {
                Some(anchor) if (anchor.root, anchor.count, anchor.tokens) == (*root, *count, *tokens) => {
                    Effect::Present
                },
                Some(anchor) => Effect::Excluded(format!("anchor {sequence} is on chain with root {}", anchor.root)),
                None => Effect::Excluded(format!("anchor {sequence} was made and pruned; its content is not known")),
            }))
        },
        _ => Ok(None),
    }
}
