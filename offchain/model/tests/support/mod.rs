//! Small models of any shape from a seed, in memory.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use blyan_model::{
    exec::ModelBlocks,
    tiny::{self, TinyModel},
};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    ids::ContentHash,
    spec::{Dimensions, F32Bits, ModelSpec, Name},
    version::{SemVer, VersionRange},
};
use blyan_tensorblock::{
    BlockBuilder, VerifiedBlock,
    quant::{pack_rows16k4, quantise_rows},
};
use std::collections::BTreeMap;

/// A shape whose every dimension is awkward: no multiple of 16, 32 or 4 where it need not be one.
pub(crate) fn awkward() -> Dimensions {
    Dimensions {
        layers: 3,
        hidden: 70,
        heads: 6,
        kv_heads: 2,
        head_dim: 22,
        ffn: 105,
        vocab: 133,
        context: 200,
        experts: 5,
        top_k: 3,
        activation_block: 32,
        rope_theta: F32Bits::new(10_000.0),
        rms_eps: F32Bits::new(1e-5),
        tied_embeddings: false,
        qk_norm: true,
        checkpoint_every: 1,
    }
}

/// The same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// Roughly normal.
    pub(crate) fn float(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| (self.next() >> 40) as f32 / (1u32 << 24) as f32 - 0.5).sum();
        sum * 1.7
    }

    pub(crate) fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }

    pub(crate) fn tokens(&mut self, count: usize, vocab: u32) -> Vec<u32> {
        (0..count).map(|_| (self.next() % u64::from(vocab)) as u32).collect()
    }
}

/// The tiny model that development chains start with.
pub(crate) fn tiny_blocks() -> ModelBlocks {
    let TinyModel { genesis, blocks } = tiny::build(tiny::GENESIS_SEED).unwrap();
    let blocks: BTreeMap<ContentHash, VerifiedBlock> =
        blocks.into_iter().map(|block| (block.hash(), block.into_block().unwrap())).collect();
    let block = |hash: &ContentHash| blocks[hash].clone();
    ModelBlocks {
        trunk: block(&genesis.spec.trunk),
        router: block(&genesis.spec.router),
        experts: genesis.heads.iter().map(|layer| layer.iter().map(block).collect()).collect(),
        spec: genesis.spec,
    }
}

/// Changes the floats of a tensor, which is named first.
type Tweak<'a> = &'a dyn Fn(&str, &mut [f32]);

/// A block in the making.
struct Tensors<'a> {
    block: BlockBuilder<'static>,
    tweak: Tweak<'a>,
}

impl Tensors<'_> {
    fn floats(&mut self, name: &str, shape: &[u32], mut values: Vec<f32>) {
        (self.tweak)(name, &mut values);
        self.block.tensor(name, DType::F32, Layout::RowMajor, shape, values).unwrap();
    }

    fn matrix(&mut self, name: &str, rows: u32, k: u32, random: &mut Random) {
        let spread = (1.0 / k as f32).sqrt();
        let weights: Vec<f32> = random.floats((rows * k) as usize).iter().map(|w| w * spread).collect();
        let quantised = quantise_rows(&weights, rows as usize, k as usize).unwrap();
        let packed = pack_rows16k4(&quantised.values, rows as usize, k as usize).unwrap();
        self.block.tensor(name, DType::Int8, Layout::Rows16K4, &[rows, k], packed).unwrap();
        self.floats(&format!("{name}.scale"), &[rows], quantised.scales);
    }

    fn norm(&mut self, name: &str, width: u32, random: &mut Random) {
        let gains = random.floats(width as usize).iter().map(|g| 1.0 + g / 8.0).collect();
        self.floats(name, &[width], gains);
    }

    fn finish(self) -> VerifiedBlock {
        self.block.finish().unwrap().into_block().unwrap()
    }
}

fn tensors(kind: BlockKind, tweak: Tweak<'_>) -> Tensors<'_> {
    Tensors { block: BlockBuilder::new(kind, Form::Serving, Quantisation::PerChannel), tweak }
}

fn expert(d: &Dimensions, seed: u64, tweak: Tweak<'_>) -> VerifiedBlock {
    let mut random = Random(seed);
    let mut block = tensors(BlockKind::Expert, tweak);
    block.matrix("gate", d.ffn, d.hidden, &mut random);
    block.matrix("up", d.ffn, d.hidden, &mut random);
    block.matrix("down", d.hidden, d.ffn, &mut random);
    block.finish()
}

/// A model of `d`; `expert_seed(layer, index)` decides which experts are equal.
pub(crate) fn blocks(d: &Dimensions, seed: u64, expert_seed: impl Fn(u64, u64) -> u64) -> ModelBlocks {
    tweaked(d, seed, expert_seed, &|_, _| ())
}

/// [`blocks`] with some floats changed.
pub(crate) fn tweaked(
    d: &Dimensions,
    seed: u64,
    expert_seed: impl Fn(u64, u64) -> u64,
    tweak: Tweak<'_>,
) -> ModelBlocks {
    let mut random = Random(seed);
    let (queries, keys) = (u32::from(d.heads * d.head_dim), u32::from(d.kv_heads * d.head_dim));
    let mut trunk = tensors(BlockKind::Trunk, tweak);
    trunk.matrix("embed", d.vocab, d.hidden, &mut random);
    if !d.tied_embeddings {
        trunk.matrix("head", d.vocab, d.hidden, &mut random);
    }
    trunk.norm("norm", d.hidden, &mut random);
    let mut router = tensors(BlockKind::Router, tweak);
    for layer in 0..d.layers {
        let name = |part: &str| format!("{layer}.{part}");
        trunk.norm(&name("attn_norm"), d.hidden, &mut random);
        trunk.norm(&name("ffn_norm"), d.hidden, &mut random);
        if d.qk_norm {
            trunk.norm(&name("q_norm"), d.head_dim.into(), &mut random);
            trunk.norm(&name("k_norm"), d.head_dim.into(), &mut random);
        }
        trunk.matrix(&name("q"), queries, d.hidden, &mut random);
        trunk.matrix(&name("k"), keys, d.hidden, &mut random);
        trunk.matrix(&name("v"), keys, d.hidden, &mut random);
        trunk.matrix(&name("o"), d.hidden, queries, &mut random);
        let mut own = Random(seed ^ u64::from(layer) << 32 ^ 0xabcd);
        let weights = own.floats(usize::from(d.experts) * d.hidden as usize);
        router.floats(&name("router"), &[d.experts.into(), d.hidden], weights);
    }
    let (trunk, router) = (trunk.finish(), router.finish());
    let mut made: Vec<(u64, VerifiedBlock)> = Vec::new();
    let mut expert_block = |layer: u16, index: u16| {
        let seed = expert_seed(layer.into(), index.into());
        if let Some((_, block)) = made.iter().find(|(known, _)| *known == seed) {
            return block.clone();
        }
        let block = expert(d, seed, tweak);
        made.push((seed, block.clone()));
        block
    };
    let experts: Vec<Vec<_>> =
        (0..d.layers).map(|layer| (0..d.experts).map(|index| expert_block(layer, index)).collect()).collect();
    let version = SemVer::new(0, 1, 0);
    let spec = ModelSpec {
        name: Name::new("test").unwrap(),
        version,
        compatible: VersionRange::caret(version),
        parent: None,
        dimensions: d.clone(),
        tokenizer: ContentHash([0; 32]),
        trunk: trunk.hash(),
        router: router.hash(),
    };
    ModelBlocks { spec, trunk, router, experts }
}
