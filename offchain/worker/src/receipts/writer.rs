//! Signs finished answers and puts them on disk, as many as wait in one flush, before their last piece of text leaves.

use super::journal::{Charge, Journal, StoredReceipt};
use crate::{
    clock,
    health::Health,
    metrics::Metrics,
    payment::Reservation,
    scheduler::{Completion, Done, Event, Failure, Finished},
};
use blyan_chain::Key;
use std::{io, sync::Arc, thread};
use tokio::sync::{Notify, mpsc};

/// Answers in one flush.
const MAX_GROUP: usize = 64;
/// Smallest units in a BLY.
const UNITS_PER_BLY: f64 = 1e18;

/// What the writer needs.
#[derive(Debug)]
pub struct Writer {
    /// Where receipts go.
    pub journal: Arc<Journal>,
    /// What they are signed with.
    pub key: Key,
    /// Notified of every flush.
    pub appended: Arc<Notify>,
    /// Told when receipts cannot be stored.
    pub health: Health,
    /// Told how many there are.
    pub metrics: Arc<Metrics>,
}

impl Writer {
    /// Starts the thread. It ends when the last sender of completions is dropped; everything sent before that is stored.
    pub fn start(self) -> io::Result<(mpsc::Sender<Finished>, thread::JoinHandle<()>)> {
        let (sender, mut receiver) = mpsc::channel(MAX_GROUP);
        let thread = thread::Builder::new().name("blyan-receipts".into()).spawn(move || {
            let mut group = Vec::with_capacity(MAX_GROUP);
            while receiver.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
                self.store(std::mem::take(&mut group));
            }
        })?;
        Ok((sender, thread))
    }

    fn store(&self, group: Vec<Finished>) {
        let mut answers = Vec::with_capacity(group.len());
        let mut rest = Vec::with_capacity(group.len());
        for finished in group {
            let completion = match finished {
                Finished::Answer(completion) => *completion,
                Finished::Prompt { tokens, reservation } => {
                    self.charge(tokens, &reservation);
                    continue;
                },
            };
            let Completion { mut answer, tail, timings, reservation, events } = completion;
            let tokens = answer.prompt.len() as u64 + answer.output.len() as u64;
            answer.charge = reservation
                .as_ref()
                .map(|reservation| Charge { channel: reservation.channel(), price: reservation.price_of(tokens) });
            answers.push(answer);
            rest.push((tail, timings, reservation, events));
        }
        if answers.is_empty() {
            return;
        }
        match self.journal.append(answers, clock::unix_millis(), |id| self.key.sign(id)) {
            Ok(stored) => {
                for (stored, (tail, timings, reservation, events)) in stored.into_iter().zip(rest) {
                    let done = self.done(&stored, tail, timings);
                    // The charge is in the ledger now: only then what was set aside for it is free again.
                    drop(reservation);
                    deliver(&events, Event::Done(Box::new(done)));
                }
                self.appended.notify_one();
            },
            Err(error) => {
                self.health.unhealthy(format!("receipts cannot be stored: {error}"));
                for (_, _, _, events) in rest {
                    deliver(&events, Event::Failed(Failure::Receipt(error.to_string())));
                }
            },
        }
        if let Ok(counts) = self.journal.counts() {
            self.metrics.set_receipts(counts);
        }
    }

    /// Charges for a prompt that has no receipt.
    fn charge(&self, tokens: u64, reservation: &Reservation) {
        let charge = Charge { channel: reservation.channel(), price: reservation.price_of(tokens) };
        match self.journal.charge(charge) {
            Ok(()) => self.metrics.charged.inc_by(charge.price as f64 / UNITS_PER_BLY),
            Err(error) => self.health.unhealthy(format!("charges cannot be stored: {error}")),
        }
    }

    fn done(&self, stored: &StoredReceipt, tail: String, timings: crate::scheduler::Timings) -> Done {
        let receipt = &stored.signed.receipt;
        let price = stored.charge.map_or(0, |charge| charge.price);
        self.metrics.charged.inc_by(price as f64 / UNITS_PER_BLY);
        Done {
            tail,
            receipt: receipt.id(),
            finish: stored.finish,
            prompt_tokens: receipt.prompt_tokens,
            output_tokens: receipt.output_tokens,
            price,
            timings,
        }
    }
}

/// The channel has room for the last event of its answer; when it is closed, nobody waits for it.
fn deliver(events: &mpsc::Sender<Event>, event: Event) {
    if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(event) {
        tracing::error!("an answer's events overflow their channel");
    }
}

#[cfg(test)]
mod tests {
    use super::{super::journal::tests::answer, *};
    use crate::scheduler::{Job, Timings};
    use blyan_primitives::ids::ReceiptId;

    #[tokio::test]
    async fn an_answer_is_complete_only_after_its_signed_receipt_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::from_uri("//Alice").unwrap();
        let journal = Arc::new(Journal::open(folder.path(), [1; 32], key.public(), 0).unwrap());
        let writer = Writer {
            journal: journal.clone(),
            key: key.clone(),
            appended: Arc::new(Notify::new()),
            health: Health::default(),
            metrics: Arc::new(Metrics::new().unwrap()),
        };
        let (sender, thread) = writer.start().unwrap();
        let mut receivers = Vec::new();
        for tokens in 1..4 {
            let (events, receiver) = Job::channel(tokens);
            let (tail, timings) = ("!".into(), Timings::default());
            let completion = Completion { answer: answer(tokens), tail, timings, reservation: None, events };
            sender.send(Finished::Answer(Box::new(completion))).await.unwrap();
            receivers.push(receiver);
        }
        for (mut receiver, tokens) in receivers.into_iter().zip(1u32..) {
            let Some(Event::Done(done)) = receiver.recv().await else { panic!("not done") };
            assert_eq!((done.tail.as_str(), done.output_tokens), ("!", tokens));
            let (stored, _) = journal.get(done.receipt).unwrap().unwrap();
            let id: ReceiptId = stored.signed.receipt.id();
            assert!(blyan_chain::keys::verify(&stored.signed.signature, id.as_bytes(), &key.public()));
        }
        drop(sender);
        thread.join().unwrap();
    }
}
