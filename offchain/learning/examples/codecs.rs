//! Measures what each codec keeps of what was trained, or whether the gains of learners after one another are kept.
//!
//! ```text
//! codecs MODEL.gguf FOLDER [--prefix cj] [--held-out 24] [--windows 48] [--slot 29/2] [--steps 20] [--rate 0.005]
//! codecs MODEL.gguf FOLDER --genres cj,ce,cp,ca,cg [the same]
//! ```
//!
//! Texts are taken from `FOLDER` as in `gain`. The slot's expert is trained twice from its master, every weight and in low rank,
//! and each codec gets what was trained. Ratios are to the change of the whole expert in f32. Gains are in nats a token, of
//! canonical execution on the serving form of the master with the change that was encoded and decoded again, over held-out
//! windows of 256 tokens. How much is kept is relative to the same gain of what was trained without a codec's rounding, and of
//! the dense change that training of every weight gave; its standard error is that of the difference, window by window. Times
//! are the best of three, for the whole expert on one thread: from the change to bytes, and from bytes to the changed master.
//!
//! With genres, each the prefix of its texts' names, as many learners train one after the other, each on one genre and from the
//! head that those before it have made; each genre has held-out windows of its own. Their deltas are folded as the chain folds
//! them. What is to be kept is the gain of the same changes added in f32 without a codec, and, over all windows, the sum of what
//! each change gained on the head that it was made for, without a codec too. Beside it is what is left where there is no
//! master and each delta is folded into the int8 form, and all of this again with a fifth of every delta, as a merge of five has
//! them.

mod support;

use blyan_learning::{
    block::ExpertDelta,
    delta::{DeltaError, Dense, Factors, LowRank, Shape, Sparse, Update},
    fold::{WHOLE, fold},
    train::{Change, DataSet, Device, Manifest, Method, Settings, Trained, Trainer},
};
use blyan_model::{exec::Model, expert::Master};
use blyan_primitives::{block::ExpertShape, hash::blake2_256, ids::SlotId, spec::F32Bits};
use std::{env, fmt, ops::Range, time::Instant};
use support::{Corpus, Difference, Expert, Fallible, Genesis, canonical, dense, mean, scores};

const USAGE: &str = "usage: codecs MODEL.gguf FOLDER [--prefix P | --genres P,P…] [--held-out N] [--windows N] [--slot LAYER/INDEX] [--steps N] [--rate R]";
/// Times that are measured, of which the least counts.
const ROUNDS: u32 = 3;
/// Components where a product of thin matrices is trained.
const RANK: usize = 8;
/// Steps of a factor on either side of zero, as `blyan train` sends them.
const LEVELS: u8 = 31;
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
    /// Learning rate where low rank is trained.
    rate: f32,
    folder: String,
}

/// Texts whose names begin alike.
struct Genre {
    prefix: String,
    corpus: Corpus,
}

/// A finished run.
struct Run {
    trained: Trained,
    seconds: f64,
    /// Held-out losses of the graph, before and after.
    losses: [Vec<f64>; 2],
}

impl Bench {
    /// Trains the slot's expert, whose forms these are, on texts of a genre.
    fn train(&self, expert: &Expert, Genre { prefix, corpus }: &Genre, method: Method) -> Fallible<Run> {
        let model = Model::load(self.genesis.with_expert(self.slot, expert.serving()?))?;
        let master = expert.master()?;
        let rate = if method == Method::Full { FULL_RATE } else { self.rate };
        let learning_rate = F32Bits::new(rate);
        let items = (0..corpus.documents.len() as u32).collect();
        let manifest = Manifest {
            slot: self.slot,
            base: model.block_of(self.slot.layer, self.slot.index).ok_or("the model has no such slot")?,
            master: Some(master.hash()),
            weights: model.weights_id(),
            data: vec![DataSet { root: blake2_256(format!("{}/{prefix}", self.folder).as_bytes()), items }],
            seed: 0,
            settings: Settings { method, learning_rate, ..Settings::new(self.steps, self.separator) },
        };
        let mut trainer = Trainer::new(&model, Some(&master), manifest, &corpus.documents, &Device::Cpu)?;
        let losses = |trainer: &Trainer| {
            corpus.windows.iter().map(|window| trainer.loss_of(window)).collect::<Result<Vec<_>, _>>()
        };
        let before = losses(&trainer)?;
        let started = Instant::now();
        trainer.run(&mut |_| (), &|| false)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Run { trained: trainer.trained()?, seconds, losses: [before, losses(&trainer)?] })
    }

    /// Losses of canonical execution with an expert in the slot.
    fn canonical(&self, expert: &Expert, windows: &[Vec<u32>]) -> Fallible<Vec<f64>> {
        canonical(Model::load(self.genesis.with_expert(self.slot, expert.serving()?))?, windows)
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
fn codecs(bench: &Bench, base: &Expert, genre: &Genre) -> Fallible<()> {
    let windows = &genre.corpus.windows;
    let before = &bench.canonical(base, windows)?;
    println!("{} held-out windows: {:.4} nats a token\n", before.len(), mean(before));
    println!("| trained | codec | bytes | ratio | encode, ms | decode, ms | gain | kept | of the dense change's |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let bytes: usize = base.shapes.iter().map(|shape| 4 * shape.rows * shape.k).sum();
    let mut dense_after = Vec::new();
    let full = ("every weight", Method::Full, &Setting::FULL[..]);
    let factors = ("low rank", Method::LowRank { rank: RANK as u8 }, &Setting::FACTORS[..]);
    for (name, method, settings) in [full, factors] {
        let Run { trained, seconds, losses: [start, end] } = bench.train(base, genre, method)?;
        eprintln!("{name}: {seconds:.0} s, {}", Difference::new(&start, &end));
        let changes = trained.expert.into_array();
        let exact = [0, 1, 2].map(|matrix| dense(&changes[matrix], base.shapes[matrix]));
        let mut expert = base.clone();
        expert.add_exactly(&exact);
        let after = bench.canonical(&expert, windows)?;
        if dense_after.is_empty() {
            dense_after.clone_from(&after);
        }
        let of_dense = kept(before, &dense_after, &after);
        println!("| {name} | none, f32 | {bytes} | 1 | | | {} | | {of_dense} |", gain(before, &after));
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
            let coded = bench.canonical(&expert, windows)?;
            let size: usize = encoded.iter().map(Vec::len).sum();
            println!(
                "| {name} | {setting} | {size} | {:.1} | {encode:.0} | {decode:.0} | {} | {} | {} |",
                bytes as f64 / size as f64,
                gain(before, &coded),
                kept(before, &after, &coded),
                kept(before, &dense_after, &coded),
            );
        }
    }
    Ok(())
}

/// The change of an expert by weights in parts of 2^16, without a codec's rounding.
fn part_of(changes: &[Vec<f32>; 3], weight: u32) -> [Vec<f32>; 3] {
    let part = weight as f32 / WHOLE as f32;
    changes.each_ref().map(|change| change.iter().map(|change| part * change).collect())
}

/// The expert with a delta in it, as the chain folds it.
fn folded(expert: &Expert, delta: &ExpertDelta, weight: u32) -> Fallible<Expert> {
    let forms = fold(&Master::new(expert.master()?, delta.shape())?, &[(delta, weight)])?;
    Expert::from_master(&forms.master.into_block()?, expert.shapes)
}

/// A change in steps of the int8 form of an expert: its root mean square, and the part of elements that it moves by half a step
/// or more, in percent.
fn in_steps(expert: &Expert, changes: &[Vec<f32>; 3]) -> (f64, f64) {
    let (mut squares, mut moved, mut count) = (0.0, 0usize, 0usize);
    for ((weights, changes), shape) in expert.weights.iter().zip(changes).zip(expert.shapes) {
        for (weights, changes) in weights.chunks_exact(shape.k).zip(changes.chunks_exact(shape.k)) {
            let step = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs())) / 127.0;
            squares += changes.iter().map(|change| f64::from(change / step).powi(2)).sum::<f64>();
            moved += changes.iter().filter(|change| change.abs() >= step / 2.0).count();
            count += changes.len();
        }
    }
    ((squares / count as f64).sqrt(), 100.0 * moved as f64 / count as f64)
}

fn gain(before: &[f64], after: &[f64]) -> String {
    let Difference { mean, error, .. } = Difference::new(before, after);
    format!("{mean:+.4} ± {error:.4}")
}

/// Prints what is left of the gains of learners of one genre each, who train one after the other.
fn folds(bench: &Bench, base: &Expert, genres: &[Genre]) -> Fallible<()> {
    let [wide, ..] = base.shapes;
    let shape = ExpertShape { ffn: wide.rows as u32, hidden: wide.k as u32 };
    let mut head = base.clone();
    // The genesis head, and for each learner the head that it leaves, without a codec and as folded.
    let mut forms = vec![base.serving()?];
    let (mut learned, mut own) = (Vec::new(), Vec::new());
    for genre in genres {
        let Run { trained, seconds, losses } = bench.train(&head, genre, Method::LowRank { rank: RANK as u8 })?;
        eprintln!("{}: {seconds:.0} s", genre.prefix);
        let delta = ExpertDelta::new(shape, trained.to_updates(LEVELS)?)?;
        let changes = trained.expert.into_array();
        let changes = [0, 1, 2].map(|matrix| dense(&changes[matrix], base.shapes[matrix]));
        let mut exact = head.clone();
        exact.add_exactly(&changes);
        own.push((losses, in_steps(&head, &changes)));
        head = folded(&head, &delta, WHOLE)?;
        forms.extend([exact.serving()?, head.serving()?]);
        learned.push((changes, delta));
    }
    let weights = [WHOLE, WHOLE / 5];
    for weight in weights {
        let [mut exact, mut kept, mut rounded] = [(); 3].map(|()| base.clone());
        rounded.round()?;
        for (changes, delta) in &learned {
            exact.add_exactly(&part_of(changes, weight));
            kept = folded(&kept, delta, weight)?;
            rounded = folded(&rounded, delta, weight)?;
            rounded.round()?;
        }
        forms.extend([exact.serving()?, kept.serving()?, rounded.serving()?]);
    }

    let windows: Vec<_> = genres.iter().flat_map(|genre| &genre.corpus.windows).cloned().collect();
    let losses = scores(Model::load(bench.genesis.blocks())?, bench.slot, &forms, &windows)?;
    let (chain, ends) = losses[1..].split_at(2 * genres.len());
    let before = &losses[0];
    println!("{} held-out windows: {:.4} nats a token\n", before.len(), mean(before));

    println!(
        "| texts | gain of its own | RMS, steps | moved | gain on all | sum of these | canonical gain so far | kept |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let (mut head, mut sum) = (before, before.clone());
    for ((genre, (own, (size, moved))), after) in genres.iter().zip(&own).zip(chain.chunks_exact(2)) {
        let [exact, coded] = after else { continue };
        sum.iter_mut().zip(exact.iter().zip(head)).for_each(|(sum, (after, before))| *sum += after - before);
        println!(
            "| {} | {} | {size:.3} | {moved:.1} % | {} | {} | {} | {} |",
            genre.prefix,
            gain(&own[0], &own[1]),
            gain(head, exact),
            gain(before, &sum),
            gain(before, coded),
            kept(before, &sum, coded),
        );
        head = coded;
    }
    for (weight, end) in weights.iter().zip(ends.chunks_exact(3)) {
        let [exact, coded, rounded] = end else { continue };
        println!("\nafter all, {:.3} of each delta:\n", f64::from(*weight) / f64::from(WHOLE));
        println!("| held-out windows | added in f32 | folded | kept | without a master | kept |");
        println!("|---|---|---|---|---|---|");
        let row = |name: &str, at: Range<usize>| {
            let [before, exact, coded, rounded] = [before, exact, coded, rounded].map(|losses| &losses[at.clone()]);
            let of = |coded| format!("{} | {}", gain(before, coded), kept(before, exact, coded));
            println!("| {name} | {} | {} | {} |", gain(before, exact), of(coded), of(rounded));
        };
        let mut first = 0;
        for genre in genres {
            let end = first + genre.corpus.windows.len();
            row(&genre.prefix, first..end);
            first = end;
        }
        row("all", 0..first);
    }
    Ok(())
}

fn main() -> Fallible<()> {
    let (mut prefix, mut genres, mut held_out, mut windows) = (String::new(), String::new(), 24, 48);
    let (mut steps, mut rate, mut layer, mut index) = (20, 5e-3, 29, 2);
    let mut places = Vec::new();
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        match arg.as_str() {
            "--prefix" => prefix = value()?,
            "--genres" => genres = value()?,
            "--held-out" => held_out = value()?.parse()?,
            "--windows" => windows = value()?.parse()?,
            "--steps" => steps = value()?.parse()?,
            "--rate" => rate = value()?.parse()?,
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
    let read = |prefix: &str| {
        let corpus = Corpus::read(folder.as_ref(), prefix, &text, held_out, windows)?;
        Fallible::Ok(Genre { prefix: prefix.into(), corpus })
    };
    let base = Model::load(genesis.blocks())?;
    let slot = SlotId { lineage: base.spec_id(), layer, index };
    let head = base.block_of(layer, index).ok_or("the model has no such slot")?;
    let d = &base.spec().dimensions;
    let wide = Shape { rows: d.ffn as usize, k: d.hidden as usize };
    let shapes = [wide, wide, Shape { rows: wide.k, k: wide.rows }];
    let expert = Expert::from_master(genesis.master(&head)?, shapes)?;
    let genres = match genres.as_str() {
        "" => Vec::new(),
        genres => genres.split(',').map(read).collect::<Fallible<Vec<_>>>()?,
    };
    let genre = genres.is_empty().then(|| read(&prefix)).transpose()?;
    let bench = Bench { genesis, slot, separator, steps, rate, folder: folder.clone() };
    print!("slot {layer}/{index}, {steps} steps, learning rate {rate}, ");
    match genre {
        Some(genre) => codecs(&bench, &expert, &genre),
        None => folds(&bench, &expert, &genres),
    }
}
