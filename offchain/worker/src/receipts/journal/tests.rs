use super::*;

pub(crate) fn answer(tokens: u32) -> Answer {
    Answer {
        spec: SpecId([1; 32]),
        weights: WeightsId([2; 32]),
        prompt: vec![1, 2],
        output: (0..tokens).collect(),
        sampling: Sampling::GREEDY,
        commitments: (0..=tokens).map(|i| Commitment([i as u8; 32])).collect(),
        text: "hello".into(),
        finish: Finish::Stop,
        charge: None,
    }
}

fn journal(folder: &Path) -> Journal {
    Journal::open(folder, [7; 32], [8; 32], 1000).unwrap()
}

fn append(journal: &Journal, count: usize) -> Vec<ReceiptId> {
    let answers = (0..count).map(|_| answer(3)).collect();
    let stored = journal.append(answers, 5000, |_| [0; 64]).unwrap();
    stored.iter().map(|stored| stored.signed.receipt.id()).collect()
}

const PLACE: Place = Place { block_number: 9, block_hash: [9; 32] };

#[test]
fn a_receipt_goes_from_pending_to_anchored_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let ids = append(&journal(folder.path()), 3);
    let journal = journal(folder.path());
    assert_eq!(journal.get(ids[1]).unwrap().unwrap().1, Standing::Pending);
    let batch = journal.freeze(4).unwrap().unwrap();
    assert_eq!((batch.receipts.clone(), batch.tokens, batch.place), (ids.clone(), 15, None));
    assert_eq!(journal.counts().unwrap(), Counts { pending: 0, open: 3, anchored: 0 });
    journal.settle(4, PLACE).unwrap();
    let (_, standing) = journal.get(ids[1]).unwrap().unwrap();
    assert_eq!(standing, Standing::Batched { batch: Batch { place: Some(PLACE), ..batch }, index: 1 });
    assert_eq!(journal.counts().unwrap(), Counts { pending: 0, open: 0, anchored: 3 });
    assert_eq!(journal.open_batch().unwrap(), None);
}

#[test]
fn numbers_and_nonces_never_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    let stored = journal.append(vec![answer(1), answer(1)], 5000, |_| [0; 64]).unwrap();
    let more = journal.append(vec![answer(1)], 5000, |_| [0; 64]).unwrap();
    let receipts: Vec<_> = stored.iter().chain(&more).map(|s| s.signed.receipt.clone()).collect();
    assert_eq!(receipts.iter().map(|r| r.number).collect::<Vec<_>>(), [1000, 1001, 1002]);
    assert!(receipts[0].nonce != receipts[1].nonce && receipts[1].nonce != receipts[2].nonce);
}

#[test]
fn only_one_batch_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 1);
    journal.freeze(0).unwrap().unwrap();
    append(&journal, 1);
    assert!(matches!(journal.freeze(1), Err(JournalError::BatchOpen(0))));
    assert!(matches!(journal.settle(1, PLACE), Err(JournalError::NotOpen(1))));
    journal.settle(0, PLACE).unwrap();
    assert!(matches!(journal.settle(0, PLACE), Err(JournalError::NotOpen(0))));
    assert!(matches!(journal.freeze(0), Err(JournalError::BatchOpen(0))));
    assert_eq!(journal.freeze(1).unwrap().unwrap().count(), 1);
}

#[test]
fn a_batch_whose_anchor_was_lost_is_opened_again_with_the_same_content_and_the_open_one_waits() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, 2);
    let lost = journal.freeze(0).unwrap().unwrap();
    journal.settle(0, PLACE).unwrap();
    append(&journal, 1);
    let waits = journal.freeze(1).unwrap().unwrap();
    journal.reopen(0).unwrap();
    assert_eq!(journal.open_batch().unwrap(), Some(lost.clone()));
    assert_eq!(journal.counts().unwrap(), Counts { pending: 0, open: 3, anchored: 0 });
    journal.settle(0, PLACE).unwrap();
    assert_eq!((journal.open_batch().unwrap(), journal.batch(1).unwrap()), (None, Some(waits.clone())));
    journal.reopen(1).unwrap();
    assert_eq!(journal.open_batch().unwrap(), Some(waits));
    assert_eq!(journal.counts().unwrap(), Counts { pending: 0, open: 1, anchored: 2 });
    assert!(matches!(journal.reopen(7), Err(JournalError::NoBatch(7))));
}

#[test]
fn the_last_block_that_named_weights_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let weights = WeightsId([4; 32]);
    assert_eq!(journal(folder.path()).named_at(weights).unwrap(), None);
    journal(folder.path()).note_weights(weights, Place { block_number: 3, ..PLACE }).unwrap();
    journal(folder.path()).note_weights(weights, PLACE).unwrap();
    assert_eq!(journal(folder.path()).named_at(weights).unwrap(), Some(PLACE));
}

#[test]
fn a_batch_that_lost_its_sequence_gives_its_receipts_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    let mut ids = append(&journal, 2);
    journal.freeze(0).unwrap();
    ids.extend(append(&journal, 1));
    journal.release(0).unwrap();
    assert_eq!(journal.get(ids[0]).unwrap().unwrap().1, Standing::Pending);
    assert_eq!(journal.freeze(1).unwrap().unwrap().receipts, ids);
}

#[test]
fn a_batch_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    append(&journal, MAX_BATCH as usize + 1);
    assert_eq!(journal.freeze(0).unwrap().unwrap().count(), MAX_BATCH);
    assert_eq!(journal.counts().unwrap().pending, 1);
}

#[test]
fn a_charge_is_written_with_its_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    let paid = |price| Answer { charge: Some(Charge { channel: 3, price }), ..answer(2) };
    journal.append(vec![paid(5), paid(7)], 0, |_| [0; 64]).unwrap();
    assert_eq!(journal.channel(3).unwrap().unwrap().spent, 12);
    assert_eq!(journal.channel(4).unwrap(), None);
    journal.charge(Charge { channel: 4, price: 3 }).unwrap();
    assert_eq!(journal.forget_channel(4).unwrap().map(|ledger| ledger.spent), Some(3));
    assert_eq!((journal.forget_channel(4).unwrap(), journal.channel(4).unwrap()), (None, None));
    // The second of two answers is bad: neither is kept, neither is charged.
    let bad = Answer { output: vec![], ..answer(1) };
    assert!(matches!(journal.append(vec![paid(1), bad], 0, |_| [0; 64]), Err(JournalError::Empty)));
    assert_eq!((journal.channel(3).unwrap().unwrap().spent, journal.counts().unwrap().pending), (12, 2));
}

#[test]
fn a_journal_belongs_to_one_chain_and_key() {
    let folder = tempfile::tempdir().unwrap();
    append(&journal(folder.path()), 1);
    let other = Journal::open(folder.path(), [1; 32], [8; 32], 0).unwrap();
    assert_eq!(other.counts().unwrap(), Counts::default());
    drop(other);
    let name = |genesis: u8| format!("receipts-{}-{}.redb", hex::encode([genesis; 8]), hex::encode([8u8; 8]));
    std::fs::rename(folder.path().join(name(7)), folder.path().join(name(1))).unwrap();
    assert!(matches!(Journal::open(folder.path(), [1; 32], [8; 32], 0), Err(JournalError::Foreign(_))));
}

#[test]
fn only_old_and_anchored_receipts_are_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path());
    let ids = append(&journal, 3);
    let (day, late) = (Duration::from_secs(86_400), 5000 + 90_000_000);
    assert_eq!(journal.prune(late, day, 10).unwrap(), 0);
    journal.freeze(0).unwrap();
    assert_eq!(journal.prune(late, day, 10).unwrap(), 0);
    journal.settle(0, PLACE).unwrap();
    assert_eq!(journal.prune(6000, day, 10).unwrap(), 0);
    assert_eq!(journal.prune(late, day, 2).unwrap(), 2);
    assert!(journal.get(ids[0]).unwrap().is_none() && journal.get(ids[2]).unwrap().is_some());
    assert_eq!(journal.prune(late, day, 2).unwrap(), 1);
    assert_eq!(journal.counts().unwrap(), Counts::default());
}
