//! A model whose blocks are verified and whose every tensor was found to be what the spec says.

use crate::math;
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, PayloadType},
    dispute::Weights,
    ids::{ContentHash, SpecId, WeightsId},
    spec::{Dimensions, ModelSpec, SpecError, weights_id},
    trace::{Part, Tensor},
};
use blyan_tensorblock::{BlockError, TensorSlice, VerifiedBlock};
use core::ops::Range;

/// A spec and the blocks it is made of.
#[derive(Clone, Debug)]
pub struct ModelBlocks {
    /// The specification.
    pub spec: ModelSpec,
    /// Embeddings, attention and norms.
    pub trunk: VerifiedBlock,
    /// The routers of all layers.
    pub router: VerifiedBlock,
    /// `experts[layer][index]`: the block in each slot.
    pub experts: Vec<Vec<VerifiedBlock>>,
}

/// Why blocks do not make a model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The specification is unsound.
    #[error("the specification is unsound: {0}")]
    Spec(#[from] SpecError),
    /// The spec names another block.
    #[error("the spec's {part} is block {expected}, given was {found}")]
    WrongBlock {
        /// Trunk or router.
        part: BlockKind,
        /// The block that the spec names.
        expected: ContentHash,
        /// The block that was given.
        found: ContentHash,
    },
    /// A block is of another kind than its place, or is not in serving form.
    #[error("block {hash} is {found_form} {found}, needed is serving {expected}")]
    Kind {
        /// The block.
        hash: ContentHash,
        /// What its place needs.
        expected: BlockKind,
        /// What it is.
        found: BlockKind,
        /// Its form.
        found_form: Form,
    },
    /// A block's bytes are not tensors to be mapped and computed on, whatever its header says of their shapes.
    #[error("block {hash} has a payload of type {found}, which is not executed here; needed is {needed}", needed = PayloadType::TensorBlock)]
    Payload {
        /// The block.
        hash: ContentHash,
        /// What it has.
        found: PayloadType,
    },
    /// There is not one expert for each slot.
    #[error("the spec has {layers} layers of {experts} experts, given were {found:?} experts in each layer")]
    Slots {
        /// Layers of the spec.
        layers: u16,
        /// Experts a layer of the spec.
        experts: u16,
        /// Experts given, layer by layer.
        found: Vec<usize>,
    },
    /// There is no such slot.
    #[error("the model has no slot {layer}/{index}")]
    NoSlot {
        /// The layer.
        layer: u16,
        /// The expert in it.
        index: u16,
    },
    /// A tensor is missing or of another type, layout or shape, or a block has padding that is not zero.
    #[error(transparent)]
    Tensor(#[from] BlockError),
    /// A float of a tensor is infinite or not a number.
    #[error("element {index} of tensor {name} of block {hash} is {value}")]
    NotFinite {
        /// The block.
        hash: ContentHash,
        /// The tensor.
        name: String,
        /// Index of the element, in the order of the layout.
        index: usize,
        /// The element.
        value: f32,
    },
}

/// An int8 matrix `[rows, k]` with a scale for each row, in a mapped block.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) k: usize,
    weights: TensorSlice<i8>,
    scales: TensorSlice<f32>,
}

/// The feed-forward network of an expert.
#[derive(Clone, Debug)]
pub(crate) struct Expert {
    /// `[ffn, hidden]`
    pub(crate) gate: Matrix,
    /// `[ffn, hidden]`
    pub(crate) up: Matrix,
    /// `[hidden, ffn]`
    pub(crate) down: Matrix,
}

/// Norms of queries and keys, each `[head_dim]`.
#[derive(Clone, Debug)]
pub(crate) struct HeadNorms {
    pub(crate) query: TensorSlice<f32>,
    pub(crate) key: TensorSlice<f32>,
}

/// One transformer layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) attn_norm: TensorSlice<f32>,
    pub(crate) ffn_norm: TensorSlice<f32>,
    pub(crate) head_norms: Option<HeadNorms>,
    pub(crate) query: Matrix,
    pub(crate) key: Matrix,
    pub(crate) value: Matrix,
    pub(crate) output: Matrix,
    /// `[experts, hidden]`
    pub(crate) router: TensorSlice<f32>,
    /// The distinct expert blocks of the layer.
    pub(crate) blocks: Vec<Expert>,
    /// For each expert, its place in `blocks`.
    pub(crate) experts: Vec<usize>,
}

/// A model, ready to execute.
///
/// Its tensors are the mapped bytes of verified blocks; nothing is copied, in clones neither.
#[derive(Clone, Debug)]
pub struct Model {
    spec: ModelSpec,
    spec_id: SpecId,
    weights_id: WeightsId,
    bytes_per_token: u64,
    /// The block in each slot, layer by layer.
    slots: Vec<Vec<ContentHash>>,
    pub(crate) embed: Matrix,
    pub(crate) head: Option<Matrix>,
    pub(crate) norm: TensorSlice<f32>,
    pub(crate) layers: Vec<Layer>,
    /// Radians a position, `[head_dim / 2]`.
    pub(crate) rope: Vec<f64>,
}

impl Model {
    /// Checks the spec, that the blocks are those it names, that they hold tensors and zeros between them, and every tensor's
    /// type, layout, shape, and that its floats are finite.
    pub fn load(blocks: ModelBlocks) -> Result<Self, LoadError> {
        let ModelBlocks { spec, trunk, router, experts } = blocks;
        spec.check()?;
        let d = spec.dimensions.clone();
        for (part, block, expected) in
            [(BlockKind::Trunk, &trunk, spec.trunk), (BlockKind::Router, &router, spec.router)]
        {
            if block.hash() != expected {
                return Err(LoadError::WrongBlock { part, expected, found: block.hash() });
            }
        }
        if experts.len() != usize::from(d.layers) || experts.iter().any(|e| e.len() != usize::from(d.experts)) {
            let found = experts.iter().map(Vec::len).collect();
            return Err(LoadError::Slots { layers: d.layers, experts: d.experts, found });
        }
        let trunk = Reader::new(&trunk, BlockKind::Trunk)?;
        let router = Reader::new(&router, BlockKind::Router)?;
        let layers = experts.iter().enumerate().map(|(i, experts)| Layer::load(&d, &trunk, &router, i, experts));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let head = if d.tied_embeddings { None } else { Some(trunk.matrix(&d, Tensor::Head)?) };
        let spec_id = spec.id();
        let hashes = |layer: &Vec<VerifiedBlock>| layer.iter().map(VerifiedBlock::hash).collect();
        let slots: Vec<Vec<ContentHash>> = experts.iter().map(hashes).collect();
        let mut model = Self {
            spec_id,
            weights_id: weights_id(spec_id, slots.iter().flatten()),
            bytes_per_token: 0,
            slots,
            embed: trunk.matrix(&d, Tensor::Embed)?,
            head,
            norm: trunk.floats(&d, Tensor::FinalNorm)?,
            layers,
            rope: math::rope_frequencies(d.rope_theta.get(), usize::from(d.head_dim)),
            spec,
        };
        model.bytes_per_token = model.count_bytes_per_token();
        Ok(model)
    }

    /// The specification.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The specification's name.
    pub fn spec_id(&self) -> SpecId {
        self.spec_id
    }

    /// Names the specification together with every expert block.
    pub fn weights_id(&self) -> WeightsId {
        self.weights_id
    }

    /// Bytes of weights that one decoding step of one session reads: every matrix but the embedding once, and of the
    /// experts as many distinct blocks as a token can be sent to.
    pub fn bytes_per_token(&self) -> u64 {
        self.bytes_per_token
    }

    /// The block in a slot; `None` where the model has no such slot.
    pub fn block_of(&self, layer: u16, index: u16) -> Option<ContentHash> {
        self.slots.get(usize::from(layer))?.get(usize::from(index)).copied()
    }

    /// A tensor as floats, row by row: an element of an int8 matrix is its value times its row's scale, as in an embedding.
    /// Nothing where the model has no such tensor. This is for training: canonical execution makes no floats of a matrix.
    pub fn dequantise(&self, tensor: Tensor) -> Vec<f32> {
        let Some(matrix) = self.matrix(tensor) else { return self.floats(tensor).to_vec() };
        let mut values = vec![0.0; matrix.rows * matrix.k];
        for (row, values) in values.chunks_exact_mut(matrix.k).enumerate() {
            matrix.dequantise(row, values);
        }
        values
    }

    /// The same model with another block in a slot. What is in the others is not checked again.
    ///
    /// # Errors
    /// When there is no such slot, or the block is no expert of this model.
    pub fn with_expert(&self, layer: u16, index: u16, block: &VerifiedBlock) -> Result<Self, LoadError> {
        let place = (usize::from(layer), usize::from(index));
        let missing = LoadError::NoSlot { layer, index };
        let mut model = self.clone();
        let (Some(slots), Some(layer)) = (model.slots.get_mut(place.0), model.layers.get_mut(place.0)) else {
            return Err(missing);
        };
        *slots.get_mut(place.1).ok_or(missing)? = block.hash();
        let expert = Expert::load(self.dimensions(), block)?;
        let old = core::mem::take(&mut layer.blocks);
        let (places, firsts) = distinct(slots);
        let block = |slot: usize| if slot == place.1 { &expert } else { &old[layer.experts[slot]] };
        layer.blocks = firsts.into_iter().map(|slot| block(slot).clone()).collect();
        layer.experts = places;
        model.weights_id = weights_id(self.spec_id, model.slots.iter().flatten());
        model.bytes_per_token = model.count_bytes_per_token();
        Ok(model)
    }

    /// Whether this model is another one but for what a slot holds.
    pub(crate) fn is_but_for(&self, other: &Self, layer: u16, index: u16) -> bool {
        let slots = |of: &Self| {
            let mut slots = of.slots.clone();
            let slot = slots.get_mut(usize::from(layer)).and_then(|layer| layer.get_mut(usize::from(index)));
            slot.into_iter().for_each(|slot| *slot = ContentHash::default());
            slots
        };
        self.spec_id == other.spec_id && slots(self) == slots(other)
    }

    pub(crate) fn dimensions(&self) -> &Dimensions {
        &self.spec.dimensions
    }

    /// The output matrix.
    pub(crate) fn output(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embed)
    }

    /// An f32 tensor, row by row. Nothing where the model has none.
    pub(crate) fn floats(&self, tensor: Tensor) -> &[f32] {
        let layer = |layer: u16| self.layers.get(usize::from(layer));
        let norms = |of: u16| layer(of)?.head_norms.as_ref();
        let floats = match tensor {
            Tensor::FinalNorm => Some(&self.norm),
            Tensor::AttnNorm(of) => layer(of).map(|layer| &layer.attn_norm),
            Tensor::FfnNorm(of) => layer(of).map(|layer| &layer.ffn_norm),
            Tensor::Router(of) => layer(of).map(|layer| &layer.router),
            Tensor::QueryNorm(of) => norms(of).map(|norms| &norms.query),
            Tensor::KeyNorm(of) => norms(of).map(|norms| &norms.key),
            _ => None,
        };
        floats.map_or(&[], |floats| floats)
    }

    /// A row of an int8 tensor, and the bits of its scale. `None` where the tensor is none, or has no such row.
    pub(crate) fn row(&self, tensor: Tensor, row: usize) -> Option<(Vec<i8>, u32)> {
        let matrix = self.matrix(tensor)?;
        (row < matrix.rows).then(|| matrix.row(row))
    }

    /// An int8 tensor.
    fn matrix(&self, tensor: Tensor) -> Option<&Matrix> {
        let layer = |layer: u16| self.layers.get(usize::from(layer));
        let expert = |of: u16, expert: u16| layer(of)?.blocks.get(*layer(of)?.experts.get(usize::from(expert))?);
        Some(match tensor {
            Tensor::Embed => &self.embed,
            Tensor::Head => self.output(),
            Tensor::Query(of) => &layer(of)?.query,
            Tensor::Key(of) => &layer(of)?.key,
            Tensor::Value(of) => &layer(of)?.value,
            Tensor::Output(of) => &layer(of)?.output,
            Tensor::Gate(of, index) => &expert(of, index)?.gate,
            Tensor::Up(of, index) => &expert(of, index)?.up,
            Tensor::Down(of, index) => &expert(of, index)?.down,
            _ => return None,
        })
    }

    /// Whether two experts of a layer are the same block.
    pub(crate) fn is_same_block(&self, layer: u16, one: u16, other: u16) -> bool {
        let experts = &self.layers[usize::from(layer)].experts;
        experts[usize::from(one)] == experts[usize::from(other)]
    }

    fn count_bytes_per_token(&self) -> u64 {
        let floats = |slice: &TensorSlice<f32>| 4 * slice.len() as u64;
        let layer = |layer: &Layer| {
            let dense = [&layer.query, &layer.key, &layer.value, &layer.output].map(Matrix::bytes).iter().sum::<u64>();
            let expert = |e: &Expert| e.gate.bytes() + e.up.bytes() + e.down.bytes();
            let experts = layer.blocks.len().min(usize::from(self.dimensions().top_k)) as u64;
            let norms = layer.head_norms.as_ref().map_or(0, |norms| floats(&norms.query) + floats(&norms.key));
            let expert = layer.blocks.first().map_or(0, expert);
            dense
                + experts * expert
                + norms
                + floats(&layer.attn_norm)
                + floats(&layer.ffn_norm)
                + floats(&layer.router)
        };
        let row = self.embed.k as u64;
        row + self.output().bytes() + floats(&self.norm) + self.layers.iter().map(layer).sum::<u64>()
    }
}

impl Layer {
    fn load(
        d: &Dimensions,
        trunk: &Reader<'_>,
        router: &Reader<'_>,
        index: usize,
        experts: &[VerifiedBlock],
    ) -> Result<Self, LoadError> {
        // Layers are counted in 16 bits.
        let layer = index as u16;
        let hashes: Vec<ContentHash> = experts.iter().map(VerifiedBlock::hash).collect();
        let (places, firsts) = distinct(&hashes);
        let blocks = firsts.into_iter().map(|slot| Expert::load(d, &experts[slot])).collect::<Result<_, _>>()?;
        let head_norms = if d.qk_norm {
            Some(HeadNorms {
                query: trunk.floats(d, Tensor::QueryNorm(layer))?,
                key: trunk.floats(d, Tensor::KeyNorm(layer))?,
            })
        } else {
            None
        };
        Ok(Self {
            attn_norm: trunk.floats(d, Tensor::AttnNorm(layer))?,
            ffn_norm: trunk.floats(d, Tensor::FfnNorm(layer))?,
            head_norms,
            query: trunk.matrix(d, Tensor::Query(layer))?,
            key: trunk.matrix(d, Tensor::Key(layer))?,
            value: trunk.matrix(d, Tensor::Value(layer))?,
            output: trunk.matrix(d, Tensor::Output(layer))?,
            router: router.floats(d, Tensor::Router(layer))?,
            blocks,
            experts: places,
        })
    }
}

/// For each slot of a layer the place of its block among those that are distinct, and for each of these the first slot that
/// has it.
fn distinct(slots: &[ContentHash]) -> (Vec<usize>, Vec<usize>) {
    let (mut places, mut firsts) = (Vec::new(), Vec::new());
    for (slot, hash) in slots.iter().enumerate() {
        let place = firsts.iter().position(|first: &usize| slots[*first] == *hash);
        places.push(place.unwrap_or(firsts.len()));
        if place.is_none() {
            firsts.push(slot);
        }
    }
    (places, firsts)
}

impl Weights for Model {
    fn block(&self, part: Part) -> Option<ContentHash> {
        match part {
            Part::Trunk => Some(self.spec.trunk),
            Part::Router => Some(self.spec.router),
            Part::Expert { layer, index } => self.block_of(layer, index),
        }
    }
}

impl Expert {
    fn load(d: &Dimensions, block: &VerifiedBlock) -> Result<Self, LoadError> {
        let block = Reader::new(block, BlockKind::Expert)?;
        Ok(Self {
            gate: block.matrix(d, Tensor::Gate(0, 0))?,
            up: block.matrix(d, Tensor::Up(0, 0))?,
            down: block.matrix(d, Tensor::Down(0, 0))?,
        })
    }
}

impl Matrix {
    /// Bytes of weights and scales.
    fn bytes(&self) -> u64 {
        (self.weights.len() + 4 * self.scales.len()) as u64
    }

    /// Groups of 16 rows, the weights and scales of `rows`, which start at a multiple of 16.
    pub(crate) fn part(&self, rows: Range<usize>) -> (&[i8], &[f32]) {
        let group = 16 * self.k.next_multiple_of(4);
        let weights = &self.weights[rows.start / 16 * group..rows.end.div_ceil(16) * group];
        (weights, &self.scales[rows])
    }

    /// Row `row`, and the bits of its scale.
    fn row(&self, row: usize) -> (Vec<i8>, u32) {
        let (weights, scales) = self.part(row / 16 * 16..row + 1);
        let lines = weights.as_chunks::<64>().0;
        let mut values: Vec<i8> = lines.iter().flat_map(|line| &line[row % 16 * 4..][..4]).copied().collect();
        values.truncate(self.k);
        (values, scales[row % 16].to_bits())
    }

    /// Row `row`, as floats: what an embedding is.
    pub(crate) fn dequantise(&self, row: usize, out: &mut [f32]) {
        let (weights, scales) = self.part(row / 16 * 16..row + 1);
        let scale = scales[row % 16];
        let lines = weights.as_chunks::<64>().0;
        for (line, out) in lines.iter().zip(out.chunks_mut(4)) {
            for (x, w) in out.iter_mut().zip(&line[row % 16 * 4..]) {
                *x = f32::from(*w) * scale;
            }
        }
    }
}

/// A block of a known kind.
struct Reader<'a> {
    block: &'a VerifiedBlock,
}

impl<'a> Reader<'a> {
    fn new(block: &'a VerifiedBlock, expected: BlockKind) -> Result<Self, LoadError> {
        let (hash, header) = (block.hash(), block.header());
        if header.kind != expected || header.form != Form::Serving {
            return Err(LoadError::Kind { hash, expected, found: header.kind, found_form: header.form });
        }
        if header.payload != PayloadType::TensorBlock {
            return Err(LoadError::Payload { hash, found: header.payload });
        }
        block.check_padding()?;
        Ok(Self { block })
    }

    fn floats(&self, d: &Dimensions, tensor: Tensor) -> Result<TensorSlice<f32>, LoadError> {
        match tensor.shape(d) {
            (rows, None) => self.finite(&tensor.place().name, &[rows]),
            (rows, Some(columns)) => self.finite(&tensor.place().name, &[rows, columns]),
        }
    }

    fn finite(&self, name: &str, shape: &[u32]) -> Result<TensorSlice<f32>, LoadError> {
        let slice = self.block.tensor_slice::<f32>(name, DType::F32, Layout::RowMajor, shape)?;
        match slice.iter().position(|value| !value.is_finite()) {
            None => Ok(slice),
            Some(index) => {
                Err(LoadError::NotFinite { hash: self.block.hash(), name: name.into(), index, value: slice[index] })
            },
        }
    }

    fn matrix(&self, d: &Dimensions, tensor: Tensor) -> Result<Matrix, LoadError> {
        let (place, (rows, columns)) = (tensor.place(), tensor.shape(d));
        let k = columns.unwrap_or(1);
        Ok(Matrix {
            rows: rows as usize,
            k: k as usize,
            weights: self.block.tensor_slice(&place.name, DType::Int8, Layout::Rows16K4, &[rows, k])?,
            scales: self.finite(&place.scales(), &[rows])?,
        })
    }
}
