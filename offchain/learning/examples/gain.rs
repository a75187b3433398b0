//! Measures what training one slot gains on texts that it has not seen.
//!
//! ```text
//! gain MODEL.gguf FOLDER [--prefix cj] [--held-out 24] [--windows 48] [--canonical] [RUN…]
//! RUN: layer=20,index=0,rank=8,rate=0.002,steps=100,batch=2,at=20+50,router=0.001,balance=0.01,bias=0.1,seed=0
//! ```
//!
//! `FOLDER` has a text in each file whose name starts with the prefix; texts of the Brown corpus, words with their tags, are
//! turned into plain ones. The last texts in the order of their names are held out. Rank 0 trains every weight. Losses are
//! in nats a token over windows of 256 tokens, of as many held-out texts as there are; what is printed is the mean of the
//! differences to the untrained model over these windows, and its standard error: of the graph in f32 after as many steps as
//! `at` says and after the last, and then of canonical execution on the serving form of what was trained. Without a run it
//! prints which part of the training texts' tokens each expert of each layer gets.

use blyan_learning::{
    delta::Shape,
    train::{
        Change, DataSet, Device, Manifest, Method, Progress, RouterSettings, Settings, Trained, Trainer, expert_shares,
    },
};
use blyan_model::{
    chat::TextProcessor,
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    import::{ImportOptions, import_gguf},
};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    genesis::GenesisModel,
    hash::blake2_256,
    ids::{ContentHash, SlotId},
    spec::{F32Bits, Name},
};
use blyan_tensorblock::{
    Block, BlockBuilder, UnwrittenBlock, VerifiedBlock, default_threads,
    quant::{pack_rows16k4, quantise_rows},
};
use std::{cell::Cell, collections::BTreeMap, env, error::Error, fs, path::Path, sync::Arc, time::Instant};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Tokens of a window that something is predicted from.
const WINDOW: usize = 256;
const USAGE: &str = "usage: gain MODEL.gguf FOLDER [--prefix P] [--held-out N] [--windows N] [--canonical] [RUN…]";

/// What to train, and when to look at it.
struct Run {
    layer: u16,
    index: u16,
    seed: u64,
    settings: Settings,
    at: Vec<u32>,
}

impl Run {
    fn parse(text: &str, separator: u32) -> Fallible<Self> {
        let settings = Settings::new(100, separator);
        let mut run = Self { layer: 20, index: 0, seed: 0, settings, at: Vec::new() };
        let (mut router, mut balance, mut bias) = (0f32, 0f32, 0f32);
        for pair in text.split(',') {
            let (name, value) = pair.split_once('=').ok_or(USAGE)?;
            let settings = &mut run.settings;
            match name {
                "layer" => run.layer = value.parse()?,
                "index" => run.index = value.parse()?,
                "seed" => run.seed = value.parse()?,
                "rank" => {
                    let rank = value.parse()?;
                    settings.method = if rank == 0 { Method::Full } else { Method::LowRank { rank } };
                },
                "rate" => settings.learning_rate = F32Bits::new(value.parse()?),
                "steps" => settings.steps = value.parse()?,
                "batch" => settings.batch = value.parse()?,
                "router" => router = value.parse()?,
                "balance" => balance = value.parse()?,
                "bias" => bias = value.parse()?,
                "at" => run.at = value.split('+').map(str::parse).collect::<Result<_, _>>()?,
                _ => return Err(format!("a run has no '{name}'; {USAGE}").into()),
            }
        }
        let [learning_rate, balance, bias] = [router, balance, bias].map(F32Bits::new);
        run.settings.router = (router > 0.0).then_some(RouterSettings { learning_rate, balance, bias });
        run.at.retain(|step| *step < run.settings.steps);
        run.at.push(run.settings.steps);
        Ok(run)
    }
}

/// The genesis model and its blocks.
struct Genesis {
    genesis: GenesisModel,
    blocks: BTreeMap<ContentHash, VerifiedBlock>,
}

impl Genesis {
    /// Imports a GGUF file into `folder`, masters too, and maps what it made.
    fn import(source: &Path, folder: &Path) -> Fallible<Self> {
        let name = Name::new("smollm2-135m-moe").ok_or("bad name")?;
        let options = ImportOptions { masters: true, ..ImportOptions::new(name) };
        let mut blocks = BTreeMap::new();
        let mut keep = |block: UnwrittenBlock<'static>| {
            let (hash, path) = (block.hash(), folder.join(block.hash().to_string()));
            block.write_file(&path)?;
            blocks.insert(hash, Block::open_as(&path, &hash)?.verify(default_threads())?);
            Ok(())
        };
        let genesis = import_gguf(source, &options, &mut keep, &mut |_| ())?;
        Ok(Self { genesis, blocks })
    }

    fn blocks(&self) -> ModelBlocks {
        let block = |hash: &ContentHash| self.blocks[hash].clone();
        let GenesisModel { spec, heads, .. } = &self.genesis;
        ModelBlocks {
            trunk: block(&spec.trunk),
            router: block(&spec.router),
            experts: heads.iter().map(|layer| layer.iter().map(block).collect()).collect(),
            spec: spec.clone(),
        }
    }

    fn master(&self, head: &ContentHash) -> Fallible<&VerifiedBlock> {
        let record = self.genesis.blocks.get(head).ok_or("the head has no record")?;
        let master = record.master.ok_or("the head has no master")?;
        Ok(self.blocks.get(&master).ok_or("the master is not there")?)
    }

    /// The model with what was trained in it, in serving form.
    fn with(&self, slot: SlotId, trained: &Trained) -> Fallible<Model> {
        let mut blocks = self.blocks();
        let (layer, index) = (usize::from(slot.layer), usize::from(slot.index));
        let master = self.master(&blocks.experts[layer][index].hash())?;
        let mut serving = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
        for ((name, change), (_, shape)) in trained.expert.as_ref().named().into_iter().zip(trained.shapes.named()) {
            let mut weights = master.tensor(name)?.f32()?.to_vec();
            add(change, shape, &mut weights)?;
            let rows = quantise_rows(&weights, shape.rows, shape.k)?;
            let packed = pack_rows16k4(&rows.values, shape.rows, shape.k)?;
            let dims = [shape.rows as u32, shape.k as u32];
            serving.tensor(name, DType::Int8, Layout::Rows16K4, &dims, packed)?;
            serving.tensor(&format!("{name}.scale"), DType::F32, Layout::RowMajor, &dims[..1], rows.scales)?;
        }
        blocks.experts[layer][index] = serving.finish()?.into_block()?;
        if let Some(change) = &trained.router {
            blocks.router = with_row(&blocks.router, blocks.spec.dimensions.layers, slot, change)?;
            blocks.spec.router = blocks.router.hash();
        }
        Ok(Model::load(blocks)?)
    }
}

/// Adds a change as it would be sent: low-rank factors as int8.
fn add(change: &Change, shape: Shape, weights: &mut [f32]) -> Fallible<()> {
    match change {
        Change::LowRank(_) => change.to_update(shape, 127)?.add_to(weights)?,
        Change::Full(change) => weights.iter_mut().zip(change).for_each(|(weight, change)| *weight += change),
    }
    Ok(())
}

/// Routers with a change of one row.
fn with_row(routers: &VerifiedBlock, layers: u16, slot: SlotId, change: &[f32]) -> Fallible<VerifiedBlock> {
    let mut builder = BlockBuilder::new(BlockKind::Router, Form::Serving, Quantisation::None);
    for layer in 0..layers {
        let name = format!("{layer}.router");
        let tensor = routers.tensor(&name)?;
        let mut rows = tensor.f32()?.to_vec();
        if layer == slot.layer {
            let row = rows.chunks_exact_mut(change.len()).nth(slot.index.into()).ok_or("the router lacks the row")?;
            row.iter_mut().zip(change).for_each(|(weight, change)| *weight += change);
        }
        builder.tensor(&name, DType::F32, Layout::RowMajor, &tensor.info.shape, rows)?;
    }
    Ok(builder.finish()?.into_block()?)
}

/// A text of the Brown corpus, whose tokens are words and tags, as a plain one; any other as it is.
fn plain(text: &str) -> String {
    let is_tagged = |token: &str| token.rsplit_once('/').is_some_and(|(word, tag)| !word.is_empty() && !tag.is_empty());
    if !text.split_whitespace().all(is_tagged) {
        return text.into();
    }
    let mut plain = String::new();
    for (word, _) in text.split_whitespace().filter_map(|token| token.rsplit_once('/')) {
        // Quotation marks are written as in TeX; punctuation is a token of its own.
        let word = if matches!(word, "``" | "''") { "\"" } else { word };
        if !plain.is_empty() && !matches!(word, "." | "," | ";" | ":" | "?" | "!") {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain
}

/// Texts as tokens: those to train on, and windows of those that are held out.
struct Corpus {
    documents: Vec<Vec<u32>>,
    windows: Vec<Vec<u32>>,
}

impl Corpus {
    fn read(folder: &Path, prefix: &str, text: &TextProcessor, held_out: usize, windows: usize) -> Fallible<Self> {
        let mut paths: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Fallible<_>>()?;
        paths.retain(|path| {
            path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        });
        paths.sort();
        let mut documents = Vec::new();
        for path in paths {
            documents.push(text.tokenizer().encode(&plain(&fs::read_to_string(path)?))?);
        }
        if documents.len() <= held_out {
            return Err(format!("{} texts are not more than {held_out} to hold out", documents.len()).into());
        }
        let held = documents.split_off(documents.len() - held_out);
        // The first windows of all texts, then the second, until there are enough.
        let longest = held.iter().map(|document| document.len() / (WINDOW + 1)).max().unwrap_or(0);
        let nth = |n: usize| held.iter().filter_map(move |document| document.chunks_exact(WINDOW + 1).nth(n));
        let windows = (0..longest).flat_map(nth).take(windows).map(<[u32]>::to_vec).collect();
        Ok(Self { documents, windows })
    }
}

/// Losses of canonical execution, in nats a token of each window.
fn canonical(model: Model, windows: &[Vec<u32>]) -> Fallible<Vec<f64>> {
    let engine = Engine::new(Arc::new(model), EngineConfig::default())?;
    let mut losses = Vec::new();
    for window in windows {
        let mut sum = 0.0;
        engine.logits(window, 0, &mut |position, logits| {
            if let Some(next) = window.get(position + 1) {
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let total: f64 = logits.iter().map(|logit| f64::from((logit - most).exp())).sum();
                sum += total.ln() - f64::from(logits[*next as usize] - most);
            }
        })?;
        losses.push(sum / (window.len() - 1) as f64);
    }
    Ok(losses)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean of the differences, its standard error, and how many are below zero.
fn compare(before: &[f64], after: &[f64]) -> String {
    let apart: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    let (count, mean) = (apart.len() as f64, mean(&apart));
    let variance = apart.iter().map(|apart| (apart - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt();
    let better = apart.iter().filter(|apart| **apart < 0.0).count();
    format!("{mean:+.4} ± {error:.4} ({:.1} standard errors, {better}/{} better)", mean.abs() / error, apart.len())
}

fn main() -> Fallible<()> {
    let (mut prefix, mut held_out, mut windows, mut is_canonical) = (String::new(), 24, 48, false);
    let (mut places, mut runs) = (Vec::new(), Vec::new());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(USAGE);
        match arg.as_str() {
            "--prefix" => prefix = value()?,
            "--held-out" => held_out = value()?.parse()?,
            "--windows" => windows = value()?.parse()?,
            "--canonical" => is_canonical = true,
            text if text.contains('=') => runs.push(arg),
            _ => places.push(arg),
        }
    }
    let [model, folder] = places.as_slice() else { return Err(USAGE.into()) };

    let blocks = tempfile::tempdir()?;
    let genesis = Genesis::import(model.as_ref(), blocks.path())?;
    let base = Model::load(genesis.blocks())?;
    let text = TextProcessor::from_block(&genesis.blocks[&genesis.genesis.spec.tokenizer])?;
    let separator = text.generation().eos.ok_or("the tokenizer has no end of text")?;
    let Corpus { documents, windows } = Corpus::read(folder.as_ref(), &prefix, &text, held_out, windows)?;
    let tokens: usize = documents.iter().map(Vec::len).sum();
    println!("{} texts of {tokens} tokens to train on, {} held-out windows", documents.len(), windows.len());

    if runs.is_empty() {
        let texts: Vec<Vec<u32>> = documents.iter().filter_map(|d| d.get(..=WINDOW)).map(<[u32]>::to_vec).collect();
        for (layer, shares) in expert_shares(&base, &texts, &Device::Cpu)?.iter().enumerate() {
            let shares: Vec<String> = shares.iter().map(|share| format!("{:3.0} %", 100.0 * share)).collect();
            println!("layer {layer}: {}", shares.join("  "));
        }
    }

    let losses =
        |trainer: &Trainer| windows.iter().map(|window| trainer.loss_of(window)).collect::<Result<Vec<_>, _>>();
    let (mut before, mut canonical_before) = (Vec::new(), Vec::new());
    for text in &runs {
        let Run { layer, index, seed, settings, at } = Run::parse(text, separator)?;
        println!("{text}");
        let slot = SlotId { lineage: base.spec_id(), layer, index };
        let head = base.block_of(layer, index).ok_or("the model has no such slot")?;
        let data = DataSet { root: blake2_256(folder.as_bytes()), items: (0..documents.len() as u32).collect() };
        let master = genesis.master(&head)?;
        let manifest = Manifest {
            slot,
            base: head,
            master: Some(master.hash()),
            weights: base.weights_id(),
            data: vec![data],
            seed,
            settings,
        };
        if before.is_empty() {
            // Of the serving form, which is what is served.
            let serving = Manifest { master: None, ..manifest.clone() };
            before = losses(&Trainer::new(&base, None, serving, &documents, &Device::Cpu)?)?;
            println!("  untrained, f32: {:.4} nats a token", mean(&before));
        }
        let mut trainer = Trainer::new(&base, Some(master), manifest, &documents, &Device::Cpu)?;
        let mut seconds = 0.0;
        for at in at {
            let (taken, mut routed) = (Cell::new(trainer.steps()), Vec::new());
            let mut see = |progress: Progress| {
                taken.set(progress.step);
                routed.push(progress.routed);
            };
            let started = Instant::now();
            trainer.run(&mut see, &|| taken.get() >= at)?;
            seconds += started.elapsed().as_secs_f64();
            let (routed, after) = (100.0 * mean(&routed), losses(&trainer)?);
            println!("  {at} steps, {seconds:.0} s, {routed:.0} % routed, f32: {}", compare(&before, &after));
        }
        if is_canonical {
            if canonical_before.is_empty() {
                canonical_before = canonical(Model::load(genesis.blocks())?, &windows)?;
                println!("  untrained, canonical: {:.4} nats a token", mean(&canonical_before));
            }
            let after = canonical(genesis.with(slot, &trainer.trained()?)?, &windows)?;
            println!("  canonical: {}", compare(&canonical_before, &after));
        }
    }
    Ok(())
}
