//! One turn of a manager: look through what was finalized, draw the consequences, sign, submit.
//!
//! The order of the steps is the protocol. It is written against [`Port`], so that tests can run the same steps on a
//! simulated chain that forks, forgets and fails at every point.

use super::{
    entry::{Attempt, Entry, Inclusion, NeverIncluded, SubmissionId},
    machine::{Answer, Machine, View},
};
use crate::{BlockRef, Call, Hash, Result, tx::entry::Dispatch};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a submission was signed to.
pub(crate) enum Signing {
    /// Bytes to submit.
    Done(Attempt),
    /// The chain would not accept it any more, however it is signed.
    TooLate(String),
    /// No runtime can accept it.
    Unfit(String),
    /// This program cannot sign it for the present runtime; a newer one may.
    NotNow(String),
}

/// Everything that a turn needs from the outside.
pub(crate) trait Port: Send + Sync {
    /// Hash of a finalized block, and the hashes of its extrinsics in order.
    fn extrinsics(&self, head: BlockRef, number: u32) -> impl Future<Output = Result<(BlockRef, Vec<Hash>)>> + Send;
    /// What came of extrinsic `index` of a finalized block.
    fn dispatch(&self, block: BlockRef, index: u32) -> impl Future<Output = Result<Dispatch>> + Send;
    /// The finalized state at `head`, with the effects of these calls.
    fn view(&self, head: BlockRef, calls: Vec<(SubmissionId, Call)>) -> impl Future<Output = Result<View>> + Send;
    /// Signs a call so that blocks after `head` can include it.
    fn sign(&self, call: Call, nonce: Option<u64>, head: BlockRef) -> impl Future<Output = Result<Signing>> + Send;
    /// Hands bytes to the node.
    fn submit(&self, attempt: &Attempt) -> impl Future<Output = Answer> + Send;
    /// Writes entries to the journal; they are safe when this returns.
    fn save(&self, entries: Vec<(SubmissionId, Entry)>) -> impl Future<Output = Result<()>> + Send;
}

/// Takes one turn at finalized head `head`. With `again`, everything live is submitted once more; otherwise only what was
/// signed in this turn. An error leaves everything to the next turn.
pub(crate) async fn turn<P: Port>(machine: &Mutex<Machine>, port: &P, head: BlockRef, again: bool) -> Result<()> {
    // Left over from a turn that could not write them.
    save(machine, port).await?;
    if lock(machine).open_count() == 0 {
        return Ok(());
    }
    scan(machine, port, head).await?;
    save(machine, port).await?;
    let calls = lock(machine).to_look_up();
    let view = port.view(head, calls).await?;
    lock(machine).settle(&view);
    save(machine, port).await?;
    let waiting = lock(machine).to_sign(&view);
    let mut fresh = Vec::new();
    for (id, call, nonce) in waiting {
        match port.sign(call, nonce, head).await? {
            Signing::Done(attempt) => {
                fresh.push(attempt.hash);
                lock(machine).signed(&id, attempt);
            },
            Signing::TooLate(reason) => lock(machine).give_up(&id, NeverIncluded::TooLate(reason)),
            Signing::Unfit(reason) => lock(machine).give_up(&id, NeverIncluded::Refused(reason)),
            Signing::NotNow(reason) => lock(machine).postponed(&id, reason),
        }
    }
    // Nothing leaves the process before it is on disk.
    save(machine, port).await?;
    let live = lock(machine).to_send();
    for (id, attempt) in live {
        if !again && !fresh.contains(&attempt.hash) {
            continue;
        }
        let Some(exposed) = lock(machine).sending(&id, attempt.hash) else { continue };
        let answer = port.submit(&attempt).await;
        let silent = answer == Answer::Silence;
        lock(machine).answered(&id, attempt.hash, exposed, answer);
        if silent {
            break;
        }
    }
    save(machine, port).await
}

/// Looks for live attempts in every finalized block that could hold one.
async fn scan<P: Port>(machine: &Mutex<Machine>, port: &P, head: BlockRef) -> Result<()> {
    loop {
        let Some(number) = lock(machine).next_scan(head.number) else { return Ok(()) };
        let (block, hashes) = port.extrinsics(head, number).await?;
        let mut found = Vec::new();
        for (index, extrinsic) in (0u32..).zip(hashes) {
            let Some(id) = lock(machine).by_hash(extrinsic).cloned() else { continue };
            let dispatch = port.dispatch(block, index).await?;
            found.push((id, Inclusion { block, index, extrinsic, dispatch }));
        }
        lock(machine).scanned(number, found);
    }
}

async fn save<P: Port>(machine: &Mutex<Machine>, port: &P) -> Result<()> {
    let dirty = lock(machine).take_dirty();
    if dirty.is_empty() {
        return Ok(());
    }
    let ids: Vec<SubmissionId> = dirty.iter().map(|(id, _)| id.clone()).collect();
    let saved = port.save(dirty).await;
    if saved.is_err() {
        lock(machine).mark_dirty(ids);
    }
    saved
}

pub(crate) fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    // A panic inside the machine leaves no half-made change that matters: every entry is replaced whole.
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}
