//! The trace of an evaluation is what the engine computes, and what the runtime would compute of it.

mod support;

use blyan_model::{
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    trace::{Recorded, Witness},
};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    dispute::{Item, Proven, TOKENS, Values, Weights, gather, score},
    ids::ContentHash,
    merkle,
    soft_float::F32,
    spec::Dimensions,
    trace::{LOSS_UNITS, Part, Step, Word},
};
use blyan_tensorblock::{BlockBuilder, VerifiedBlock};
use std::{collections::BTreeMap, sync::Arc};
use support::{Random, awkward, blocks};

fn check(d: &Dimensions, expert_seed: impl Fn(u64, u64) -> u64) {
    let model = Arc::new(Model::load(blocks(d, 21, expert_seed)).unwrap());
    let engine = Engine::new(model.clone(), EngineConfig::default()).unwrap();
    let tokens = Random(5).tokens(12, d.vocab);
    let trace = Recorded::new(&model, &tokens, 2).unwrap();
    let shape = trace.shape();

    let mut nats = 0.0;
    let compare = &mut |position: usize, logits: &[f32]| {
        if let Some(words) = trace.words(Step::Logits, position as u32, 0..d.vocab) {
            assert_eq!(words, logits.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>(), "at {position}");
            let sum: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
            nats += sum.ln() - f64::from(logits[tokens[position + 1] as usize]);
        }
    };
    engine.logits(&tokens, 0, compare).unwrap();
    let found = trace.loss() as f64 / f64::from(LOSS_UNITS);
    assert!((found - nats).abs() < 1e-4, "{found} for {nats}");

    // Some words of each step, in integers.
    let (mut random, mut inputs) = (Random(6), trace.inputs());
    for step in shape.steps() {
        let (rows, columns) = shape.shape(step);
        for _ in 0..20 {
            let mut below = |count: u32| (random.next() % u64::from(count)) as u32;
            let (row, column) = (below(rows), below(columns));
            let word = shape.compute::<F32, _>(Word { step, row, column }, &mut inputs).unwrap();
            assert_eq!(trace.words(step, row, column..column + 1).unwrap(), [word], "{step:?}, {row}, {column}");
        }
    }

    let tree = trace.tree().unwrap();
    assert_eq!(tree.leaf_count(), shape.leaves());
    assert_eq!(Recorded::new(&model, &tokens, 1).unwrap().tree().unwrap().root(), tree.root());
    let at = shape.leaves() / 2;
    let proof = tree.prove(at..at + 1).unwrap();
    let hash = merkle::leaf_hash(at, &trace.leaf(at).unwrap());
    merkle::verify(&tree.root(), tree.leaf_count(), at, &[hash], &proof).unwrap();
}

#[test]
fn a_trace_has_the_engines_bits() {
    check(&awkward(), |layer, index| layer * 100 + index);
}

#[test]
fn a_trace_leaves_out_what_the_engine_leaves_out() {
    let d =
        Dimensions { activation_block: 16, checkpoint_every: 2, qk_norm: false, tied_embeddings: true, ..awkward() };
    check(&d, |layer, index| layer * 100 + index / 2);
}

#[test]
fn items_that_the_model_cannot_read_have_no_trace() {
    let d = awkward();
    let model = Model::load(blocks(&d, 21, |_, index| index)).unwrap();
    assert!(Recorded::new(&model, &[1], 1).is_err());
    assert!(Recorded::new(&model, &[1, d.vocab], 1).is_err());
    assert!(Recorded::new(&model, &vec![1; 202], 1).is_err());
    assert!(Recorded::new(&model, &[1, 2], 0).is_ok());
}

/// What the chain knows of a model's blocks.
struct Parts<'a>(&'a ModelBlocks);

impl Weights for Parts<'_> {
    fn block(&self, part: Part) -> Option<ContentHash> {
        Some(match part {
            Part::Trunk => self.0.trunk.hash(),
            Part::Router => self.0.router.hash(),
            Part::Expert { layer, index } => self.0.experts.get(usize::from(layer))?.get(usize::from(index))?.hash(),
        })
    }
}

fn items(tokens: &[u32]) -> VerifiedBlock {
    // The item in question is the second of two.
    let mut all = vec![7; tokens.len()];
    all.extend_from_slice(tokens);
    let bytes: Vec<u8> = all.iter().flat_map(|token| token.to_le_bytes()).collect();
    let mut builder = BlockBuilder::new(BlockKind::Items, Form::Serving, Quantisation::None);
    builder.tensor(TOKENS, DType::U32, Layout::RowMajor, &[2, tokens.len() as u32], bytes).unwrap();
    builder.finish().unwrap().into_block().unwrap()
}

#[test]
fn every_word_of_a_trace_can_be_proved_from_blocks() {
    let d = awkward();
    let blocks = blocks(&d, 21, |layer, index| layer * 100 + index / 2);
    let model = Model::load(blocks.clone()).unwrap();
    let tokens = Random(5).tokens(9, d.vocab);
    let trace = Recorded::new(&model, &tokens, 2).unwrap();
    let (shape, tree) = (trace.shape(), trace.tree().unwrap());
    let items = items(&tokens);
    let item = Item { block: items.hash(), index: 1 };
    let all = [&blocks.trunk, &blocks.router, &items].into_iter().chain(blocks.experts.iter().flatten());
    let all: BTreeMap<ContentHash, VerifiedBlock> = all.map(|block| (block.hash(), block.clone())).collect();
    let mut witness = Witness { trace: &trace, tree: &tree, blocks: &all };
    let mut random = Random(8);
    for step in shape.steps() {
        let (rows, columns) = shape.shape(step);
        let mut below = |count: u32| (random.next() % u64::from(count)) as u32;
        let word = Word { step, row: below(rows), column: below(columns) };
        let parts = Parts(&blocks);
        let evidence = gather::<f32, _, _>(shape, word, &parts, item, &mut witness).unwrap();
        let proven = Proven::new(evidence, shape, &tree.root(), shape.leaf_of(word).unwrap()).unwrap();
        let mut values = Values::new(shape, &parts, item, proven);
        let found = shape.compute::<F32, _>(word, &mut values).unwrap();
        assert_eq!(trace.words(step, word.row, word.column..word.column + 1).unwrap(), [found], "{word:?}");
    }

    let first = shape.first_leaf(Step::Loss).unwrap();
    let losses: Vec<u32> =
        (0..shape.positions()).flat_map(|row| trace.words(Step::Loss, row, 0..1).unwrap()).copied().collect();
    let proof = tree.prove(first..shape.leaves()).unwrap();
    assert_eq!(score(shape, &tree.root(), &losses, &proof), Ok(trace.loss()));
}
