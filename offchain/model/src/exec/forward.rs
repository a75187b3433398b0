//! One pass of some tokens through the model.
//!
//! Tokens of several sequences pass together: each matrix is read once for all of them, and each token's arithmetic is the
//! same whatever else is in the pass. A pass is a row of phases, each of which the pool's workers share: per token (norms,
//! quantisation, routing), per range of rows of a matrix (dot products), per token and head (attention).

use super::{
    cpu::{Cpu, Panel},
    kv::{KvCache, PAGE},
    model::{Layer, Matrix, Model},
    pool::{Band, Bands, Chunks, PerWorker, Pool},
    quant::{Activations, NotFinite},
    router::{Choice, Plan, choose, combine},
};
use crate::math;
use blyan_primitives::spec::Dimensions;
use core::ops::Range;

/// Consecutive tokens of one sequence.
pub(crate) struct Run<'a> {
    /// Keys and values of the positions before `start`; those of the tokens are added.
    pub(crate) cache: &'a mut KvCache,
    /// Tokens of the vocabulary, at least one.
    pub(crate) tokens: &'a [u32],
    /// Position of the first.
    pub(crate) start: usize,
}

/// Where a token's activations ceased to be finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Layers that the token had passed.
    pub(crate) layer: usize,
    /// What was computed.
    pub(crate) what: &'static str,
}

/// Memory of a pass, allocated once.
pub(crate) struct Workspace {
    /// Most tokens in a pass.
    tokens: usize,
    layers: usize,
    vocab: usize,
    /// The numbers 0, 1, 2, …: all tokens, or all slots.
    all: Vec<u32>,
    /// For each token its run and its position.
    places: Vec<(usize, usize)>,
    /// Residual stream, `[tokens, hidden]`.
    x: Vec<f32>,
    /// Cosines and sines of each token's position, `[tokens, head_dim / 2]` each.
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// `[tokens, heads · head_dim]`, and twice `[tokens, kv_heads · head_dim]`.
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// `[tokens, heads · head_dim]`
    attended: Vec<f32>,
    /// `[tokens, top_k]`
    choices: Vec<Choice>,
    plan: Plan,
    /// `[slots, ffn]`
    inner: Vec<f32>,
    /// `[slots, hidden]`
    outputs: Vec<f32>,
    /// Quantised `x`, `attended` and `inner`.
    q_hidden: Activations,
    q_attended: Activations,
    q_inner: Activations,
    /// For each token the bytes that the rolling commitment takes, see [`Workspace::hidden_bits`].
    checkpoints: Vec<u8>,
    checkpoint_bytes: usize,
    failures: Vec<Option<Failure>>,
    slot_failures: Vec<Option<NotFinite>>,
    /// `[LOGIT_ROWS, vocab]`
    logits: Vec<f32>,
    scratch: Vec<Scratch>,
}

/// Tokens for which logits are computed at once.
pub(crate) const LOGIT_ROWS: usize = 32;

/// A worker's own memory.
#[derive(Default)]
struct Scratch {
    /// Dot products of a chunk's rows.
    dots: Vec<f32>,
    more_dots: Vec<f32>,
    /// A token's normalised residual stream, or a head.
    row: Vec<f32>,
    /// Scores of attention, or of the router.
    scores: Vec<f32>,
}

/// Chunks of a phase for each worker, so that workers end at about the same time.
const CHUNKS_PER_WORKER: usize = 8;
/// Most dot products in a worker's scratch memory: 64 KiB of them.
const SCRATCH_DOTS: usize = 1 << 14;
/// Most bytes of weights in a chunk: small enough to balance workers, large enough to stream.
const CHUNK_BYTES: usize = 1 << 18;

/// Where a token fails whose keys and values its own layer does not have either.
pub(crate) const ATTENTION_INPUT: &str = "attention input";

impl Workspace {
    /// Memory for passes of up to `tokens` tokens on `workers` workers.
    pub(crate) fn new(model: &Model, tokens: usize, workers: usize) -> Self {
        let blocks = model.layers.iter().map(|layer| layer.blocks.len()).max().unwrap_or(0);
        Self::with_blocks(model, tokens, workers, blocks)
    }

    /// The same for models of these dimensions whose layers have up to `blocks` distinct experts.
    pub(crate) fn with_blocks(model: &Model, tokens: usize, workers: usize, blocks: usize) -> Self {
        let d = model.dimensions();
        let (hidden, ffn, block) = (d.hidden as usize, d.ffn as usize, usize::from(d.activation_block));
        let (queries, keys) = (query_width(d), key_width(d));
        let top_k = usize::from(d.top_k);
        let slots = tokens * top_k.min(blocks);
        let checkpoint_bytes = 4 * hidden * (checkpoints(d) + 1);
        let floats = |rows: usize, columns: usize| vec![0f32; rows * columns];
        Self {
            tokens,
            layers: model.layers.len(),
            vocab: d.vocab as usize,
            all: (0..slots.max(tokens) as u32).collect(),
            places: Vec::with_capacity(tokens),
            x: floats(tokens, hidden),
            cos: floats(tokens, usize::from(d.head_dim) / 2),
            sin: floats(tokens, usize::from(d.head_dim) / 2),
            query: floats(tokens, queries),
            key: floats(tokens, keys),
            value: floats(tokens, keys),
            attended: floats(tokens, queries),
            choices: vec![Choice::default(); tokens * top_k],
            plan: Plan::new(slots, blocks),
            inner: floats(slots, ffn),
            outputs: floats(slots, hidden),
            q_hidden: Activations::new(tokens, hidden, block),
            q_attended: Activations::new(tokens, queries, block),
            q_inner: Activations::new(slots, ffn, block),
            checkpoints: vec![0; tokens * checkpoint_bytes],
            checkpoint_bytes,
            failures: vec![None; tokens],
            slot_failures: vec![None; slots],
            logits: floats(tokens.min(LOGIT_ROWS), d.vocab as usize),
            scratch: (0..workers).map(|_| Scratch::default()).collect(),
        }
    }

    /// Most tokens in a pass.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// What the rolling commitment takes of token `token` of the last pass: the residual stream at the checkpoints, then
    /// the final normalised state, f32 little endian.
    pub(crate) fn hidden_bits(&self, token: usize) -> &[u8] {
        &self.checkpoints[token * self.checkpoint_bytes..][..self.checkpoint_bytes]
    }

    /// Where token `token` of the last pass failed, if it did; its state then means nothing.
    pub(crate) fn check(&self, token: usize) -> Result<(), Failure> {
        self.failures[token].map_or(Ok(()), Err)
    }

    /// The logits of token `token` of the last pass, `[vocab]`, which were computed as number `row` of their call of
    /// [`Executor::logits`].
    pub(crate) fn logits(&self, row: usize, token: usize) -> Result<&[f32], Failure> {
        self.check(token)?;
        let logits = self.any_logits(row);
        let finite = logits.iter().fold(true, |finite, x| finite & x.is_finite());
        if finite { Ok(logits) } else { Err(Failure { layer: self.layers, what: "logits" }) }
    }

    /// The logits that were computed as number `row`, whether they mean something or not.
    pub(crate) fn any_logits(&self, row: usize) -> &[f32] {
        &self.logits[row * self.vocab..][..self.vocab]
    }

    /// The residual stream of the first `count` tokens, `[count, hidden]`, and where each failed, if it did.
    pub(crate) fn stream(&mut self, count: usize) -> (&mut [f32], &mut [Option<Failure>]) {
        let hidden = self.x.len() / self.tokens;
        (&mut self.x[..count * hidden], &mut self.failures[..count])
    }
}

/// Columns of the queries of all heads.
fn query_width(d: &Dimensions) -> usize {
    usize::from(d.heads) * usize::from(d.head_dim)
}

/// Columns of the keys, or values, of all heads.
fn key_width(d: &Dimensions) -> usize {
    usize::from(d.kv_heads) * usize::from(d.head_dim)
}

/// Checkpoints of the rolling commitment, the final state not among them: multiples of `checkpoint_every` below `layers`.
fn checkpoints(d: &Dimensions) -> usize {
    usize::from(d.layers - 1) / usize::from(d.checkpoint_every)
}

/// A model, a code path and the workers to execute it.
pub(crate) struct Executor<'a> {
    pub(crate) model: &'a Model,
    pub(crate) cpu: Cpu,
    pub(crate) pool: &'a mut Pool,
    pub(crate) work: &'a mut Workspace,
}

impl Executor<'_> {
    /// Passes the runs' tokens through the model: at most [`Workspace::tokens`] of them, at least one. Their positions have
    /// to be below the context. Tokens are numbered over all runs, in order.
    pub(crate) fn pass(&mut self, runs: &mut [Run<'_>]) {
        self.begin(runs);
        self.embed(runs);
        for index in 0..self.model.layers.len() {
            self.attention(index, runs);
            self.feed_forward(index);
        }
        self.leave();
    }

    /// Takes note of the runs' tokens, and makes room for them.
    pub(crate) fn begin(&mut self, runs: &mut [Run<'_>]) {
        let work = &mut *self.work;
        work.places.clear();
        for (i, run) in runs.iter_mut().enumerate() {
            work.places.extend((0..run.tokens.len()).map(|t| (i, run.start + t)));
            run.cache.grow(run.start + run.tokens.len());
        }
        assert!((1..=work.tokens).contains(&work.places.len()), "tokens fit the workspace");
        work.failures.fill(None);
    }

    /// The first half of a layer, which ends the one before it: attention, added to the residual stream.
    pub(crate) fn attention(&mut self, index: usize, runs: &mut [Run<'_>]) {
        let layer = &self.model.layers[index];
        self.enter(index);
        self.query_key_value(layer);
        self.rotate(layer);
        self.store(index, runs);
        self.attend(index, runs);
        self.attention_output(index, layer);
    }

    /// The second half of a layer: what its experts say, to be added to the residual stream by who comes next.
    pub(crate) fn feed_forward(&mut self, index: usize) {
        let layer = &self.model.layers[index];
        self.route(index, layer);
        self.experts(index, layer);
    }

    fn count(&self) -> usize {
        self.work.places.len()
    }

    /// Residual stream from the embedding, and the rotations of the tokens' positions.
    pub(crate) fn embed(&mut self, runs: &[Run<'_>]) {
        let (model, count) = (self.model, self.count());
        let d = model.dimensions();
        let (hidden, half) = (d.hidden as usize, usize::from(d.head_dim) / 2);
        let work = &mut *self.work;
        let parts = (
            Chunks::new(&mut work.x[..count * hidden], hidden),
            Chunks::new(&mut work.cos[..count * half], half),
            Chunks::new(&mut work.sin[..count * half], half),
        );
        let places = &work.places;
        self.pool.each(parts, |token, (x, cos, sin)| {
            let (run, position) = places[token];
            let run = &runs[run];
            model.embed.dequantise(run.tokens[position - run.start] as usize, x);
            math::rope_row(position as u32, &model.rope, cos, sin);
        });
    }

    /// The rotations of the tokens' positions alone, where a residual stream is there already.
    pub(crate) fn turn(&mut self) {
        let (model, count) = (self.model, self.count());
        let half = usize::from(model.dimensions().head_dim) / 2;
        let work = &mut *self.work;
        let parts =
            (Chunks::new(&mut work.cos[..count * half], half), Chunks::new(&mut work.sin[..count * half], half));
        let places = &work.places;
        self.pool.each(parts, |token, (cos, sin)| {
            math::rope_row(places[token].1 as u32, &model.rope, cos, sin);
        });
    }

    /// Ends the layer before `index`, keeps the residual stream at checkpoints, and quantises its norm for attention.
    fn enter(&mut self, index: usize) {
        let (model, cpu, count) = (self.model, self.cpu, self.count());
        let d = model.dimensions();
        let (hidden, top_k, eps) = (d.hidden as usize, usize::from(d.top_k), d.rms_eps.get());
        let every = usize::from(d.checkpoint_every);
        let checkpoint = (index > 0 && index.is_multiple_of(every)).then(|| (index / every - 1) * 4 * hidden);
        let work = &mut *self.work;
        let parts = (
            Chunks::new(&mut work.x[..count * hidden], hidden),
            work.q_hidden.parts(count),
            Chunks::new(&mut work.checkpoints[..count * work.checkpoint_bytes], work.checkpoint_bytes),
            Chunks::new(&mut work.failures[..count], 1),
            PerWorker::new(&mut work.scratch),
        );
        let (choices, outputs) = (&work.choices, &work.outputs);
        let norm = &model.layers[index].attn_norm[..];
        self.pool.each(parts, |token, (x, row, checkpoints, failure, scratch)| {
            if index > 0 {
                combine(&choices[token * top_k..][..top_k], outputs, x);
            }
            if let Some(at) = checkpoint {
                store_bits(x, &mut checkpoints[at..]);
            }
            let normed = scratch.row(hidden);
            cpu.rms_norm(x, norm, eps, normed);
            note(cpu.quantise(normed, usize::from(d.activation_block), row), failure, index, ATTENTION_INPUT);
        });
    }

    fn query_key_value(&mut self, layer: &Layer) {
        let (cpu, count) = (self.cpu, self.count());
        let matrices = [&layer.query, &layer.key, &layer.value];
        let chunks = CHUNKS_PER_WORKER * self.pool.workers();
        let bounds = [0, count];
        let work = &mut *self.work;
        let bands = |out, matrix: &Matrix| {
            Bands::new(out, matrix.rows, chunk_rows(matrix.rows, matrix.k, count, chunks), &bounds)
        };
        let parts = (
            [
                bands(&mut work.query, &layer.query),
                bands(&mut work.key, &layer.key),
                bands(&mut work.value, &layer.value),
            ],
            PerWorker::new(&mut work.scratch),
        );
        let (activations, tokens) = (&work.q_hidden, &work.all[..count]);
        self.pool.each(parts, |_, ((which, mut band), scratch)| {
            let dots = multiply(cpu, matrices[which], activations, tokens, &band, &mut scratch.dots);
            for (token, dots) in dots.enumerate() {
                let out = band.row(token);
                out.copy_from_slice(&dots[..out.len()]);
            }
        });
    }

    /// Norms of queries and keys where the model has them, then the rotary embedding.
    fn rotate(&mut self, layer: &Layer) {
        let (cpu, count) = (self.cpu, self.count());
        let d = self.model.dimensions();
        let (head_dim, eps) = (usize::from(d.head_dim), d.rms_eps.get());
        let (queries, keys, half) = (query_width(d), key_width(d), head_dim / 2);
        let work = &mut *self.work;
        let parts = (
            Chunks::new(&mut work.query[..count * queries], queries),
            Chunks::new(&mut work.key[..count * keys], keys),
            PerWorker::new(&mut work.scratch),
        );
        let (cos, sin) = (&work.cos, &work.sin);
        self.pool.each(parts, |token, (query, key, scratch)| {
            let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
            let norms = layer.head_norms.as_ref();
            for (heads, norm) in [(query, norms.map(|n| &n.query)), (key, norms.map(|n| &n.key))] {
                for head in heads.chunks_exact_mut(head_dim) {
                    if let Some(norm) = norm {
                        let normed = scratch.row(head_dim);
                        cpu.rms_norm(head, norm, eps, normed);
                        head.copy_from_slice(normed);
                    }
                    cpu.rotate(head, cos, sin);
                }
            }
        });
    }

    /// Adds the tokens' keys and values to their sequences.
    fn store(&mut self, layer: usize, runs: &mut [Run<'_>]) {
        let d = self.model.dimensions();
        let (head_dim, width) = (usize::from(d.head_dim), key_width(d));
        let (keys, values) = (&self.work.key, &self.work.value);
        let mut first = 0;
        for run in runs {
            let (start, end) = (run.start, run.start + run.tokens.len());
            let offset = run.cache.offset(layer, 0);
            self.pool.each(Chunks::new(run.cache.pages_mut(start..end), 1), |i, page| {
                let page_start = (start / PAGE + i) * PAGE;
                for position in page_start.max(start)..(page_start + PAGE).min(end) {
                    let token = (first + position - start) * width;
                    let (key, value) = (&keys[token..][..width], &values[token..][..width]);
                    page.iter_mut().for_each(|page| page.store(offset, position - page_start, head_dim, key, value));
                }
            });
            first += end - start;
        }
    }

    fn attend(&mut self, layer: usize, runs: &[Run<'_>]) {
        let (cpu, count, workers) = (self.cpu, self.count(), self.pool.workers());
        let d = self.model.dimensions();
        let (heads, kv_heads, head_dim) = (usize::from(d.heads), usize::from(d.kv_heads), usize::from(d.head_dim));
        let scale = math::rsqrt(head_dim as f32);
        // Queries that share keys go together, unless that leaves workers without work.
        let shared = heads / kv_heads;
        let group = if count * kv_heads >= 4 * workers { shared } else { 1 };
        let groups = heads / group;
        let work = &mut *self.work;
        let parts = (
            Chunks::new(&mut work.attended[..count * heads * head_dim], group * head_dim),
            PerWorker::new(&mut work.scratch),
        );
        let (places, queries) = (&work.places, &work.query);
        self.pool.each(parts, |chunk, (out, scratch)| {
            let (token, head) = (chunk / groups, chunk % groups * group);
            let (run, position) = places[token];
            let cache = runs[run].cache.head(layer, head / shared);
            let queries = &queries[(token * heads + head) * head_dim..][..group * head_dim];
            let positions = position + 1;
            let scores = scratch.scores(group * positions.next_multiple_of(PAGE));
            cpu.attend(queries, &cache, positions, scale, scores, out);
        });
    }

    /// Output projection of attention, added to the residual stream.
    fn attention_output(&mut self, index: usize, layer: &Layer) {
        let (cpu, count, workers) = (self.cpu, self.count(), self.pool.workers());
        let d = self.model.dimensions();
        let width = query_width(d);
        let work = &mut *self.work;
        let parts = (work.q_attended.parts(count), Chunks::new(&mut work.failures[..count], 1));
        let attended = &work.attended;
        self.pool.each(parts, |token, (row, failure)| {
            let attended = &attended[token * width..][..width];
            note(cpu.quantise(attended, usize::from(d.activation_block), row), failure, index, "attention output");
        });
        let matrix = &layer.output;
        let bounds = [0, count];
        let rows = chunk_rows(matrix.rows, matrix.k, count, CHUNKS_PER_WORKER * workers);
        let parts = (Bands::new(&mut work.x, matrix.rows, rows, &bounds), PerWorker::new(&mut work.scratch));
        let (activations, tokens) = (&work.q_attended, &work.all[..count]);
        self.pool.each(parts, |_, (mut band, scratch)| {
            let dots = multiply(cpu, matrix, activations, tokens, &band, &mut scratch.dots);
            for (token, dots) in dots.enumerate() {
                for (x, y) in band.row(token).iter_mut().zip(dots) {
                    *x += y;
                }
            }
        });
    }

    /// Norm and quantisation for the experts, and the choice of experts.
    fn route(&mut self, index: usize, layer: &Layer) {
        let (cpu, count) = (self.cpu, self.count());
        let d = self.model.dimensions();
        let (hidden, eps, top_k) = (d.hidden as usize, d.rms_eps.get(), usize::from(d.top_k));
        let experts = layer.experts.len();
        let work = &mut *self.work;
        let parts = (
            work.q_hidden.parts(count),
            Chunks::new(&mut work.choices[..count * top_k], top_k),
            Chunks::new(&mut work.failures[..count], 1),
            PerWorker::new(&mut work.scratch),
        );
        let x = &work.x;
        self.pool.each(parts, |token, (row, choices, failure, scratch)| {
            scratch.row(hidden);
            let (normed, scores) = (&mut scratch.row[..hidden], &mut scratch.scores);
            cpu.rms_norm(&x[token * hidden..][..hidden], &layer.ffn_norm, eps, normed);
            note(cpu.quantise(normed, usize::from(d.activation_block), row), failure, index, "expert input");
            scores.clear();
            scores.extend(layer.router.chunks_exact(hidden).map(|weights| cpu.dot(normed, weights)));
            debug_assert_eq!(scores.len(), experts);
            let chosen = choose(scores, &layer.experts, choices);
            if chosen.is_err() {
                // A failed token still takes part, so that nothing depends on who fails: it goes to the first expert.
                choices.fill(Choice { block: layer.experts[0], ..Choice::default() });
            }
            note(chosen, failure, index, "router scores");
        });
        work.plan.assign(&mut work.choices[..count * top_k], top_k, layer.blocks.len());
    }

    /// The experts' outputs for each slot of the plan.
    fn experts(&mut self, index: usize, layer: &Layer) {
        let (cpu, workers) = (self.cpu, self.pool.workers());
        let d = self.model.dimensions();
        let (hidden, ffn) = (d.hidden as usize, d.ffn as usize);
        let work = &mut *self.work;
        let Plan { tokens, blocks, bounds, .. } = &work.plan;
        let slots = tokens.len();
        let most = bounds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        let chunks = (CHUNKS_PER_WORKER * workers).div_ceil(blocks.len().max(1));

        let rows = chunk_rows(ffn, 2 * hidden, most, chunks);
        let parts = (Bands::new(&mut work.inner, ffn, rows, bounds), PerWorker::new(&mut work.scratch));
        let activations = &work.q_hidden;
        self.pool.each(parts, |_, (mut band, scratch)| {
            let expert = &layer.blocks[blocks[band.index]];
            let tokens = &tokens[bounds[band.index]..bounds[band.index + 1]];
            let Scratch { dots, more_dots, .. } = scratch;
            let gates = multiply(cpu, &expert.gate, activations, tokens, &band, dots);
            let ups = multiply(cpu, &expert.up, activations, tokens, &band, more_dots);
            for (slot, (gate, up)) in gates.zip(ups).enumerate() {
                let out = band.row(slot);
                out.copy_from_slice(&gate[..out.len()]);
                cpu.swiglu(out, up);
            }
        });

        let parts = (work.q_inner.parts(slots), Chunks::new(&mut work.slot_failures[..slots], 1));
        let inner = &work.inner;
        self.pool.each(parts, |slot, (row, failure)| {
            let inner = &inner[slot * ffn..][..ffn];
            failure.fill(cpu.quantise(inner, usize::from(d.activation_block), row).err());
        });
        for (token, failure) in tokens.iter().zip(&work.slot_failures[..slots]) {
            let result = failure.map_or(Ok(()), Err);
            note(result, core::slice::from_mut(&mut work.failures[*token as usize]), index, "expert");
        }

        let rows = chunk_rows(hidden, ffn, most, chunks);
        let parts = (Bands::new(&mut work.outputs, hidden, rows, bounds), PerWorker::new(&mut work.scratch));
        let (activations, all) = (&work.q_inner, &work.all);
        self.pool.each(parts, |_, (mut band, scratch)| {
            let expert = &layer.blocks[blocks[band.index]];
            let slots = &all[bounds[band.index]..bounds[band.index + 1]];
            let dots = multiply(cpu, &expert.down, activations, slots, &band, &mut scratch.dots);
            for (slot, dots) in dots.enumerate() {
                let out = band.row(slot);
                out.copy_from_slice(&dots[..out.len()]);
            }
        });
    }

    /// Ends the last layer, and keeps the final normalised state, quantised for the output matrix.
    pub(crate) fn leave(&mut self) {
        let (model, cpu, count) = (self.model, self.cpu, self.count());
        let d = model.dimensions();
        let (hidden, top_k, eps) = (d.hidden as usize, usize::from(d.top_k), d.rms_eps.get());
        let work = &mut *self.work;
        let parts = (
            Chunks::new(&mut work.x[..count * hidden], hidden),
            work.q_hidden.parts(count),
            Chunks::new(&mut work.checkpoints[..count * work.checkpoint_bytes], work.checkpoint_bytes),
            Chunks::new(&mut work.failures[..count], 1),
            PerWorker::new(&mut work.scratch),
        );
        let (choices, outputs) = (&work.choices, &work.outputs);
        self.pool.each(parts, |token, (x, row, checkpoints, failure, scratch)| {
            combine(&choices[token * top_k..][..top_k], outputs, x);
            let normed = scratch.row(hidden);
            cpu.rms_norm(x, &model.norm, eps, normed);
            let at = checkpoints.len() - 4 * hidden;
            store_bits(normed, &mut checkpoints[at..]);
            let layers = usize::from(d.layers);
            note(cpu.quantise(normed, usize::from(d.activation_block), row), failure, layers, "final state");
        });
    }

    /// Computes the logits of some tokens of the last pass, at most [`LOGIT_ROWS`], for [`Workspace::logits`].
    pub(crate) fn logits(&mut self, tokens: Range<usize>) {
        let (cpu, workers) = (self.cpu, self.pool.workers());
        let matrix = self.model.output();
        let work = &mut *self.work;
        let bounds = [0, tokens.len()];
        let rows = chunk_rows(matrix.rows, matrix.k, tokens.len(), CHUNKS_PER_WORKER * workers);
        let parts = (Bands::new(&mut work.logits, matrix.rows, rows, &bounds), PerWorker::new(&mut work.scratch));
        let (activations, tokens) = (&work.q_hidden, &work.all[tokens]);
        self.pool.each(parts, |_, (mut band, scratch)| {
            let dots = multiply(cpu, matrix, activations, tokens, &band, &mut scratch.dots);
            for (token, dots) in dots.enumerate() {
                let out = band.row(token);
                out.copy_from_slice(&dots[..out.len()]);
            }
        });
    }
}

impl Scratch {
    fn row(&mut self, len: usize) -> &mut [f32] {
        sized(&mut self.row, len)
    }

    fn scores(&mut self, len: usize) -> &mut [f32] {
        sized(&mut self.scores, len)
    }
}

/// The first `len` elements of a buffer that grows as needed.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Rows of a matrix that make a chunk: a multiple of 16, so that there are at least `chunks` of them where there are rows
/// enough.
fn chunk_rows(rows: usize, k: usize, tokens: usize, chunks: usize) -> usize {
    let most = (SCRATCH_DOTS / tokens.max(1)).min(CHUNK_BYTES / k.max(1)) / 16 * 16;
    rows.div_ceil(chunks.max(1)).next_multiple_of(16).min(most).max(16)
}

/// Products of the band's rows of `matrix` with `tokens`: for each token a slice that is padded to a multiple of 16.
fn multiply<'s>(
    cpu: Cpu,
    matrix: &Matrix,
    activations: &Activations,
    tokens: &[u32],
    band: &Band<'_>,
    dots: &'s mut Vec<f32>,
) -> core::slice::ChunksExact<'s, f32> {
    let (weights, scales) = matrix.part(band.columns.clone());
    let width = band.columns.len().next_multiple_of(16);
    let dots = sized(dots, tokens.len() * width);
    cpu.dots(&Panel { weights, scales, activations, tokens }, dots);
    dots.chunks_exact(width)
}

/// Keeps a token's first failure.
fn note(result: Result<(), NotFinite>, failure: &mut [Option<Failure>], layer: usize, what: &'static str) {
    if result.is_err() {
        failure.iter_mut().for_each(|failure| {
            failure.get_or_insert(Failure { layer, what });
        });
    }
}

/// The bits of `values`, little endian.
fn store_bits(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.as_chunks_mut::<4>().0) {
        *bytes = value.to_le_bytes();
    }
}
