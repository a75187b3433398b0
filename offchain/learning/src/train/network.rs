//! The model as a graph in f32: what canonical execution computes, but for the rounding.

use super::{
    TrainError,
    ops::{linear, norm, rotate, softmax},
    routing::Routes,
    windows::Batch,
};
use blyan_model::{exec::Model, math};
use blyan_primitives::{spec::Dimensions, trace::Tensor as Name};
use candle_core::{Device, Result, Tensor};

/// The frozen model, dequantised: four bytes a weight, of equal experts one.
pub(super) struct Network {
    dimensions: Dimensions,
    /// `[vocab, hidden]`
    embed: Tensor,
    /// `[vocab, hidden]`
    pub(super) head: Tensor,
    /// `[hidden]`
    norm: Tensor,
    pub(super) layers: Vec<Layer>,
    /// Radians a position, `[head_dim / 2]`.
    frequencies: Vec<f64>,
}

pub(super) struct Layer {
    attn_norm: Tensor,
    ffn_norm: Tensor,
    /// Norms of queries and keys, `[head_dim]` each.
    head_norms: Option<[Tensor; 2]>,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    /// `[experts, hidden]`
    router: Tensor,
    /// The distinct experts.
    pub(super) blocks: Vec<Expert>,
    /// For each expert its place in `blocks`.
    pub(super) places: Vec<usize>,
}

/// A frozen expert.
pub(super) struct Expert {
    /// `[ffn, hidden]`
    pub(super) gate: Tensor,
    /// `[ffn, hidden]`
    pub(super) up: Tensor,
    /// `[hidden, ffn]`
    pub(super) down: Tensor,
}

/// What the layers share of a batch.
pub(super) struct Context {
    windows: usize,
    len: usize,
    /// 0 where a position may look, -∞ where not: `[windows or 1, 1, len, len]`.
    mask: Tensor,
    /// `[len, head_dim / 2]`
    cos: Tensor,
    sin: Tensor,
}

impl Expert {
    /// `down(silu(gate(n)) · up(n))` of `n`, `[tokens, hidden]`.
    pub(super) fn forward(&self, n: &Tensor) -> Result<Tensor> {
        linear(&gated(&linear(n, &self.gate)?, &linear(n, &self.up)?)?, &self.down)
    }
}

/// `silu(gate) · up`.
pub(super) fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

impl Network {
    /// Dequantises a model onto a device.
    pub(super) fn new(model: &Model, device: &Device) -> Result<Self> {
        let d = model.spec().dimensions.clone();
        let layers = (0..d.layers).map(|layer| Layer::new(model, layer, device)).collect::<Result<_>>()?;
        let (hidden, vocab) = (d.hidden as usize, d.vocab as usize);
        let tensor = |name: Name, shape: &[usize]| Tensor::from_vec(model.dequantise(name), shape, device);
        let embed = tensor(Name::Embed, &[vocab, hidden])?;
        Ok(Self {
            head: if d.tied_embeddings { embed.clone() } else { tensor(Name::Head, &[vocab, hidden])? },
            embed,
            norm: tensor(Name::FinalNorm, &[hidden])?,
            layers,
            frequencies: math::rope_frequencies(d.rope_theta.get(), usize::from(d.head_dim)),
            dimensions: d,
        })
    }

    fn eps(&self) -> f32 {
        self.dimensions.rms_eps.get()
    }

    /// The model's dimensions.
    pub(super) fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// What all layers need of a batch.
    pub(super) fn context(&self, batch: &Batch) -> Result<Context> {
        let device = self.embed.device();
        let (len, half) = (batch.len, self.frequencies.len());
        let (mut cos, mut sin) = (vec![0f32; len * half], vec![0f32; len * half]);
        for ((position, cos), sin) in (0u32..).zip(cos.chunks_mut(half)).zip(sin.chunks_mut(half)) {
            math::rope_row(position, &self.frequencies, cos, sin);
        }
        let mask: Vec<f32> = batch.sees().into_iter().map(|sees| if sees { 0.0 } else { f32::NEG_INFINITY }).collect();
        let windows = mask.len() / (len * len);
        Ok(Context {
            windows: batch.windows,
            len,
            mask: Tensor::from_vec(mask, (windows, 1, len, len), device)?,
            cos: Tensor::from_vec(cos, (len, half), device)?,
            sin: Tensor::from_vec(sin, (len, half), device)?,
        })
    }

    /// The residual stream of a batch before the first layer, `[tokens, hidden]`.
    pub(super) fn embed(&self, batch: &Batch) -> Result<Tensor> {
        let inputs = Tensor::from_slice(&batch.inputs, batch.inputs.len(), self.embed.device())?;
        self.embed.index_select(&inputs, 0)
    }

    /// The final state after the last layer, `[tokens, hidden]`.
    pub(super) fn finish(&self, x: &Tensor) -> Result<Tensor> {
        norm(x, &self.norm, self.eps())
    }

    /// Adds to `x`, `[tokens, hidden]`, what the layer's attention says.
    pub(super) fn attention(&self, layer: usize, x: &Tensor, context: &Context) -> Result<Tensor> {
        let d = &self.dimensions;
        let at = &self.layers[layer];
        let (heads, kv_heads, dim) = (usize::from(d.heads), usize::from(d.kv_heads), usize::from(d.head_dim));
        let Context { windows, len, .. } = *context;
        let n = norm(x, &at.attn_norm, self.eps())?;
        let split = |of: &Tensor, heads: usize| linear(&n, of)?.reshape((windows, len, heads, dim))?.transpose(1, 2);
        let (mut query, mut key) = (split(&at.query, heads)?, split(&at.key, kv_heads)?);
        if let Some([query_norm, key_norm]) = &at.head_norms {
            query = norm(&query, query_norm, self.eps())?;
            key = norm(&key, key_norm, self.eps())?;
        }
        let query = rotate(&query, &context.cos, &context.sin)?;
        let key = rotate(&key, &context.cos, &context.sin)?.reshape((windows * kv_heads, len, dim))?;
        let value = split(&at.value, kv_heads)?.contiguous()?.reshape((windows * kv_heads, len, dim))?;
        // The query heads of a key head follow each other: they are rows of one product.
        let rows = heads / kv_heads * len;
        let query = (query * (1.0 / (dim as f64).sqrt()))?.reshape((windows * kv_heads, rows, dim))?;
        let scores = query.matmul(&key.transpose(1, 2)?)?.reshape((windows, heads, len, len))?;
        let shares = softmax(&scores.broadcast_add(&context.mask)?)?.reshape((windows * kv_heads, rows, len))?;
        let attended = shares.matmul(&value)?.reshape((windows, heads, len, dim))?.transpose(1, 2)?;
        x + linear(&attended.contiguous()?.reshape((windows * len, heads * dim))?, &at.output)?
    }

    /// What the experts of a layer get, `[tokens, hidden]`.
    pub(super) fn ffn_input(&self, layer: usize, x: &Tensor) -> Result<Tensor> {
        norm(x, &self.layers[layer].ffn_norm, self.eps())
    }

    /// Scores of a layer's experts for what they get, `[tokens, experts]`.
    pub(super) fn scores(&self, layer: usize, n: &Tensor) -> Result<Tensor> {
        linear(n, &self.layers[layer].router)
    }

    /// Routes by scores.
    pub(super) fn route(&self, scores: &Tensor) -> std::result::Result<Routes, TrainError> {
        Routes::new(scores, usize::from(self.dimensions.top_k))
    }

    /// Adds to `x` what the frozen experts of a layer say.
    pub(super) fn experts(&self, layer: usize, x: &Tensor) -> std::result::Result<Tensor, TrainError> {
        let n = self.ffn_input(layer, x)?;
        let Layer { blocks, places, .. } = &self.layers[layer];
        // Where there is one block, routing cannot matter.
        if let [block] = blocks.as_slice() {
            return Ok((x + block.forward(&n)?)?);
        }
        let routes = self.route(&self.scores(layer, &n)?)?;
        Ok((x + routes.mixture(&n, places, |block, rows| blocks[block].forward(rows))?)?)
    }
}

impl Layer {
    fn new(model: &Model, layer: u16, device: &Device) -> Result<Self> {
        let d = &model.spec().dimensions;
        let (hidden, ffn, head_dim) = (d.hidden as usize, d.ffn as usize, usize::from(d.head_dim));
        let (queries, keys) = (usize::from(d.heads) * head_dim, usize::from(d.kv_heads) * head_dim);
        let tensor = |name: Name, shape: &[usize]| Tensor::from_vec(model.dequantise(name), shape, device);
        let (mut blocks, mut places, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..d.experts {
            let hash = model.block_of(layer, index);
            let known = hashes.iter().position(|known| *known == hash);
            places.push(known.unwrap_or(hashes.len()));
            if known.is_none() {
                hashes.push(hash);
                blocks.push(Expert {
                    gate: tensor(Name::Gate(layer, index), &[ffn, hidden])?,
                    up: tensor(Name::Up(layer, index), &[ffn, hidden])?,
                    down: tensor(Name::Down(layer, index), &[hidden, ffn])?,
                });
            }
        }
        let head_norms = match d.qk_norm {
            true => Some([tensor(Name::QueryNorm(layer), &[head_dim])?, tensor(Name::KeyNorm(layer), &[head_dim])?]),
            false => None,
        };
        Ok(Self {
            attn_norm: tensor(Name::AttnNorm(layer), &[hidden])?,
            ffn_norm: tensor(Name::FfnNorm(layer), &[hidden])?,
            head_norms,
            query: tensor(Name::Query(layer), &[queries, hidden])?,
            key: tensor(Name::Key(layer), &[keys, hidden])?,
            value: tensor(Name::Value(layer), &[keys, hidden])?,
            output: tensor(Name::Output(layer), &[hidden, queries])?,
            router: tensor(Name::Router(layer), &[usize::from(d.experts), hidden])?,
            blocks,
            places,
        })
    }
}
