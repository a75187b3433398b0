//! The engine's steps on a model that fits the cache, and sampling over a real vocabulary: what is not memory bandwidth.
//! `examples/bench.rs` measures a real model.

#![allow(missing_docs)]

use blyan_model::{
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    sampler::Sampler,
    tiny,
};
use blyan_primitives::{receipt::Sampling, spec::F32Bits};
use blyan_tensorblock::VerifiedBlock;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::{collections::BTreeMap, hint::black_box, sync::Arc};

fn engine() -> Engine {
    let tiny = tiny::build(tiny::GENESIS_SEED).unwrap();
    let blocks: BTreeMap<_, VerifiedBlock> =
        tiny.blocks.into_iter().map(|block| (block.hash(), block.into_block().unwrap())).collect();
    let (spec, heads) = (tiny.genesis.spec, tiny.genesis.heads);
    let model = ModelBlocks {
        trunk: blocks[&spec.trunk].clone(),
        router: blocks[&spec.router].clone(),
        experts: heads.iter().map(|layer| layer.iter().map(|hash| blocks[hash].clone()).collect()).collect(),
        spec,
    };
    Engine::new(Arc::new(Model::load(model).unwrap()), EngineConfig::default()).unwrap()
}

fn steps(c: &mut Criterion) {
    let engine = engine();
    let prompt: Vec<u32> = (0..128).map(|i| i * 37 % 256).collect();
    let session = |len: usize| engine.session(&prompt[..len], Sampling::GREEDY, 1).unwrap();
    c.bench_function("prefill_127_tiny", |b| {
        b.iter_batched_ref(|| session(128), |s| engine.prefill(s, usize::MAX).unwrap(), BatchSize::SmallInput)
    });
    for count in [1, 8] {
        c.bench_function(&format!("decode_{count}_tiny"), |b| {
            let setup = || (0..count).map(|_| session(1)).collect::<Vec<_>>();
            let step = |sessions: &mut Vec<_>| engine.decode(&mut sessions.iter_mut().collect::<Vec<_>>());
            b.iter_batched_ref(setup, step, BatchSize::SmallInput)
        });
    }
}

fn sampling(c: &mut Criterion) {
    let logits: Vec<f32> = (0..49_152u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6).collect();
    for (name, temperature, top_p, top_k) in
        [("greedy", 0.0, 1.0, 0), ("plain", 1.0, 1.0, 0), ("top_k", 1.0, 1.0, 50), ("top_p", 1.0, 0.9, 0)]
    {
        let (temperature, top_p) = (F32Bits::new(temperature), F32Bits::new(top_p));
        let sampler = Sampler::new(Sampling { temperature, top_p, top_k, seed: 1 }).unwrap();
        c.bench_function(&format!("sample_{name}_49152"), |b| b.iter(|| sampler.choose(black_box(&logits), 7)));
    }
}

criterion_group!(benches, steps, sampling);
criterion_main!(benches);
