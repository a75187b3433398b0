//! The trace of an evaluation is what the engine computes, and what the runtime would compute of it.

mod support;

use blyan_model::{
    exec::{Engine, EngineConfig, Model},
    trace::Recorded,
};
use blyan_primitives::{
    merkle,
    soft_float::F32,
    spec::Dimensions,
    trace::{LOSS_UNITS, Step, Word},
};
use std::sync::Arc;
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
            let Ok(word) = shape.compute::<F32, _>(Word { step, row, column }, &mut inputs);
            assert_eq!(trace.words(step, row, column..column + 1).unwrap(), [word], "{step:?}, {row}, {column}");
        }
    }

    let tree = trace.tree();
    assert_eq!(tree.leaf_count(), shape.leaves());
    assert_eq!(Recorded::new(&model, &tokens, 1).unwrap().tree().root(), tree.root());
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
    assert!(Recorded::new(&model, &[1], 1).is_none());
    assert!(Recorded::new(&model, &[1, d.vocab], 1).is_none());
    assert!(Recorded::new(&model, &vec![1; 202], 1).is_none());
    assert!(Recorded::new(&model, &[1, 2], 0).is_some());
}
