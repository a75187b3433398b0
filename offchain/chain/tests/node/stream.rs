//! The stream of finalized blocks over restarts of the node and of the consumer.

use crate::node::Node;
use anyhow::Result;
use blyan_chain::{
    BlockRef, ChainClient, ChainError, ChainOptions, FinalizedBlock, FinalizedBlocks, Hash, Metrics, Start,
    StreamOptions,
};
use std::time::Duration;

const FROM_GENESIS: StreamOptions = StreamOptions { start: Start::Genesis, catch_up: Duration::from_secs(60) };

async fn take(blocks: &mut FinalizedBlocks, count: usize) -> Result<Vec<FinalizedBlock>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(tokio::time::timeout(Duration::from_secs(90), blocks.next()).await??);
    }
    Ok(taken)
}

fn assert_chained(blocks: &[FinalizedBlock]) {
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].block.number, pair[0].block.number + 1);
        assert_eq!(pair[1].parent, pair[0].block.hash);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finalized_block_is_delivered_once_in_order_over_a_killed_node() -> Result<()> {
    let mut node = Node::start().await?;
    let metrics = Metrics::new()?;
    let request_timeout = Duration::from_secs(3);
    let options = ChainOptions { metrics: Some(metrics.clone()), request_timeout, ..Default::default() };
    let client = ChainClient::connect(&node.url(), options).await?;
    let mut blocks = client.finalized_blocks(node.folder().join("cursor"), FROM_GENESIS)?;
    let mut seen = take(&mut blocks, 2).await?;
    assert_eq!(seen[0].block.number, 1);
    assert_eq!(seen[0].parent, client.genesis());
    // The database writes behind: what was finalized a moment ago may not be on disk yet.
    tokio::time::sleep(Duration::from_secs(1)).await;
    node.kill()?;
    let waiting = tokio::spawn(async move {
        let more = take(&mut blocks, 3).await;
        (blocks, more)
    });
    let error = client.at_finalized().await.unwrap_err();
    assert!(matches!(error, ChainError::TimedOut { .. }) && error.is_transient(), "{error}");
    assert!(!waiting.is_finished(), "a block was delivered without a node");
    tokio::time::timeout(Duration::from_secs(60), async {
        while client.is_connected() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("a node that is down is noticed");
    assert_eq!(metrics.connected.get(), 0);
    node.start_again()?;
    let (mut blocks, more) = waiting.await?;
    seen.extend(more?);
    assert_chained(&seen);
    assert!(metrics.reconnects.get() >= 1);
    assert!(client.is_connected() && metrics.connected.get() == 1);
    blocks.ack(seen[4].block).await?;
    assert_eq!(blocks.acknowledged(), Some(seen[4].block));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_and_questions_see_one_finalized_chain() -> Result<()> {
    let node = Node::with_arguments(&["--state-pruning", "8"]).await?;
    tokio::try_join!(
        a_restarted_consumer_resumes_after_its_last_acknowledgement(&node),
        a_chain_that_cannot_continue_the_cursor_is_named(&node),
        queries_tell_what_is_finalized(&node),
        what_the_node_has_pruned_is_named(&node),
    )?;
    Ok(())
}

async fn a_restarted_consumer_resumes_after_its_last_acknowledgement(node: &Node) -> Result<()> {
    let path = node.folder().join("resuming");
    let client = node.client().await?;
    let mut blocks = client.finalized_blocks(path.clone(), FROM_GENESIS)?;
    let first = take(&mut blocks, 3).await?;
    blocks.ack(first[1].block).await?;
    let error = blocks.ack(first[0].block).await.unwrap_err();
    assert!(matches!(error, ChainError::NotDelivered { number: 1, .. }), "{error}");
    drop(blocks);
    // While the consumer is away, more is finalized.
    client.wait_finalized(5).await?;
    let mut blocks = node.client().await?.finalized_blocks(path, FROM_GENESIS)?;
    let again = take(&mut blocks, 3).await?;
    assert_eq!(again[0], first[2], "what was delivered and not acknowledged comes again");
    assert_chained(&again);
    Ok(())
}

async fn a_chain_that_cannot_continue_the_cursor_is_named(node: &Node) -> Result<()> {
    let client = node.client().await?;
    client.wait_finalized(2).await?;
    let cursor = |name: &str, genesis: Hash, number: u32, hash: Hash| -> Result<_> {
        let path = node.folder().join(name);
        std::fs::write(
            &path,
            serde_json::json!({ "format": 1, "genesis": genesis, "number": number, "hash": hash }).to_string(),
        )?;
        Ok(path)
    };
    let options = StreamOptions { catch_up: Duration::from_secs(1), ..FROM_GENESIS };
    let other = Hash([7; 32]);

    let error = client.finalized_blocks(cursor("other", other, 1, other)?, options).unwrap_err();
    assert!(matches!(error, ChainError::OtherChain { .. }), "{error}");

    let mut reset = client.finalized_blocks(cursor("reset", client.genesis(), 1, other)?, options)?;
    let error = reset.next().await.unwrap_err();
    assert!(matches!(error, ChainError::ChainReset { number: 1, .. }), "{error}");

    let mut behind = client.finalized_blocks(cursor("behind", client.genesis(), 9_999, other)?, options)?;
    let error = behind.next().await.unwrap_err();
    assert!(matches!(error, ChainError::NodeBehind { cursor: 9_999, .. }), "{error}");

    let mut beyond = client.finalized_blocks(node.folder().join("head"), StreamOptions::default())?;
    assert!(beyond.next().await?.block.number >= 2, "a new consumer starts at the head");
    Ok(())
}

async fn what_the_node_has_pruned_is_named(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let block = client.wait_finalized(1).await?;
    client.wait_finalized(block.number + 10).await?;
    let error = client.at(block).await.unwrap_err();
    assert!(matches!(error, ChainError::StatePruned { block: found } if found == block.hash), "{error}");
    let error = client.events(block).await.unwrap_err();
    assert!(matches!(error, ChainError::StatePruned { .. }), "{error}");
    // Headers and bodies stay.
    assert_eq!(client.is_finalized(block.hash).await?, Some((block, true)));
    Ok(())
}

async fn queries_tell_what_is_finalized(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let head = client.wait_finalized(2).await?;
    assert_eq!(client.finalized_block(0).await?, Some(BlockRef { number: 0, hash: client.genesis() }));
    assert_eq!(client.finalized_block(head.number + 1000).await?, None);
    assert_eq!(client.is_finalized(head.hash).await?, Some((head, true)));
    assert_eq!(client.is_finalized(Hash([7; 32])).await?, None);

    let state = client.at(head).await?;
    let specs = state.active_specs().await?;
    let tiny = specs.first().expect("the tiny chain has a model");
    assert_eq!(tiny.spec.id(), tiny.id);
    assert_eq!(state.spec(tiny.id).await?.as_ref(), Some(tiny));
    assert_eq!(state.spec_for_version(tiny.spec.version).await?, Some(tiny.id));
    let heads = state.slot_heads(tiny).await?;
    let dimensions = &tiny.spec.dimensions;
    assert_eq!(heads.len(), usize::from(dimensions.layers));
    assert!(heads.iter().all(|layer| layer.len() == usize::from(dimensions.experts)));
    let blocks: Vec<_> = heads.iter().flatten().map(|head| head.expect("a genesis slot is filled").block).collect();
    let entries = state.block_entries(&blocks).await?;
    assert!(entries.iter().all(|entry| entry.as_ref().is_some_and(|entry| entry.uses > 0)));
    assert!(state.block_entry(tiny.spec.trunk).await?.is_some());
    assert_eq!(state.block_entry(blyan_primitives::ids::ContentHash([9; 32])).await?, None);

    let alice = blyan_chain::Key::from_uri("//Alice")?.account();
    assert!(state.balance(&alice).await?.free > 0);
    assert_eq!(state.worker(&alice).await?, None);
    assert_eq!(state.channel(0).await?, None);
    assert_eq!(state.served(&alice).await?.next, 0);
    let parameters = state.parameters()?;
    assert_eq!(state.heartbeat_period()?, (head.number + 1) / parameters.heartbeat_period);
    let events = client.events(head).await?;
    assert!(!events.is_empty(), "a block's inherents have events");
    let error = client.at(BlockRef { number: 1, hash: Hash([7; 32]) }).await.unwrap_err();
    assert!(matches!(error, ChainError::UnknownBlock { .. }), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_at_the_same_address_is_refused() -> Result<()> {
    let mut node = Node::start().await?;
    let options = || ChainOptions { pin_file: Some(node.folder().join("genesis")), ..Default::default() };
    let client = ChainClient::connect(&node.url(), options()).await?;
    let (pinned, head) = (options(), client.finalized()?);
    node.kill()?;
    node.start_other_chain()?;
    // Whoever waits on the old connection learns it, and so does whoever connects anew.
    let waiting = tokio::time::timeout(Duration::from_secs(90), client.wait_finalized(head.number + 1000));
    let error = waiting.await?.unwrap_err();
    assert!(matches!(error, ChainError::OtherChain { expected, .. } if expected == client.genesis()), "{error}");
    let error = ChainClient::connect(&node.url(), pinned).await.unwrap_err();
    assert!(matches!(error, ChainError::OtherChain { .. }), "{error}");
    let asked = ChainOptions { genesis: Some(client.genesis()), ..Default::default() };
    let error = ChainClient::connect(&node.url(), asked).await.unwrap_err();
    assert!(matches!(error, ChainError::OtherChain { .. }), "{error}");
    Ok(())
}
