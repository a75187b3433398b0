//! Scores are the losses of traces, whatever models have in common and wherever they cease to be finite.

mod support;

use blyan_model::{
    exec::{EngineConfig, LoadError, Model, ModelBlocks, ScoreError, Scorer},
    trace::Recorded,
};
use blyan_primitives::{
    dispute::Weights,
    spec::Dimensions,
    trace::{DIVERGED, Part, Step},
};
use blyan_tensorblock::VerifiedBlock;
use std::sync::Arc;
use support::{Random, awkward, blocks, tiny_blocks, tweaked};

fn traced(model: &Model, tokens: &[u32]) -> Vec<u32> {
    let trace = Recorded::new(model, tokens, 2).unwrap();
    let positions = 0..tokens.len() as u32 - 1;
    positions.flat_map(|row| trace.words(Step::Loss, row, 0..1).unwrap()).copied().collect()
}

fn config(threads: usize, pass_tokens: usize) -> EngineConfig {
    EngineConfig { threads, cpu: None, pass_tokens }
}

/// Scores the model, and the same with each of some blocks in a slot, in passes of different sizes.
fn check(blocks: ModelBlocks, layer: u16, index: u16, others: &[VerifiedBlock]) -> Vec<Vec<u32>> {
    let base = Arc::new(Model::load(blocks).unwrap());
    let variant = |block| base.with_expert(layer, index, block).unwrap();
    let models: Vec<Model> = [(*base).clone()].into_iter().chain(others.iter().map(variant)).collect();
    let tokens = Random(5).tokens(13, base.spec().dimensions.vocab);
    let expected: Vec<Vec<u32>> = models.iter().map(|model| traced(model, &tokens)).collect();
    for config in [config(1, 5), config(2, 12), config(2, 64)] {
        let mut scorer = Scorer::new(base.clone(), layer, index, &config).unwrap();
        // Another item before: nothing of it is left.
        scorer.item(&tokens[3..9]).unwrap().losses(&models[0]).unwrap();
        let mut item = scorer.item(&tokens).unwrap();
        let order: Vec<usize> = (0..models.len()).chain((0..models.len()).rev()).collect();
        for number in order {
            let found = item.losses(&models[number]).unwrap();
            assert_eq!(found, expected[number], "model {number} at {layer}/{index} with {config:?}");
        }
    }
    expected
}

fn expert(d: &Dimensions, seed: u64, tweak: &dyn Fn(&str, &mut [f32])) -> VerifiedBlock {
    tweaked(d, 1, |_, _| seed, tweak).experts[0][0].clone()
}

#[test]
fn scores_are_the_losses_of_traces() {
    let d = awkward();
    let base = || blocks(&d, 21, |layer, index| layer * 100 + index / 2);
    for layer in 0..d.layers {
        // One that no slot has, and one that another of the layer has.
        let others = [expert(&d, 7777, &|_, _| ()), base().experts[usize::from(layer)][4].clone()];
        let losses = check(base(), layer, 1, &others);
        assert!(losses[0] != losses[1] && losses.iter().flatten().all(|loss| *loss != DIVERGED));
    }
    let tied = Dimensions { tied_embeddings: true, qk_norm: false, activation_block: 16, ..awkward() };
    check(blocks(&tied, 3, |_, index| index), 1, 0, &[expert(&tied, 9, &|_, _| ())]);
    let tiny = tiny_blocks();
    let other = tiny.experts[1][2].clone();
    check(tiny, 0, 3, &[other]);
}

#[test]
fn experts_that_lead_to_no_numbers_diverge_where_traces_do() {
    let d = awkward();
    let (mut some, mut all) = (0, 0);
    for (layer, index) in (0..d.layers).flat_map(|layer| [(layer, 0), (layer, 2)]) {
        let mut others = Vec::new();
        for names in [&["gate.scale", "up.scale"][..], &["down.scale"], &["gate.scale", "up.scale", "down.scale"]] {
            for size in [1e18, 2e19, 1e38] {
                others.push(expert(&d, 55, &|tensor, values| {
                    if names.contains(&tensor) {
                        values.iter_mut().for_each(|value| *value *= size);
                    }
                }));
            }
        }
        for losses in &check(blocks(&d, 21, |layer, index| layer * 100 + index), layer, index, &others)[1..] {
            let diverged = losses.iter().filter(|loss| **loss == DIVERGED).count();
            some += usize::from(diverged > 0 && diverged < losses.len());
            all += usize::from(diverged == losses.len());
        }
    }
    assert!(some > 3 && all > 0, "{some} in part and {all} altogether");
}

#[test]
fn models_that_lead_to_no_numbers_diverge_where_traces_do() {
    let d = awkward();
    let tensors = [
        "embed.scale",
        "0.attn_norm",
        "1.q.scale",
        "0.k.scale",
        "2.k.scale",
        "1.v.scale",
        "2.v.scale",
        "0.o.scale",
        "2.o.scale",
        "0.ffn_norm",
        "2.ffn_norm",
        "1.router",
        "2.router",
        "2.q_norm",
        "norm",
        "head.scale",
        "down.scale",
    ];
    let mut diverged = 0;
    for tensor in tensors {
        for size in [1e20, 3e37, 2e38] {
            let change = |name: &str, values: &mut [f32]| {
                if name == tensor {
                    // So that all stay finite themselves.
                    values.iter_mut().for_each(|value| *value = (*value * size).clamp(f32::MIN, f32::MAX));
                }
            };
            let base = tweaked(&d, 21, |layer, index| layer * 100 + index, &change);
            let losses = check(base, 1, 2, &[expert(&d, 55, &|_, _| ())]);
            diverged += losses.iter().flatten().filter(|loss| **loss == DIVERGED).count();
        }
    }
    assert!(diverged > 100, "{diverged}");
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let d = awkward();
    let base = Arc::new(Model::load(blocks(&d, 21, |_, index| index)).unwrap());
    for (layer, index) in [(3, 0), (0, 5)] {
        let refused = Scorer::new(base.clone(), layer, index, &config(1, 8)).map(|_| ());
        assert!(matches!(refused, Err(ScoreError::NoSlot { .. })));
        let block = expert(&d, 1, &|_, _| ());
        assert!(matches!(base.with_expert(layer, index, &block), Err(LoadError::NoSlot { .. })));
    }
    assert!(matches!(Scorer::new(base.clone(), 0, 0, &config(1, 0)).map(|_| ()), Err(ScoreError::Engine(_))));
    let narrow = expert(&Dimensions { ffn: 99, ..awkward() }, 1, &|_, _| ());
    assert!(matches!(base.with_expert(0, 0, &narrow), Err(LoadError::Tensor(_))));

    let mut scorer = Scorer::new(base.clone(), 1, 2, &config(1, 64)).unwrap();
    for tokens in [&[1][..], &[1, d.vocab], &vec![1; 202], &[]] {
        assert!(matches!(scorer.item(tokens).map(|_| ()), Err(ScoreError::Item)), "{tokens:?}");
    }
    assert_eq!(scorer.item(&vec![1; 201]).unwrap().losses(&base).unwrap().len(), 200);
    let mut item = scorer.item(&[1, 2, 3]).unwrap();
    let block = expert(&d, 1, &|_, _| ());
    assert!(item.losses(&base.with_expert(1, 2, &block).unwrap()).is_ok());
    for other in [base.with_expert(1, 3, &block).unwrap(), Model::load(blocks(&d, 22, |_, index| index)).unwrap()] {
        assert!(matches!(item.losses(&other), Err(ScoreError::OtherModel { layer: 1, index: 2 })));
    }
}

#[test]
fn a_slot_holds_what_it_is_given() {
    let d = awkward();
    let given = blocks(&d, 21, |layer, index| layer * 100 + index / 2);
    let base = Model::load(given.clone()).unwrap();
    let block = expert(&d, 1, &|_, _| ());
    let changed = base.with_expert(1, 2, &block).unwrap();
    assert_eq!(
        (changed.block_of(1, 2), changed.block_of(1, 3)),
        (Some(block.hash()), Some(given.experts[1][3].hash()))
    );
    assert_eq!((base.block_of(3, 0), base.block_of(0, 5)), (None, None));
    let mut experts = given.experts.clone();
    experts[1][2] = block;
    let loaded = Model::load(ModelBlocks { experts, ..given.clone() }).unwrap();
    assert_eq!(changed.weights_id(), loaded.weights_id());
    assert_eq!(changed.bytes_per_token(), loaded.bytes_per_token());
    let back = changed.with_expert(1, 2, &given.experts[1][2]).unwrap();
    assert_eq!(back.weights_id(), base.weights_id());
    let of = |part| Weights::block(&changed, part);
    assert_eq!((of(Part::Trunk), of(Part::Router)), (Some(given.trunk.hash()), Some(given.router.hash())));
    assert_eq!(of(Part::Expert { layer: 1, index: 2 }), changed.block_of(1, 2));
}
