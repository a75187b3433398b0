//! Rounds on a chain with evaluators and learners: what helps becomes the head, and what does not is refused for its own reason.

use blyan_chain::{Event, Lateness, LearningEvent, RoundOutcome};
use blyan_cli::genesis::open_store;
use blyan_e2e::{
    folder,
    learning::{Desk, EVALUATORS, Hand, School, TEXTS, language, outcome_of, submit},
};
use blyan_model::{exec::Model, trace::Recorded};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    ids::ContentHash,
    learning::{Codec, DeltaHeader, DeltaOutcome, ItemRange},
    pol::Refusal,
    worker::Roles,
};
use blyan_tensorblock::{BlockBuilder, VerifiedBlock};
use futures::future::try_join_all;

/// A block that says that it is a delta.
fn garbage() -> VerifiedBlock {
    let mut builder = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
    for name in ["gate", "up", "down", "learner"] {
        builder.tensor(name, DType::U8, Layout::RowMajor, &[64], vec![0xa5u8; 64]).unwrap();
    }
    builder.finish().unwrap().into_block().unwrap()
}

/// Mean loss of a model on texts, in nats a token.
fn loss(model: &Model, texts: &[Vec<u32>]) -> f64 {
    let units = |text: &Vec<u32>| Recorded::new(model, text, 2).unwrap().loss();
    let all: u64 = texts.iter().map(units).sum();
    all as f64 / (1 << 20) as f64 / texts.iter().map(|text| text.len() as f64 - 1.0).sum::<f64>()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helps_becomes_the_head_and_all_else_is_refused_for_its_own_reason() {
    let base = folder();
    let school = School::open(base.path(), &EVALUATORS).await.unwrap();
    let worker = school.learner("//Eve").await.unwrap();
    let store = &open_store(&worker.store).unwrap();
    let (slot, spec) = school.slot(1, 2).await.unwrap();
    let desk = Desk::new(&school, store, slot).await.unwrap();
    let (set, texts) = &school.training;
    let known = 2 * TEXTS as usize;
    let data = |count| ItemRange { block: *set, first: 0, count };
    let all = data(2 * TEXTS);

    // Who takes part, and what each has to show.
    let eve = Hand::new(&school.client, "//Eve").await.unwrap();
    let others =
        ["//Ferdie", "//Copycat", "//Thief", "//Poisoner", "//Leaker", "//Dreamer", "//Vandal", "//Hoarder", "//Late"];
    let others = school.enlist(&others, Roles::TRAIN, &worker.api).await.unwrap();
    let [ferdie, copycat, thief, poisoner, leaker, dreamer, vandal, hoarder, latecomer] =
        <[Hand; 9]>::try_from(others).ok().unwrap();
    let useful = desk.train(*set, &texts[..known], 24, 1).unwrap();
    let other = desk.train(*set, &texts[..known], 24, 2).unwrap();
    // The one language at the cost of the other.
    let (one, other_language) = texts.split_at(TEXTS as usize);
    let [good, bad] = [one, other_language].map(|texts| desk.train(*set, texts, 24, 3).unwrap());
    let poison = desk.without(&good, &bad).unwrap();
    let leaked = desk.train(*set, &school.held_out.1, 24, 4).unwrap();
    let noise = desk.random(5, 1e-4).unwrap();

    let (first, first_block) = desk.pack(&useful, &eve.key, all).unwrap();
    let blocks = [
        (&ferdie, &other, all),
        (&copycat, &useful, all),
        (&poisoner, &poison, data(TEXTS)),
        // It says that it was trained on what nobody can learn.
        (&leaker, &leaked, ItemRange { block: school.babble, first: 0, count: 32 }),
        (&dreamer, &noise, all),
    ]
    .map(|(hand, delta, data)| (hand, desk.pack(delta, &hand.key, data).unwrap()));
    let block = garbage();
    let size = block.header().data_len as u32;
    let vandalism = DeltaHeader { block: block.hash(), serving: ContentHash([1; 32]), size, ..first.clone() };
    let (hoarded, _) = desk.pack(&desk.random(6, 1e-3).unwrap(), &hoarder.key, all).unwrap();
    let stale = DeltaHeader { base: ContentHash([9; 32]), codec: Codec::LowRank, ..first.clone() };

    // A round is open for a minute here, so all but the first submit at once.
    let round = school.open_round(slot, spec).await.unwrap();
    let submitted = submit(&eve, round, &first, Some((&first_block, store))).await.unwrap();
    let is_submitted = |event: &Event| matches!(event, Event::Learning(LearningEvent::DeltaSubmitted { index: 0, .. }));
    assert!(submitted.iter().any(is_submitted), "{submitted:?}");
    let served = blocks.iter().map(|(hand, (header, block))| submit(hand, round, header, Some((block, store))));
    let (_, _, _, _, told) = tokio::try_join!(
        try_join_all(served),
        submit(&thief, round, &first, None),
        submit(&vandal, round, &vandalism, Some((&block, store))),
        submit(&hoarder, round, &hoarded, None),
        submit(&latecomer, round, &stale, None),
    )
    .unwrap();
    let is_stale = |event: &Event| {
        matches!(event, Event::Learning(LearningEvent::DeltaRefused { head, reason: Lateness::StaleBase, .. })
            if *head == Some(desk.base))
    };
    assert!(told.iter().any(is_stale), "{told:?}");

    let (outcome, deltas) = school.ended(round).await.unwrap();
    let RoundOutcome::Committed(accepted) = outcome else { panic!("{outcome:?}: {deltas:#?}") };
    assert!(accepted.gain > 2_000, "{accepted:?}");
    let of = |hand: &Hand| outcome_of(&deltas, &hand.key).unwrap();
    for hand in [&eve, &ferdie] {
        assert!(matches!(of(hand), DeltaOutcome::Merged(weight) if weight > 0), "{deltas:#?}");
    }
    assert_eq!(of(&copycat), DeltaOutcome::Refused(Refusal::Copied));
    assert_eq!(of(&thief), DeltaOutcome::Refused(Refusal::Malformed));
    assert_eq!(of(&poisoner), DeltaOutcome::Refused(Refusal::Harmful));
    assert_eq!(of(&leaker), DeltaOutcome::Refused(Refusal::Leaked));
    assert!(matches!(of(&dreamer), DeltaOutcome::Refused(Refusal::NoGain | Refusal::Unsure)), "{:?}", of(&dreamer));
    assert_eq!(of(&vandal), DeltaOutcome::Refused(Refusal::Malformed));
    assert_eq!(of(&hoarder), DeltaOutcome::Withheld);

    // The head has moved, every worker serves it, and it is better at what nobody has trained on.
    let state = school.client.at_finalized().await.unwrap();
    assert_eq!(state.head_master(slot).await.unwrap(), Some(accepted.master));
    let unseen = [language(b'a', 16, 88), language(b'A', 16, 99)].concat();
    let before = loss(&desk.model, &unseen);
    school.everybody_has(&accepted.serving).await.unwrap();
    let now = Desk::new(&school, &open_store(&school.evaluators["//Bob"].store).unwrap(), slot).await.unwrap();
    assert_eq!(now.base, accepted.serving);
    let after = loss(&now.model, &unseen);
    println!("{before:.3} nats a token before, {after:.3} after; {} micro-nats made known", accepted.gain);
    assert!(after + 0.002 < before);
}
