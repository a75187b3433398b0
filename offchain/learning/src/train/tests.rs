//! Runs on small models.

#[path = "../../../model/tests/support/mod.rs"]
mod support;

use super::{checkpoint::Checkpoint, manifest::tests::manifest, parameters::Parameter, windows::Windows, *};
use crate::delta::{Shape, Update};
use blyan_model::{
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    tiny,
};
use blyan_primitives::{
    block::Form,
    spec::{Dimensions, F32Bits},
};
use blyan_tensorblock::VerifiedBlock;
use std::{cell::Cell, sync::Arc};
use support::{Random, awkward, blocks, tiny_blocks};

fn settings() -> Settings {
    Settings { window: 24, ..Settings::new(6, tiny::EOS) }
}

/// What a run needs.
struct Setup {
    model: Model,
    manifest: Manifest,
    documents: Vec<Vec<u32>>,
}

/// A run of a slot of a model, on four documents.
fn setup(blocks: ModelBlocks, layer: u16, index: u16, settings: Settings) -> Setup {
    let model = Model::load(blocks).unwrap();
    let mut manifest = Manifest { weights: model.weights_id(), settings, ..manifest() };
    manifest.base = model.block_of(layer, index).unwrap();
    (manifest.slot.layer, manifest.slot.index) = (layer, index);
    let texts = ["the sea is calm and the sea is deep, ", "a ship sails on the calm sea; ", "wind ", "the deep sea "];
    let documents = texts.map(|text| text.repeat(3).bytes().map(u32::from).collect());
    Setup { model, manifest, documents: documents.into() }
}

impl Setup {
    fn tiny(layer: u16, index: u16, settings: Settings) -> Self {
        setup(tiny_blocks(), layer, index, settings)
    }

    fn trainer(&self) -> Trainer {
        self.try_trainer(None).unwrap()
    }

    /// Of a manifest that names the master.
    fn try_trainer(&self, master: Option<&VerifiedBlock>) -> Result<Trainer, TrainError> {
        let manifest = Manifest { master: master.map(VerifiedBlock::hash), ..self.manifest.clone() };
        Trainer::new(&self.model, master, manifest, &self.documents, &Device::Cpu)
    }
}

/// A model with every dimension awkward, norms of queries and keys, and an output matrix of its own. All of a text's bytes
/// are in its vocabulary.
fn other_blocks(expert_seed: impl Fn(u64, u64) -> u64) -> ModelBlocks {
    blocks(&Dimensions { context: 160, ..awkward() }, 1, expert_seed)
}

fn run(trainer: &mut Trainer) -> Vec<Progress> {
    let mut seen = Vec::new();
    assert_eq!(trainer.run(&mut |progress| seen.push(progress), &|| false).unwrap(), Ended::Complete);
    seen
}

/// With the router's row in training.
fn with_router(settings: Settings) -> Settings {
    router(settings, 1e-3, 0.01, 0.02)
}

fn router(settings: Settings, learning_rate: f32, balance: f32, bias: f32) -> Settings {
    let [learning_rate, balance, bias] = [learning_rate, balance, bias].map(F32Bits::new);
    Settings { router: Some(RouterSettings { learning_rate, balance, bias }), ..settings }
}

fn full(settings: Settings) -> Settings {
    Settings { method: Method::Full, ..settings }
}

/// Losses of canonical execution for each token but the first.
fn canonical(engine: &Engine, tokens: &[u32]) -> Vec<f32> {
    let mut losses = Vec::new();
    let see = &mut |position: usize, logits: &[f32]| {
        if let Some(next) = tokens.get(position + 1) {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
            losses.push(total.ln() + most - logits[*next as usize]);
        }
    };
    engine.logits(tokens, 0, see).unwrap();
    losses
}

#[test]
fn losses_are_canonical_executions_but_for_rounding() {
    for (name, blocks, vocab) in [
        ("tiny", tiny_blocks(), 256),
        ("distinct experts", other_blocks(|layer, index| layer << 8 | index), 133),
        ("some equal experts", other_blocks(|layer, index| (layer << 8) | (index / 2)), 133),
        ("equal experts", other_blocks(|layer, _| layer), 133),
    ] {
        let tokens = Random(1).tokens(150, vocab);
        let setup = setup(blocks, 1, 2, Settings { separator: Some(0), ..settings() });
        let found = setup.trainer().losses_of(&tokens).unwrap();
        let engine = Engine::new(Arc::new(setup.model), EngineConfig::default()).unwrap();
        let expected = canonical(&engine, &tokens);
        assert_eq!((found.len(), expected.len()), (149, 149));
        let apart: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| f64::from(a - b)).collect();
        let mean = apart.iter().sum::<f64>() / apart.len() as f64;
        let size = apart.iter().map(|apart| apart.abs()).sum::<f64>() / apart.len() as f64;
        // Losses of different positions are more than a nat apart.
        println!("{name}: {mean:.5} {size:.5}");
        assert!(mean.abs() < 0.02 && size < 0.05, "{name}: {mean} {size}");
    }
}

/// Whether a parameter's gradient has an element that is not zero.
fn has_gradient(gradients: &candle_core::backprop::GradStore, parameter: &Parameter) -> bool {
    let gradient = gradients.get(&parameter.var).unwrap_or_else(|| panic!("{} has no gradient", parameter.name));
    gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() > 0.0
}

#[test]
fn everything_trained_gets_a_gradient() {
    for layer in [0, 1] {
        for settings in [settings(), with_router(settings()), full(settings()), full(with_router(settings()))] {
            let setup = Setup::tiny(layer, 1, settings);
            let mut trainer = setup.trainer();
            // One factor of each matrix starts at zero, and the other gets its first gradient after a step.
            trainer.step(&|| false).unwrap().unwrap();
            let gradients = trainer.gradients(3);
            let parameters = trainer.parameters();
            let expected = if settings.method == Method::Full { 3 } else { 6 };
            assert_eq!(parameters.len(), expected + usize::from(settings.router.is_some()));
            assert!(parameters.iter().all(|parameter| has_gradient(&gradients, parameter)));
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    // Large steps first, so that neither factor is small.
    let small = Settings { batch: 1, window: 12, separator: Some(0), learning_rate: F32Bits::new(0.03), ..settings() };
    let other = || other_blocks(|layer, index| layer << 8 | index);
    for blocks in [tiny_blocks, other] {
        for settings in [with_router(small), full(small)] {
            let setup = setup(blocks(), 0, 1, settings);
            let mut trainer = setup.trainer();
            for _ in 0..4 {
                trainer.step(&|| false).unwrap().unwrap();
            }
            let gradients = trainer.gradients(1);
            for parameter in trainer.parameters() {
                let start = parameter.var.as_detached_tensor().copy().unwrap();
                let gradient = gradients.get(&parameter.var).unwrap();
                // Along the gradient the slope is its length. A token that went to another expert after so small a step would
                // make the loss jump.
                let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
                let loss_at = |by: f64| {
                    let step = (gradient * (by / f64::from(length))).unwrap();
                    parameter.var.set(&(&start + step).unwrap()).unwrap();
                    trainer.objective(1)
                };
                // A router's row moves scores, and choices, the most.
                let by = if parameter.is_router { 1e-3 } else { 1e-2 };
                let slope = (loss_at(by) - loss_at(-by)) / (2.0 * by);
                parameter.var.set(&start).unwrap();
                // Losses of some nats are rounded to 5e-7.
                let rounding = 1e-6 / by;
                let apart = (slope - f64::from(length)).abs();
                println!("{}: slope {slope}, gradient {length}", parameter.name);
                assert!(apart < 0.01 * f64::from(length) + rounding, "{}: {slope}, {length}", parameter.name);
                assert!(length > 1e-3, "{}: {length}", parameter.name);
            }
        }
    }
}

#[test]
fn training_lowers_the_loss() {
    for method in [Method::LowRank { rank: 8 }, Method::Full] {
        let setup = Setup::tiny(1, 0, Settings { method, steps: 30, ..settings() });
        let mut trainer = setup.trainer();
        let before = trainer.loss_of(&setup.documents[0]).unwrap();
        let seen = run(&mut trainer);
        let after = trainer.loss_of(&setup.documents[0]).unwrap();
        assert!(after < before - 0.1, "{method:?}: {before} to {after}");
        assert_eq!(seen.len(), 30);
        assert!(seen.iter().all(|progress| progress.steps == 30 && progress.tokens_per_second > 0.0));
        assert!(seen.iter().all(|progress| (0.0..=1.0).contains(&progress.routed)));
        assert!(seen.iter().any(|progress| progress.routed > 0.0));
    }
}

#[test]
fn the_penalty_brings_the_experts_share_nearer_to_the_others() {
    let uneven = |balance: f32| {
        let setup = Setup::tiny(1, 0, router(Settings { steps: 30, ..settings() }, 1e-2, balance, 0.0));
        let mut trainer = setup.trainer();
        let before = trainer.routed();
        run(&mut trainer);
        assert!(trainer.trained().unwrap().router.unwrap().iter().any(|change| *change != 0.0));
        // Two of four experts a token.
        [before, trainer.routed()].map(|routed| (routed - 0.5).abs())
    };
    let ([before, free], [_, balanced]) = (uneven(0.0), uneven(10.0));
    assert!(balanced < before && balanced < free, "{before} {free} {balanced}");
}

#[test]
fn the_bias_draws_the_texts_to_the_expert() {
    for index in 0..4 {
        let routed = |bias: f32| {
            let setup = Setup::tiny(1, index, router(Settings { steps: 20, ..settings() }, 1e-2, 0.0, bias));
            let mut trainer = setup.trainer();
            run(&mut trainer);
            trainer.routed()
        };
        let (free, drawn) = (routed(0.0), routed(1.0));
        println!("{index}: {free} {drawn}");
        assert!(drawn > 0.85 && drawn > free, "{index}: {free} {drawn}");
    }
}

#[test]
fn a_resumed_run_ends_where_an_uninterrupted_one_does() {
    for settings in [with_router(settings()), full(settings())] {
        let setup = Setup::tiny(1, 0, settings);
        let mut whole = setup.trainer();
        let all = run(&mut whole);

        let folder = tempfile::tempdir().unwrap();
        let mut first = setup.trainer();
        assert_eq!(first.checkpoint_in(folder.path(), 2).unwrap(), 0);
        let taken = Cell::new(0);
        let ended = first.run(&mut |progress| taken.set(progress.step), &|| taken.get() == 3).unwrap();
        assert_eq!((ended, first.steps()), (Ended::Cancelled, 3));

        let mut second = setup.trainer();
        assert_eq!(second.checkpoint_in(folder.path(), 2).unwrap(), 3);
        assert_eq!(second.trained().unwrap(), first.trained().unwrap());
        let rest = run(&mut second);
        let losses = |seen: &[Progress]| seen.iter().map(|progress| (progress.step, progress.loss)).collect::<Vec<_>>();
        assert_eq!(losses(&rest), losses(&all[3..]));
        let curve = |seen: &[Progress]| seen.iter().map(|progress| progress.loss as f32).collect::<Vec<_>>();
        assert_eq!(second.losses(), curve(&all));
        assert_eq!(second.trained().unwrap(), whole.trained().unwrap());
        // Nothing is left to do for whoever comes back once more.
        let mut third = setup.trainer();
        assert_eq!(third.checkpoint_in(folder.path(), 2).unwrap(), 6);
        assert!(run(&mut third).is_empty());
        assert_eq!(third.trained().unwrap(), whole.trained().unwrap());
    }
}

#[test]
fn a_stopped_run_is_the_whole_of_a_shorter_one() {
    let mut setup = Setup::tiny(1, 0, settings());
    let mut long = setup.trainer();
    let taken = Cell::new(0);
    long.run(&mut |progress| taken.set(progress.step), &|| taken.get() == 3).unwrap();
    setup.manifest.settings.steps = 3;
    let mut short = setup.trainer();
    run(&mut short);
    assert_eq!(long.trained().unwrap(), short.trained().unwrap());
    assert_eq!(long.trained().unwrap().manifest, setup.manifest);
}

#[test]
fn a_folder_belongs_to_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::tiny(1, 0, Settings { steps: 1, ..settings() });
    let mut trainer = setup.trainer();
    trainer.checkpoint_in(folder.path(), 1).unwrap();
    run(&mut trainer);
    setup.manifest.seed += 1;
    let refused = setup.trainer().checkpoint_in(folder.path(), 1);
    assert!(matches!(refused, Err(TrainError::Checkpoint(CheckpointError::OtherRun(_)))));
}

#[test]
fn a_checkpoint_with_other_parameters_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::tiny(1, 0, Settings { steps: 1, ..settings() });
    let mut trainer = setup.trainer();
    trainer.checkpoint_in(folder.path(), 1).unwrap();
    run(&mut trainer);
    let good = Checkpoint::read(folder.path(), &setup.manifest.id()).unwrap().unwrap();
    let changes: [fn(&mut Checkpoint); 4] = [
        |checkpoint| drop(checkpoint.parameters.pop()),
        |checkpoint| checkpoint.parameters.swap(0, 2),
        |checkpoint| checkpoint.parameters[0].second.truncate(1),
        |checkpoint| checkpoint.losses.push(1.0),
    ];
    for change in changes {
        let mut other = good.clone();
        change(&mut other);
        other.write(folder.path()).unwrap();
        let refused = setup.trainer().checkpoint_in(folder.path(), 1);
        assert!(matches!(refused, Err(TrainError::Checkpoint(CheckpointError::OtherVersion(_)))));
    }
    good.write(folder.path()).unwrap();
    assert_eq!(setup.trainer().checkpoint_in(folder.path(), 1).unwrap(), 1);
}

#[test]
fn a_cancelled_run_stops_between_layers() {
    let setup = Setup::tiny(1, 0, settings());
    let mut trainer = setup.trainer();
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() == 2
    };
    assert_eq!(trainer.run(&mut |_| panic!("no step is taken"), &stop).unwrap(), Ended::Cancelled);
    assert_eq!((trainer.steps(), asked.get()), (0, 2));
}

#[test]
fn documents_do_not_see_each_other() {
    let setup = Setup::tiny(1, 0, settings());
    let trainer = setup.trainer();
    let losses = |first: u32| {
        let documents = [vec![first; 9], vec![50, 51, 52, 53]];
        let windows = Windows::pack(&documents, tiny::EOS, 64).unwrap();
        trainer.losses_in(&windows.batch(&[0]))
    };
    let (one, other) = (losses(1), losses(2));
    assert_ne!(one[..9], other[..9]);
    assert_eq!(one[10..], other[10..]);
}

/// The tiny model's blocks that are masters.
fn masters() -> Vec<VerifiedBlock> {
    let blocks = tiny::build(tiny::GENESIS_SEED).unwrap().blocks.into_iter().map(|block| block.into_block().unwrap());
    blocks.filter(|block| block.header().form == Form::Master).collect()
}

#[test]
fn training_starts_from_the_master_where_there_is_one() {
    let setup = Setup::tiny(1, 2, settings());
    let start = |master| setup.try_trainer(master).map(|trainer| trainer.loss_of(&setup.documents[0]).unwrap());
    let masters = masters();
    // Four experts a layer, in order.
    let rounded = start(None).unwrap();
    let exact = start(Some(&masters[6])).unwrap();
    assert!(exact != rounded && (exact - rounded).abs() < 0.01);
    assert!(matches!(start(Some(&masters[5])), Err(TrainError::NotTheMaster(hash)) if hash == masters[5].hash()));
    let serving = &tiny_blocks().experts[1][2];
    assert!(matches!(start(Some(serving)), Err(TrainError::NotTheMaster(hash)) if hash == serving.hash()));
    // What was given is what the manifest says, so that its name says from where a run started.
    let given = |manifest: Option<&VerifiedBlock>, given: Option<&VerifiedBlock>| {
        let manifest = Manifest { master: manifest.map(VerifiedBlock::hash), ..setup.manifest.clone() };
        Trainer::new(&setup.model, given, manifest, &setup.documents, &Device::Cpu).unwrap_err()
    };
    let right = &masters[6];
    assert!(matches!(given(None, Some(right)), TrainError::OtherMaster { expected: None, found: Some(_) }));
    assert!(matches!(given(Some(right), None), TrainError::OtherMaster { expected: Some(_), found: None }));
    assert!(matches!(given(Some(right), Some(&masters[5])), TrainError::OtherMaster { .. }));
}

#[test]
fn what_was_trained_becomes_an_update_that_does_the_same() {
    for settings in [settings(), full(settings())] {
        let setup = Setup::tiny(1, 0, settings);
        let mut trainer = setup.trainer();
        assert!(trainer.trained().unwrap().expert.named().iter().all(|(_, change)| is_nothing(change)));
        run(&mut trainer);
        let trained = trainer.trained().unwrap();
        assert_eq!(trained.manifest, setup.manifest);
        assert_eq!(trained.router, None);
        let changes = trained.expert.as_ref().into_array().into_iter().zip(trained.shapes.into_array());
        for ((change, shape), update) in changes.zip(trained.to_updates(127).unwrap()) {
            assert_eq!(matches!(update, Update::LowRank(_)), settings.method != Method::Full);
            let (exact, kept) = (dense(change, shape), update.to_dense());
            let size = |values: &[f32]| values.iter().map(|value| f64::from(value * value)).sum::<f64>().sqrt();
            let apart: Vec<f32> = exact.iter().zip(&kept).map(|(a, b)| a - b).collect();
            assert!(size(&exact) > 0.0 && size(&apart) < 0.02 * size(&exact), "{} {}", size(&apart), size(&exact));
        }
    }
}

fn is_nothing(change: &Change) -> bool {
    match change {
        Change::LowRank(factors) => factors.b.iter().all(|value| *value == 0.0),
        Change::Full(change) => change.iter().all(|value| *value == 0.0),
    }
}

fn dense(change: &Change, shape: Shape) -> Vec<f32> {
    match change {
        Change::Full(change) => change.clone(),
        Change::LowRank(factors) => {
            let mut dense = vec![0.0; shape.rows * shape.k];
            for (a, b) in factors.a.chunks(shape.k).zip(factors.b.chunks(shape.rows)) {
                for (row, b) in dense.chunks_mut(shape.k).zip(b) {
                    row.iter_mut().zip(a).for_each(|(sum, a)| *sum += a * b);
                }
            }
            dense
        },
    }
}

#[test]
fn runs_that_cannot_start_are_refused_by_name() {
    use TrainError as E;
    let refused = |change: &dyn Fn(&mut Setup)| {
        let mut setup = Setup::tiny(1, 0, settings());
        change(&mut setup);
        setup.try_trainer(None).unwrap_err()
    };
    assert!(matches!(refused(&|s| s.manifest.data.clear()), E::Manifest(ManifestError::Empty)));
    assert!(matches!(refused(&|s| s.manifest.slot.layer = 2), E::NoSlot { layer: 2, layers: 2, .. }));
    assert!(matches!(refused(&|s| s.manifest.slot.index = 4), E::NoSlot { index: 4, experts: 4, .. }));
    assert!(matches!(refused(&|s| s.manifest.base.0[0] ^= 1), E::OtherBase { .. }));
    assert!(matches!(refused(&|s| s.manifest.weights.0[0] ^= 1), E::OtherModel { .. }));
    assert!(matches!(refused(&|s| drop(s.documents.pop())), E::Documents { expected: 4, found: 3 }));
    assert!(matches!(refused(&|s| s.documents[1][0] = 259), E::UnknownToken { document: 1, token: 259, vocab: 259 }));
    assert!(matches!(refused(&|s| s.manifest.settings.separator = Some(300)), E::UnknownToken { document: 4, .. }));
    assert!(matches!(refused(&|s| s.documents.iter_mut().for_each(Vec::clear)), E::NoTokens));
    assert!(matches!(refused(&|s| s.manifest.settings.window = 257), E::Window { window: 257, context: 256 }));
    let rank = |s: &mut Setup| s.manifest.settings.method = Method::LowRank { rank: 65 };
    assert!(matches!(refused(&rank), E::Rank { rank: 65, most: 64 }));
    let trainer = Setup::tiny(1, 0, settings()).trainer();
    assert!(matches!(trainer.loss_of(&[1]), Err(E::NoTokens)));
    assert!(matches!(trainer.loss_of(&[1, 259]), Err(E::UnknownToken { .. })));
    assert!(matches!(trainer.loss_of(&[1; 258]), Err(E::Window { window: 257, context: 256 })));
}

#[test]
fn a_run_that_diverges_says_so() {
    let rate = F32Bits::new(f32::MAX);
    // In the last layer the loss tells, before it the next router.
    for layer in [0, 1] {
        let setup = Setup::tiny(layer, 0, Settings { learning_rate: rate, warm_up: 0, ..full(settings()) });
        let mut trainer = setup.trainer();
        let error = trainer.run(&mut |_| (), &|| false).unwrap_err();
        assert!(matches!(error, TrainError::Diverged { step } if step == trainer.steps() && step > 0), "{error}");
    }
}

#[test]
fn shares_are_those_that_training_sees() {
    for (layer, index) in [(0, 1), (1, 3)] {
        let setup = Setup::tiny(layer, index, settings());
        let text = setup.documents[1].clone();
        let shares = expert_shares(&setup.model, std::slice::from_ref(&text), &Device::Cpu).unwrap();
        assert_eq!((shares.len(), shares[0].len()), (2, 4));
        assert!(shares.iter().all(|layer| (layer.iter().sum::<f64>() - 2.0).abs() < 1e-9));
        let routed = setup.trainer().routed_of(&text);
        assert!((shares[usize::from(layer)][usize::from(index)] - routed).abs() < 1e-9);
    }
    let setup = Setup::tiny(0, 0, settings());
    let refused = |texts: &[Vec<u32>]| expert_shares(&setup.model, texts, &Device::Cpu).unwrap_err();
    assert!(matches!(refused(&[]), TrainError::NoTokens));
    assert!(matches!(refused(&[vec![1]]), TrainError::NoTokens));
    assert!(matches!(refused(&[vec![1; 258]]), TrainError::Window { window: 257, context: 256 }));
    assert!(matches!(refused(&[vec![1, 2], vec![1, 259]]), TrainError::UnknownToken { document: 1, .. }));
}
