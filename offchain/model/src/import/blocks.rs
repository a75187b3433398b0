//! From a source to blocks.

use super::{
    ImportError, ImportOptions, Progress, SinkError, Stage,
    generator::Uniform,
    pipeline::in_order,
    source::{Matrix, Part, Source, all_parts, weights},
};
use crate::{
    chat::TextProcessor,
    expert::{ExpertBuilder, ExpertError, Forms, Int8Matrix, quantise},
};
use blyan_primitives::{
    block::{BlockKind, BlockRecord, DType, ExpertShape, Form, Layout, MAX_ONCHAIN_HEADER_LEN, Quantisation},
    genesis::GenesisModel,
    ids::ContentHash,
    spec::{Dimensions, ModelSpec},
    version::VersionRange,
};
use blyan_tensorblock::{BlockBuilder, BlockError, UnwrittenBlock, quant::QuantError};
use std::{collections::BTreeMap, ops::Range};

type Sink<'a> = &'a mut dyn FnMut(UnwrittenBlock<'static>) -> Result<(), SinkError>;

/// Weights that are dequantised and quantised in one piece: 4 MiB of f32.
const CHUNK: usize = 1 << 20;
/// Rows of a group in the packed layout: matrices are cut between groups.
const GROUP: usize = blyan_tensorblock::quant::GROUP_ROWS;
/// Router weights of an upcycled model are uniform in ± this. Scores then differ by about a hundredth, so the weights of the
/// chosen experts are nearly equal, and the seed alone decides which are chosen.
const ROUTER_SCALE: f32 = 1.0 / 1024.0;

/// Imports `source`. See [`super::import_gguf`].
pub(crate) fn import(
    source: &dyn Source,
    options: &ImportOptions,
    sink: Sink<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<GenesisModel, ImportError> {
    let dimensions = final_dimensions(source, options);
    dimensions.check().map_err(ImportError::Spec)?;
    let own = source.dimensions();
    let total = all_parts(own, source.is_mixture()).into_iter().map(|part| weights(part, own)).sum();
    let mut import = Import { source, options, dimensions, total, done: 0, sink, progress, records: BTreeMap::new() };

    let tokenizer = import.tokenizer()?;
    let router = import.routers()?;
    let trunk = import.trunk()?;
    let heads = import.experts()?;
    let spec = ModelSpec {
        name: options.name,
        version: options.version,
        compatible: VersionRange::caret(options.version),
        parent: None,
        dimensions: import.dimensions,
        tokenizer,
        trunk,
        router,
    };
    spec.check().map_err(ImportError::Spec)?;
    let model = GenesisModel { spec, blocks: import.records, heads };
    model.check()?;
    Ok(model)
}

fn final_dimensions(source: &dyn Source, options: &ImportOptions) -> Dimensions {
    let own = source.dimensions();
    let mixture = source.is_mixture();
    Dimensions {
        experts: if mixture { own.experts } else { options.experts },
        top_k: if mixture { own.top_k } else { options.top_k },
        context: options.max_context.unwrap_or(own.context).min(own.context),
        activation_block: options.activation_block,
        checkpoint_every: options.checkpoint_every,
        ..own.clone()
    }
}

struct Import<'a> {
    source: &'a dyn Source,
    options: &'a ImportOptions,
    dimensions: Dimensions,
    total: u64,
    done: u64,
    sink: Sink<'a>,
    progress: &'a mut dyn FnMut(Progress),
    records: BTreeMap<ContentHash, BlockRecord>,
}

impl Import<'_> {
    /// Takes note of a block, and passes it on unless it was there before.
    fn put(&mut self, block: UnwrittenBlock<'static>, master: Option<ContentHash>) -> Result<ContentHash, ImportError> {
        let hash = block.hash();
        if !self.records.contains_key(&hash) {
            let record = record(&block, master)?;
            (self.sink)(block).map_err(|source| ImportError::Sink { hash, source })?;
            self.records.insert(hash, record);
        }
        Ok(hash)
    }

    fn advance(&mut self, stage: Stage, weights: u64) {
        self.done += weights;
        (self.progress)(Progress { stage, done: self.done, total: self.total });
    }

    fn tokenizer(&mut self) -> Result<ContentHash, ImportError> {
        let assets = self.source.text()?;
        // What a worker would refuse to load is refused here.
        let text = TextProcessor::new(&assets.tokenizer, assets.chat_template.as_deref(), assets.generation.clone())?;
        let (tokens, rows) = (text.tokenizer().vocab_size(), self.dimensions.vocab);
        if tokens > rows {
            return Err(ImportError::Vocabulary { tokens, rows });
        }
        self.put(assets.into_block()?, None)
    }

    fn routers(&mut self) -> Result<ContentHash, ImportError> {
        let d = &self.dimensions;
        let mut builder = BlockBuilder::new(BlockKind::Router, Form::Serving, Quantisation::None);
        let (rows, k) = Part::Router(0).shape(d);
        for layer in 0..d.layers {
            let part = Part::Router(layer);
            let values = if self.source.is_mixture() {
                read_floats(self.source, part, 0..rows, k)?
            } else {
                seeded_router(self.options.router_seed, layer, rows * k)
            };
            builder.tensor(&part.to_string(), DType::F32, Layout::RowMajor, &[rows as u32, k as u32], values)?;
        }
        let block = builder.finish()?;
        self.put(block, None)
    }

    fn trunk(&mut self) -> Result<ContentHash, ImportError> {
        let (source, dimensions) = (self.source, self.dimensions.clone());
        let jobs = trunk_jobs(&dimensions);
        let mut builder = BlockBuilder::new(BlockKind::Trunk, Form::Serving, Quantisation::PerChannel);
        let mut tensor = Int8Matrix::default();
        let work = |index: usize| {
            let (part, rows) = &jobs[index];
            let (_, k) = part.shape(&dimensions);
            if part.is_vector() {
                read_floats(source, *part, rows.clone(), k).map(Piece::Vector)
            } else {
                quantised(source, *part, rows.clone(), k).map(Piece::Matrix)
            }
        };
        in_order(jobs.len(), self.options.threads, work, |index, piece| {
            let (part, rows) = &jobs[index];
            let (all_rows, k) = part.shape(&dimensions);
            match piece {
                Piece::Vector(values) => {
                    builder.tensor(&part.to_string(), DType::F32, Layout::RowMajor, &[k as u32], values)?;
                },
                Piece::Matrix(piece) => {
                    tensor.append(piece);
                    if rows.end == all_rows {
                        std::mem::take(&mut tensor).add_to(&mut builder, &part.to_string(), all_rows, k)?;
                    }
                },
            }
            self.advance(Stage::Trunk, (rows.len() * k) as u64);
            Ok::<_, ImportError>(())
        })?;
        let block = builder.finish()?;
        self.put(block, None)
    }

    fn experts(&mut self) -> Result<Vec<Vec<ContentHash>>, ImportError> {
        let (source, dimensions, options) = (self.source, self.dimensions.clone(), self.options);
        // A dense layer has one feed-forward network, which all its experts share.
        let distinct = if source.is_mixture() { dimensions.experts } else { 1 };
        let jobs: Vec<(u16, u16)> =
            (0..dimensions.layers).flat_map(|layer| (0..distinct).map(move |expert| (layer, expert))).collect();
        let mut heads = vec![Vec::new(); usize::from(dimensions.layers)];
        let work = |index: usize| {
            let (layer, expert) = jobs[index];
            Expert::make(source, layer, expert, &dimensions, options.masters)
        };
        in_order(jobs.len(), options.threads, work, |index, expert| {
            let (layer, index_in_layer) = jobs[index];
            let master = expert.master.hash;
            if let Some(block) = expert.master.block {
                self.put(block, None)?;
            }
            self.records.insert(master, expert.master.record);
            let hash = self.put(expert.serving, Some(master))?;
            let copies = if source.is_mixture() { 1 } else { dimensions.experts };
            heads[usize::from(layer)].extend(std::iter::repeat_n(hash, usize::from(copies)));
            let weights = Matrix::ALL.map(|m| weights(Part::Expert(layer, index_in_layer, m), &dimensions));
            self.advance(Stage::Experts, weights.iter().sum());
            Ok::<_, ImportError>(())
        })?;
        Ok(heads)
    }
}

fn record(block: &UnwrittenBlock<'_>, master: Option<ContentHash>) -> Result<BlockRecord, ImportError> {
    // The chain decodes headers itself, and takes shorter ones than files may have.
    let (kind, bytes) = (block.header().kind, block.header_bytes().len());
    let header_len = u32::try_from(bytes).ok().filter(|len| *len <= MAX_ONCHAIN_HEADER_LEN);
    let header_len = header_len.ok_or(ImportError::HeaderTooLong { kind, bytes })?;
    BlockRecord::new(block.header(), header_len, master, None)
        .map_err(|error| ImportError::Block(BlockError::Unbuildable(error)))
}

/// The trunk's parts, cut into pieces of whole groups of rows.
fn trunk_jobs(dimensions: &Dimensions) -> Vec<(Part, Range<usize>)> {
    let mut jobs = Vec::new();
    for part in Part::trunk(dimensions) {
        let (rows, k) = part.shape(dimensions);
        let step = (CHUNK / k.max(1)).next_multiple_of(GROUP);
        jobs.extend((0..rows).step_by(step).map(|start| (part, start..(start + step).min(rows))));
    }
    jobs
}

enum Piece {
    Vector(Vec<f32>),
    Matrix(Int8Matrix),
}

fn read_rows(source: &dyn Source, part: Part, rows: Range<usize>, k: usize) -> Result<Vec<f32>, ImportError> {
    let mut values = vec![0.0; rows.len() * k];
    source.read(part, rows, &mut values)?;
    Ok(values)
}

/// Rows that stay f32; quantisation checks the others itself.
fn read_floats(source: &dyn Source, part: Part, rows: Range<usize>, k: usize) -> Result<Vec<f32>, ImportError> {
    let values = read_rows(source, part, rows, k)?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(ImportError::NotFinite { part: part.to_string() })
    }
}

fn quantised(source: &dyn Source, part: Part, rows: Range<usize>, k: usize) -> Result<Int8Matrix, ImportError> {
    let count = rows.len();
    quantise(&read_rows(source, part, rows, k)?, count, k).map_err(|error| unfit(part, error))
}

fn unfit(part: Part, error: QuantError) -> ImportError {
    ImportError::Weights { part: part.to_string(), error }
}

fn seeded_router(seed: u64, layer: u16, count: usize) -> Vec<f32> {
    let mut uniform = Uniform::new(seed, u64::from(layer));
    // The scale is a power of two: the product is exact.
    (0..count).map(|_| uniform.next() * ROUTER_SCALE).collect()
}

/// Both forms of the expert that slot `index` of a layer holds when `source` is imported. A dense layer has one network, which
/// all its experts share.
pub(crate) fn expert(source: &dyn Source, layer: u16, index: u16) -> Result<Forms, ImportError> {
    let dimensions = source.dimensions();
    let (layers, experts) = (dimensions.layers, source.is_mixture().then_some(dimensions.experts));
    if layer >= layers || experts.is_some_and(|experts| index >= experts) {
        return Err(ImportError::NoExpert { layer, index, layers, experts });
    }
    forms(source, layer, if experts.is_some() { index } else { 0 }, dimensions)
}

fn forms(source: &dyn Source, layer: u16, expert: u16, dimensions: &Dimensions) -> Result<Forms, ImportError> {
    let part = |matrix| Part::Expert(layer, expert, matrix);
    let failed = |error| match error {
        ExpertError::Weights { matrix, error } => unfit(part(matrix), error),
        ExpertError::Block(error) => ImportError::Block(error),
        error => ImportError::Expert(error),
    };
    let mut forms = ExpertBuilder::new(ExpertShape { ffn: dimensions.ffn, hidden: dimensions.hidden });
    for matrix in Matrix::ALL {
        let (rows, k) = part(matrix).shape(dimensions);
        forms.push(read_rows(source, part(matrix), 0..rows, k)?).map_err(failed)?;
    }
    forms.finish().map_err(failed)
}

/// An expert's two forms.
struct Expert {
    master: Master,
    serving: UnwrittenBlock<'static>,
}

/// What is known of a master, and the block itself where it is wanted.
struct Master {
    hash: ContentHash,
    record: BlockRecord,
    block: Option<UnwrittenBlock<'static>>,
}

impl Expert {
    fn make(
        source: &dyn Source,
        layer: u16,
        expert: u16,
        dimensions: &Dimensions,
        keep_master: bool,
    ) -> Result<Self, ImportError> {
        let Forms { master, serving } = forms(source, layer, expert, dimensions)?;
        let master =
            Master { hash: master.hash(), record: record(&master, None)?, block: keep_master.then_some(master) };
        Ok(Self { master, serving })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trunk with as many vectors as `count`.
    fn trunk(count: usize) -> UnwrittenBlock<'static> {
        let mut builder = BlockBuilder::new(BlockKind::Trunk, Form::Serving, Quantisation::PerChannel);
        for i in 0..count {
            builder.tensor(&format!("{i}.attn_norm"), DType::F32, Layout::RowMajor, &[1], vec![1f32]).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn headers_that_the_chain_would_refuse_are_refused() {
        assert_eq!(record(&trunk(1000), None).unwrap().tensors, 1000);
        let error = record(&trunk(2000), None).unwrap_err();
        assert!(
            matches!(error, ImportError::HeaderTooLong { kind: BlockKind::Trunk, bytes } if bytes > 1 << 16),
            "{error}"
        );
    }
}
