//! Canonical execution against an independent forward pass of the dense genesis model.
//!
//! The reference shares nothing with this crate but the model's file: candle reads and dequantises it, and the layers below
//! are the textbook's, in f32, with the file's own interleaved rotary pairs. So it also proves the importer's
//! dequantisation and the order of rows.

mod common;

use blyan_model::{
    chat::{Message, Role, TextProcessor},
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    import::{ImportOptions, import_gguf},
    tokenizer::TextStream,
};
use blyan_primitives::receipt::Sampling;
use candle_core::{D, Device, IndexOp, Module, Result, Tensor, quantized::gguf_file};
use candle_nn::{Linear, ops};
use common::{Blocks, brown, genesis_file, keep, name};
use std::{fs::File, sync::Arc};

/// Tokens that are scored together, each with those before it as its context.
const WINDOW: usize = 256;
/// Genres of the Brown corpus (news, hobbies, learned, romance) and windows of each. Quantisation moves the loss of a window
/// by 0.026 nats either way, ten times what it moves the mean: fewer windows would measure that noise.
const GENRES: [&str; 4] = ["a", "e", "j", "p"];
const WINDOWS: usize = 6;
/// How far canonical loss may be above the reference's.
const TOLERANCE: f64 = 0.003;

struct Imported {
    engine: Engine,
    text: TextProcessor,
}

fn import() -> Imported {
    let mut blocks = Blocks::new();
    let options = ImportOptions::new(name("smollm2-135m-moe"));
    let genesis = import_gguf(&genesis_file(), &options, &mut keep(&mut blocks), &mut |_| ()).unwrap();
    let model = Model::load(ModelBlocks {
        trunk: blocks[&genesis.spec.trunk].clone(),
        router: blocks[&genesis.spec.router].clone(),
        experts: genesis.heads.iter().map(|l| l.iter().map(|head| blocks[head].clone()).collect()).collect(),
        spec: genesis.spec.clone(),
    });
    let engine = Engine::new(Arc::new(model.unwrap()), EngineConfig::default()).unwrap();
    let text = TextProcessor::from_block(&blocks[&genesis.spec.tokenizer]).unwrap();
    Imported { engine, text }
}

/// A dense Llama in f32.
struct Reference {
    embed: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    heads: usize,
    kv_heads: usize,
    eps: f64,
    theta: f32,
}

struct Layer {
    attn_norm: Tensor,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    ffn_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Reference {
    fn open() -> Result<Self> {
        let mut file = File::open(genesis_file())?;
        let content = gguf_file::Content::read(&mut file)?;
        let number = |key: &str| content.metadata[&format!("llama.{key}")].to_u32().map(|n| n as usize);
        let real = |key: &str| content.metadata[&format!("llama.{key}")].to_f32();
        let (layers, heads, kv_heads) =
            (number("block_count")?, number("attention.head_count")?, number("attention.head_count_kv")?);
        let (eps, theta) = (real("attention.layer_norm_rms_epsilon")?, real("rope.freq_base")?);
        let mut tensor = |name: &str| {
            let tensor = content.tensor(&mut file, &format!("{name}.weight"), &Device::Cpu)?;
            tensor.dequantize(&Device::Cpu)
        };
        let embed = tensor("token_embd")?;
        let norm = tensor("output_norm")?;
        let layers = (0..layers)
            .map(|layer| {
                let mut of = |name: &str| tensor(&format!("blk.{layer}.{name}"));
                Ok(Layer {
                    attn_norm: of("attn_norm")?,
                    q: Linear::new(of("attn_q")?, None),
                    k: Linear::new(of("attn_k")?, None),
                    v: Linear::new(of("attn_v")?, None),
                    o: Linear::new(of("attn_output")?, None),
                    ffn_norm: of("ffn_norm")?,
                    gate: Linear::new(of("ffn_gate")?, None),
                    up: Linear::new(of("ffn_up")?, None),
                    down: Linear::new(of("ffn_down")?, None),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { embed, layers, norm, heads, kv_heads, eps: eps.into(), theta })
    }

    fn rms_norm(&self, x: &Tensor, gain: &Tensor) -> Result<Tensor> {
        let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
        x.broadcast_div(&(mean_square + self.eps)?.sqrt()?)?.broadcast_mul(gain)
    }

    /// `[tokens, heads * dim]` to `[heads, tokens, dim]`.
    fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        x.reshape((tokens, heads, width / heads))?.transpose(0, 1)?.contiguous()
    }

    /// Turns neighbouring pairs of `x`, `[heads, tokens, dim]`, by their positions.
    fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let (heads, tokens, dim) = x.dims3()?;
        let angles: Vec<f32> = (0..tokens)
            .flat_map(|position| {
                (0..dim / 2).map(move |pair| (position, pair)).map(|(position, pair)| {
                    let frequency = f64::from(self.theta).powf(-((2 * pair) as f64) / dim as f64);
                    (position as f64 * frequency) as f32
                })
            })
            .collect();
        let angles = Tensor::from_vec(angles, (1, tokens, dim / 2), &Device::Cpu)?;
        let (sin, cos) = (angles.sin()?, angles.cos()?);
        let pairs = x.reshape((heads, tokens, dim / 2, 2))?;
        let (a, b) = (pairs.i((.., .., .., 0))?, pairs.i((.., .., .., 1))?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
        Tensor::stack(&[first, second], 3)?.reshape((heads, tokens, dim))
    }

    fn attention(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let (tokens, _) = x.dims2()?;
        let q = self.rotate(&Self::split_heads(&layer.q.forward(x)?, self.heads)?)?;
        let k = self.rotate(&Self::split_heads(&layer.k.forward(x)?, self.kv_heads)?)?;
        let v = Self::split_heads(&layer.v.forward(x)?, self.kv_heads)?;
        let dim = q.dim(2)?;
        let shared = |x: &Tensor| {
            let copies = self.heads / self.kv_heads;
            x.unsqueeze(1)?
                .expand((self.kv_heads, copies, tokens, dim))?
                .contiguous()?
                .reshape((self.heads, tokens, dim))
        };
        let mask: Vec<f32> = (0..tokens)
            .flat_map(|row| (0..tokens).map(move |column| if column > row { f32::NEG_INFINITY } else { 0.0 }))
            .collect();
        let mask = Tensor::from_vec(mask, (1, tokens, tokens), &Device::Cpu)?;
        let scores = (q.matmul(&shared(&k)?.transpose(1, 2)?.contiguous()?)? / (dim as f64).sqrt())?;
        let weights = ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?;
        let mixed = weights.matmul(&shared(&v)?)?.transpose(0, 1)?.contiguous()?;
        layer.o.forward(&mixed.reshape((tokens, self.heads * dim))?)
    }

    /// `[tokens, vocab]`.
    fn logits(&self, tokens: &[u32]) -> Result<Tensor> {
        let mut x = self.embed.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?;
        for layer in &self.layers {
            x = (&x + self.attention(layer, &self.rms_norm(&x, &layer.attn_norm)?)?)?;
            let normed = self.rms_norm(&x, &layer.ffn_norm)?;
            let inner = (ops::silu(&layer.gate.forward(&normed)?)? * layer.up.forward(&normed)?)?;
            x = (x + layer.down.forward(&inner)?)?;
        }
        self.rms_norm(&x, &self.norm)?.matmul(&self.embed.t()?)
    }
}

/// Negative log-likelihood of `target`, in nats.
fn loss(logits: &[f32], target: u32) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - largest).exp()).sum();
    sum.ln() - f64::from(logits[target as usize] - largest)
}

/// Index of the largest.
fn best(logits: &[f32]) -> usize {
    logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}

#[test]
fn canonical_loss_is_close_to_an_independent_f32_forward_pass() {
    let Imported { engine, text } = import();
    let reference = Reference::open().unwrap();
    let genres = GENRES.map(|genre| text.prompt(&brown(genre, 8 * WINDOWS * WINDOW)).unwrap());
    assert!(genres.iter().all(|tokens| tokens.len() >= WINDOWS * WINDOW));

    let (mut ours, mut theirs, mut agree, mut count) = (0.0, 0.0, 0, 0);
    for window in genres.iter().flat_map(|tokens| tokens.chunks_exact(WINDOW).take(WINDOWS)) {
        let expected = reference.logits(window).unwrap().to_vec2::<f32>().unwrap();
        let mut visit = |position: usize, logits: &[f32]| {
            if let Some(target) = window.get(position + 1) {
                ours += loss(logits, *target);
                theirs += loss(&expected[position], *target);
                agree += usize::from(best(logits) == best(&expected[position]));
                count += 1;
            }
        };
        engine.logits(window, 0, &mut visit).unwrap();
    }
    let (ours, theirs, agreement) = (ours / count as f64, theirs / count as f64, agree as f64 / count as f64);
    let change = ours / theirs - 1.0;
    println!(
        "{count} tokens: canonical {ours:.4} nats, reference {theirs:.4}, {:+.3} %, agreement {agreement:.3}",
        change * 100.0
    );
    assert!(change < TOLERANCE, "canonical loss {ours:.4} against {theirs:.4}: {:+.3} %", change * 100.0);
    assert!(change > -0.02 && agreement > 0.85, "{change} {agreement}");
}

#[test]
fn the_genesis_model_knows_the_capital_of_france() {
    let Imported { engine, text } = import();
    let user = Message::new(Role::User, "What is the capital of France?");
    let expected = [
        1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2,
        198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198,
    ];
    let prompt = text.chat(std::slice::from_ref(&user), true).unwrap();
    assert_eq!(prompt, expected, "the template's default system prompt, and the question");

    // As `blyan chat` asks. Without its system message even the f32 model hardly prefers "The" to "L".
    let system = Message::new(Role::System, "You are a helpful assistant. Answer in plain English.");
    let prompt = text.chat(&[system, user], true).unwrap();
    let mut session = engine.session(&prompt, Sampling::GREEDY, 32).unwrap();
    while !engine.prefill(&mut session, 64).unwrap().is_done() {}
    let mut stream = TextStream::new();
    let mut answer = String::new();
    while !session.is_full() {
        let token = engine.decode(&mut [&mut session]).remove(0).unwrap();
        if text.generation().stop.contains(&token) {
            break;
        }
        answer.push_str(&stream.push(text.tokenizer(), token));
    }
    answer.push_str(&stream.finish());
    println!("{answer}");
    assert!(answer.contains("Paris"), "{answer}");
    assert!(!session.is_full(), "the answer ends by itself: {answer}");
}
