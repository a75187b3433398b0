//! The bits of the real model: the same checks as on small ones, on the weights that a chain starts with.

mod common;

use allocation_counter::measure;
use blyan_model::{
    exec::{CpuPath, Engine, EngineConfig, Model, ModelBlocks},
    import::{ImportOptions, import_gguf},
    replay::{Claim, Claimed, replay},
    session::Session,
};
use blyan_primitives::{ids::Commitment, receipt::Sampling, spec::F32Bits};
use common::{Blocks, genesis_file, keep, name};
use std::sync::{Arc, LazyLock};

/// The genesis model's blocks; `experts` is 1 for the dense model.
fn import(experts: u16, top_k: u16) -> ModelBlocks {
    let mut blocks = Blocks::new();
    let options = ImportOptions { experts, top_k, ..ImportOptions::new(name("smollm2")) };
    let genesis = import_gguf(&genesis_file(), &options, &mut keep(&mut blocks), &mut |_| ()).unwrap();
    let block = |hash| blocks[hash].clone();
    ModelBlocks {
        trunk: block(&genesis.spec.trunk),
        router: block(&genesis.spec.router),
        experts: genesis.heads.iter().map(|layer| layer.iter().map(block).collect()).collect(),
        spec: genesis.spec,
    }
}

fn load(blocks: ModelBlocks) -> Arc<Model> {
    Arc::new(Model::load(blocks).unwrap())
}

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| load(import(4, 2)));

fn engine(model: &Arc<Model>, cpu: Option<CpuPath>, threads: usize) -> Engine {
    Engine::new(model.clone(), EngineConfig { threads, cpu, pass_tokens: 20 }).unwrap()
}

/// Tokens that mean nothing, spread over the vocabulary.
fn prompt(len: u32) -> Vec<u32> {
    (1..=len).map(|i| i.wrapping_mul(2_654_435_761) % 49_152).collect()
}

const SAMPLED: Sampling =
    Sampling { temperature: F32Bits::new(0.8), top_p: F32Bits::new(0.95), top_k: 50, seed: 20_26 };

fn answer(engine: &Engine, prompt: &[u32], max_tokens: usize, chunk: usize) -> (Vec<u32>, Vec<Commitment>) {
    let mut session = engine.session(prompt, SAMPLED, max_tokens).unwrap();
    while !engine.prefill(&mut session, chunk).unwrap().is_done() {}
    while !session.is_full() {
        engine.decode(&mut [&mut session]).remove(0).unwrap();
    }
    (session.output().to_vec(), session.commitments().to_vec())
}

#[test]
fn every_code_path_any_threads_and_any_cut_give_the_same_bits() {
    let prompt = prompt(21);
    let expected = answer(&engine(&MODEL, Some(CpuPath::Scalar), 2), &prompt, 4, 1000);
    for path in CpuPath::available() {
        for (threads, chunk) in [(1, 1000), (2, 7), (2, 1)] {
            if path != CpuPath::Scalar {
                let found = answer(&engine(&MODEL, Some(path), threads), &prompt, 4, chunk);
                assert_eq!(found, expected, "{path}, {threads} threads, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn strangers_in_a_batch_change_nothing() {
    let engine = engine(&MODEL, None, 2);
    let prompts = [prompt(9), prompt(30), vec![5], prompt(17)];
    let mut sessions: Vec<Session> = prompts.iter().map(|p| engine.session(p, SAMPLED, 6).unwrap()).collect();
    for session in &mut sessions {
        while !engine.prefill(session, 11).unwrap().is_done() {}
    }
    for _ in 0..6 {
        let results = engine.decode(&mut sessions.iter_mut().collect::<Vec<_>>());
        assert!(results.iter().all(Result::is_ok));
    }
    for (prompt, session) in prompts.iter().zip(&sessions) {
        let (output, commitments) = answer(&engine, prompt, 6, 1000);
        assert_eq!((session.output(), session.commitments()), (&output[..], &commitments[..]));
        let claim =
            Claim { prompt, output: &output, sampling: SAMPLED, commitments: Claimed::Every(session.commitments()) };
        assert_eq!(replay(&engine, &claim), Ok(()));
    }
}

#[test]
fn four_equal_experts_are_the_dense_model_to_the_bit() {
    let bits = |model: &Arc<Model>| {
        let mut bits = Vec::new();
        let text = prompt(40);
        let visit = &mut |_, logits: &[f32]| bits.extend(logits.iter().map(|x| x.to_bits()));
        engine(model, None, 2).logits(&text, 0, visit).unwrap();
        bits
    };
    assert_eq!(bits(&MODEL), bits(&load(import(1, 1))));
}

#[test]
fn no_weight_is_copied_on_the_way_to_a_token() {
    let blocks = import(4, 2);
    let mut model = None;
    let loading = measure(|| model = Some(load(blocks)));
    // Names and places of tensors, a list of turns a position: of 135 MB of weights, nothing.
    assert!(loading.bytes_total < 1 << 20, "{loading:?}");

    // Counted is what this thread allocates: with one thread it does all the work.
    let engine = engine(&model.unwrap(), None, 1);
    let mut session = engine.session(&prompt(16), Sampling::GREEDY, 17).unwrap();
    while !engine.prefill(&mut session, 100).unwrap().is_done() {}
    // Takes position 15, the last of a page of keys and values. The first step also grows the scratch memory.
    let mut step = || measure(|| assert!(engine.decode(&mut [&mut session]).remove(0).is_ok()));
    step();
    let page = step();
    assert!(page.bytes_total < 1 << 20, "a step that begins a page of keys and values: {page:?}");
    for _ in 17..31 {
        let inside = step();
        assert!(inside.bytes_total < 4096 && inside.bytes_current == 0, "a step inside a page: {inside:?}");
    }
}

#[test]
fn a_token_reads_one_expert_a_layer() {
    // Four slots, one block: 106 million weights of layers, 28 million of the tied output matrix, and the scales.
    let bytes = MODEL.bytes_per_token();
    assert!((134_000_000..137_000_000).contains(&bytes), "{bytes}");
}
