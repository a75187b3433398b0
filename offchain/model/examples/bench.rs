//! Measures prefill and decoding of a model, beside the memory bandwidth of this machine: one JSON object a line and number
//! of threads.
//!
//! ```text
//! bench MODEL.gguf [--threads 1,2] [--prompt 512] [--decode 128] [--rounds 5] [--pass 128]
//! ```
//!
//! Decoding is measured twice: from an empty context, and `_after_prompt`. It reads every weight once a token, and every key
//! and value of the context: `bytes_per_token` counts both, at the middle of the answer. Its speed times those bytes is a
//! fraction of the bandwidth with which as many threads can read memory at all. Figures are the best of the rounds, other
//! load on the machine only ever takes away; medians are beside them.
//!
//! `load_heap_bytes` is what making a model of verified, mapped blocks allocates, and `heap_bytes_per_token` what a step of
//! decoding allocates beside the room for its own keys and values, on one thread. They bound what can have been copied: less
//! than `smallest_matrix_bytes` means that no matrix was, and the weights stayed where the files are mapped.

use blyan_model::{
    exec::{Engine, EngineConfig, Model, ModelBlocks},
    import::{ImportOptions, import_gguf},
};
use blyan_primitives::{
    ids::ContentHash,
    receipt::Sampling,
    spec::{Dimensions, Name},
};
use blyan_tensorblock::{Block, VerifiedBlock, default_threads};
use serde_json::{Value, json};
use std::{collections::BTreeMap, env, error::Error, hint::black_box, path::Path, sync::Arc, thread, time::Instant};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What to measure.
struct Plan {
    threads: Vec<usize>,
    prompt: usize,
    decode: usize,
    rounds: usize,
    pass: usize,
}

fn main() -> Fallible<()> {
    let mut args = env::args().skip(1);
    let usage = "usage: bench MODEL.gguf [--threads 1,2] [--prompt 512] [--decode 128] [--rounds 5] [--pass 128]";
    let source = args.next().ok_or(usage)?;
    let mut plan = Plan { threads: vec![1, 2], prompt: 512, decode: 128, rounds: 5, pass: 128 };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(usage)?;
        match flag.as_str() {
            "--threads" => plan.threads = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--prompt" => plan.prompt = value.parse()?,
            "--decode" => plan.decode = value.parse()?,
            "--rounds" => plan.rounds = value.parse()?,
            "--pass" => plan.pass = value.parse()?,
            _ => return Err(usage.into()),
        }
    }
    let folder = tempfile::tempdir()?;
    let (model, load_heap_bytes) = load(source.as_ref(), folder.path())?;
    let heap_bytes_per_token = decoding_heap(&model)?;
    let buffer: Vec<u64> = (0..1u64 << 26).collect();
    for &threads in &plan.threads {
        let mut figures = measure(&model, threads, &plan, &buffer)?;
        figures["load_heap_bytes"] = load_heap_bytes.into();
        figures["heap_bytes_per_token"] = heap_bytes_per_token.into();
        figures["smallest_matrix_bytes"] = smallest_matrix(&model.spec().dimensions).into();
        println!("{figures}");
    }
    Ok(())
}

/// Imports a GGUF file into `folder`, then maps and verifies the blocks; the model, and the bytes that making it allocated.
fn load(source: &Path, folder: &Path) -> Fallible<(Arc<Model>, u64)> {
    let options = ImportOptions::new(Name::new("bench").ok_or("bad name")?);
    let mut store = |block: blyan_tensorblock::UnwrittenBlock<'static>| {
        block.write_file(&folder.join(block.hash().to_string()))?;
        Ok(())
    };
    let genesis = import_gguf(source, &options, &mut store, &mut |_| ())?;
    let mut opened: BTreeMap<ContentHash, VerifiedBlock> = BTreeMap::new();
    let mut open = |hash: &ContentHash| -> Fallible<VerifiedBlock> {
        if let Some(block) = opened.get(hash) {
            return Ok(block.clone());
        }
        let block = Block::open_as(&folder.join(hash.to_string()), hash)?.verify(default_threads())?;
        opened.insert(*hash, block.clone());
        Ok(block)
    };
    let spec = genesis.spec;
    let (trunk, router) = (open(&spec.trunk)?, open(&spec.router)?);
    let experts = genesis.heads.iter().map(|layer| layer.iter().map(&mut open).collect()).collect::<Fallible<_>>()?;
    let mut model = None;
    let blocks = ModelBlocks { spec, trunk, router, experts };
    let allocated = allocation_counter::measure(|| model = Some(Model::load(blocks)));
    let model = model.ok_or("the model was not loaded")??;
    Ok((Arc::new(model), allocated.bytes_total))
}

/// Bytes of the model's smallest int8 matrix.
fn smallest_matrix(d: &Dimensions) -> u64 {
    // Every matrix has the residual stream on one side.
    let keys = u64::from(d.kv_heads) * u64::from(d.head_dim);
    u64::from(d.hidden) * keys.min(u64::from(d.ffn)).min(u64::from(d.vocab))
}

/// Bytes that a step of decoding allocates, without those of the keys and values that it keeps.
fn decoding_heap(model: &Arc<Model>) -> Fallible<u64> {
    const STEPS: u64 = 64;
    // Only this thread's allocations are counted, so that it has to do all the work.
    let engine = Engine::new(model.clone(), EngineConfig { threads: 1, ..EngineConfig::default() })?;
    let mut session = engine.session(&[1, 2], Sampling::GREEDY, 1 + STEPS as usize)?;
    while !engine.prefill(&mut session, usize::MAX)?.is_done() {}
    let mut step = || engine.decode(&mut [&mut session]).pop().ok_or("nothing was decoded")?.map_err(|e| e.to_string());
    // Grows the engine's own scratch memory.
    step()?;
    let mut failed = None;
    let allocated = allocation_counter::measure(|| {
        for _ in 0..STEPS {
            if let Err(error) = step() {
                failed = Some(error);
            }
        }
    });
    let kept = engine.cache_bytes(2 + STEPS as usize) - engine.cache_bytes(2);
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(allocated.bytes_total.saturating_sub(kept as u64) / STEPS),
    }
}

/// Bytes a second that `threads` threads read from memory together.
fn bandwidth(buffer: &[u64], threads: usize, rounds: usize) -> Rates {
    let share = buffer.len().div_ceil(threads.max(1));
    let mut rates = Rates::default();
    for _ in 0..rounds.max(5) {
        let started = Instant::now();
        thread::scope(|scope| {
            for part in buffer.chunks(share) {
                scope.spawn(|| {
                    let sums = part.as_chunks::<8>().0.iter().fold([0u64; 8], |mut sums, words| {
                        sums.iter_mut().zip(words).for_each(|(sum, word)| *sum ^= word);
                        sums
                    });
                    black_box(sums);
                });
            }
        });
        rates.add(size_of_val(buffer), started);
    }
    rates
}

/// Amounts a second, one for each round.
#[derive(Default)]
struct Rates(Vec<f64>);

impl Rates {
    fn add(&mut self, amount: usize, started: Instant) {
        let rate = amount as f64 / started.elapsed().as_secs_f64();
        let at = self.0.partition_point(|known| *known < rate);
        self.0.insert(at, rate);
    }

    fn append(&mut self, more: Self) {
        self.0.extend(more.0);
        self.0.sort_by(f64::total_cmp);
    }

    fn best(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }

    fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }
}

fn measure(model: &Arc<Model>, threads: usize, plan: &Plan, buffer: &[u64]) -> Fallible<Value> {
    let mut memory = bandwidth(buffer, threads, plan.rounds);
    let config = EngineConfig { threads, pass_tokens: plan.pass, ..EngineConfig::default() };
    let engine = Engine::new(model.clone(), config)?;
    let vocab = model.spec().dimensions.vocab;
    let prompt: Vec<u32> = (0..plan.prompt.max(2) as u32).map(|i| i.wrapping_mul(2_654_435_761) % vocab).collect();
    let mut warm = engine.session(&prompt, Sampling::GREEDY, 1)?;
    engine.prefill(&mut warm, 1)?;

    let (mut prefill, mut decode, mut decode_after) = (Rates::default(), Rates::default(), Rates::default());
    for _ in 0..plan.rounds.max(1) {
        let answer = |prompt: &[u32], prefill: &mut Rates, decode: &mut Rates| -> Fallible<()> {
            let mut session = engine.session(prompt, Sampling::GREEDY, plan.decode.max(1))?;
            let started = Instant::now();
            while !engine.prefill(&mut session, usize::MAX)?.is_done() {}
            prefill.add(prompt.len() - 1, started);
            let started = Instant::now();
            while !session.is_full() {
                for result in engine.decode(&mut [&mut session]) {
                    result?;
                }
            }
            decode.add(plan.decode.max(1), started);
            Ok(())
        };
        answer(&prompt[..2], &mut Rates::default(), &mut decode)?;
        answer(&prompt, &mut prefill, &mut decode_after)?;
    }
    // Once more after the rounds: a roof that other load had lowered would flatter what is measured under it.
    memory.append(bandwidth(buffer, threads, plan.rounds));
    let weights = model.bytes_per_token();
    // At the middle of the answer; a page is 16 positions.
    let bytes = |first: usize| weights + engine.cache_bytes(first + plan.decode / 2) as u64;
    let (empty, after) = (bytes(2), bytes(prompt.len()));
    let gb_per_second = |rates: &Rates, bytes: u64| rates.best() * bytes as f64 / 1e9;
    let fraction = |rates: &Rates, bytes: u64| rates.best() * bytes as f64 / memory.best();
    Ok(json!({
        "threads": threads,
        "code_path": engine.cpu().to_string(),
        "prompt_tokens": prompt.len(),
        "answer_tokens": plan.decode,
        "prefill_tokens_per_second": prefill.best(),
        "decode_tokens_per_second": decode.best(),
        "decode_after_prompt_tokens_per_second": decode_after.best(),
        "medians": format!("{:.0}, {:.0}, {:.0}", prefill.median(), decode.median(), decode_after.median()),
        "weight_bytes_per_token": weights,
        "bytes_per_token": empty,
        "bytes_per_token_after_prompt": after,
        "weight_gb_per_second": gb_per_second(&decode, weights),
        "weight_gb_per_second_after_prompt": gb_per_second(&decode_after, weights),
        "gb_per_second": gb_per_second(&decode, empty),
        "gb_per_second_after_prompt": gb_per_second(&decode_after, after),
        "memory_gb_per_second": memory.best() / 1e9,
        "bandwidth_fraction": fraction(&decode, empty),
        "bandwidth_fraction_after_prompt": fraction(&decode_after, after),
    }))
}
