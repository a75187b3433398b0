//! What the examples share: the genesis model's blocks, texts of a folder, and losses of canonical execution.
#![allow(dead_code, reason = "each example uses a part of it")]

use blyan_learning::{
    delta::{Shape, Update},
    train::Change,
};
use blyan_model::{
    chat::TextProcessor,
    exec::{Engine, EngineConfig, Model, ModelBlocks, Scorer},
    import::{ImportOptions, import_gguf},
};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    genesis::GenesisModel,
    ids::{ContentHash, SlotId},
    spec::Name,
    trace::LOSS_UNITS,
};
use blyan_tensorblock::{
    Block, BlockBuilder, UnwrittenBlock, VerifiedBlock, default_threads,
    quant::{pack_rows16k4, quantise_rows},
};
use std::{collections::BTreeMap, error::Error, fmt, fs, path::Path, sync::Arc};

pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Tokens of a window that something is predicted from.
pub(crate) const WINDOW: usize = 256;

/// The genesis model and its blocks.
pub(crate) struct Genesis {
    pub(crate) genesis: GenesisModel,
    blocks: BTreeMap<ContentHash, VerifiedBlock>,
}

impl Genesis {
    /// Imports a GGUF file into `folder`, masters too, and maps what it made.
    pub(crate) fn import(source: &Path, folder: &Path) -> Fallible<Self> {
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

    pub(crate) fn blocks(&self) -> ModelBlocks {
        let block = |hash: &ContentHash| self.blocks[hash].clone();
        let GenesisModel { spec, heads, .. } = &self.genesis;
        ModelBlocks {
            trunk: block(&spec.trunk),
            router: block(&spec.router),
            experts: heads.iter().map(|layer| layer.iter().map(block).collect()).collect(),
            spec: spec.clone(),
        }
    }

    /// The master of a head of the genesis model.
    pub(crate) fn master(&self, head: &ContentHash) -> Fallible<&VerifiedBlock> {
        let record = self.genesis.blocks.get(head).ok_or("the head has no record")?;
        let master = record.master.ok_or("the head has no master")?;
        Ok(self.blocks.get(&master).ok_or("the master is not there")?)
    }

    pub(crate) fn text(&self) -> Fallible<TextProcessor> {
        Ok(TextProcessor::from_block(&self.blocks[&self.genesis.spec.tokenizer])?)
    }

    /// The model with another expert in a slot.
    pub(crate) fn with_expert(&self, slot: SlotId, serving: VerifiedBlock) -> ModelBlocks {
        let mut blocks = self.blocks();
        blocks.experts[usize::from(slot.layer)][usize::from(slot.index)] = serving;
        blocks
    }
}

/// Matrices of an expert, in the order in which an expert's are given.
const NAMES: [&str; 3] = ["gate", "up", "down"];

/// An expert's weights in f32.
#[derive(Clone)]
pub(crate) struct Expert {
    pub(crate) shapes: [Shape; 3],
    /// `[rows, k]` each.
    pub(crate) weights: [Vec<f32>; 3],
}

impl Expert {
    pub(crate) fn from_master(master: &VerifiedBlock, shapes: [Shape; 3]) -> Fallible<Self> {
        let read = |name: &str| Fallible::Ok(master.tensor(name)?.f32()?.to_vec());
        let [gate, up, down] = NAMES.map(read);
        Ok(Self { shapes, weights: [gate?, up?, down?] })
    }

    /// Adds changes without a codec's rounding, `[rows, k]` each.
    pub(crate) fn add_exactly(&mut self, changes: &[Vec<f32>; 3]) {
        for (weights, changes) in self.weights.iter_mut().zip(changes) {
            weights.iter_mut().zip(changes).for_each(|(weight, change)| *weight += change);
        }
    }

    /// Adds what a codec kept of changes.
    pub(crate) fn add(&mut self, updates: &[Update; 3]) -> Fallible<()> {
        for (weights, update) in self.weights.iter_mut().zip(updates) {
            update.add_to(weights)?;
        }
        Ok(())
    }

    /// The weights as the block that deltas apply to.
    pub(crate) fn master(&self) -> Fallible<VerifiedBlock> {
        let mut block = BlockBuilder::new(BlockKind::Expert, Form::Master, Quantisation::None);
        for ((name, weights), shape) in NAMES.iter().zip(&self.weights).zip(self.shapes) {
            let dims = [shape.rows as u32, shape.k as u32];
            block.tensor(name, DType::F32, Layout::RowMajor, &dims, weights.clone())?;
        }
        Ok(block.finish()?.into_block()?)
    }

    /// The block that is computed with.
    pub(crate) fn serving(&self) -> Fallible<VerifiedBlock> {
        let mut block = BlockBuilder::new(BlockKind::Expert, Form::Serving, Quantisation::PerChannel);
        for ((name, weights), shape) in NAMES.iter().zip(&self.weights).zip(self.shapes) {
            let rows = quantise_rows(weights, shape.rows, shape.k)?;
            let packed = pack_rows16k4(&rows.values, shape.rows, shape.k)?;
            let dims = [shape.rows as u32, shape.k as u32];
            block.tensor(name, DType::Int8, Layout::Rows16K4, &dims, packed)?;
            block.tensor(&format!("{name}.scale"), DType::F32, Layout::RowMajor, &dims[..1], rows.scales)?;
        }
        Ok(block.finish()?.into_block()?)
    }

    /// The weights after rounding to int8: those that canonical execution multiplies.
    pub(crate) fn round(&mut self) -> Fallible<()> {
        for (weights, Shape { rows, k }) in self.weights.iter_mut().zip(self.shapes) {
            let rounded = quantise_rows(weights, rows, k)?;
            for ((weights, values), scale) in
                weights.chunks_exact_mut(k).zip(rounded.values.chunks_exact(k)).zip(&rounded.scales)
            {
                weights.iter_mut().zip(values).for_each(|(weight, value)| *weight = f32::from(*value) * scale);
            }
        }
        Ok(())
    }
}

/// A change as a matrix, `[rows, k]`, without a codec's rounding.
pub(crate) fn dense(change: &Change, shape: Shape) -> Vec<f32> {
    match change {
        Change::Full(change) => change.clone(),
        Change::LowRank(factors) => {
            let mut dense = vec![0.0; shape.rows * shape.k];
            for (a, b) in factors.a.chunks_exact(shape.k).zip(factors.b.chunks_exact(shape.rows)) {
                for (row, b) in dense.chunks_exact_mut(shape.k).zip(b) {
                    row.iter_mut().zip(a).for_each(|(sum, a)| *sum += a * b);
                }
            }
            dense
        },
    }
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
pub(crate) struct Corpus {
    pub(crate) documents: Vec<Vec<u32>>,
    pub(crate) windows: Vec<Vec<u32>>,
}

impl Corpus {
    pub(crate) fn read(
        folder: &Path,
        prefix: &str,
        text: &TextProcessor,
        held_out: usize,
        windows: usize,
    ) -> Fallible<Self> {
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
pub(crate) fn canonical(model: Model, windows: &[Vec<u32>]) -> Fallible<Vec<f64>> {
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

/// Losses of canonical execution with each of some serving forms in a slot, in nats a token of each window. What these models
/// have in common is computed once.
pub(crate) fn scores(
    base: Model,
    slot: SlotId,
    experts: &[VerifiedBlock],
    windows: &[Vec<u32>],
) -> Fallible<Vec<Vec<f64>>> {
    let SlotId { layer, index, .. } = slot;
    let models = experts.iter().map(|expert| base.with_expert(layer, index, expert)).collect::<Result<Vec<_>, _>>()?;
    let mut scorer = Scorer::new(Arc::new(base), layer, index, &EngineConfig::default())?;
    let mut losses = vec![Vec::new(); experts.len()];
    for window in windows {
        let mut item = scorer.item(window)?;
        for (model, losses) in models.iter().zip(&mut losses) {
            let sum: f64 = item.losses(model)?.into_iter().map(f64::from).sum();
            losses.push(sum / f64::from(LOSS_UNITS) / (window.len() - 1) as f64);
        }
    }
    Ok(losses)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// How losses differ, window by window.
pub(crate) struct Difference {
    pub(crate) mean: f64,
    /// Standard error of the mean.
    pub(crate) error: f64,
    better: usize,
    windows: usize,
}

impl Difference {
    pub(crate) fn new(before: &[f64], after: &[f64]) -> Self {
        let apart: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let (count, mean) = (apart.len() as f64, mean(&apart));
        let variance = apart.iter().map(|apart| (apart - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let better = apart.iter().filter(|apart| **apart < 0.0).count();
        Self { mean, error: (variance / count).sqrt(), better, windows: apart.len() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, error, better, windows } = self;
        write!(f, "{mean:+.4} ± {error:.4} ({:.1} standard errors, {better}/{windows} better)", mean.abs() / error)
    }
}
