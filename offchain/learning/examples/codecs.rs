//! Measures what each codec keeps of what was trained, and whether gains add up, fold after fold.
//!
//! ```text
//! codecs MODEL.gguf FOLDER [--prefix cj] [--held-out 24] [--windows 48] [--slot 29/2] [--steps 20] [--folds 5]
//! ```
//!
//! Texts are taken from `FOLDER` as in `gain`. The slot's expert is trained twice from its master, every weight and in low rank,
//! and each codec gets what was trained. Ratios are to the change of the whole expert in f32. Gains are in nats a token, of
//! canonical execution on the serving form of the master with the change that was encoded and decoded again, over held-out
//! windows of 256 tokens. How much is kept is relative to the same gain of what was trained without a codec's rounding, and of
//! the dense change that training of every weight gave; its standard error is that of the difference, window by window. Times
//! are the best of three, for the whole expert on one thread: from the change to bytes, and from bytes to the changed master.
//!
//! Then five learners, each with texts of its own, train one after the other: each starts from the master with the changes of
//! those before it. What is to be kept is the sum of what each gained in its f32 graph, before a codec's rounding and
//! without that of the serving form.

mod support;

use blyan_learning::{
    delta::{DeltaError, Dense, Factors, LowRank, Shape, Sparse, Update},
    train::{Change, DataSet, Device, Manifest, Method, Settings, Trained, Trainer},
};
use blyan_model::exec::Model;
use blyan_primitives::{hash::blake2_256, ids::SlotId, spec::F32Bits};
use std::{env, fmt, time::Instant};
use support::{Corpus, Difference, Expert, Fallible, Genesis, canonical, dense, mean};

const USAGE: &str = "usage: codecs MODEL.gguf FOLDER [--prefix P] [--held-out N] [--windows N] [--slot LAYER/INDEX] [--steps N] [--folds N]";
/// Times that are measured, of which the least counts.
const ROUNDS: u32 = 3;
/// Components where a product of thin matrices is trained.
const RANK: usize = 8;
/// Steps of a factor on either side of zero, where learners fold one after the other.
const LEVELS: u8 = 127;
/// Learning rate where every weight is trained.
const FULL_RATE: f32 = 1e-3;

/// A codec and its parameters.
#[derive(Clone, Copy)]
enum Setting {
    Dense,
    LowRank { rank: usize, levels: u8 },
    Sparse { chunk_log2: u8, keep: u16 },
}

impl Setting {
    /// For a change of every weight.
    const FULL: [Self; 10] = [
        Self::Dense,
        Self::Sparse { chunk_log2: 12, keep: 1024 },
        Self::Sparse { chunk_log2: 12, keep: 256 },
        Self::Sparse { chunk_log2: 12, keep: 64 },
        Self::LowRank { rank: 32, levels: 127 },
        Self::LowRank { rank: 8, levels: 127 },
        Self::LowRank { rank: 32, levels: 7 },
        Self::LowRank { rank: 16, levels: 15 },
        Self::LowRank { rank: 16, levels: 7 },
        Self::LowRank { rank: 8, levels: 15 },
    ];
    /// For one in low rank.
    const FACTORS: [Self; 5] = [
        Self::Dense,
        Self::LowRank { rank: RANK, levels: 127 },
        Self::LowRank { rank: RANK, levels: 31 },
        Self::LowRank { rank: RANK, levels: 15 },
        Self::LowRank { rank: RANK, levels: 7 },
    ];

    fn compress(self, change: &Change, shape: Shape) -> Result<Update, DeltaError> {
        match (self, change) {
            (Self::Dense, _) => Dense::quantise(&dense(change, shape), shape).map(Update::Dense),
            (Self::Sparse { chunk_log2, keep }, _) => {
                Sparse::select(&dense(change, shape), shape, chunk_log2, keep).map(Update::Sparse)
            },
            (Self::LowRank { levels, .. }, Change::LowRank(_)) => change.to_update(shape, levels),
            (Self::LowRank { rank, levels }, Change::Full(change)) => {
                LowRank::quantise(&Factors::of(change, shape, rank)?, shape, levels).map(Update::LowRank)
            },
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense => write!(f, "dense, int8"),
            Self::LowRank { rank, levels } => write!(f, "low rank {rank}, ±{levels}"),
            Self::Sparse { chunk_log2, keep } => write!(f, "sparse, {keep} of {}", 1u32 << chunk_log2),
        }
    }
}

/// What does not change between runs.
struct Bench {
    genesis: Genesis,
    slot: SlotId,
    separator: u32,
    steps: u32,
    corpus: Corpus,
    /// Names the texts in manifests.
    root: [u8; 32],
}

/// A finished run.
struct Run {
    trained: Trained,
    seconds: f64,
    /// Held-out losses of the graph, before and after.
    losses: [Vec<f64>; 2],
}

impl Bench {
    /// Trains the slot's expert, whose forms these are, on some of the texts.
    fn train(&self, expert: &Expert, items: Vec<u32>, method: Method) -> Fallible<Run> {
        let model = Model::load(self.genesis.with_expert(self.slot, expert.serving()?))?;
        let master = expert.master()?;
        let documents: Vec<_> = items.iter().map(|item| self.corpus.documents[*item as usize].clone()).collect();
        let mut settings = Settings { method, ..Settings::new(self.steps, self.separator) };
        if method == Method::Full {
            settings.learning_rate = F32Bits::new(FULL_RATE);
        }
        let manifest = Manifest {
            slot: self.slot,
            base: model.block_of(self.slot.layer, self.slot.index).ok_or("the model has no such slot")?,
            master: Some(master.hash()),
            weights: model.weights_id(),
            data: vec![DataSet { root: self.root, items }],
            seed: 0,
            settings,
        };
        let mut trainer = Trainer::new(&model, Some(&master), manifest, &documents, &Device::Cpu)?;
        let losses = |trainer: &Trainer| {
            self.corpus.windows.iter().map(|window| trainer.loss_of(window)).collect::<Result<Vec<_>, _>>()
        };
        let before = losses(&trainer)?;
        let started = Instant::now();
        trainer.run(&mut |_| (), &|| false)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Run { trained: trainer.trained()?, seconds, losses: [before, losses(&trainer)?] })
    }

    /// Held-out losses of canonical execution with an expert in the slot.
    fn canonical(&self, expert: &Expert) -> Fallible<Vec<f64>> {
        canonical(Model::load(self.genesis.with_expert(self.slot, expert.serving()?))?, &self.corpus.windows)
    }
}

/// The part of one gain that another is, in percent, and its standard error.
fn kept(before: &[f64], whole: &[f64], part: &[f64]) -> String {
    let gain = Difference::new(before, whole).mean;
    let lost = Difference::new(whole, part);
    format!("{:.1} ± {:.1} %", 100.0 * (1.0 + lost.mean / gain), 100.0 * (lost.error / gain).abs())
}

/// The least time of a few, in milliseconds, and what was made the last time.
fn timed<T>(mut make: impl FnMut() -> Fallible<T>) -> Fallible<(f64, T)> {
    let mut least = f64::INFINITY;
    let mut made = None;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        made = Some(make()?);
        least = least.min(1e3 * started.elapsed().as_secs_f64());
    }
    Ok((least, made.ok_or("nothing was made")?))
}

/// Prints what each codec keeps.
fn codecs(bench: &Bench, base: &Expert, before: &[f64]) -> Fallible<()> {
    println!("| trained | codec | bytes | ratio | encode, ms | decode, ms | gain | kept | of the dense change's |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let bytes: usize = base.shapes.iter().map(|shape| 4 * shape.rows * shape.k).sum();
    let all = (0..bench.corpus.documents.len() as u32).collect::<Vec<_>>();
    let mut dense_after = Vec::new();
    let full = ("every weight", Method::Full, &Setting::FULL[..]);
    let factors = ("low rank", Method::LowRank { rank: RANK as u8 }, &Setting::FACTORS[..]);
    for (name, method, settings) in [full, factors] {
        let Run { trained, seconds, losses: [start, end] } = bench.train(base, all.clone(), method)?;
        eprintln!("{name}: {seconds:.0} s, {}", Difference::new(&start, &end));
        let changes = trained.expert.into_array();
        let exact = [0, 1, 2].map(|matrix| dense(&changes[matrix], base.shapes[matrix]));
        let mut expert = base.clone();
        expert.add_exactly(&exact);
        let after = bench.canonical(&expert)?;
        if dense_after.is_empty() {
            dense_after.clone_from(&after);
        }
        let gain = |after: &[f64]| {
            let Difference { mean, error, .. } = Difference::new(before, after);
            format!("{mean:+.4} ± {error:.4}")
        };
        let of_dense = kept(before, &dense_after, &after);
        println!("| {name} | none, f32 | {bytes} | 1 | | | {} | | {of_dense} |", gain(&after));
        for setting in settings {
            let pairs = || changes.iter().zip(base.shapes);
            let (encode, encoded) = timed(|| {
                Ok(pairs()
                    .map(|(c, s)| Ok(setting.compress(c, s)?.encode()))
                    .collect::<Result<Vec<_>, DeltaError>>()?)
            })?;
            let (decode, expert) = timed(|| {
                let mut expert = base.clone();
                for ((bytes, shape), weights) in encoded.iter().zip(base.shapes).zip(&mut expert.weights) {
                    Update::decode(bytes, shape)?.add_to(weights)?;
                }
                Ok(expert)
            })?;
            let coded = bench.canonical(&expert)?;
            let size: usize = encoded.iter().map(Vec::len).sum();
            println!(
                "| {name} | {setting} | {size} | {:.1} | {encode:.0} | {decode:.0} | {} | {} | {} |",
                bytes as f64 / size as f64,
                gain(&coded),
                kept(before, &after, &coded),
                kept(before, &dense_after, &coded),
            );
        }
    }
    Ok(())
}

/// Prints what is left of the gains of some learners that train one after the other.
fn folds(bench: &Bench, base: &Expert, before: &[f64], count: u32) -> Fallible<()> {
    println!("| learner | gain of its own | sum of these | canonical gain so far | kept |");
    println!("|---|---|---|---|---|");
    let mut expert = base.clone();
    // What would be left if there were no master.
    let mut rounded = base.clone();
    rounded.round()?;
    let mut sum = 0.0;
    for learner in 0..count {
        let items = (learner..bench.corpus.documents.len() as u32).step_by(count as usize).collect();
        let run = bench.train(&expert, items, Method::LowRank { rank: RANK as u8 })?;
        let [start, end] = run.losses;
        let own = Difference::new(&start, &end);
        sum += own.mean;
        let updates = run.trained.to_updates(LEVELS)?;
        expert.add(&updates)?;
        rounded.add(&updates)?;
        rounded.round()?;
        let so_far = Difference::new(before, &bench.canonical(&expert)?);
        println!(
            "| {} | {:+.4} ± {:.4} | {sum:+.4} | {:+.4} ± {:.4} | {:.1} % |",
            learner + 1,
            own.mean,
            own.error,
            so_far.mean,
            so_far.error,
            100.0 * so_far.mean / sum,
        );
    }
    let without = Difference::new(before, &bench.canonical(&rounded)?);
    println!("without a master, each folded into the int8 form: {without}, {:.1} % kept", 100.0 * without.mean / sum);
    Ok(())
}

fn main() -> Fallible<()> {
    let (mut prefix, mut held_out, mut windows) = (String::new(), 24, 48);
    let (mut steps, mut count, mut layer, mut index) = (20, 5, 29, 2);
    let mut places = Vec::new();
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        match arg.as_str() {
            "--prefix" => prefix = value()?,
            "--held-out" => held_out = value()?.parse()?,
            "--windows" => windows = value()?.parse()?,
            "--steps" => steps = value()?.parse()?,
            "--folds" => count = value()?.parse()?,
            "--slot" => {
                let slot = value()?;
                let (of, at) = slot.split_once('/').ok_or(USAGE)?;
                (layer, index) = (of.parse()?, at.parse()?);
            },
            _ => places.push(arg),
        }
    }
    let [model, folder] = places.as_slice() else { return Err(USAGE.into()) };

    let folder_of_blocks = tempfile::tempdir()?;
    let genesis = Genesis::import(model.as_ref(), folder_of_blocks.path())?;
    let text = genesis.text()?;
    let separator = text.generation().eos.ok_or("the tokenizer has no end of text")?;
    let corpus = Corpus::read(folder.as_ref(), &prefix, &text, held_out, windows)?;
    let base = Model::load(genesis.blocks())?;
    let slot = SlotId { lineage: base.spec_id(), layer, index };
    let head = base.block_of(layer, index).ok_or("the model has no such slot")?;
    let d = &base.spec().dimensions;
    let wide = Shape { rows: d.ffn as usize, k: d.hidden as usize };
    let shapes = [wide, wide, Shape { rows: wide.k, k: wide.rows }];
    let expert = Expert::from_master(genesis.master(&head)?, shapes)?;
    let before = canonical(base, &corpus.windows)?;
    println!("slot {layer}/{index}, {} held-out windows: {:.4} nats a token\n", before.len(), mean(&before));
    let bench = Bench { genesis, slot, separator, steps, corpus, root: blake2_256(folder.as_bytes()) };
    codecs(&bench, &expert, &before)?;
    if count > 0 {
        println!();
        folds(&bench, &expert, &before, count)?;
    }
    Ok(())
}
