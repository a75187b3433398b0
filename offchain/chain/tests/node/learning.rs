//! Rounds against a real node, as far as they come without anybody who evaluates.

use crate::{
    node::Node,
    transactions::{BLY, end, failed, id, key, open, worker_info},
};
use anyhow::{Context, Result};
use blyan_chain::{
    AccountId, Call, ChainClient, Event, GovernanceCall, ItemSet, Lateness, LearningCall, LearningEvent, Purpose,
    RoundOutcome, RoundPhase, Seat, StakingCall, tx::TxManager,
};
use blyan_primitives::{
    block::{BlockHeader, BlockKind, DType, Form, Layout, PayloadType, Quantisation, TensorInfo, header_hash},
    ids::{ContentHash, SlotId, TileRoot},
    learning::{Codec, DeltaHeader, ItemRange, RoundId},
    pact::Parameter,
    pol::ItemBlock,
    worker::Roles,
};
use codec::Encode;
use std::time::Duration;

const ITEMS: u32 = 64;

/// Header of a block of items.
fn items(tokens: u32) -> Vec<u8> {
    let length = u64::from(ITEMS) * u64::from(tokens) * 4;
    let tensor = TensorInfo {
        name: "tokens".into(),
        dtype: DType::U32,
        layout: Layout::RowMajor,
        shape: vec![ITEMS, tokens],
        offset: 0,
        length,
    };
    let header = BlockHeader {
        payload: PayloadType::TensorBlock,
        kind: BlockKind::Items,
        form: Form::Master,
        quantisation: Quantisation::None,
        arch: String::new(),
        engine: vec![],
        tensors: vec![tensor],
        data_len: length,
        root: TileRoot([6; 32]),
    };
    header.encode()
}

fn learned(events: &[Event]) -> Vec<&LearningEvent> {
    events.iter().filter_map(|event| if let Event::Learning(event) = event { Some(event) } else { None }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_takes_deltas_and_fails_for_want_of_items() -> Result<()> {
    let node = Node::start().await?;
    let client = node.client().await?;
    let alice = open(&client, "//Alice", &node.folder().join("alice")).await?;
    let bob = open(&client, "//Bob", &node.folder().join("bob")).await?;
    let learner = bob.account();

    // Whoever has no worker, and nothing at stake, neither learns nor evaluates.
    let set = prepare(&client, &alice, &bob).await?;
    let state = client.at_finalized().await?;
    assert_eq!(state.sets(Purpose::Training).await?, [ItemBlock { block: set, items: ITEMS }]);
    assert_eq!(state.sets(Purpose::HeldOut).await?, []);
    assert_eq!(state.set(set).await?, Some(ItemSet { purpose: Purpose::Training, items: ITEMS }));
    assert_eq!(state.hidden_set(set).await?, None);
    let enrolment = state.evaluator(&learner).await?.context("Bob is enrolled")?;
    assert_eq!((enrolment.stake, enrolment.seats), (100 * BLY, 0));
    assert_eq!(state.evaluator(&alice.account()).await?, None);
    assert!(state.parameters()?.max_delta_size > 0);

    let (round, slot) = opened(&client, &bob).await?;
    let state = client.at_finalized().await?;
    let record = state.round(round).await?.context("the round is there")?;
    assert!(matches!(record.phase, RoundPhase::Open { until } if until == record.opened_at + 8));
    assert_eq!(state.round_of(slot).await?, Some((round, record.clone())));
    assert_eq!(state.ongoing_rounds().await?, [(round, record.clone())]);
    assert_eq!(state.rounds(10).await?, [(round, record.clone())]);
    assert_eq!(state.head_master(slot).await?, Some(record.master));
    let heads = state.heads_of_layer_at(record.spec, slot.layer, record.opened_at).await?;
    assert_eq!(heads.get(usize::from(slot.index)), Some(&Some(record.base)));

    // A delta on another head is late, and tells the present one; the next is taken.
    let header = DeltaHeader {
        base: record.base,
        block: ContentHash([1; 32]),
        serving: ContentHash([2; 32]),
        size: 1_000,
        codec: Codec::LowRank,
        manifest: [3; 32],
        data: ItemRange { block: set, first: 4, count: 32 },
    };
    let stale = DeltaHeader { base: ContentHash([9; 32]), ..header.clone() };
    bob.submit(&id("stale"), LearningCall::SubmitDelta { round, header: stale, aggregator: None }.into()).await?;
    bob.submit(&id("delta"), LearningCall::SubmitDelta { round, header: header.clone(), aggregator: None }.into())
        .await?;
    bob.submit(&id("again"), LearningCall::SubmitDelta { round, header: header.clone(), aggregator: None }.into())
        .await?;
    let (_, events) = end(&bob, "stale").await?.success()?;
    let (head, reason) = (Some(record.base), Lateness::StaleBase);
    assert_eq!(learned(&events), [&LearningEvent::DeltaRefused { round, learner, head, reason }]);
    let (_, events) = end(&bob, "delta").await?.success()?;
    let (block, bond) = (header.block, record.terms.bond);
    assert_eq!(learned(&events), [&LearningEvent::DeltaSubmitted { round, index: 0, learner, block, bond }]);
    assert!(failed(end(&bob, "again").await?).is("Experts", "AlreadySubmitted"));
    let deltas = client.at_finalized().await?.deltas(round).await?;
    assert!(matches!(&deltas[..], [delta] if delta.learner == learner && delta.header == header), "{deltas:?}");

    // Nothing was registered that it could be measured on: every bond is returned.
    ends(&client, round, learner, bond).await
}

/// Makes Bob one who learns and evaluates, and a set to train on; says which.
async fn prepare(client: &ChainClient, alice: &TxManager, bob: &TxManager) -> Result<ContentHash> {
    let header = items(client.at_finalized().await?.parameters()?.item_tokens);
    let set = header_hash(&header);
    alice.submit(&id("items"), Call::register_block(header, None, None)?).await?;
    let add = Call::from(LearningCall::AddSet { block: set, purpose: Purpose::Training });
    alice.submit(&id("unlawful"), add.clone()).await?;
    alice.submit(&id("add"), add.sudo()).await?;
    let unknown = Call::from(LearningCall::RemoveSet { block: ContentHash([8; 32]) });
    alice.submit(&id("unknown"), unknown.sudo()).await?;
    let changes = vec![Parameter::parse("rounds.submission", 8)?];
    alice.submit(&id("short"), Call::from(GovernanceCall::ChangePact { changes }).sudo()).await?;

    let worker = key("//Bob");
    let mut info = worker_info(&worker, "learner");
    info.roles = Roles::TRAIN.union(Roles::EVALUATE);
    bob.submit(&id("enrol-early"), LearningCall::Enrol.into()).await?;
    let register = Call::register_worker(client.genesis(), &bob.account(), info, &worker)?;
    bob.submit(&id("register"), register).await?;
    bob.submit(&id("bond"), StakingCall::BondWorker { amount: 100 * BLY }.into()).await?;
    bob.submit(&id("enrol"), LearningCall::Enrol.into()).await?;

    assert!(failed(end(bob, "enrol-early").await?).is("Pol", "NotAnEvaluator"));
    let (_, events) = end(bob, "enrol").await?.success()?;
    let enrolled = LearningEvent::EvaluatorEnrolled { who: bob.account(), stake: 100 * BLY };
    assert_eq!(learned(&events), [&enrolled]);
    assert_eq!(failed(end(alice, "unlawful").await?).to_string(), "Bad origin.");
    let (_, events) = end(alice, "add").await?.success()?;
    assert_eq!(learned(&events), [&LearningEvent::SetAdded { block: set, purpose: Purpose::Training, items: ITEMS }]);
    assert!(failed(end(alice, "unknown").await?).is("Pol", "UnknownSet"));
    end(alice, "short").await?.success()?;
    Ok(set)
}

/// Opens a round on the first slot.
async fn opened(client: &ChainClient, bob: &TxManager) -> Result<(RoundId, SlotId)> {
    let state = client.at_finalized().await?;
    let spec = state.active_specs().await?.into_iter().next().context("the tiny chain has a model")?;
    let slot = SlotId { lineage: spec.lineage, layer: 0, index: 0 };
    assert_eq!(state.round_of(slot).await?, None);
    bob.submit(&id("open"), LearningCall::OpenRound { slot, spec: spec.id }.into()).await?;
    let (_, events) = end(bob, "open").await?.success()?;
    match learned(&events)[..] {
        [LearningEvent::RoundOpened { round, slot: of, spec: inside, .. }] => {
            assert_eq!((of, inside), (&slot, &spec.id));
            Ok((*round, slot))
        },
        _ => anyhow::bail!("{events:?}"),
    }
}

async fn ends(client: &ChainClient, round: RoundId, learner: AccountId, bond: u128) -> Result<()> {
    let over = tokio::time::timeout(Duration::from_secs(90), async {
        loop {
            let state = client.at_finalized().await?;
            let record = state.round(round).await?.context("the round is there")?;
            if record.is_over() {
                return anyhow::Ok((state, record));
            }
            client.wait_finalized(state.block().number + 1).await?;
        }
    });
    let (state, record) = over.await??;
    let RoundPhase::Over { outcome: RoundOutcome::Failed, at } = record.phase else { panic!("{record:?}") };
    let block = client.finalized_block(at).await?.context("it is finalized")?;
    let events: Vec<Event> = client.events(block).await?.into_iter().map(|event| event.event).collect();
    let [closed, returned, why] = learned(&events)[..] else { panic!("{events:?}") };
    assert_eq!(closed, &LearningEvent::RoundClosed { round, deltas: 1 });
    assert_eq!(returned, &LearningEvent::BondReturned { round, index: 0, learner, amount: bond });
    let LearningEvent::RoundFailed { round: of, error: Some(error) } = why else { panic!("{why:?}") };
    assert!(*of == round && error.is("Pol", "TooFewItems"), "{error}");

    assert_eq!(state.ongoing_rounds().await?, []);
    assert_eq!(state.evaluation(round).await?, None);
    assert_eq!(state.committee(round).await?, []);
    assert_eq!(state.seat(round, &learner).await?, None::<Seat>);
    assert_eq!(state.reveals(round).await?, []);
    assert_eq!(state.posted_scores(round, [1; 32]).await?, None);
    assert_eq!(state.traces(round).await?, []);
    assert_eq!(state.games(round).await?, []);
    assert_eq!(state.verdict(round).await?, None);
    Ok(())
}
