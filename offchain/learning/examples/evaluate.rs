//! How long an evaluation takes on a real model: `evaluate MODEL.gguf [LAYER [THREADS]]`.
//!
//! Two random deltas of the first expert of a layer are evaluated on random tokens, which costs what real ones cost.

use anyhow::{Context, Result, bail, ensure};
use blyan_learning::{
    block::ExpertDelta,
    delta::{Factors, LowRank, Shape, Update},
    evaluate::{Blocks, Evaluation, Progress, ScoreCache, Stage, Task},
    fold::{WHOLE, fold},
    items,
};
use blyan_model::{
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    expert::{Master, Matrix},
    import::{ImportOptions, import_gguf},
};
use blyan_primitives::{
    block::{BlockKind, ExpertShape, Form},
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaHeader, DeltaInfo, ItemRange},
    pact::{NetworkKind, Pact},
    pol::{ItemBlock, Layout, Sources},
    spec::Name,
};
use blyan_tensorblock::VerifiedBlock;
use std::{env, path::Path, sync::Arc, time::Instant};

const POSITIONS: u32 = 256;
const LAYOUT: Layout = Layout { trial: 3, last: 2, general: 2, own: 2, deltas: 2, positions: POSITIONS };
const TEXTS: u32 = 8;
const LEARNER: [u8; 32] = [1; 32];

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().context("usage: evaluate MODEL.gguf [LAYER [THREADS]]")?;
    let layer: u16 = arguments.next().map_or(Ok(15), |layer| layer.parse())?;
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let (model, master, mut blocks) = import(path.as_ref(), layer)?;
    let base = model.block_of(layer, 0).context("the model has no such layer")?;
    let vocab = model.spec().dimensions.vocab;
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let texts: Vec<Vec<u32>> = (0..TEXTS).map(|_| (0..=POSITIONS).map(|_| random() % vocab).collect()).collect();
    let texts = items::write(&texts, POSITIONS + 1)?.into_block()?;
    let mut deltas = Vec::new();
    for _ in 0..LAYOUT.deltas {
        let mut update = |matrix: Matrix| {
            let [rows, k] = matrix.shape(master.shape()).map(|dimension| dimension as usize);
            let mut floats =
                |count, size| (0..count).map(|_| (random() as f32 / (1 << 23) as f32 - 1.0) * size).collect();
            let factors = Factors { a: floats(8 * k, 1.0), b: floats(8 * rows, 1e-3) };
            LowRank::quantise(&factors, Shape { rows, k }, 31).map(Update::LowRank)
        };
        let [gate, up, down] = Matrix::ALL;
        let delta = ExpertDelta::new(master.shape(), [update(gate)?, update(up)?, update(down)?])?;
        let block = delta.to_block(&LEARNER)?.into_block()?;
        let start = Instant::now();
        let serving = fold(&master, &[(&delta, WHOLE)])?.serving.hash();
        let size = u32::try_from(block.header().data_len)?;
        println!("a delta of {size} bytes is folded in {:.3} s", start.elapsed().as_secs_f64());
        let data = ItemRange { block: texts.hash(), first: 0, count: TEXTS };
        let (block, codec) = (blocks.entry(block.hash()).or_insert(block).hash(), delta.codec());
        let header = DeltaHeader { base, block, serving, size, codec, manifest: [0; 32], data };
        deltas.push(DeltaInfo { learner: LEARNER, header });
    }

    let config = EngineConfig { threads, pass_tokens: POSITIONS as usize, ..EngineConfig::default() };
    let engine = Engine::new(model.clone(), config.clone())?;
    let tokens = &texts.tensor("tokens")?.u32()?[..POSITIONS as usize];
    let start = Instant::now();
    engine.logits(tokens, 0, &mut |_, _| ())?;
    let whole = start.elapsed().as_secs_f64();
    println!("{POSITIONS} positions pass through all layers in {whole:.3} s, logits included");

    let data = ItemBlock { block: texts.hash(), items: TEXTS };
    let set = || vec![data].try_into().map_err(|_| anyhow::anyhow!("one set is too many"));
    let sources = Sources { held_out: set()?, hidden: None, general: set()? };
    blocks.insert(texts.hash(), texts);
    let slot = SlotId { lineage: SpecId([0; 32]), layer, index: 0 };
    let rules = Pact::default_for(NetworkKind::Local).learning;
    let task = Task { slot, base, master: master.hash(), layout: LAYOUT, rules, sources, seed: [1; 32], deltas };
    let start = Instant::now();
    let evaluation = Evaluation::new(task, model, &blocks, &mut |_| (), &|| false)?;
    println!("{} deltas are looked at in {:.3} s", LAYOUT.deltas, start.elapsed().as_secs_f64());
    ensure!(evaluation.deltas().iter().all(|delta| delta.fault().is_none()), "a delta is malformed");
    let start = Instant::now();
    let mut cells = 0;
    let count = &mut |Progress { stage, done, .. }: Progress| {
        if stage == Stage::Cells {
            cells = done;
        }
    };
    let mut cache = ScoreCache::in_memory();
    let outcome = evaluation.run(&config, &mut cache, count, &|| false)?;
    let (seconds, measured) = (start.elapsed().as_secs_f64(), cache.len());
    let each = seconds / measured as f64;
    println!(
        "{cells} cells, {measured} of them different, take {seconds:.1} s: {each:.3} s each, {:.2} passes",
        each / whole
    );
    println!("verdict: {:?}", outcome.verdict.map(|_| ()));

    let start = Instant::now();
    let disputed = evaluation.disputed(0, None)?;
    let player = disputed.player(threads)?;
    println!("the trace of a cell takes {:.1} s", start.elapsed().as_secs_f64());
    ensure!(Some(&player.score()) == outcome.scores.0.first(), "the trace comes to another score");
    Ok(())
}

/// The model, the master of the layer's expert, and all blocks but the other masters.
fn import(path: &Path, layer: u16) -> Result<(Arc<Model>, Master, Blocks)> {
    let options = ImportOptions { masters: true, ..ImportOptions::new(Name::new("real").context("a bad name")?) };
    let (mut blocks, mut masters) = (Blocks::new(), 0);
    let genesis = import_gguf(
        path,
        &options,
        &mut |block| {
            let is_master = block.header().kind == BlockKind::Expert && block.header().form == Form::Master;
            masters += u16::from(is_master);
            if !is_master || masters == layer + 1 {
                let block = block.into_block()?;
                blocks.insert(block.hash(), block);
            }
            Ok(())
        },
        &mut |_| (),
    )?;
    let block =
        |hash: &ContentHash| -> Result<VerifiedBlock> { blocks.get(hash).cloned().context("a block is missing") };
    let experts: Vec<Vec<VerifiedBlock>> =
        genesis.heads.iter().map(|layer| layer.iter().map(block).collect()).collect::<Result<_>>()?;
    let Some(head) = genesis.heads.get(usize::from(layer)).and_then(|heads| heads.first()) else {
        bail!("the model has no layer {layer}");
    };
    let master = genesis.blocks.get(head).and_then(|record| record.master).context("the expert has no master")?;
    let d = &genesis.spec.dimensions;
    let master = Master::new(block(&master)?, ExpertShape { ffn: d.ffn, hidden: d.hidden })?;
    let (trunk, router) = (block(&genesis.spec.trunk)?, block(&genesis.spec.router)?);
    let model = Model::load(ModelBlocks { spec: genesis.spec.clone(), trunk, router, experts })?;
    Ok((Arc::new(model), master, blocks))
}
