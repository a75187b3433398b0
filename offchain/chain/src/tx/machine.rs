//! The rules by which submissions become extrinsics, as a state machine without input or output.
//!
//! # Why nothing happens twice
//!
//! A submission has at most one live attempt: signed bytes that some block may still include. They may be anywhere, in
//! the pools of nodes that were never spoken to. A next attempt is signed only when the finalized chain proves that no
//! block can include the former:
//!
//! - its last block is finalized, and no finalized block holds it; or
//! - its nonce is used by another extrinsic that is finalized; or
//! - a runtime that does not accept its signature is finalized.
//!
//! In each case every finalized block that could hold it was looked through first. The two ways to be told by a node
//! instead are safe too: bytes that were given to one node only, which refused them, are nowhere.
//!
//! # Why nothing is lost
//!
//! What is accepted is in the journal before the caller hears of it, what is signed is in the journal before a node
//! hears of it, and all that is open is submitted again and again until it ends.
//!
//! # Nonces
//!
//! An attempt takes the lowest nonce, from the finalized one on, that no live attempt holds. So after an expiry the same
//! nonce is used again; and where a lower one has become free (its submission was given up), the gap is filled first,
//! since nothing above it could move.

use super::entry::{Attempt, Entry, Inclusion, NeverIncluded, Outcome, SubmissionId};
use crate::{BlockRef, Call, Hash};
use std::collections::{BTreeMap, BTreeSet};

/// Bounds of a manager.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most submissions without outcome.
    pub(crate) open: usize,
    /// Most times that one submission is signed, unless it is an authorised call.
    pub(crate) signed: u32,
    /// Most times that other programs may take a submission's nonce.
    pub(crate) displaced: u32,
    /// Finished submissions that are remembered.
    pub(crate) finished: usize,
}

/// The finalized state, as far as it decides about submissions.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) head: BlockRef,
    /// The account's next nonce.
    pub(crate) nonce: u64,
    pub(crate) spec_version: u32,
    /// For authorised calls: what the state says of their effect, where it says anything.
    pub(crate) effects: BTreeMap<SubmissionId, Effect>,
}

/// What the finalized state says of an authorised call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It holds just this effect.
    Present,
    /// It holds another in its place, which excludes this one.
    Excluded(String),
}

/// What a node said to an extrinsic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is in the node's pool.
    Taken,
    /// Not in the pool, for a reason that says nothing new: it may be included, or wait for others.
    Waits,
    /// Not now; nothing follows for later.
    Later(String),
    /// Invalid, and nothing that can be expected will make it valid.
    Refused(String),
    /// No answer came: the node may have it or not.
    Silence,
}

/// What became of a wish to submit.
#[derive(Debug)]
pub(crate) enum Accept {
    /// To be written to the journal, then [`Machine::insert`]ed.
    New(Box<Entry>),
    /// The same was submitted before.
    Known,
    /// Another call was submitted under the id.
    Reused,
    /// Too many are open.
    Full,
}

/// What need not survive a crash.
#[derive(Clone, Copy, Debug)]
struct Volatile {
    /// Finalized blocks up to this one were looked through for the live attempt.
    scanned: u32,
    /// Whether some node may have the live attempt.
    exposed: bool,
}

/// All submissions of one key.
#[derive(Debug)]
pub(crate) struct Machine {
    limits: Limits,
    entries: BTreeMap<SubmissionId, Entry>,
    volatile: BTreeMap<SubmissionId, Volatile>,
    dirty: BTreeSet<SubmissionId>,
    next_order: u64,
}

impl Machine {
    /// The machine as the journal remembers it.
    pub(crate) fn restore(limits: Limits, entries: BTreeMap<SubmissionId, Entry>) -> Self {
        let next_order = entries.values().map(|entry| entry.order).max().map_or(0, |order| order.saturating_add(1));
        // The process may have ended at any time after the attempt was written: it counts as exposed.
        let volatile = entries
            .iter()
            .filter_map(|(id, entry)| Some((id.clone(), Volatile::of(entry.live.as_ref()?, true))))
            .collect();
        Self { limits, entries, volatile, dirty: BTreeSet::new(), next_order }
    }

    pub(crate) fn get(&self, id: &SubmissionId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&SubmissionId, &Entry)> {
        self.entries.iter()
    }

    fn open(&self) -> impl Iterator<Item = (&SubmissionId, &Entry)> {
        self.entries.iter().filter(|(_, entry)| entry.outcome.is_none())
    }

    /// Number of submissions without outcome.
    pub(crate) fn open_count(&self) -> usize {
        self.open().count()
    }

    /// Decides about a wish to submit.
    pub(crate) fn accept(&self, id: &SubmissionId, call: &Call) -> Accept {
        match self.entries.get(id) {
            Some(entry) if entry.call == *call => Accept::Known,
            Some(_) => Accept::Reused,
            None if self.open_count() >= self.limits.open => Accept::Full,
            None => Accept::New(Box::new(Entry {
                order: self.next_order,
                call: call.clone(),
                signed: 0,
                displaced: 0,
                live: None,
                refusal: None,
                outcome: None,
            })),
        }
    }

    /// Takes up an entry that is in the journal.
    pub(crate) fn insert(&mut self, id: SubmissionId, entry: Entry) {
        self.next_order = self.next_order.max(entry.order.saturating_add(1));
        self.entries.insert(id, entry);
    }

    /// Forgets a submission; true when there was one and it has an outcome.
    pub(crate) fn forget(&mut self, id: &SubmissionId) -> bool {
        let over = self.entries.get(id).is_some_and(|entry| entry.outcome.is_some());
        if over {
            self.entries.remove(id);
        }
        over
    }

    /// The oldest finished submissions beyond those that are remembered.
    pub(crate) fn surplus(&self) -> Vec<SubmissionId> {
        let mut finished: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.outcome.is_some())
            .map(|(id, entry)| (entry.order, id))
            .collect();
        finished.sort_unstable();
        let surplus = finished.len().saturating_sub(self.limits.finished);
        finished.into_iter().take(surplus).map(|(_, id)| id.clone()).collect()
    }

    /// Entries that changed since the last call: they go to the journal before anything else happens.
    pub(crate) fn take_dirty(&mut self) -> Vec<(SubmissionId, Entry)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().filter_map(|id| Some((id.clone(), self.entries.get(&id)?.clone()))).collect()
    }

    /// Puts back what [`Self::take_dirty`] gave, when it could not be written.
    pub(crate) fn mark_dirty(&mut self, ids: impl IntoIterator<Item = SubmissionId>) {
        self.dirty.extend(ids);
    }

    /// The lowest finalized block, up to `head`, that has to be looked through.
    pub(crate) fn next_scan(&self, head: u32) -> Option<u32> {
        self.open()
            .filter_map(|(id, entry)| {
                let (attempt, volatile) = (entry.live.as_ref()?, self.volatile.get(id)?);
                let next = volatile.scanned.saturating_add(1);
                (next <= attempt.last.min(head)).then_some(next)
            })
            .min()
    }

    /// The submission whose live attempt has this hash.
    pub(crate) fn by_hash(&self, hash: Hash) -> Option<&SubmissionId> {
        self.open().find(|(_, entry)| entry.live.as_ref().is_some_and(|attempt| attempt.hash == hash)).map(|(id, _)| id)
    }

    /// Notes that the finalized block `number` was looked through, and that `found` are in it.
    pub(crate) fn scanned(&mut self, number: u32, found: Vec<(SubmissionId, Inclusion)>) {
        for (id, inclusion) in found {
            self.finish(&id, Outcome::Included(inclusion));
        }
        for volatile in self.volatile.values_mut() {
            if volatile.scanned.saturating_add(1) == number {
                volatile.scanned = number;
            }
        }
    }

    /// Authorised calls without outcome: the finalized state is to be asked for their effects.
    pub(crate) fn to_look_up(&self) -> Vec<(SubmissionId, Call)> {
        self.open()
            .filter(|(_, entry)| entry.call.is_authorised())
            .map(|(id, entry)| (id.clone(), entry.call.clone()))
            .collect()
    }

    /// Draws what follows from the finalized state. Attempts that were not looked for in every block up to the view's
    /// head are left alone.
    pub(crate) fn settle(&mut self, view: &View) {
        let open: Vec<SubmissionId> = self.open().map(|(id, _)| id.clone()).collect();
        for id in open {
            match view.effects.get(&id) {
                Some(Effect::Present) => {
                    self.finish(&id, Outcome::AlreadyOnChain { seen_at: view.head });
                    continue;
                },
                Some(Effect::Excluded(reason)) => {
                    self.finish(&id, Outcome::NeverIncluded(NeverIncluded::Conflict(reason.clone())));
                    continue;
                },
                None => {},
            }
            let (Some(entry), Some(volatile)) = (self.entries.get_mut(&id), self.volatile.get(&id)) else { continue };
            let Some(attempt) = &entry.live else { continue };
            // A node that came back with an older head says nothing about what was signed on a newer one.
            let older = view.head.number.saturating_add(1) < attempt.first;
            if older || volatile.scanned < attempt.last.min(view.head.number) {
                continue;
            }
            let displaced = attempt.nonce.is_some_and(|nonce| nonce < view.nonce);
            let expired = view.head.number >= attempt.last
                || attempt.spec_version.is_some_and(|version| version != view.spec_version);
            if !displaced && !expired {
                continue;
            }
            entry.live = None;
            entry.displaced = entry.displaced.saturating_add(u32::from(displaced));
            let (signed, displacements) = (entry.signed, entry.displaced);
            let (refusal, authorised) = (entry.refusal.clone(), entry.call.is_authorised());
            self.volatile.remove(&id);
            self.dirty.insert(id.clone());
            if displacements > self.limits.displaced {
                self.give_up(&id, NeverIncluded::NonceTaken { times: displacements });
            } else if signed >= self.limits.signed && !authorised {
                // Authorised calls cost nothing and are unique on chain: they are signed for as long as that makes sense.
                self.give_up(&id, NeverIncluded::GaveUp { signed, refusal });
            }
        }
    }

    /// Submissions without live attempt, in the order of their acceptance, with the nonces they are to take.
    pub(crate) fn to_sign(&self, view: &View) -> Vec<(SubmissionId, Call, Option<u64>)> {
        let taken: BTreeSet<u64> =
            self.open().filter_map(|(_, entry)| entry.live.as_ref().and_then(|attempt| attempt.nonce)).collect();
        let mut free = (view.nonce..).filter(|nonce| !taken.contains(nonce));
        let mut waiting: Vec<_> = self.open().filter(|(_, entry)| entry.live.is_none()).collect();
        waiting.sort_unstable_by_key(|(_, entry)| entry.order);
        waiting
            .into_iter()
            .map(|(id, entry)| {
                let nonce = if entry.call.is_authorised() { None } else { free.next() };
                (id.clone(), entry.call.clone(), nonce)
            })
            .collect()
    }

    /// Notes the bytes that a submission is to be included with.
    pub(crate) fn signed(&mut self, id: &SubmissionId, attempt: Attempt) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.outcome.is_none() && entry.live.is_none()) {
            self.volatile.insert(id.clone(), Volatile::of(&attempt, false));
            entry.signed = entry.signed.saturating_add(1);
            entry.live = Some(attempt);
            self.dirty.insert(id.clone());
        }
    }

    /// Notes why an open submission makes no progress.
    pub(crate) fn postponed(&mut self, id: &SubmissionId, reason: String) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.outcome.is_none())
            && entry.refusal.as_ref() != Some(&reason)
        {
            entry.refusal = Some(reason);
            self.dirty.insert(id.clone());
        }
    }

    /// Ends a submission that cannot be signed any more. Nothing of it is live.
    pub(crate) fn give_up(&mut self, id: &SubmissionId, reason: NeverIncluded) {
        if self.entries.get(id).is_some_and(|entry| entry.live.is_none()) {
            self.finish(id, Outcome::NeverIncluded(reason));
        }
    }

    /// Everything that a node should have in its pool, lowest nonce first.
    pub(crate) fn to_send(&self) -> Vec<(SubmissionId, Attempt)> {
        let mut live: Vec<_> = self.open().filter_map(|(id, entry)| Some((id.clone(), entry.live.clone()?))).collect();
        live.sort_unstable_by_key(|(_, attempt)| attempt.nonce);
        live
    }

    /// Notes that an attempt is about to leave this process; true when it is still the live one.
    ///
    /// Until the answer is in, nothing can be said about who has it.
    pub(crate) fn sending(&mut self, id: &SubmissionId, hash: Hash) -> Option<bool> {
        let entry = self.entries.get(id).filter(|entry| entry.outcome.is_none())?;
        entry.live.as_ref().filter(|attempt| attempt.hash == hash)?;
        let volatile = self.volatile.get_mut(id)?;
        Some(std::mem::replace(&mut volatile.exposed, true))
    }

    /// Notes a node's answer to an attempt; `exposed` is what [`Self::sending`] gave before.
    pub(crate) fn answered(&mut self, id: &SubmissionId, hash: Hash, exposed: bool, answer: Answer) {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.outcome.is_none()) else { return };
        if entry.live.as_ref().is_none_or(|attempt| attempt.hash != hash) {
            return;
        }
        match answer {
            Answer::Waits | Answer::Silence => {},
            // What stood against it does so no longer.
            Answer::Taken => {
                if entry.refusal.take().is_some() {
                    self.dirty.insert(id.clone());
                }
            },
            Answer::Later(said) => self.postponed(id, said),
            Answer::Refused(said) => {
                entry.refusal = Some(said.clone());
                self.dirty.insert(id.clone());
                if !exposed {
                    // The only node that ever saw these bytes does not have them.
                    entry.live = None;
                    self.volatile.remove(id);
                    self.give_up(id, NeverIncluded::Refused(said));
                }
            },
        }
    }

    fn finish(&mut self, id: &SubmissionId, outcome: Outcome) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.outcome.is_none()) {
            entry.live = None;
            entry.outcome = Some(outcome);
            self.volatile.remove(id);
            self.dirty.insert(id.clone());
        }
    }
}

impl Volatile {
    fn of(attempt: &Attempt, exposed: bool) -> Self {
        Self { scanned: attempt.first.saturating_sub(1), exposed }
    }
}
