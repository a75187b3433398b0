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

mod support;

use blyan_learning::train::{
    DataSet, Device, Manifest, Method, Progress, RouterSettings, Settings, Trained, Trainer, expert_shares,
};
use blyan_model::exec::Model;
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    hash::blake2_256,
    ids::SlotId,
    spec::F32Bits,
};
use blyan_tensorblock::{BlockBuilder, VerifiedBlock};
use std::{cell::Cell, env, time::Instant};
use support::{Corpus, Difference, Expert, Fallible, Genesis, WINDOW, canonical, mean};

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

/// The model with what was trained in it, in serving form, as it would be sent: low-rank factors as int8.
fn with(genesis: &Genesis, slot: SlotId, master: &VerifiedBlock, trained: &Trained) -> Fallible<Model> {
    let mut expert = Expert::from_master(master, trained.shapes.into_array())?;
    expert.add(&trained.to_updates(127)?)?;
    let mut blocks = genesis.with_expert(slot, expert.serving()?);
    if let Some(change) = &trained.router {
        blocks.router = with_row(&blocks.router, blocks.spec.dimensions.layers, slot, change)?;
        blocks.spec.router = blocks.router.hash();
    }
    Ok(Model::load(blocks)?)
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
    let text = genesis.text()?;
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
            println!("  {at} steps, {seconds:.0} s, {routed:.0} % routed, f32: {}", Difference::new(&before, &after));
        }
        if is_canonical {
            if canonical_before.is_empty() {
                canonical_before = canonical(Model::load(genesis.blocks())?, &windows)?;
                println!("  untrained, canonical: {:.4} nats a token", mean(&canonical_before));
            }
            let after = canonical(with(&genesis, slot, master, &trainer.trained()?)?, &windows)?;
            println!("  canonical: {}", Difference::new(&canonical_before, &after));
        }
    }
    Ok(())
}
