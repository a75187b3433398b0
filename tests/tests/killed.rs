//! Everybody who takes part in a round is killed with SIGKILL in each of its steps: it ends as if nobody had been.

use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{AccountId, BlockNumber, Call, Event, Key, LearningEvent, RoundOutcome, RoundPhase, Work};
use blyan_cli::process::{Program, sibling};
use blyan_e2e::{
    START, Worker, folder,
    learning::{EVALUATORS, ROUND, School},
};
use blyan_primitives::learning::{DeltaOutcome, RoundId};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How often the pool and the disk are looked at, for what has no event.
const LOOK: Duration = Duration::from_millis(5);
const BLY: u128 = 1_000_000_000_000_000_000;

/// Calls of an account that wait in the node's pool.
async fn pending(school: &School, account: &str) -> Result<HashSet<String>> {
    // A signed extrinsic of version 4, and who has signed it.
    let mark: String =
        [0x84, 0].iter().chain(&Key::from_uri(account)?.account().0).map(|byte| format!("{byte:02x}")).collect();
    let pool = school.node.call("author_pendingExtrinsics", json!([])).await?;
    let pool = pool.as_array().context("the pool is a list")?.iter().filter_map(Value::as_str);
    Ok(pool.filter(|extrinsic| extrinsic.contains(&mark)).map(str::to_owned).collect())
}

/// Waits until an account has sent what it had not before.
async fn sends(school: &School, account: &str, known: &mut HashSet<String>) -> Result<()> {
    loop {
        let now = pending(school, account).await?;
        let is_new = now.iter().any(|extrinsic| !known.contains(extrinsic));
        known.extend(now);
        if is_new {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// What a worker has come to when it is killed.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It has logged this.
    Logs(&'static str),
    /// It has sent a call, which is in no block yet: the votes, the commitment, the reveal.
    Sends,
}

/// Of an evaluator.
const EVALUATES: &[Step] = &[
    Step::Logs("on the committee of a round"),
    Step::Sends,
    Step::Logs("a round is evaluated"),
    Step::Sends,
    Step::Sends,
];
/// Of an aggregator.
const AGGREGATES: &[Step] = &[Step::Logs("took a delta over")];
/// The accounts whose workers aggregate.
const AGGREGATORS: [&str; 2] = ["//Ferdie", "//George"];
const EVALUATOR: &str = "serve,gateway,evaluate";
const AGGREGATOR: &str = "serve,gateway,aggregate";

/// A worker, and how it is started.
struct Victim<'a> {
    school: &'a School,
    account: &'static str,
    roles: &'static str,
    folder: PathBuf,
    port: String,
    worker: Worker,
}

impl<'a> Victim<'a> {
    async fn start(&self) -> Result<Worker> {
        let listen = format!("127.0.0.1:{}", self.port);
        let args = ["--roles", self.roles, "--http-listen", &listen];
        Worker::start(&self.school.node, &self.folder, self.account, &args).await
    }

    /// Takes over from a worker that has just been started.
    async fn take_over(
        school: &'a School,
        account: &'static str,
        roles: &'static str,
        mut worker: Worker,
    ) -> Result<Self> {
        let folder = worker.store.parent().context("a store is in a folder")?.to_owned();
        let port = worker.api.rsplit(':').next().context("an address has a port")?.to_owned();
        worker.program.kill().await?;
        let mut victim = Self { school, account, roles, folder, port, worker };
        // With the address that it keeps.
        victim.worker = victim.start().await?;
        Ok(victim)
    }

    /// Kills the worker at each of these steps, until the round is over. Returns at how many it was.
    async fn suffer(&mut self, steps: &[Step], mut phase: watch::Receiver<Option<RoundPhase>>) -> Result<usize> {
        let mut known = HashSet::new();
        let mut killed = 0;
        for step in steps {
            let come = async {
                match step {
                    Step::Logs(text) => {
                        self.worker.program.wait_for(ROUND, |line| line.contains(text).then_some(())).await
                    },
                    Step::Sends => sends(self.school, self.account, &mut known).await,
                }
            };
            let over = phase.wait_for(|phase| matches!(phase, Some(RoundPhase::Over { .. })));
            tokio::select! {
                come = come => come.with_context(|| format!("{}: {step:?}", self.account))?,
                over = over => {
                    over?;
                    break;
                },
            }
            self.worker.program.kill().await?;
            killed += 1;
            println!("{} is killed: {step:?}", self.account);
            known.extend(pending(self.school, self.account).await?);
            self.worker = self.start().await?;
        }
        Ok(killed)
    }
}

/// Has each evaluator killed at each of its steps.
async fn evaluate(mut victims: Vec<Victim<'_>>, phase: watch::Receiver<Option<RoundPhase>>) -> Result<()> {
    let suffering = victims.iter_mut().map(|victim| victim.suffer(EVALUATES, phase.clone()));
    let killed = try_join_all(suffering).await?;
    ensure!(killed.iter().all(|killed| *killed >= 4), "evaluators: {killed:?}");
    Ok(())
}

/// Has both aggregators killed when they have taken the delta over; then its learner's worker goes, and when the round is
/// accepted the first primary, for good. Returns the other one.
async fn aggregate(
    school: &School,
    mut victims: Vec<Victim<'_>>,
    mut learner: Worker,
    mut phase: watch::Receiver<Option<RoundPhase>>,
) -> Result<AccountId> {
    let suffering = victims.iter_mut().map(|victim| victim.suffer(AGGREGATES, phase.clone()));
    let killed = try_join_all(suffering).await?;
    ensure!(killed.iter().all(|killed| *killed == AGGREGATES.len()), "aggregators: {killed:?}");
    learner.program.kill().await?;
    println!("//Eve's worker is killed for good, the round is {:?}", *phase.borrow());

    phase.wait_for(|phase| matches!(phase, Some(RoundPhase::Accepted { .. }))).await?;
    let state = school.client.at_finalized().await?;
    let (round, _) = state.rounds(1).await?.into_iter().next().context("there is a round")?;
    let [first, second] = state.primaries(round).await?[..] else { bail!("there are two primaries") };
    let is_first = |victim: &&mut Victim| Key::from_uri(victim.account).is_ok_and(|key| key.account() == first);
    let victim = victims.iter_mut().find(is_first).context("the first primary is one of the workers")?;
    victim.worker.program.kill().await?;
    println!("{} is killed for good: it is to publish", victim.account);
    phase.wait_for(|phase| matches!(phase, Some(RoundPhase::Over { .. }))).await?;
    Ok(second)
}

/// Waits for what a program does.
async fn unless_it_ends<T>(program: &mut Program, what: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = timeout(START, what) => Ok(done?),
        ended = program.ended() => Err(ended),
    }
}

/// Learns, and is killed while it trains, when it has opened the round, when it has submitted, and while it waits.
async fn learn(school: &School, folder: &Path, phase: &mut watch::Receiver<Option<RoundPhase>>) -> Result<Value> {
    let (store, run) = (folder.join("store"), folder.join("run"));
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a folder's name is UTF-8");
    let (store_text, run_text, data) = (text(&store)?, text(&run)?, school.training.0.to_string());
    let all = [
        ["train", "--slot", "1/2", "--data", &data, "--steps", "150", "--learning-rate", "0.02"].as_slice(),
        &["--store", &store_text, "--run", &run_text, "--key", "//Eve", "--rpc", &school.node.rpc, "--json"],
    ]
    .concat();
    let start = async || Program::start("blyan train", &sibling("blyan")?, &all, &folder.join("train.log")).await;
    let mut known = HashSet::new();

    let mut program = start().await?;
    let trains = async {
        while !run.join("checkpoint").is_file() {
            sleep(LOOK).await;
        }
    };
    unless_it_ends(&mut program, trains).await.context("no checkpoint is written")?;
    program.kill().await?;
    ensure!(!run.join("delta.json").is_file(), "the training was over before it was killed");
    for what in ["opened the round", "submitted"] {
        program = start().await?;
        unless_it_ends(&mut program, sends(school, "//Eve", &mut known))
            .await
            .with_context(|| format!("it has not {what}"))??;
        program.kill().await?;
        println!("//Eve is killed: it has {what}");
    }
    program = start().await?;
    let evaluating = async { phase.wait_for(|phase| matches!(phase, Some(RoundPhase::Evaluating))).await.map(drop) };
    unless_it_ends(&mut program, evaluating).await.context("the round is not evaluated")??;
    program.kill().await?;
    println!("//Eve is killed: it waits for the verdict");

    let mut program = start().await?;
    let mut told = String::new();
    // All that it prints from here to the end of the object is the report.
    program
        .wait_for(ROUND, |line| {
            if line == "{" || !told.is_empty() {
                told.push_str(line);
            }
            (line == "}").then_some(())
        })
        .await?;
    Ok(serde_json::from_str(&told)?)
}

/// What the chain did in rounds, in all of these blocks.
async fn events(school: &School, blocks: std::ops::RangeInclusive<BlockNumber>) -> Result<Vec<LearningEvent>> {
    let mut found = Vec::new();
    for number in blocks {
        let block = school.client.finalized_block(number).await?.context("a block is final")?;
        found.extend(school.client.events(block).await?.into_iter().filter_map(|event| match event.event {
            Event::Learning(event) => Some(event),
            _ => None,
        }));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_ends_rightly_whoever_is_killed_and_nothing_is_done_twice() {
    let base = folder();
    let mut school = School::open_with(base.path(), &EVALUATORS, EVALUATOR).await.unwrap();
    let began = school.client.finalized().unwrap().number;
    for account in AGGREGATORS {
        let to = Key::from_uri(account).unwrap().account();
        school.sudo.call(&format!("endow/{account}"), Call::Transfer { to, amount: 5_000 * BLY }).await.unwrap();
    }
    let learner = school.learner("//Eve").await.unwrap();
    let evaluators = std::mem::take(&mut school.evaluators);
    let school = &school;
    let aggregators = school.aggregators(&AGGREGATORS).await.unwrap();
    let evaluators =
        evaluators.into_iter().map(|(account, worker)| Victim::take_over(school, account, EVALUATOR, worker));
    let evaluators = try_join_all(evaluators).await.unwrap();
    let aggregators =
        aggregators.into_iter().map(|(account, worker)| Victim::take_over(school, account, AGGREGATOR, worker));
    let aggregators = try_join_all(aggregators).await.unwrap();

    // What everybody waits for.
    let (sender, receiver) = watch::channel(None);
    let watching = async {
        loop {
            let state = school.client.at_finalized().await?;
            if let Some((_, round)) = state.rounds(1).await?.into_iter().next() {
                let over = matches!(round.phase, RoundPhase::Over { .. });
                sender.send_replace(Some(round.phase));
                if over {
                    return Ok(());
                }
            }
            school.client.wait_finalized(state.block().number + 1).await?;
        }
    };
    let evaluating = evaluate(evaluators, receiver.clone());
    let aggregating = aggregate(school, aggregators, learner, receiver.clone());
    let (mut phase, folder) = (receiver.clone(), base.path().join("Eve"));
    let all = async { tokio::try_join!(learn(school, &folder, &mut phase), evaluating, aggregating, watching) };
    let (report, (), heir, ()) = timeout(ROUND, all).await.unwrap().unwrap();

    let round: RoundId = serde_json::from_value(report["round"].clone()).unwrap();
    let (outcome, deltas) = school.ended(round).await.unwrap();
    assert!(matches!(outcome, RoundOutcome::Committed(_)), "{outcome:?}");
    assert_eq!(deltas.len(), 1, "{deltas:#?}");
    assert!(matches!(deltas[0].outcome, Some(DeltaOutcome::Merged(_))), "{deltas:#?}");

    // Each call was made once, nobody was slashed, and the learner's bond is back.
    let state = school.client.at_finalized().await.unwrap();
    assert_eq!(state.rounds(10).await.unwrap().len(), 1);
    let events = events(school, began..=state.block().number).await.unwrap();
    let count = |is: fn(&LearningEvent) -> bool| events.iter().filter(|event| is(event)).count();
    assert_eq!(count(|event| matches!(event, LearningEvent::RoundOpened { .. })), 1);
    assert_eq!(count(|event| matches!(event, LearningEvent::DeltaSubmitted { .. })), 1);
    assert_eq!(count(|event| matches!(event, LearningEvent::Committed { .. })), 3, "{events:#?}");
    assert_eq!(count(|event| matches!(event, LearningEvent::Revealed { .. })), 3, "{events:#?}");
    let publishers = events.iter().filter_map(|event| match event {
        LearningEvent::RoundCommitted { publisher, .. } => Some(*publisher),
        _ => None,
    });
    assert_eq!(publishers.collect::<Vec<_>>(), [heir], "{events:#?}");
    assert_eq!(count(|event| matches!(event, LearningEvent::DeltaJudged { lost: 0, .. })), 1, "{events:#?}");
    // The learner has named the nearest aggregator, which has its share.
    let aggregator = deltas[0].aggregator.unwrap();
    let is_paid = |event: &&LearningEvent| matches!(event, LearningEvent::Rewarded { who, work: Work::Aggregation, .. } if *who == aggregator);
    assert_eq!(events.iter().filter(is_paid).count(), 1, "{aggregator}: {events:#?}");
    let harm = |event: &LearningEvent| {
        matches!(
            event,
            LearningEvent::Redrawn { .. }
                | LearningEvent::Absent { .. }
                | LearningEvent::Wrong { .. }
                | LearningEvent::Disputed { .. }
        )
    };
    assert_eq!(count(harm), 0, "{events:#?}");
    for account in EVALUATORS.into_iter().chain(AGGREGATORS) {
        let key = Key::from_uri(account).unwrap().account();
        let ledger = state.ledger(&key).await.unwrap();
        assert!(ledger.worker.active >= 1_000 * BLY, "{account}: {ledger:?}");
    }
}
