//! The receipt journal: a database that a crash at any instant leaves consistent.
//!
//! ```text
//! append            freeze(sequence)            settle(sequence, place)
//! answer ──► pending ──────────────► batch, open ──────────────────────► batch, anchored
//!               ▲                         │ release(sequence)
//!               └─────────────────────────┘ the chain has another batch under that sequence
//! ```
//!
//! A chain can lose blocks that it had finalized: a lone validator that is killed before its disk has them. Then `reopen`
//! goes back to an earlier batch, with the same content under the same sequence; what was open meanwhile waits, frozen.
//!
//! Each arrow is one transaction with one flush. At most one batch is open. Its content is fixed before it is submitted for
//! the first time, and the chain accepts a sequence number once: however often a crash makes the worker submit it again, it
//! counts once, and whether it already did can be read from the chain.
//!
//! What a payment channel was charged is written in the same transaction as the receipt, so that the two cannot disagree.

use blyan_primitives::{
    ids::{BatchRoot, Commitment, ReceiptId, SpecId, WeightsId},
    payment::{ChannelId, Voucher},
    receipt::{MAX_BATCH, Receipt, Sampling, SignedReceipt, batch_tree, tokens_hash},
};
use codec::{Decode, DecodeAll, Encode};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const RECEIPTS: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("receipts");
const ORDER: TableDefinition<u64, [u8; 32]> = TableDefinition::new("order");
const PENDING: TableDefinition<u64, [u8; 32]> = TableDefinition::new("pending");
const BATCHES: TableDefinition<u64, &[u8]> = TableDefinition::new("batches");
const OPEN: TableDefinition<(), u64> = TableDefinition::new("open");
const PLACES: TableDefinition<[u8; 32], (u64, u32)> = TableDefinition::new("places");
const CHANNELS: TableDefinition<u64, &[u8]> = TableDefinition::new("channels");
/// By weights: the last block at which the chain was seen to name them.
const NAMED_AT: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("named_at");

const IDENTITY: &str = "identity";
const NEXT_NUMBER: &str = "next_number";

/// Weights whose block is remembered; the ones named longest ago are forgotten first.
const MAX_WEIGHTS: u64 = 4096;
/// Pages that the database keeps in memory, in bytes.
const CACHE: usize = 16 << 20;

/// Why the journal refused.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database failed; its message says how.
    #[error("the receipt journal failed: {0}")]
    Database(Box<redb::Error>),
    /// A record does not decode.
    #[error("the receipt journal holds a damaged {0}; restore the file from a backup, or move it away to start anew")]
    Damaged(&'static str),
    /// The file belongs to another chain or key.
    #[error("the receipt journal {} belongs to another chain or another key", .0.display())]
    Foreign(PathBuf),
    /// A batch was to be frozen while another is open.
    #[error("batch {0} is still open")]
    BatchOpen(u64),
    /// A batch was named that is not open.
    #[error("batch {0} is not open")]
    NotOpen(u64),
    /// A batch was named that does not exist.
    #[error("there is no batch {0}")]
    NoBatch(u64),
    /// An answer without output tokens has no receipt.
    #[error("an answer without tokens has no receipt")]
    Empty,
    /// No source of random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

macro_rules! database_errors {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for JournalError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}
database_errors!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

type Result<T> = std::result::Result<T, JournalError>;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Finish {
    /// An end-of-sequence token or a stop sequence.
    #[codec(index = 0)]
    Stop,
    /// The limit of tokens.
    #[codec(index = 1)]
    Length,
    /// The client went away.
    #[codec(index = 2)]
    Cancelled,
}

impl Finish {
    /// OpenAI's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an answer costs, and who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Charge {
    /// The channel.
    pub channel: ChannelId,
    /// The price, in the smallest unit of BLY.
    pub price: u128,
}

/// A finished answer, not yet signed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The spec that was executed.
    pub spec: SpecId,
    /// The spec and its expert blocks.
    pub weights: WeightsId,
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Tokens of the answer, at least one.
    pub output: Vec<u32>,
    /// How they were chosen.
    pub sampling: Sampling,
    /// The rolling commitment after each position.
    pub commitments: Vec<Commitment>,
    /// The text that was sent.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// What it costs.
    pub charge: Option<Charge>,
}

/// A receipt with all that is needed to replay the answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoredReceipt {
    /// The receipt and its signature.
    pub signed: SignedReceipt,
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Tokens of the answer.
    pub output: Vec<u32>,
    /// The rolling commitment after each position.
    pub commitments: Vec<Commitment>,
    /// The text that was sent.
    pub text: String,
    /// Why the answer ended.
    pub finish: Finish,
    /// What it cost.
    pub charge: Option<Charge>,
}

/// A finalized block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Place {
    /// The block's number.
    pub block_number: u32,
    /// The block's hash.
    pub block_hash: [u8; 32],
}

/// A batch of receipts under one anchor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Batch {
    /// Its number among the worker's anchors.
    pub sequence: u64,
    /// Root of the tree over `receipts`.
    pub root: BatchRoot,
    /// The receipts, in order.
    pub receipts: Vec<ReceiptId>,
    /// Prompt and output tokens of all of them.
    pub tokens: u64,
    /// The finalized anchor.
    pub place: Option<Place>,
}

impl Batch {
    /// Number of receipts.
    pub fn count(&self) -> u32 {
        // `freeze` takes at most `MAX_BATCH`.
        self.receipts.len() as u32
    }
}

/// What a payment channel has used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ChannelLedger {
    /// Everything charged since the channel was opened.
    pub spent: u128,
    /// The largest voucher, with the payer's signature.
    pub voucher: Option<(Voucher, [u8; 64])>,
    /// The largest voucher that was redeemed on chain, finalized.
    pub redeemed: u128,
}

/// How many receipts are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In no batch.
    pub pending: u64,
    /// In a batch that waits for a finalized anchor.
    pub open: u64,
    /// Under a finalized anchor and still kept.
    pub anchored: u64,
}

/// Where a receipt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In no batch yet.
    Pending,
    /// Number `index` of `batch`, which is anchored if it has a place.
    Batched {
        /// The batch.
        batch: Batch,
        /// The receipt's place in it.
        index: u32,
    },
}

/// The database of one worker key on one chain.
#[derive(Debug)]
pub struct Journal {
    db: Database,
    genesis: [u8; 32],
    key: [u8; 32],
}

fn decode<T: Decode>(bytes: &[u8], what: &'static str) -> Result<T> {
    T::decode_all(&mut &*bytes).map_err(|_| JournalError::Damaged(what))
}

impl Journal {
    /// The journal of `key` on the chain with this `genesis`, in `folder`. A chain that was started anew has a new genesis
    /// and so a file of its own. `now` is Unix time in milliseconds.
    pub fn open(folder: &Path, genesis: [u8; 32], key: [u8; 32], now: u64) -> Result<Self> {
        let short = |bytes: &[u8; 32]| hex::encode(&bytes[..8]);
        let path = folder.join(format!("receipts-{}-{}.redb", short(&genesis), short(&key)));
        let db = Builder::new().set_cache_size(CACHE).create(&path)?;
        let identity = (genesis, key).encode();
        let write = db.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let known = meta.get(IDENTITY)?.map(|value| value.value().to_vec());
            match known {
                Some(bytes) if bytes == identity => {},
                Some(_) => return Err(JournalError::Foreign(path)),
                None => {
                    meta.insert(IDENTITY, identity.as_slice())?;
                    // Numbers must not repeat even when a journal is lost: no worker makes more than a thousand answers
                    // a second for long, so that the clock is ahead of every number it gave before.
                    meta.insert(NEXT_NUMBER, now.encode().as_slice())?;
                },
            }
            write.open_table(RECEIPTS)?;
            write.open_table(ORDER)?;
            write.open_table(PENDING)?;
            write.open_table(BATCHES)?;
            write.open_table(OPEN)?;
            write.open_table(PLACES)?;
            write.open_table(CHANNELS)?;
            write.open_table(NAMED_AT)?;
        }
        write.commit()?;
        Ok(Self { db, genesis, key })
    }

    /// Signs and stores `answers`, charges their channels, and flushes once. Returns the receipts in order.
    pub fn append(
        &self,
        answers: Vec<Answer>,
        now: u64,
        sign: impl Fn(&[u8; 32]) -> [u8; 64],
    ) -> Result<Vec<StoredReceipt>> {
        let write = self.db.begin_write()?;
        let mut stored = Vec::with_capacity(answers.len());
        {
            let mut meta = write.open_table(META)?;
            let mut receipts = write.open_table(RECEIPTS)?;
            let mut order = write.open_table(ORDER)?;
            let mut pending = write.open_table(PENDING)?;
            let mut channels = write.open_table(CHANNELS)?;
            let mut number: u64 = match meta.get(NEXT_NUMBER)? {
                Some(value) => decode(value.value(), "counter")?,
                None => return Err(JournalError::Damaged("counter")),
            };
            for answer in answers {
                let receipt = self.receipt(&answer, number, now)?;
                let id = receipt.id();
                let record = StoredReceipt {
                    signed: SignedReceipt { signature: sign(id.as_bytes()), receipt },
                    prompt: answer.prompt,
                    output: answer.output,
                    commitments: answer.commitments,
                    text: answer.text,
                    finish: answer.finish,
                    charge: answer.charge,
                };
                receipts.insert(id.0, record.encode().as_slice())?;
                order.insert(number, id.0)?;
                pending.insert(number, id.0)?;
                if let Some(charge) = record.charge {
                    let mut ledger = match channels.get(charge.channel)? {
                        Some(value) => decode(value.value(), "channel")?,
                        None => ChannelLedger::default(),
                    };
                    ledger.spent = ledger.spent.saturating_add(charge.price);
                    channels.insert(charge.channel, ledger.encode().as_slice())?;
                }
                stored.push(record);
                number = number.saturating_add(1);
            }
            meta.insert(NEXT_NUMBER, number.encode().as_slice())?;
        }
        write.commit()?;
        Ok(stored)
    }

    fn receipt(&self, answer: &Answer, number: u64, now: u64) -> Result<Receipt> {
        let Some(commitment) = answer.commitments.last().copied().filter(|_| !answer.output.is_empty()) else {
            return Err(JournalError::Empty);
        };
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| JournalError::Random(error.to_string()))?;
        Ok(Receipt {
            genesis: self.genesis,
            worker: self.key,
            number,
            nonce,
            spec: answer.spec,
            weights: answer.weights,
            prompt_hash: tokens_hash(&answer.prompt),
            output_hash: tokens_hash(&answer.output),
            // Both fit: a context is at most 2^20 tokens.
            prompt_tokens: answer.prompt.len() as u32,
            output_tokens: answer.output.len() as u32,
            sampling: answer.sampling,
            commitment,
            finished_at: now,
        })
    }

    /// The receipt called `id`, and where it stands.
    pub fn get(&self, id: ReceiptId) -> Result<Option<(StoredReceipt, Standing)>> {
        let read = self.db.begin_read()?;
        let Some(value) = read.open_table(RECEIPTS)?.get(id.0)? else { return Ok(None) };
        let stored = decode(value.value(), "receipt")?;
        let Some(place) = read.open_table(PLACES)?.get(id.0)? else { return Ok(Some((stored, Standing::Pending))) };
        let (sequence, index) = place.value();
        let batch = match read.open_table(BATCHES)?.get(sequence)? {
            Some(value) => decode(value.value(), "batch")?,
            None => return Err(JournalError::Damaged("batch")),
        };
        Ok(Some((stored, Standing::Batched { batch, index })))
    }

    /// How many receipts are in each state.
    pub fn counts(&self) -> Result<Counts> {
        let read = self.db.begin_read()?;
        let pending = read.open_table(PENDING)?.len()?;
        let all = read.open_table(RECEIPTS)?.len()?;
        let mut open = 0u64;
        if let Some(sequence) = read.open_table(OPEN)?.get(())? {
            // One, but where a batch was reopened: then those after it wait for it.
            for entry in read.open_table(BATCHES)?.range(sequence.value()..)? {
                let (_, value) = entry?;
                let batch: Batch = decode(value.value(), "batch")?;
                if batch.place.is_none() {
                    open = open.saturating_add(u64::from(batch.count()));
                }
            }
            if open == 0 {
                return Err(JournalError::Damaged("batch"));
            }
        }
        Ok(Counts { pending, open, anchored: all.saturating_sub(pending).saturating_sub(open) })
    }

    /// The batch that waits for a finalized anchor.
    pub fn open_batch(&self) -> Result<Option<Batch>> {
        let read = self.db.begin_read()?;
        let Some(sequence) = read.open_table(OPEN)?.get(())?.map(|value| value.value()) else { return Ok(None) };
        match read.open_table(BATCHES)?.get(sequence)? {
            Some(value) => Ok(Some(decode(value.value(), "batch")?)),
            None => Err(JournalError::Damaged("batch")),
        }
    }

    /// Batch number `sequence`, while its receipts are kept.
    pub fn batch(&self, sequence: u64) -> Result<Option<Batch>> {
        let read = self.db.begin_read()?;
        let value = read.open_table(BATCHES)?.get(sequence)?;
        value.map(|value| decode(value.value(), "batch")).transpose()
    }

    /// Makes a batch of the oldest pending receipts under `sequence`, the next that the finalized chain expects of this
    /// worker. `None` when nothing is pending.
    pub fn freeze(&self, sequence: u64) -> Result<Option<Batch>> {
        let write = self.db.begin_write()?;
        let batch = {
            let mut open = write.open_table(OPEN)?;
            if let Some(other) = open.get(())?.map(|value| value.value()) {
                return Err(JournalError::BatchOpen(other));
            }
            let mut batches = write.open_table(BATCHES)?;
            if batches.get(sequence)?.is_some() {
                return Err(JournalError::BatchOpen(sequence));
            }
            let mut pending = write.open_table(PENDING)?;
            let receipts = write.open_table(RECEIPTS)?;
            let mut places = write.open_table(PLACES)?;
            let oldest: Vec<(u64, ReceiptId)> = pending
                .iter()?
                .take(MAX_BATCH as usize)
                .map(|entry| entry.map(|(number, id)| (number.value(), ReceiptId(id.value()))))
                .collect::<std::result::Result<_, _>>()?;
            if oldest.is_empty() {
                return Ok(None);
            }
            let mut tokens = 0u64;
            for ((number, id), index) in oldest.iter().zip(0u32..) {
                let stored: StoredReceipt = match receipts.get(id.0)? {
                    Some(value) => decode(value.value(), "receipt")?,
                    None => return Err(JournalError::Damaged("receipt")),
                };
                let receipt = &stored.signed.receipt;
                tokens = tokens
                    .saturating_add(u64::from(receipt.prompt_tokens))
                    .saturating_add(u64::from(receipt.output_tokens));
                places.insert(id.0, (sequence, index))?;
                pending.remove(number)?;
            }
            let receipts: Vec<ReceiptId> = oldest.into_iter().map(|(_, id)| id).collect();
            let root = BatchRoot(batch_tree(&receipts).root());
            let batch = Batch { sequence, root, receipts, tokens, place: None };
            batches.insert(sequence, batch.encode().as_slice())?;
            open.insert((), sequence)?;
            batch
        };
        write.commit()?;
        Ok(Some(batch))
    }

    /// Records that the open batch's anchor is finalized.
    pub fn settle(&self, sequence: u64, place: Place) -> Result<()> {
        let write = self.db.begin_write()?;
        {
            let mut batches = write.open_table(BATCHES)?;
            let mut batch = take_open(&mut write.open_table(OPEN)?, &batches, sequence)?;
            batch.place = Some(place);
            batches.insert(sequence, batch.encode().as_slice())?;
        }
        Ok(write.commit()?)
    }

    /// Opens a batch that was frozen before, with what is in it: the chain has no anchor under its sequence any more. A batch
    /// that is open meanwhile stays frozen, until it is its turn to be opened again.
    pub fn reopen(&self, sequence: u64) -> Result<()> {
        let write = self.db.begin_write()?;
        {
            let mut batches = write.open_table(BATCHES)?;
            let mut batch: Batch = match batches.get(sequence)? {
                Some(value) => decode(value.value(), "batch")?,
                None => return Err(JournalError::NoBatch(sequence)),
            };
            batch.place = None;
            batches.insert(sequence, batch.encode().as_slice())?;
            write.open_table(OPEN)?.insert((), sequence)?;
        }
        Ok(write.commit()?)
    }

    /// Gives the open batch's receipts back: the chain holds another batch under its sequence number, which happens when the
    /// same key was used elsewhere or an older copy of the journal was restored.
    pub fn release(&self, sequence: u64) -> Result<()> {
        let write = self.db.begin_write()?;
        {
            let mut batches = write.open_table(BATCHES)?;
            let batch = take_open(&mut write.open_table(OPEN)?, &batches, sequence)?;
            let receipts = write.open_table(RECEIPTS)?;
            let mut pending = write.open_table(PENDING)?;
            let mut places = write.open_table(PLACES)?;
            for id in batch.receipts {
                let stored: StoredReceipt = match receipts.get(id.0)? {
                    Some(value) => decode(value.value(), "receipt")?,
                    None => return Err(JournalError::Damaged("receipt")),
                };
                pending.insert(stored.signed.receipt.number, id.0)?;
                places.remove(id.0)?;
            }
            batches.remove(sequence)?;
        }
        Ok(write.commit()?)
    }

    /// Forgets receipts that are anchored and finished before `retention` ago, at most `limit` of them. Returns how many.
    pub fn prune(&self, now: u64, retention: Duration, limit: usize) -> Result<usize> {
        let horizon = now.saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
        let write = self.db.begin_write()?;
        let mut pruned = 0usize;
        {
            let mut order = write.open_table(ORDER)?;
            let mut receipts = write.open_table(RECEIPTS)?;
            let mut places = write.open_table(PLACES)?;
            let mut batches = write.open_table(BATCHES)?;
            loop {
                let Some((number, id)) = order.first()?.map(|(number, id)| (number.value(), id.value())) else { break };
                let stored: StoredReceipt = match receipts.get(id)? {
                    Some(value) => decode(value.value(), "receipt")?,
                    None => return Err(JournalError::Damaged("receipt")),
                };
                if pruned >= limit || stored.signed.receipt.finished_at >= horizon {
                    break;
                }
                let Some((sequence, _)) = places.get(id)?.map(|place| place.value()) else { break };
                let batch: Batch = match batches.get(sequence)? {
                    Some(value) => decode(value.value(), "batch")?,
                    None => return Err(JournalError::Damaged("batch")),
                };
                if batch.place.is_none() {
                    break;
                }
                order.remove(number)?;
                receipts.remove(id)?;
                places.remove(id)?;
                // Receipts leave in the order they came, so that a batch goes with its last one.
                if batch.receipts.last() == Some(&ReceiptId(id)) {
                    batches.remove(sequence)?;
                }
                pruned = pruned.saturating_add(1);
            }
        }
        write.commit()?;
        Ok(pruned)
    }

    /// What `channel` has used.
    pub fn channel(&self, channel: ChannelId) -> Result<Option<ChannelLedger>> {
        let read = self.db.begin_read()?;
        let value = read.open_table(CHANNELS)?.get(channel)?;
        value.map(|value| decode(value.value(), "channel")).transpose()
    }

    /// Charges a channel for what has no receipt, and flushes.
    pub fn charge(&self, charge: Charge) -> Result<()> {
        self.update_channel(charge.channel, |ledger| ledger.spent = ledger.spent.saturating_add(charge.price))?;
        Ok(())
    }

    /// Forgets what a channel has used, which on chain is closed; `None` when nothing was known of it.
    pub fn forget_channel(&self, channel: ChannelId) -> Result<Option<ChannelLedger>> {
        let write = self.db.begin_write()?;
        let ledger = {
            let mut channels = write.open_table(CHANNELS)?;
            channels.remove(channel)?.map(|value| decode(value.value(), "channel")).transpose()?
        };
        write.commit()?;
        Ok(ledger)
    }

    /// Remembers that the chain names `weights` at the finalized block `place`: whoever checks a receipt of theirs can look
    /// there, should the chain name others by the time it is anchored.
    pub fn note_weights(&self, weights: WeightsId, place: Place) -> Result<()> {
        let write = self.db.begin_write()?;
        {
            let mut named = write.open_table(NAMED_AT)?;
            named.insert(weights.0, place.encode().as_slice())?;
            if named.len()? > MAX_WEIGHTS {
                let mut oldest: Option<(u32, [u8; 32])> = None;
                for entry in named.iter()? {
                    let (id, value) = entry?;
                    let number = decode::<Place>(value.value(), "block")?.block_number;
                    if oldest.is_none_or(|(least, _)| number < least) {
                        oldest = Some((number, id.value()));
                    }
                }
                if let Some((_, id)) = oldest {
                    named.remove(id)?;
                }
            }
        }
        Ok(write.commit()?)
    }

    /// The last finalized block at which the chain was seen to name `weights`.
    pub fn named_at(&self, weights: WeightsId) -> Result<Option<Place>> {
        let read = self.db.begin_read()?;
        let value = read.open_table(NAMED_AT)?.get(weights.0)?;
        value.map(|value| decode(value.value(), "block")).transpose()
    }

    /// Every channel that was used and is not forgotten.
    pub fn channels(&self) -> Result<Vec<(ChannelId, ChannelLedger)>> {
        let read = self.db.begin_read()?;
        let mut all = Vec::new();
        for entry in read.open_table(CHANNELS)?.iter()? {
            let (id, value) = entry?;
            all.push((id.value(), decode(value.value(), "channel")?));
        }
        Ok(all)
    }

    /// Changes what is known of `channel`, and flushes.
    pub fn update_channel(&self, channel: ChannelId, change: impl FnOnce(&mut ChannelLedger)) -> Result<ChannelLedger> {
        let write = self.db.begin_write()?;
        let ledger = {
            let mut channels = write.open_table(CHANNELS)?;
            let mut ledger = match channels.get(channel)? {
                Some(value) => decode(value.value(), "channel")?,
                None => ChannelLedger::default(),
            };
            change(&mut ledger);
            channels.insert(channel, ledger.encode().as_slice())?;
            ledger
        };
        write.commit()?;
        Ok(ledger)
    }
}

fn take_open(
    open: &mut redb::Table<'_, (), u64>,
    batches: &impl ReadableTable<u64, &'static [u8]>,
    sequence: u64,
) -> Result<Batch> {
    if open.get(())?.map(|value| value.value()) != Some(sequence) {
        return Err(JournalError::NotOpen(sequence));
    }
    open.remove(())?;
    match batches.get(sequence)? {
        Some(value) => decode(value.value(), "batch"),
        None => Err(JournalError::Damaged("batch")),
    }
}

#[cfg(test)]
pub(crate) mod tests;
