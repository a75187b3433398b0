//! The engine against a second implementation, which follows the definition in [`blyan_model::exec`] line by line and knows
//! no kernels, passes, pages or threads.

mod support;

use blyan_model::{
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    math,
};
use blyan_primitives::{
    ids::Commitment,
    receipt::Sampling,
    spec::{Dimensions, weights_id},
};
use blyan_tensorblock::{VerifiedBlock, quant::unpack_rows16k4};
use std::sync::Arc;
use support::{Random, awkward, blocks};

/// Σ₁₆
fn sum16(values: impl IntoIterator<Item = f32>) -> f32 {
    let mut lanes = [0f32; 16];
    for (i, value) in values.into_iter().enumerate() {
        lanes[i % 16] += value;
    }
    for half in [8, 4, 2, 1] {
        for j in 0..half {
            lanes[j] += lanes[j + half];
        }
    }
    lanes[0]
}

fn norm(x: &[f32], gain: &[f32], eps: f32) -> Vec<f32> {
    let r = 1.0 / (sum16(x.iter().map(|x| x * x)) / x.len() as f32 + eps).sqrt();
    x.iter().zip(gain).map(|(x, g)| (x * r) * g).collect()
}

fn floats(block: &VerifiedBlock, name: &str) -> Vec<f32> {
    block.tensor(name).unwrap().f32().unwrap().to_vec()
}

/// Rows of an int8 matrix, unpacked, and their scales.
struct Matrix {
    rows: Vec<Vec<i8>>,
    scales: Vec<f32>,
}

impl Matrix {
    fn read(block: &VerifiedBlock, name: &str) -> Self {
        let view = block.tensor(name).unwrap();
        let (rows, k) = (view.info.shape[0] as usize, view.info.shape[1] as usize);
        let values = unpack_rows16k4(view.i8().unwrap(), rows, k).unwrap();
        Self { rows: values.chunks(k).map(<[i8]>::to_vec).collect(), scales: floats(block, &format!("{name}.scale")) }
    }

    fn linear(&self, x: &[f32], block: usize) -> Vec<f32> {
        let largest: Vec<f32> = x.chunks(block).map(|b| b.iter().fold(0f32, |m, v| m.max(v.abs()))).collect();
        let exponent = |m: &f32| ((m.to_bits() >> 23) as i32 - 133).max(-126);
        let most = largest.iter().map(exponent).max().unwrap();
        let e: Vec<i32> = largest.iter().map(|m| exponent(m).max(most - 24)).collect();
        let least = e.iter().zip(&largest).filter(|(_, m)| **m != 0.0).map(|(e, _)| *e).min().unwrap_or(0);
        let q = |k: usize| (f64::from(x[k]) * 2f64.powi(-e[k / block])).round_ties_even().clamp(-127.0, 127.0) as i128;
        let integers: Vec<i128> = (0..x.len()).map(|k| q(k) << (e[k / block] - least).max(0)).collect();
        let dot = |row: &Vec<i8>| row.iter().zip(&integers).map(|(w, q)| i128::from(*w) * q).sum::<i128>();
        let unit = 2f64.powi(least) as f32;
        self.rows.iter().zip(&self.scales).map(|(row, scale)| dot(row) as f32 * unit * scale).collect()
    }

    fn embedding(&self, row: u32) -> Vec<f32> {
        self.rows[row as usize].iter().map(|w| f32::from(*w) * self.scales[row as usize]).collect()
    }
}

fn rotate(head: &mut [f32], position: usize, theta: f32) {
    let half = head.len() / 2;
    let (mut cos, mut sin) = (vec![0.0; half], vec![0.0; half]);
    math::rope_row(position as u32, &math::rope_frequencies(theta, head.len()), &mut cos, &mut sin);
    for i in 0..half {
        let (a, b) = (head[i], head[i + half]);
        head[i] = a * cos[i] - b * sin[i];
        head[i + half] = b * cos[i] + a * sin[i];
    }
}

/// Hidden bits and logits of each position.
fn execute(model: &ModelBlocks, tokens: &[u32]) -> Vec<(Vec<u8>, Vec<f32>)> {
    let d = &model.spec.dimensions;
    let (head_dim, block, eps) = (usize::from(d.head_dim), usize::from(d.activation_block), d.rms_eps.get());
    let trunk = &model.trunk;
    let mut cache: Vec<Vec<(Vec<f32>, Vec<f32>)>> = vec![Vec::new(); d.layers.into()];
    let embed = Matrix::read(trunk, "embed");
    let head = if d.tied_embeddings { Matrix::read(trunk, "embed") } else { Matrix::read(trunk, "head") };
    let mut results = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let mut x = embed.embedding(*token);
        let mut hidden = Vec::new();
        for (layer, cache) in cache.iter_mut().enumerate() {
            let name = |part: &str| format!("{layer}.{part}");
            if layer > 0 && layer.is_multiple_of(d.checkpoint_every.into()) {
                hidden.extend(x.iter().flat_map(|x| x.to_le_bytes()));
            }
            let n = norm(&x, &floats(trunk, &name("attn_norm")), eps);
            let mut q = Matrix::read(trunk, &name("q")).linear(&n, block);
            let mut k = Matrix::read(trunk, &name("k")).linear(&n, block);
            let v = Matrix::read(trunk, &name("v")).linear(&n, block);
            for (heads, part) in [(&mut q, "q_norm"), (&mut k, "k_norm")] {
                for head in heads.chunks_mut(head_dim) {
                    if d.qk_norm {
                        head.copy_from_slice(&norm(head, &floats(trunk, &name(part)), eps));
                    }
                    rotate(head, position, d.rope_theta.get());
                }
            }
            cache.push((k, v));
            let mut attended = Vec::new();
            for (h, q) in q.chunks(head_dim).enumerate() {
                let from = h * usize::from(d.kv_heads) / usize::from(d.heads) * head_dim;
                let part = |x: &[f32]| x[from..from + head_dim].to_vec();
                let scale = 1.0 / (head_dim as f32).sqrt();
                let score = |k: &[f32]| sum16(q.iter().zip(part(k)).map(|(q, k)| q * k)) * scale;
                let s: Vec<f32> = cache.iter().map(|(k, _)| score(k)).collect();
                let most = s.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let t: Vec<f32> = s.iter().map(|s| math::exp(s - most)).collect();
                for i in 0..head_dim {
                    let mut sum = 0.0;
                    for (t, (_, v)) in t.iter().zip(cache.iter()) {
                        sum += t * part(v)[i];
                    }
                    attended.push(sum / sum16(t.iter().copied()));
                }
            }
            let y = Matrix::read(trunk, &name("o")).linear(&attended, block);
            x.iter_mut().zip(y).for_each(|(x, y)| *x += y);

            let n = norm(&x, &floats(trunk, &name("ffn_norm")), eps);
            let router = floats(&model.router, &name("router"));
            let scores: Vec<f32> =
                router.chunks(n.len()).map(|row| sum16(n.iter().zip(row).map(|(n, r)| n * r))).collect();
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            order.truncate(d.top_k.into());
            let weights: Vec<f32> = order.iter().map(|j| math::exp(scores[*j] - scores[order[0]])).collect();
            let mut total = 0.0;
            weights.iter().for_each(|w| total += w);
            let expert = |j: usize| {
                let expert = &model.experts[layer][j];
                let gate = Matrix::read(expert, "gate").linear(&n, block);
                let up = Matrix::read(expert, "up").linear(&n, block);
                let inner: Vec<f32> = gate.iter().zip(up).map(|(g, u)| math::silu(*g) * u).collect();
                Matrix::read(expert, "down").linear(&inner, block)
            };
            let first = expert(order[0]);
            let mut y = first.clone();
            for (j, w) in order.iter().zip(&weights).skip(1) {
                if model.experts[layer][*j].hash() != model.experts[layer][order[0]].hash() {
                    let w = w / total;
                    for ((y, y_j), y_1) in y.iter_mut().zip(expert(*j)).zip(&first) {
                        *y += w * (y_j - y_1);
                    }
                }
            }
            x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
        }
        let f = norm(&x, &floats(trunk, "norm"), eps);
        hidden.extend(f.iter().flat_map(|x| x.to_le_bytes()));
        results.push((hidden, head.linear(&f, block)));
    }
    results
}

fn check(d: &Dimensions, expert_seed: impl Fn(u64, u64) -> u64) {
    let parts = blocks(d, 21, expert_seed);
    let tokens = Random(22).tokens(37, d.vocab);
    let expected = execute(&parts, &tokens);
    let spec = parts.spec.id();
    let heads: Vec<_> = parts.experts.iter().flatten().map(VerifiedBlock::hash).collect();
    let model = Arc::new(Model::load(parts).unwrap());
    assert_eq!(model.weights_id(), weights_id(spec, heads.iter()));
    let engine = Engine::new(model.clone(), EngineConfig { pass_tokens: 20, ..EngineConfig::default() }).unwrap();

    let mut positions = 0;
    let compare = &mut |position: usize, logits: &[f32]| {
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(logits), bits(&expected[position].1), "logits at position {position}");
        positions += 1;
    };
    engine.logits(&tokens, 0, compare).unwrap();
    assert_eq!(positions, tokens.len());

    let mut session = engine.session(&tokens, Sampling::GREEDY, 1).unwrap();
    while !engine.prefill(&mut session, 8).unwrap().is_done() {}
    let mut commitment = Commitment::start(model.weights_id(), &Sampling::GREEDY, tokens[0]);
    for (position, found) in session.commitments().iter().enumerate() {
        commitment = commitment.next(position as u32, &expected[position].0, tokens[position + 1]);
        assert_eq!(*found, commitment, "commitment at position {position}");
    }
}

#[test]
fn the_engine_computes_what_the_definition_says() {
    check(&awkward(), |layer, index| layer * 100 + index);
}

#[test]
fn equal_and_different_experts_are_combined_as_the_definition_says() {
    let d =
        Dimensions { activation_block: 16, checkpoint_every: 2, qk_norm: false, tied_embeddings: true, ..awkward() };
    check(&d, |layer, index| layer * 100 + index / 2);
}
