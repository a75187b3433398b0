//! The transaction manager against a real node.

use crate::node::Node;
use anyhow::{Context, Result};
use blyan_chain::{
    AccountId, Call, ChainClient, ChainError, DispatchError, Event, Key, check_voucher, hardware_id, sign_voucher,
    tx::{Dispatch, NeverIncluded, Outcome, Status, SubmissionError, SubmissionId, TxManager, TxOptions},
};
use blyan_primitives::{
    hardware::HardwareProfile,
    ids::{BatchRoot, SpecId},
    payment::Voucher,
    worker::{Region, Roles, WorkerInfo},
};
use std::{path::Path, time::Duration};

pub(crate) const BLY: u128 = 1_000_000_000_000_000_000;
/// Longest wait for finality in a test.
const FINAL: Duration = Duration::from_secs(90);

pub(crate) fn id(text: &str) -> SubmissionId {
    SubmissionId::new(text).expect("test ids are well formed")
}

pub(crate) fn key(name: &str) -> Key {
    Key::from_uri(name).expect("development keys are well formed")
}

pub(crate) async fn open(client: &ChainClient, name: &str, folder: &Path) -> Result<TxManager> {
    let options = TxOptions { resubmit_every: Duration::from_secs(2), ..Default::default() };
    Ok(TxManager::open(client, key(name), folder, options).await?)
}

pub(crate) async fn end(manager: &TxManager, submission: &str) -> Result<Outcome> {
    let outcome = tokio::time::timeout(FINAL, manager.outcome(&id(submission))).await;
    Ok(outcome.with_context(|| format!("{submission} has no outcome: {:?}", manager.trouble()))??)
}

async fn free(client: &ChainClient, account: &AccountId) -> Result<u128> {
    Ok(client.at_finalized().await?.balance(account).await?.free)
}

pub(crate) fn failed(outcome: Outcome) -> DispatchError {
    match outcome.success() {
        Err(SubmissionError::Dispatch { error, .. }) => *error,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn worker_info(worker: &Key, machine: &str) -> WorkerInfo {
    let peer_id: Vec<u8> = [0x00, 36].into_iter().chain([7; 36]).collect();
    WorkerInfo {
        key: worker.public(),
        peer_id: peer_id.try_into().expect("it is short enough"),
        addresses: Default::default(),
        region: Region::new("DE").expect("DE is a region"),
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 2, ..Default::default() },
        hardware_id: hardware_id(machine.as_bytes()),
        roles: Roles::SERVE.union(Roles::GATEWAY),
    }
}

/// Each key has its own: Alice calls, Dave crashes, Charlie is doubled, Bob works, Ferdie pays Eve.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_many_keys_are_each_final_once() -> Result<()> {
    let node = Node::start().await?;
    tokio::try_join!(
        calls_are_final_with_their_events_and_failures_are_named(&node),
        what_was_accepted_before_a_crash_is_included_exactly_once(&node),
        two_programs_with_one_key_disturb_each_other_but_lose_nothing(&node),
        heartbeats_and_anchors_are_free_and_happen_once(&node),
        a_channel_is_opened_redeemed_and_closed(&node),
    )?;
    Ok(())
}

async fn calls_are_final_with_their_events_and_failures_are_named(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let manager = open(&client, "//Alice", &node.folder().join("alice")).await?;
    let dave = Key::from_uri("//Alice//nobody")?.account();

    // Several in flight at once, with consecutive nonces.
    manager.submit(&id("pay"), Call::Transfer { to: dave, amount: 5 * BLY }).await?;
    manager.submit(&id("leave"), Call::LeaveWorkers).await?;
    let unknown = Call::ActivateSpec { spec: SpecId([9; 32]) };
    manager.submit(&id("no-rights"), unknown.clone()).await?;
    manager.submit(&id("sudo"), unknown.sudo()).await?;

    let (block, events) = end(&manager, "pay").await?.success()?;
    assert!(client.finalized()?.number >= block.number);
    assert!(events.contains(&Event::Transferred { from: manager.account(), to: dave, amount: 5 * BLY }), "{events:?}");
    assert_eq!(free(&client, &dave).await?, 5 * BLY);

    let error = failed(end(&manager, "leave").await?);
    assert!(error.is("Workers", "NotRegistered"), "{error}");
    assert!(error.to_string().ends_with("The account has no worker. Register one."), "{error}");
    assert_eq!(failed(end(&manager, "no-rights").await?), DispatchError::Runtime("Bad origin.".to_owned()));
    let error = failed(end(&manager, "sudo").await?);
    assert!(error.is("Meta", "UnknownSpec"), "{error}");

    // The same again is no second payment; another call under the id is refused.
    manager.submit(&id("pay"), Call::Transfer { to: dave, amount: 5 * BLY }).await?;
    let error = manager.submit(&id("pay"), Call::Transfer { to: dave, amount: BLY }).await.unwrap_err();
    assert!(matches!(error, ChainError::IdReused { .. }), "{error}");
    assert_eq!(client.at_finalized().await?.balance(&manager.account()).await?.nonce, 4);

    // Somebody who cannot pay is told so at once, not after the signature has run out.
    let poor = open(&client, "//Alice//poor", &node.folder().join("poor")).await?;
    poor.submit(&id("pay"), Call::Transfer { to: dave, amount: BLY }).await?;
    let outcome = tokio::time::timeout(Duration::from_secs(20), poor.outcome(&id("pay"))).await??;
    assert!(matches!(outcome, Outcome::NeverIncluded(NeverIncluded::Refused(_))), "{outcome:?}");
    poor.forget(&id("pay")).await?;
    assert!(matches!(poor.status(&id("pay")), Err(ChainError::UnknownSubmission { .. })));
    Ok(())
}

async fn what_was_accepted_before_a_crash_is_included_exactly_once(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let folder = node.folder().join("dave");
    let target = Key::from_uri("//Dave//target")?.account();
    let count = 6u32;
    // Between acceptance, signing, submission and inclusion: a crash at another moment each time.
    for round in 0..count {
        let manager = open(&client, "//Dave", &folder).await?;
        let call = |n: u32| Call::Transfer { to: target, amount: BLY + u128::from(n) };
        for n in 0..=round {
            manager.submit(&id(&format!("pay/{n}")), call(n)).await?;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 97)).await;
        manager.close().await;
    }
    let manager = open(&client, "//Dave", &folder).await?;
    for n in 0..count {
        end(&manager, &format!("pay/{n}")).await?.success()?;
    }
    let expected: u128 = (0..count).map(|n| BLY + u128::from(n)).sum();
    assert_eq!(free(&client, &target).await?, expected);
    assert_eq!(client.at_finalized().await?.balance(&manager.account()).await?.nonce, u64::from(count));
    let error = TxManager::open(&client, key("//Dave"), &folder, TxOptions::default()).await.unwrap_err();
    assert!(matches!(error, ChainError::JournalLocked { .. }), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_had_in_its_pool_is_submitted_again() -> Result<()> {
    let mut node = Node::start().await?;
    let client = node.client().await?;
    let manager = open(&client, "//Alice", &node.folder().join("alice")).await?;
    let target = Key::from_uri("//Alice//target")?.account();
    client.wait_finalized(1).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    manager.submit(&id("pay"), Call::Transfer { to: target, amount: BLY }).await?;
    // Sent, not included.
    while !matches!(manager.status(&id("pay"))?, Status::Open { extrinsic: Some(_), .. }) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.kill()?;
    // What is accepted while the node is away is carried out when it is back.
    manager.submit(&id("later"), Call::Transfer { to: target, amount: 2 * BLY }).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    node.start_again()?;
    end(&manager, "pay").await?.success()?;
    end(&manager, "later").await?.success()?;
    assert_eq!(free(&client, &target).await?, 3 * BLY);
    Ok(())
}

async fn two_programs_with_one_key_disturb_each_other_but_lose_nothing(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let target = Key::from_uri("//Charlie//target")?.account();
    let one = open(&client, "//Charlie", &node.folder().join("one")).await?;
    let two = open(&client, "//Charlie", &node.folder().join("two")).await?;
    one.submit(&id("a"), Call::Transfer { to: target, amount: BLY }).await?;
    two.submit(&id("b"), Call::Transfer { to: target, amount: 2 * BLY }).await?;
    end(&one, "a").await?.success()?;
    end(&two, "b").await?.success()?;
    assert_eq!(free(&client, &target).await?, 3 * BLY);
    Ok(())
}

async fn heartbeats_and_anchors_are_free_and_happen_once(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let folder = node.folder().join("bob");
    let worker = key("//Bob");
    let account = worker.account();
    let manager = open(&client, "//Bob", &folder).await?;
    let info = worker_info(&worker, "machine");
    let register = Call::register_worker(client.genesis(), &account, info.clone(), &worker)?;
    manager.submit(&id("register"), register).await?;
    let (_, events) = end(&manager, "register").await?.success()?;
    assert!(events.iter().any(|event| matches!(event, Event::WorkerRegistered { .. })), "{events:?}");

    let state = client.at_finalized().await?;
    let before = state.balance(&account).await?;
    let status = state.worker(&account).await?.context("the worker is registered")?;
    assert!(status.info == info && !status.online);
    assert_eq!(state.worker_by_key(worker.public()).await?, Some(account));

    // A heartbeat and three anchors at once; the pool keeps the anchors in order.
    let period = client.at_finalized().await?.heartbeat_period()?;
    manager.submit(&id("heartbeat"), Call::Heartbeat { worker: account, period }).await?;
    let anchor = |sequence: u64, root: u8| Call::Anchor {
        worker: account,
        sequence,
        root: BatchRoot([root; 32]),
        count: 2,
        tokens: 10,
    };
    for sequence in 0..3 {
        manager.submit(&id(&format!("anchor/{sequence}")), anchor(sequence, sequence as u8)).await?;
    }
    for sequence in 0..3 {
        let (_, events) = end(&manager, &format!("anchor/{sequence}")).await?.success()?;
        let anchored = |event: &Event| matches!(event, Event::Anchored { sequence: found, .. } if *found == sequence);
        assert!(events.iter().any(anchored), "{events:?}");
    }
    // The period may have ended on the way: then the manager says so by name.
    match end(&manager, "heartbeat").await? {
        Outcome::NeverIncluded(reason) => assert!(matches!(reason, NeverIncluded::TooLate(_)), "{reason}"),
        outcome => {
            outcome.success()?;
            assert!(client.at_finalized().await?.worker(&account).await?.context("registered")?.online);
        },
    }
    let state = client.at_finalized().await?;
    let after = state.balance(&account).await?;
    let parameters = state.parameters()?;
    assert_eq!(after.nonce, before.nonce, "authorised calls use no nonce");
    let deposits = 3 * parameters.anchor_deposit + parameters.served_deposit;
    assert_eq!(before.free - after.free, deposits, "they cost no fee");
    assert_eq!(state.served(&account).await?.next, 3);
    assert_eq!(state.anchor(&account, 1).await?.context("it is anchored")?.root, BatchRoot([1; 32]));
    manager.close().await;

    // A worker that lost its journal asks again: equal content is found on chain, other content is refused by name.
    let anew = open(&client, "//Bob", &node.folder().join("anew")).await?;
    anew.submit(&id("anchor/0"), anchor(0, 0)).await?;
    let outcome = end(&anew, "anchor/0").await?;
    assert!(matches!(outcome, Outcome::AlreadyOnChain { .. }), "{outcome:?}");
    anew.submit(&id("anchor/1"), anchor(1, 9)).await?;
    let outcome = end(&anew, "anchor/1").await?;
    assert!(matches!(outcome, Outcome::NeverIncluded(NeverIncluded::Conflict(_))), "{outcome:?}");
    anew.submit(&id("anchor/3"), anchor(3, 3)).await?;
    end(&anew, "anchor/3").await?.success()?;
    assert_eq!(client.at_finalized().await?.served(&account).await?.next, 4);

    // A key that is not the worker's is refused in the pool, and tried again in case it becomes so.
    let stranger = open(&client, "//Stranger", &node.folder().join("stranger")).await?;
    stranger.submit(&id("anchor/4"), anchor(4, 4)).await?;
    let outcome = end(&stranger, "anchor/4").await?;
    assert!(matches!(outcome, Outcome::NeverIncluded(NeverIncluded::Refused(_))), "{outcome:?}");
    Ok(())
}

async fn a_channel_is_opened_redeemed_and_closed(node: &Node) -> Result<()> {
    let client = node.client().await?;
    let (payer, gateway) = (key("//Ferdie"), key("//Eve"));
    let gateway_manager = open(&client, "//Eve", &node.folder().join("eve")).await?;
    let payer_manager = open(&client, "//Ferdie", &node.folder().join("ferdie")).await?;
    let info = worker_info(&gateway, "gateway");
    let register = Call::register_worker(client.genesis(), &gateway.account(), info, &gateway)?;
    gateway_manager.submit(&id("register"), register).await?;
    end(&gateway_manager, "register").await?.success()?;

    let parameters = client.at_finalized().await?.parameters()?;
    let escrow = parameters.min_escrow.max(10 * BLY);
    let call =
        Call::OpenChannel { gateway: gateway.account(), amount: escrow, duration: parameters.max_channel_lifetime };
    payer_manager.submit(&id("open"), call).await?;
    let (_, events) = end(&payer_manager, "open").await?.success()?;
    let channel = events.iter().find_map(|event| match event {
        Event::ChannelOpened { channel, .. } => Some(*channel),
        _ => None,
    });
    let channel = channel.context("a channel was opened")?;
    let state = client.at_finalized().await?;
    assert_eq!(
        state.channels_of(&payer.account()).await?,
        vec![(channel, state.channel(channel).await?.context("it is open")?)]
    );

    let voucher = Voucher { channel, cumulative: BLY };
    let signature = sign_voucher(client.genesis(), &voucher, &payer);
    assert_eq!(check_voucher(client.genesis(), &voucher, &payer.account(), &signature), Some(true));
    assert_eq!(check_voucher(client.genesis(), &voucher, &gateway.account(), &signature), Some(false));
    gateway_manager.submit(&id("redeem"), Call::RedeemVoucher { voucher, signature }).await?;
    let (_, events) = end(&gateway_manager, "redeem").await?.success()?;
    assert!(events.contains(&Event::VoucherRedeemed { channel, paid: BLY, cumulative: BLY }), "{events:?}");
    gateway_manager.submit(&id("replay"), Call::RedeemVoucher { voucher, signature }).await?;
    assert!(failed(end(&gateway_manager, "replay").await?).is("Inference", "VoucherNotNewer"));
    assert!(!client.at_finalized().await?.is_channel_closed(channel).await?);
    gateway_manager.submit(&id("close"), Call::CloseChannel { channel }).await?;
    end(&gateway_manager, "close").await?.success()?;
    let state = client.at_finalized().await?;
    assert_eq!(state.channel(channel).await?, None);
    assert!(state.is_channel_closed(channel).await?);
    assert!(!state.is_channel_closed(channel + 1000).await?, "a channel that never was is not closed");

    let Outcome::Included(inclusion) = end(&gateway_manager, "close").await? else { panic!("it was included") };
    assert!(matches!(inclusion.dispatch, Dispatch::Ok(_)));
    Ok(())
}
