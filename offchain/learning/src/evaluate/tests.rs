//! Rounds on the tiny model, one of whose experts was made worse, so that deltas can make it better.

use super::*;
use crate::{
    block::shape_of,
    delta::{Dense, Shape, Sparse, Update},
    fold::WHOLE,
    items, noise,
};
use blyan_model::{
    exec::{Engine, ModelBlocks},
    expert::{ExpertBuilder, Matrix},
    tiny::{self, BOS, TinyModel},
    trace::Recorded,
};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout as TensorLayout, Quantisation},
    ids::SpecId,
    learning::{Codec, DeltaHeader},
    pact::{NetworkKind, Pact},
    pol::{Cell, ItemBlock},
    receipt::Sampling,
    spec::F32Bits,
};
use blyan_tensorblock::BlockBuilder;
use std::{cell::Cell as Shared, fs};

const POSITIONS: u32 = 24;
const LEARNER: [u8; 32] = [0x1e; 32];
const LAYOUT: Layout = Layout { trial: 14, last: 10, general: 4, own: 4, deltas: 0, positions: POSITIONS };
const SHAPE: ExpertShape = ExpertShape { ffn: 128, hidden: 64 };

/// A round.
pub(crate) struct Lab {
    pub(crate) task: Task,
    pub(crate) model: Arc<Model>,
    pub(crate) blocks: Blocks,
    /// What the slot's expert lacks, matrix by matrix.
    lacks: [Vec<f32>; 3],
    /// What learners say that they have trained on.
    training: ContentHash,
}

fn blocks_of(shape: ExpertShape, matrices: [Vec<f32>; 3]) -> [VerifiedBlock; 2] {
    let mut builder = ExpertBuilder::new(shape);
    matrices.into_iter().for_each(|matrix| builder.push(matrix).unwrap());
    let forms = builder.finish().unwrap();
    [forms.master, forms.serving].map(|block| block.into_block().unwrap())
}

/// Texts that a model says.
fn said(model: &Arc<Model>, count: u64, seed: u64) -> VerifiedBlock {
    let engine = Engine::new(model.clone(), EngineConfig { threads: 1, ..EngineConfig::default() }).unwrap();
    let text = |number: u64| {
        let sampling =
            Sampling { temperature: F32Bits::new(1.0), top_p: F32Bits::new(1.0), top_k: 0, seed: seed * 1000 + number };
        let mut session = engine.session(&[BOS], sampling, POSITIONS as usize).unwrap();
        while !session.is_full() {
            engine.decode(&mut [&mut session]).remove(0).unwrap();
        }
        session.tokens().to_vec()
    };
    let texts: Vec<Vec<u32>> = (0..count).map(text).collect();
    items::write(&texts, POSITIONS + 1).unwrap().into_block().unwrap()
}

impl Lab {
    pub(crate) fn new() -> Self {
        let TinyModel { genesis, blocks } = tiny::build(tiny::GENESIS_SEED).unwrap();
        let mut blocks: Blocks = blocks.into_iter().map(|block| (block.hash(), block.into_block().unwrap())).collect();
        let slot = SlotId { lineage: SpecId([1; 32]), layer: 0, index: 1 };
        let head = genesis.heads[0][1];
        let master = Master::new(blocks[&genesis.blocks[&head].master.unwrap()].clone(), SHAPE).unwrap();
        let [gate, up, down] = Matrix::ALL.map(|matrix| master.matrix(matrix).unwrap().to_vec());
        let times = |factor: f32| down.iter().map(|weight| weight * factor).collect::<Vec<f32>>();
        let lacks = [vec![0.0; gate.len()], vec![0.0; up.len()], times(9.0)];
        let [_, good] = blocks_of(SHAPE, [gate.clone(), up.clone(), times(10.0)]);
        let [master, base] = blocks_of(SHAPE, [gate, up, times(1.0)]);

        let block = |hash: &ContentHash| blocks[hash].clone();
        let model = Model::load(ModelBlocks {
            trunk: block(&genesis.spec.trunk),
            router: block(&genesis.spec.router),
            experts: genesis.heads.iter().map(|layer| layer.iter().map(block).collect()).collect(),
            spec: genesis.spec.clone(),
        });
        let better = Arc::new(model.unwrap().with_expert(0, 1, &good).unwrap());
        let model = Arc::new(better.with_expert(0, 1, &base).unwrap());
        let [held_out, general, training] = [(24, 1), (8, 2), (40, 3)].map(|(count, seed)| said(&better, count, seed));
        let set = |block: &VerifiedBlock, items| vec![ItemBlock { block: block.hash(), items }].try_into().unwrap();
        let task = Task {
            slot,
            base: base.hash(),
            master: master.hash(),
            layout: LAYOUT,
            rules: Pact::default_for(NetworkKind::Local).learning,
            sources: Sources { held_out: set(&held_out, 24), hidden: None, general: set(&general, 8) },
            seed: [7; 32],
            deltas: vec![],
        };
        let hash = training.hash();
        let more = [master, base, held_out, general, training];
        blocks.extend(more.into_iter().map(|block| (block.hash(), block)));
        Self { task, model, blocks, lacks, training: hash }
    }

    /// The change that makes the expert better, as `keep` changes it.
    fn delta(&self, keep: impl Fn(Matrix, usize, f32) -> f32) -> ExpertDelta {
        let update = |matrix: Matrix| {
            let lacks = self.lacks[matrix as usize].iter().enumerate();
            let change: Vec<f32> = lacks.map(|(at, value)| keep(matrix, at, *value)).collect();
            Update::Dense(Dense::quantise(&change, shape_of(matrix, SHAPE)).unwrap())
        };
        ExpertDelta::new(SHAPE, Matrix::ALL.map(update)).unwrap()
    }

    fn master(&self) -> Master {
        Master::new(self.blocks[&self.task.master].clone(), SHAPE).unwrap()
    }

    /// What its author says of a delta, truly.
    fn header(&mut self, delta: &ExpertDelta) -> DeltaHeader {
        let block = delta.to_block(&LEARNER).unwrap().into_block().unwrap();
        let serving = fold(&self.master(), &[(delta, WHOLE)]).unwrap().serving.hash();
        let number = self.task.deltas.len() as u32;
        let data = ItemRange { block: self.training, first: number * 5, count: 5 };
        let (size, codec) = (block.header().data_len as u32, delta.codec());
        let header =
            DeltaHeader { base: self.task.base, block: block.hash(), serving, size, codec, manifest: [0; 32], data };
        self.blocks.insert(block.hash(), block);
        header
    }

    pub(crate) fn submit(&mut self, header: DeltaHeader) {
        self.task.deltas.push(DeltaInfo { learner: LEARNER, header });
        self.task.layout.deltas += 1;
    }

    /// The whole change.
    pub(crate) fn good(&mut self) -> DeltaHeader {
        let delta = self.delta(|_, _, value| value);
        self.header(&delta)
    }

    /// The change of some columns.
    pub(crate) fn part(&mut self) -> DeltaHeader {
        let delta = self.delta(|_, at, value| if at % 5 < 3 { value } else { 0.0 });
        self.header(&delta)
    }

    /// The whole change but for the smallest of it, in another codec.
    fn copy(&mut self) -> DeltaHeader {
        let update = |matrix: Matrix| {
            let shape = shape_of(matrix, SHAPE);
            Update::Sparse(Sparse::select(&self.lacks[matrix as usize], shape, 6, 48).unwrap())
        };
        let delta = ExpertDelta::new(SHAPE, Matrix::ALL.map(update)).unwrap();
        self.header(&delta)
    }

    /// The opposite.
    fn harmful(&mut self) -> DeltaHeader {
        let noise = noise::matrix(5, 128 * 64, 1.0);
        let delta = self.delta(|_, at, value| noise[at] - value);
        self.header(&delta)
    }

    /// A round with a delta of each kind.
    pub(crate) fn mixed() -> Self {
        let mut lab = Self::new();
        let good = lab.good();
        lab.submit(good);
        let harmful = lab.harmful();
        lab.submit(harmful);
        let mut lying = lab.part();
        lying.serving = ContentHash([3; 32]);
        lab.submit(lying);
        let copy = lab.copy();
        lab.submit(copy);
        let part = lab.part();
        lab.submit(part);
        lab
    }

    pub(crate) fn evaluation(&self) -> Result<Evaluation<'_>, EvaluateError> {
        Evaluation::new(self.task.clone(), self.model.clone(), &self.blocks, &mut |_| (), &|| false)
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let mut cache = ScoreCache::in_memory();
        self.evaluation().unwrap().run(&config(2, 64), &mut cache, &mut |_| (), &|| false).unwrap()
    }
}

fn config(threads: usize, pass_tokens: usize) -> EngineConfig {
    EngineConfig { threads, cpu: None, pass_tokens }
}

#[test]
fn each_delta_is_found_to_be_what_it_is() {
    let lab = Lab::mixed();
    let evaluation = lab.evaluation().unwrap();
    let findings: Vec<Finding> = evaluation.deltas().iter().map(CheckedDelta::finding).collect();
    assert_eq!(findings, [Finding::Sound, Finding::Sound, Finding::Malformed, Finding::Copy(0), Finding::Sound]);
    assert!(matches!(evaluation.deltas()[2].fault(), Some(Fault::Serving { .. })));
    assert!(evaluation.deltas()[0].fault().is_none());

    let outcome = lab.outcome();
    let Task { layout, rules, .. } = &lab.task;
    let judged: Vec<_> = outcome.reveal.deltas.iter().map(|delta| delta.judge(layout, rules)).collect();
    let expected = [Ok(()), Err(Refusal::NoGain), Err(Refusal::Malformed), Err(Refusal::Copied), Ok(())];
    assert_eq!(judged, expected, "{:?}", outcome.reveal);
    let weights = outcome.reveal.weights(layout, rules);
    assert!(weights[0] > weights[4] && weights[4] > 0 && weights[1..4] == [0; 3], "{weights:?}");
    let candidate = outcome.verdict.unwrap();
    assert_eq!(Some(candidate), outcome.reveal.candidate);
    let blocks = outcome.candidate.unwrap();
    assert_eq!((candidate.master, candidate.serving), (blocks.master.hash(), blocks.serving.hash()));
    // Whoever publishes gets the same.
    let merged: Vec<ExpertDelta> = [0, 4]
        .map(|index: usize| {
            ExpertDelta::of(&lab.task.deltas[index], &lab.blocks[&lab.task.deltas[index].header.block], SHAPE).unwrap()
        })
        .into();
    let again = fold(&lab.master(), &[(&merged[0], weights[0]), (&merged[1], weights[4])]).unwrap();
    assert_eq!(again.serving.hash(), candidate.serving);
}

/// The score of a cell, out of the trace of its item and of the model with everything loaded anew.
fn traced(lab: &Lab, outcome: &Outcome, place: u32) -> u64 {
    let Task { layout, sources, seed, deltas, .. } = &lab.task;
    let Cell { target, set, item } = layout.cell(place).unwrap();
    let own: Vec<ItemRange> = deltas.iter().map(|delta| delta.header.data).collect();
    let item = sources.items(layout, seed, &own, set)[item as usize];
    let all = lab.blocks[&item.block].tensor("tokens").unwrap().u32().unwrap();
    let tokens = &all[(item.index * (POSITIONS + 1)) as usize..][..POSITIONS as usize + 1];
    let block = match target {
        Target::Base => lab.blocks[&lab.task.base].clone(),
        Target::Candidate => outcome.candidate.clone().unwrap().serving,
        Target::Delta(number) => {
            let header = &deltas[number as usize].header;
            let (delta, _) = ExpertDelta::read(&lab.blocks[&header.block], SHAPE).unwrap();
            let serving = fold(&lab.master(), &[(&delta, WHOLE)]).unwrap().serving;
            if serving.hash() != header.serving {
                return 0;
            }
            serving.into_block().unwrap()
        },
    };
    Recorded::new(&lab.model.with_expert(0, 1, &block).unwrap(), tokens, 2).unwrap().loss()
}

#[test]
fn scores_are_those_of_traces_in_the_cells_of_the_layout() {
    let lab = Lab::mixed();
    let outcome = lab.outcome();
    assert_eq!(outcome.scores.0.len() as u32, lab.task.layout.all());
    for place in
        (0..lab.task.layout.all()).step_by(5).chain(lab.task.layout.cells(Target::Delta(2), Set::Trial).unwrap())
    {
        assert_eq!(outcome.scores.0[place as usize], traced(&lab, &outcome, place), "cell {place}");
    }
}

#[test]
fn all_evaluators_find_the_same() {
    let lab = Lab::mixed();
    let outcome = lab.outcome();
    let evaluation = lab.evaluation().unwrap();
    for config in [config(1, 5), config(3, 128)] {
        let mut cache = ScoreCache::in_memory();
        let other = evaluation.run(&config, &mut cache, &mut |_| (), &|| false).unwrap();
        assert_eq!((&other.reveal, &other.scores), (&outcome.reveal, &outcome.scores));
    }
    assert_ne!(outcome.commitment(1, b"one", &[0; 32]), outcome.commitment(1, b"other", &[0; 32]));
    let expected = pol::commitment(1, b"one", &[5; 32], &outcome.reveal.hash());
    assert_eq!(outcome.commitment(1, b"one", &[5; 32]), expected);
}

#[test]
fn an_evaluation_goes_on_where_it_was() {
    let lab = Lab::mixed();
    let (expected, evaluation) = (lab.outcome(), lab.evaluation().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores");
    let asked = Shared::new(0u32);
    let is_cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 20
    };
    let (mut runs, mut total) = (0, 0);
    let outcome = loop {
        let mut cache = ScoreCache::open(&path).unwrap();
        asked.set(0);
        let before = cache.len();
        let mut last = Progress { stage: Stage::Cells, done: 0, total: 0 };
        let found = evaluation.run(
            &config(2, 64),
            &mut cache,
            &mut |progress| {
                assert!(progress.done == last.done + 1 && progress.done <= progress.total);
                last = progress;
            },
            &is_cancelled,
        );
        (runs, total) = (runs + 1, total + cache.len() - before);
        match found {
            Err(EvaluateError::Cancelled) => assert!(cache.len() - before > 10),
            Ok(outcome) => {
                assert_eq!((last.done, last.stage), (last.total, Stage::Cells));
                break outcome;
            },
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(outcome.reveal, expected.reveal);
    // Nothing was measured twice, and what was measured is in the file.
    assert!(runs > 5, "{runs}");
    assert_eq!(ScoreCache::open(&path).unwrap().len(), total);
    // Without anything left to measure, nothing is.
    let mut cache = ScoreCache::open(&path).unwrap();
    let again = evaluation.run(&config(1, 64), &mut cache, &mut |_| (), &|| true).unwrap();
    assert_eq!(again.scores, expected.scores);
    assert!(fs::metadata(&path).unwrap().len() < 20_000);
}

#[test]
fn where_nothing_is_merged_there_is_no_candidate() {
    let mut lab = Lab::new();
    let harmful = lab.harmful();
    lab.submit(harmful);
    let outcome = lab.outcome();
    assert!(outcome.candidate.is_none() && outcome.reveal.candidate.is_none());
    assert_eq!(outcome.verdict, Err(Refusal::NothingMerged));
    assert_eq!(outcome.scores.0.len() as u32, lab.task.layout.without_candidate());
    // The base is measured on final items all the same.
    let cells = lab.task.layout.cells(Target::Base, Set::Final).unwrap();
    assert!(outcome.scores.0[cells.start as usize..cells.end as usize].iter().all(|score| *score > 0));
    let mut last = Progress { stage: Stage::Deltas, done: 0, total: 0 };
    let evaluation = lab.evaluation().unwrap();
    evaluation.run(&config(1, 64), &mut ScoreCache::in_memory(), &mut |progress| last = progress, &|| false).unwrap();
    assert_eq!(last.done, last.total);
}

#[test]
fn withheld_deltas_are_left_out() {
    let all = Lab::mixed();
    let mut some = Lab::mixed();
    some.task.deltas.remove(0);
    some.task.layout.deltas -= 1;
    // Its block is not there, and nobody asks for it.
    some.blocks.remove(&all.task.deltas[0].header.block);
    let evaluation = some.evaluation().unwrap();
    let findings: Vec<Finding> = evaluation.deltas().iter().map(CheckedDelta::finding).collect();
    // What was a copy of it is none of anything that is there.
    assert_eq!(findings, [Finding::Sound, Finding::Malformed, Finding::Sound, Finding::Sound]);
    some.blocks.remove(&all.task.deltas[1].header.block);
    assert!(
        matches!(some.evaluation(), Err(EvaluateError::NotAtHand(hash)) if hash == all.task.deltas[1].header.block)
    );
}

#[test]
fn malformed_deltas_are_found_whatever_is_wrong_with_them() {
    let mut lab = Lab::new();
    let good = lab.good();
    let bytes = |name: &str| vec![7u8; if name == "up" { 30 } else { 20 }];
    let mut garbage = BlockBuilder::new(BlockKind::Delta, Form::Master, Quantisation::None);
    for name in ["gate", "up", "down"] {
        garbage.tensor(name, DType::U8, TensorLayout::RowMajor, &[bytes(name).len() as u32], bytes(name)).unwrap();
    }
    let garbage = garbage.finish().unwrap().into_block().unwrap();
    let items = lab.task.sources.general[0].block;
    let huge = {
        let update = |matrix| {
            let Shape { rows, k } = shape_of(matrix, SHAPE);
            Update::Dense(Dense::quantise(&vec![1e38; rows * k], Shape { rows, k }).unwrap())
        };
        ExpertDelta::new(SHAPE, Matrix::ALL.map(update)).unwrap().to_block(&LEARNER).unwrap().into_block().unwrap()
    };
    let sized = |block: &VerifiedBlock| DeltaHeader {
        block: block.hash(),
        size: block.header().data_len as u32,
        ..good.clone()
    };
    let [of_garbage, of_items, of_huge] = [&garbage, &lab.blocks[&items], &huge].map(sized);
    for block in [garbage, huge] {
        lab.blocks.insert(block.hash(), block);
    }
    for bad in [
        DeltaHeader { base: ContentHash([1; 32]), ..good.clone() },
        DeltaHeader { serving: lab.task.base, ..good.clone() },
        DeltaHeader { size: good.size + 1, ..good.clone() },
        DeltaHeader { codec: Codec::LowRank, ..good.clone() },
        of_garbage,
        of_items,
        of_huge,
    ] {
        lab.submit(bad);
    }
    let evaluation = lab.evaluation().unwrap();
    let faults: Vec<&Fault> = evaluation.deltas().iter().map(|delta| delta.fault().unwrap()).collect();
    assert!(evaluation.deltas().iter().all(|delta| delta.finding() == Finding::Malformed));
    assert!(matches!(faults[0], Fault::Base { .. }));
    assert!(matches!(faults[1], Fault::Serving { .. }));
    assert!(faults[2..6].iter().all(|fault| matches!(fault, Fault::Block(_))), "{faults:?}");
    assert!(matches!(faults[6], Fault::Fold(FoldError::TooLarge { .. })));
    // Their cells are zero.
    let outcome = lab.outcome();
    for delta in 0..7 {
        for set in [Set::Trial, Set::General, Set::Own(delta)] {
            let cells = lab.task.layout.cells(Target::Delta(delta), set).unwrap();
            assert!(outcome.scores.0[cells.start as usize..cells.end as usize].iter().all(|score| *score == 0));
        }
    }
}

#[test]
fn what_contradicts_the_chain_is_refused() {
    let refused = |change: fn(&mut Lab)| {
        let mut lab = Lab::new();
        let good = lab.good();
        lab.submit(good);
        change(&mut lab);
        lab.evaluation().map(|_| ()).unwrap_err()
    };
    assert!(matches!(refused(|lab| lab.task.layout.deltas = 2), EvaluateError::Layout { deltas: 1 }));
    assert!(matches!(refused(|lab| lab.task.layout.trial = 1), EvaluateError::Layout { .. }));
    assert!(matches!(refused(|lab| lab.task.slot.index = 9), EvaluateError::OtherHead { found: None, .. }));
    assert!(matches!(refused(|lab| lab.task.slot.layer = 1), EvaluateError::OtherHead { found: Some(_), .. }));
    assert!(matches!(refused(|lab| lab.task.master = lab.task.base), EvaluateError::Master(ExpertError::Kind { .. })));
    let refusal = refused(|lab| {
        let [master, _] = blocks_of(SHAPE, Matrix::ALL.map(|_| vec![0.5; 128 * 64]));
        lab.task.master = master.hash();
        lab.blocks.insert(master.hash(), master);
    });
    assert!(matches!(refusal, EvaluateError::OtherMaster { .. }));
    assert!(matches!(refused(|lab| lab.task.layout.last = 15), EvaluateError::TooFewItems { set: Set::Final, .. }));
    assert!(matches!(
        refused(|lab| lab.task.deltas[0].header.data.count = 3),
        EvaluateError::TooFewItems { set: Set::Own(0), .. }
    ));
    assert!(matches!(refused(|lab| lab.task.deltas[0].header.data.first = 38), EvaluateError::NoItem(_)));
    assert!(matches!(refused(|lab| lab.task.layout.positions = 9), EvaluateError::ItemLength { expected: 10, .. }));
    assert!(matches!(refused(|lab| lab.task.deltas[0].header.data.block = lab.task.base), EvaluateError::Items(_)));
    assert!(matches!(refused(|lab| lab.task.layout.positions = 257), EvaluateError::Positions(257)));
    let refusal = refused(|lab| {
        let mut foreign = vec![vec![1; POSITIONS as usize + 1]; 8];
        foreign[3][POSITIONS as usize] = lab.model.spec().dimensions.vocab;
        let block = items::write(&foreign, POSITIONS + 1).unwrap().into_block().unwrap();
        lab.task.sources.general = vec![ItemBlock { block: block.hash(), items: 8 }].try_into().unwrap();
        lab.task.layout.general = 8;
        lab.blocks.insert(block.hash(), block);
    });
    assert!(matches!(refusal, EvaluateError::UnknownToken(Item { index: 3, .. })), "{refusal}");
    let general = |lab: &Lab| lab.task.sources.general[0].block;
    assert!(matches!(refused(|lab| lab.blocks.clear()), EvaluateError::NotAtHand(_)));
    let mut lab = Lab::mixed();
    let hash = general(&lab);
    lab.blocks.remove(&hash);
    assert!(matches!(lab.evaluation(), Err(EvaluateError::NotAtHand(missing)) if missing == hash));
    let cancelled =
        Evaluation::new(Lab::mixed().task, lab.model.clone(), &Lab::mixed().blocks, &mut |_| (), &|| true).map(|_| ());
    assert!(matches!(cancelled, Err(EvaluateError::Cancelled)));
}
