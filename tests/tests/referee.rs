//! Two evaluators of three say the same, and it is wrong: the chain finds for the third.

use anyhow::{Context, Result};
use blyan_chain::{Call, EvaluationPhase as Phase, Key, LearningCall, RoundOutcome, StakingCall, State};
use blyan_cli::genesis::open_store;
use blyan_e2e::{
    folder,
    learning::{Desk, Hand, ROUND, School, TEXTS, outcome_of, submit},
};
use blyan_learning::evaluate::{Blocks, Evaluation, Outcome, ScoreCache, Task};
use blyan_model::trace::Recorded;
use blyan_primitives::{
    dispute::{Game, Move, STRIDE, Side, Stage},
    learning::{DeltaOutcome, ItemRange, RoundId},
    merkle::{Digest, Tree, leaf_hash},
    pol::{Cell, DeltaFinding, Finding, Reveal, Scores, Set, Target, commitment},
    trace::{LayerStep, Leaf, Step, Word},
    worker::Roles,
};
use blyan_store::Store;
use blyan_worker::assignment::Assignment;
use codec::Encode;
use std::sync::Arc;
use tokio::time::timeout;

/// By how much the lie has the delta's loss on each item too high: 200 nats, more than it gains.
const LIE: u64 = 200 << 20;
const BOND: u128 = 1_000_000_000_000_000_000_000;

/// A trace that somebody has made up.
struct Forged {
    leaves: Vec<Vec<u32>>,
    tree: Tree,
}

impl Forged {
    /// The trace of an item, but for one word on the way, and with the loss that the lie says.
    fn new(trace: &Recorded<'_>, word: Word) -> Result<Self> {
        let shape = trace.shape();
        let mut leaves = Vec::new();
        for index in 0..shape.leaves() {
            let Leaf { step, row, columns } = shape.leaf(index).context("a leaf")?;
            leaves.push(trace.words(step, row, columns).context("words")?.to_vec());
        }
        let leaf = shape.leaf_of(word).context("the word is in no leaf")? as usize;
        let column = shape.leaf(leaf as u64).context("a leaf")?.columns.start;
        leaves[leaf][(word.column - column) as usize] ^= 4;
        let first = shape.first_leaf(Step::Loss).context("losses")? as usize;
        leaves[first][0] += LIE as u32;
        let hash = |(index, words): (u64, &Vec<u32>)| {
            leaf_hash(index, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
        };
        let tree = Tree::new((0..).zip(&leaves).map(hash).collect());
        Ok(Self { leaves, tree })
    }

    /// The losses that it ends with, and the proof of them.
    fn ending(&self, losses: usize) -> Result<(Vec<u32>, Vec<Digest>)> {
        let (end, first) = (self.leaves.len(), self.leaves.len() - losses);
        Ok((self.leaves[first..].concat(), self.tree.prove(first as u64..end as u64)?))
    }

    fn told(&self, game: &Game) -> Result<Option<(Side, Move)>> {
        let side = Side::BOTH.into_iter().find(|side| *game.root(*side) == self.tree.root());
        let Some(side) = side.filter(|side| game.is_due(*side)) else { return Ok(None) };
        Ok(match game.stage() {
            Stage::Nodes { at, .. } => {
                let levels = at.level.min(STRIDE);
                let nodes = self.tree.nodes(at.level - levels, at.below(levels, self.tree.leaf_count()));
                let nodes = nodes.context("nodes")?.to_vec().try_into().ok().context("too many nodes")?;
                Some((side, Move::Nodes(nodes)))
            },
            Stage::Words { leaf, .. } => {
                let words = self.leaves[*leaf as usize].clone().try_into().ok().context("too many words")?;
                Some((side, Move::Words(words)))
            },
            // What it would take does not exist.
            Stage::Evidence { .. } => None,
        })
    }
}

/// What is right, as anybody finds it who has the blocks.
async fn truth(state: &State, round: RoundId, store: &Store) -> Result<(Task, Blocks, Outcome)> {
    let evaluation = state.evaluation(round).await?.context("an evaluation")?;
    let assignment = Assignment::new(state, round, &evaluation).await?;
    let deltas = assignment.task.deltas.iter().map(|delta| delta.header.block);
    let names = assignment.blocks().into_iter().chain(deltas);
    let blocks = names.map(|name| Ok((name, store.get(&name)?))).collect::<Result<Blocks>>()?;
    let model = Arc::new(assignment.load(&blocks)?);
    let task = assignment.task;
    let evaluation = Evaluation::new(task.clone(), model, &blocks, &mut |_| (), &|| false)?;
    let outcome = evaluation.run(&Default::default(), &mut ScoreCache::in_memory(), &mut |_| (), &|| false)?;
    Ok((task, blocks, outcome))
}

/// The lie: the delta gains nothing, and nothing is merged.
fn lie(task: &Task, outcome: &Outcome) -> (Scores, Reveal) {
    let layout = &task.layout;
    let mut scores = outcome.scores.clone();
    for place in layout.cells(Target::Delta(0), Set::Trial).unwrap() {
        scores.0[place as usize] += LIE;
    }
    scores.0.truncate(layout.without_candidate() as usize);
    let found = |sums| DeltaFinding { finding: Finding::Sound, sums };
    let deltas: Vec<_> = scores.deltas(layout).unwrap().into_iter().map(found).collect();
    let reveal = Reveal { scores: scores.hash(), deltas: deltas.try_into().unwrap(), candidate: None };
    assert!(reveal.is_consistent(layout, &task.rules) && reveal.follows_from(&scores, layout));
    (scores, reveal)
}

async fn phase(school: &School, round: RoundId, is: impl Fn(Phase) -> bool) -> State {
    let find = async |state: &State| {
        let found = state.evaluation(round).await?.map(|evaluation| evaluation.phase);
        Ok(found.is_some_and(&is).then(|| state.clone()))
    };
    school.wait(ROUND, "a phase of the evaluation", find).await.unwrap()
}

/// Both colluders do the same.
async fn both(hands: &[Hand], name: &str, call: impl Fn(&Hand) -> Call) {
    let [one, other] = hands else { panic!("there are two") };
    let (one, other) = tokio::join!(one.call(name, call(one)), other.call(name, call(other)));
    one.unwrap();
    other.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_majority_that_lies_loses_against_one_who_does_not() {
    let base = folder();
    let school = School::open(base.path(), &["//Bob"]).await.unwrap();
    let learner = school.learner("//Eve").await.unwrap();
    let store = open_store(&learner.store).unwrap();
    let colluders = school.enlist(&["//Mallory", "//Trudy"], Roles::EVALUATE, &learner.api).await.unwrap();
    both(&colluders, "bond", |_| StakingCall::BondWorker { amount: BOND }.into()).await;
    both(&colluders, "enrol", |_| LearningCall::Enrol.into()).await;
    let (slot, spec) = school.slot(1, 2).await.unwrap();
    let desk = Desk::new(&school, &store, slot).await.unwrap();
    let (set, texts) = &school.training;
    let eve = Hand::new(&school.client, "//Eve").await.unwrap();
    let useful = desk.train(*set, &texts[..2 * TEXTS as usize], 24, 1).unwrap();
    let round = school.open_round(slot, spec).await.unwrap();
    let data = ItemRange { block: *set, first: 0, count: 2 * TEXTS };
    let (header, block) = desk.pack(&useful, &eve.key, data).unwrap();
    submit(&eve, round, &header, Some((&block, &store))).await.unwrap();

    phase(&school, round, |phase| phase == Phase::Availability).await;
    let vote = LearningCall::VoteAvailability { evaluation: round, available: 1, reads_hidden: false };
    both(&colluders, "vote", |_| vote.clone().into()).await;
    let state = phase(&school, round, |phase| phase == Phase::Commit).await;
    let bob = open_store(&school.evaluators["//Bob"].store).unwrap();
    let (task, blocks, outcome) = truth(&state, round, &bob).await.unwrap();
    assert!(outcome.verdict.is_ok(), "{:?}", outcome.verdict);
    let (scores, reveal) = lie(&task, &outcome);
    let salt = [3; 32];
    let commit = |hand: &Hand| {
        let commitment = commitment(round.into(), &hand.key.account().encode(), &salt, &reveal.hash());
        LearningCall::Commit { evaluation: round, commitment }.into()
    };
    both(&colluders, "commit", commit).await;
    phase(&school, round, |phase| phase == Phase::Reveal).await;
    let reveals = LearningCall::Reveal { evaluation: round, salt, reveal: reveal.clone() };
    both(&colluders, "reveal", |_| reveals.clone().into()).await;

    let state = phase(&school, round, |phase| phase == Phase::Scores).await;
    let began = state.block().number;
    let post = LearningCall::PostScores { evaluation: round, reveal: reveal.hash(), scores: scores.clone() };
    colluders[0].call("scores", post).await.unwrap();
    let state = phase(&school, round, |phase| matches!(phase, Phase::Traces(_))).await;
    let evaluation = state.evaluation(round).await.unwrap().unwrap();
    let Phase::Traces(cell) = evaluation.phase else { unreachable!() };
    let Cell { target, set, item } = task.layout.cell(cell).unwrap();
    assert_eq!((target, set, item), (Target::Delta(0), Set::Trial, 0));
    let honest = Evaluation::new(task.clone(), Arc::new(desk.model.clone()), &blocks, &mut |_| (), &|| false).unwrap();
    let disputed = honest.disputed(cell, None).unwrap();
    let tokens = blyan_learning::items::Items::new(blocks[&disputed.item().block].clone()).unwrap();
    let tokens = tokens.item(disputed.item().index).unwrap().unwrap().to_vec();
    let trace = Recorded::new(disputed.model(), &tokens, 2).unwrap();
    let forged = Forged::new(&trace, Word { step: Step::Layer(1, LayerStep::Gate(0)), row: 40, column: 77 }).unwrap();
    let (losses, proof) = forged.ending(tokens.len() - 1).unwrap();
    assert_eq!(losses.iter().map(|loss| u64::from(*loss)).sum::<u64>(), scores.0[cell as usize]);
    let root = forged.tree.root();
    let post = LearningCall::PostTrace { evaluation: round, root, losses, proof };
    both(&colluders, "trace", |_| post.clone().into()).await;

    phase(&school, round, |phase| matches!(phase, Phase::Games(_))).await;
    let mut moves = 0;
    let play = async {
        loop {
            let state = school.client.at_finalized().await.unwrap();
            if !matches!(state.evaluation(round).await.unwrap().unwrap().phase, Phase::Games(_)) {
                return state.block().number;
            }
            for (game, entry) in state.games(round).await.unwrap() {
                if let Some((side, told)) = forged.told(&entry.game).unwrap() {
                    moves += 1;
                    let call = LearningCall::Play { evaluation: round, game, side, told };
                    colluders[0].call(&format!("move/{moves}"), call).await.unwrap();
                }
            }
            school.client.wait_finalized(state.block().number + 1).await.unwrap();
        }
    };
    let ended = timeout(ROUND, play).await.unwrap();
    println!("the lie was refuted {} blocks after it was revealed, with {moves} moves of its own", ended - began);
    assert!(moves >= 2, "{moves}");

    let (outcome, deltas) = school.ended(round).await.unwrap();
    assert!(matches!(outcome, RoundOutcome::Committed(_)), "{outcome:?}");
    assert_eq!(outcome_of(&deltas, &eve.key).unwrap(), DeltaOutcome::Merged(1 << 16));
    let state = school.client.at_finalized().await.unwrap();
    let pending: Vec<_> = state.pending_slashes(100).await.unwrap().into_iter().map(|slash| slash.who).collect();
    for (account, lied) in [
        (colluders[0].key.account(), true),
        (colluders[1].key.account(), true),
        (Key::from_uri("//Bob").unwrap().account(), false),
    ] {
        let bond = state.worker(&account).await.unwrap().unwrap().bond;
        assert_eq!(pending.contains(&account) || bond < BOND, lied, "{account}: {bond}, {pending:?}");
    }
}
