//! The bits of an answer depend on the weights and the request, and on nothing else.

mod support;

use blyan_model::{
    exec::{CpuPath, Engine, EngineConfig, ExecError, Model},
    replay::{Claim, Claimed, Difference, Divergence, ReplayError, replay},
    session::Session,
};
use blyan_primitives::{
    ids::Commitment,
    receipt::Sampling,
    spec::{Dimensions, F32Bits},
};
use std::sync::Arc;
use support::{Random, awkward, blocks, tiny_blocks};

const OUTPUT: usize = 9;

/// A model of `d` whose experts all differ.
fn model(d: &Dimensions, seed: u64) -> Arc<Model> {
    Arc::new(Model::load(blocks(d, seed, |layer, index| 1000 + layer * 100 + index)).unwrap())
}

fn engine(model: &Arc<Model>, config: EngineConfig) -> Engine {
    Engine::new(model.clone(), config).unwrap()
}

fn sampled(seed: u64) -> Sampling {
    Sampling { temperature: F32Bits::new(0.9), top_p: F32Bits::new(0.95), top_k: 40, seed }
}

fn config(cpu: CpuPath, threads: usize, pass_tokens: usize) -> EngineConfig {
    EngineConfig { threads, cpu: Some(cpu), pass_tokens }
}

fn scalar(model: &Arc<Model>) -> Engine {
    engine(model, config(CpuPath::Scalar, 1, 64))
}

fn prefill(engine: &Engine, session: &mut Session, chunk: usize) {
    while !engine.prefill(session, chunk).unwrap().is_done() {}
}

fn step(engine: &Engine, session: &mut Session) -> u32 {
    engine.decode(&mut [session]).remove(0).unwrap()
}

/// Output and commitments of `prompt`, alone, consumed in calls of `chunk` tokens.
fn answer(engine: &Engine, prompt: &[u32], sampling: Sampling, chunk: usize) -> (Vec<u32>, Vec<Commitment>) {
    let mut session = engine.session(prompt, sampling, OUTPUT).unwrap();
    prefill(engine, &mut session, chunk);
    while !session.is_full() {
        step(engine, &mut session);
    }
    (session.output().to_vec(), session.commitments().to_vec())
}

/// A model of awkward shape, and the tiny one of development chains, each with its name.
fn two_models() -> [(&'static str, Arc<Model>); 2] {
    [("awkward", model(&awkward(), 8)), ("tiny", Arc::new(Model::load(tiny_blocks()).unwrap()))]
}

/// Models with and without everything that is optional, and with each size of block.
fn models() -> Vec<(&'static str, Arc<Model>)> {
    let plain = Dimensions {
        hidden: 64,
        head_dim: 16,
        heads: 4,
        kv_heads: 4,
        ffn: 96,
        experts: 1,
        top_k: 1,
        activation_block: 16,
        tied_embeddings: true,
        qk_norm: false,
        checkpoint_every: 2,
        ..awkward()
    };
    let wide = Dimensions { hidden: 192, heads: 8, kv_heads: 1, head_dim: 80, activation_block: 64, ..plain.clone() };
    let [awkward, tiny] = two_models();
    vec![awkward, tiny, ("plain", model(&plain, 7)), ("wide", model(&wide, 9))]
}

#[test]
fn every_code_path_and_any_number_of_threads_give_the_same_bits() {
    for (name, model) in models() {
        let prompt = Random(1).tokens(45, model.spec().dimensions.vocab);
        let expected = answer(&scalar(&model), &prompt, sampled(3), 1000);
        for path in CpuPath::available() {
            for threads in 1..=3 {
                let engine = engine(&model, config(path, threads, 64));
                assert_eq!(answer(&engine, &prompt, sampled(3), 1000), expected, "{path}, {threads} threads, {name}");
            }
        }
    }
}

#[test]
fn a_prompt_can_be_cut_anywhere() {
    for (name, model) in two_models() {
        let prompt = Random(2).tokens(50, model.spec().dimensions.vocab);
        let expected = answer(&scalar(&model), &prompt, sampled(4), 1000);
        for path in CpuPath::available() {
            for (pass_tokens, chunk) in [(64, 1), (64, 7), (64, 16), (5, 1000), (1, 1000), (17, 20)] {
                let engine = engine(&model, config(path, 2, pass_tokens));
                let found = answer(&engine, &prompt, sampled(4), chunk);
                assert_eq!(found, expected, "{name}, {path}, {chunk} of {pass_tokens}");
            }
        }
    }
}

#[test]
fn strangers_in_a_batch_change_nothing() {
    let cases = two_models().into_iter().flat_map(|case| CpuPath::available().map(move |path| (case.clone(), path)));
    for ((name, model), path) in cases {
        for pass_tokens in [4, 64] {
            let engine = engine(&model, config(path, 2, pass_tokens));
            let mut random = Random(5);
            let vocab = model.spec().dimensions.vocab;
            let prompts: Vec<Vec<u32>> = (0..11).map(|i| random.tokens(1 + i * 5, vocab)).collect();
            let mut sessions: Vec<Session> = Vec::new();
            for (i, prompt) in prompts.iter().enumerate() {
                sessions.push(engine.session(prompt, sampled(i as u64), OUTPUT).unwrap());
                prefill(&engine, &mut sessions[i], 1000);
                // Those that came earlier are ahead by some steps.
                let mut batch: Vec<&mut Session> = sessions.iter_mut().filter(|s| !s.is_full()).collect();
                assert!(engine.decode(&mut batch).iter().all(Result::is_ok));
            }
            while sessions.iter().any(|s| !s.is_full()) {
                let mut batch: Vec<&mut Session> = sessions.iter_mut().filter(|s| !s.is_full()).collect();
                assert!(engine.decode(&mut batch).iter().all(Result::is_ok));
            }
            for (i, (prompt, session)) in prompts.iter().zip(&sessions).enumerate() {
                let alone = answer(&engine, prompt, sampled(i as u64), 1000);
                let found = (session.output().to_vec(), session.commitments().to_vec());
                assert_eq!(found, alone, "session {i}, {name}, {path}");
            }
        }
    }
}

/// Bits of all logits over a text.
fn logits(model: &Arc<Model>, text: &[u32]) -> Vec<u32> {
    let mut bits = Vec::new();
    let engine = engine(model, EngineConfig { threads: 2, pass_tokens: 40, ..EngineConfig::default() });
    engine.logits(text, 0, &mut |_, logits| bits.extend(logits.iter().map(|x| x.to_bits()))).unwrap();
    bits
}

#[test]
fn a_model_upcycled_to_equal_experts_is_the_dense_model() {
    let upcycled = awkward();
    let dense = Dimensions { experts: 1, top_k: 1, ..upcycled.clone() };
    let text = Random(6).tokens(60, upcycled.vocab);
    let same = |d: &Dimensions| Arc::new(Model::load(blocks(d, 10, |layer, _| 500 + layer)).unwrap());
    assert_eq!(logits(&same(&upcycled), &text), logits(&same(&dense), &text));
    assert_ne!(logits(&model(&upcycled, 10), &text), logits(&same(&dense), &text));
}

#[test]
fn logits_do_not_depend_on_where_they_start() {
    let d = awkward();
    let model = model(&d, 12);
    let text = Random(7).tokens(90, d.vocab);
    let all = logits(&model, &text);
    let engine = engine(&model, EngineConfig { pass_tokens: 70, ..EngineConfig::default() });
    for from in [0, 1, 33, 69, 70, 89] {
        let mut next = from;
        let check = &mut |position: usize, row: &[f32]| {
            assert_eq!(position, next);
            next += 1;
            let expected = &all[position * row.len()..][..row.len()];
            assert!(row.iter().zip(expected).all(|(x, bits)| x.to_bits() == *bits), "position {position}");
        };
        engine.logits(&text, from, check).unwrap();
        assert_eq!(next, 90);
    }
}

#[test]
fn answers_are_pinned() {
    // Any change of these bits is a change of the protocol, and needs a new version of it.
    let model = model(&awkward(), 13);
    let (output, commitments) = answer(&scalar(&model), &Random(3).tokens(20, 133), sampled(1), 1000);
    assert_eq!(output, [11, 1, 129, 92, 113, 11, 59, 97, 127]);
    let last = commitments.last().unwrap().to_string();
    assert_eq!(last, "0x4afd494c80feea7315567c2631194d68f6a78076f58dd99647462f5c9a1c4fb2");
}

#[test]
fn replay_confirms_an_answer_and_names_the_first_difference() {
    let d = awkward();
    let model = model(&d, 14);
    let author = scalar(&model);
    let auditor = engine(&model, EngineConfig { pass_tokens: 16, ..EngineConfig::default() });
    let prompt = Random(4).tokens(23, d.vocab);
    for sampling in [Sampling::GREEDY, sampled(77)] {
        let (output, commitments) = answer(&author, &prompt, sampling, 10);
        let claim = Claim { prompt: &prompt, output: &output, sampling, commitments: Claimed::Every(&commitments) };
        let last = *commitments.last().unwrap();
        assert_eq!(replay(&auditor, &claim), Ok(()));
        assert_eq!(replay(&auditor, &Claim { commitments: Claimed::Last(last), ..claim }), Ok(()));

        for i in 0..OUTPUT {
            let mut changed = output.clone();
            changed[i] = (changed[i] + 1) % d.vocab;
            let found = replay(&auditor, &Claim { output: &changed, ..claim }).unwrap_err();
            let what = Difference::Token { claimed: changed[i], chosen: output[i] };
            assert_eq!(found, ReplayError::Diverged(Divergence { position: 22 + i, what }));
        }
        for i in [0, 5, 22, commitments.len() - 1] {
            let mut changed = commitments.clone();
            changed[i].0[31] ^= 1;
            let found = replay(&auditor, &Claim { commitments: Claimed::Every(&changed), ..claim }).unwrap_err();
            let what = Difference::Commitment { claimed: changed[i], computed: commitments[i] };
            assert_eq!(found, ReplayError::Diverged(Divergence { position: i, what }));
        }
        let other = Commitment([9; 32]);
        let found = replay(&auditor, &Claim { commitments: Claimed::Last(other), ..claim }).unwrap_err();
        let what = Difference::Commitment { claimed: other, computed: last };
        assert_eq!(found, ReplayError::Diverged(Divergence { position: commitments.len() - 1, what }));

        let mut changed = prompt.clone();
        changed[3] = (changed[3] + 1) % d.vocab;
        let found = replay(&auditor, &Claim { prompt: &changed, ..claim }).unwrap_err();
        let ReplayError::Diverged(Divergence { position, .. }) = found else { panic!("{found}") };
        // The start already hashes the first token; position 2 is the first that hashes token 3.
        assert_eq!(position, 2);
    }
}

#[test]
fn replay_refuses_claims_without_sense() {
    let model = model(&awkward(), 14);
    let engine = scalar(&model);
    let claim = Claim { prompt: &[1, 2], output: &[3], sampling: Sampling::GREEDY, commitments: Claimed::Every(&[]) };
    assert_eq!(replay(&engine, &claim), Err(ReplayError::Commitments { expected: 2, found: 0 }));
    assert_eq!(replay(&engine, &Claim { output: &[], ..claim }), Err(ReplayError::EmptyOutput));
    assert_eq!(replay(&engine, &Claim { prompt: &[], ..claim }), Err(ReplayError::Exec(ExecError::EmptyPrompt)));
    let unknown = ExecError::UnknownToken { position: 2, token: 133, vocab: 133 };
    assert_eq!(replay(&engine, &Claim { output: &[133], ..claim }), Err(ReplayError::Exec(unknown)));
    let too_long = replay(&engine, &Claim { output: &[1; 199], ..claim });
    assert!(matches!(too_long, Err(ReplayError::Exec(ExecError::TooLong { .. }))));
}

#[test]
fn requests_that_cannot_be_answered_are_refused_by_name() {
    let model = model(&awkward(), 15);
    let engine = scalar(&model);
    let refused = |prompt: &[u32], max_tokens| engine.session(prompt, Sampling::GREEDY, max_tokens).unwrap_err();
    assert_eq!(refused(&[], 1), ExecError::EmptyPrompt);
    assert_eq!(refused(&[1], 0), ExecError::NoOutput);
    assert_eq!(refused(&[1, 200], 1), ExecError::UnknownToken { position: 1, token: 200, vocab: 133 });
    assert_eq!(refused(&[1; 150], 51), ExecError::TooLong { prompt: 150, max_tokens: 51, context: 200 });
    assert!(matches!(refused(&[1], usize::MAX), ExecError::TooLong { .. }));
    let hot = Sampling { temperature: F32Bits::new(f32::NAN), ..Sampling::GREEDY };
    assert!(matches!(engine.session(&[1], hot, 1), Err(ExecError::Sampling(_))));

    let mut session = engine.session(&[1, 2, 3], Sampling::GREEDY, 1).unwrap();
    let result = engine.decode(&mut [&mut session]).remove(0);
    assert!(matches!(result, Err(ExecError::NotPrefilled(progress)) if progress.total == 2));
    prefill(&engine, &mut session, 1);
    step(&engine, &mut session);
    assert_eq!(engine.decode(&mut [&mut session]).remove(0), Err(ExecError::Full(1)));

    let other = scalar(&self::model(&awkward(), 16));
    assert!(matches!(other.prefill(&mut session, 1), Err(ExecError::OtherWeights { .. })));
    assert!(matches!(other.decode(&mut [&mut session]).remove(0), Err(ExecError::OtherWeights { .. })));
}

#[test]
fn a_session_that_cannot_go_on_leaves_the_batch_unharmed() {
    let model = model(&awkward(), 15);
    let engine = scalar(&model);
    let prompt = [5, 6, 7];
    let mut good = engine.session(&prompt, sampled(1), OUTPUT).unwrap();
    let mut unready = engine.session(&prompt, sampled(1), OUTPUT).unwrap();
    prefill(&engine, &mut good, 10);
    for _ in 0..OUTPUT {
        let results = engine.decode(&mut [&mut unready, &mut good]);
        assert!(matches!(results[0], Err(ExecError::NotPrefilled(_))) && results[1].is_ok());
    }
    assert_eq!((good.output().to_vec(), good.commitments().to_vec()), answer(&engine, &prompt, sampled(1), 10));
    assert!(unready.output().is_empty() && unready.commitments().is_empty());
}

#[test]
fn a_full_context_is_used_to_its_last_position() {
    let model = model(&awkward(), 17);
    let engine = scalar(&model);
    let mut session = engine.session(&Random(8).tokens(195, 133), Sampling::GREEDY, 5).unwrap();
    prefill(&engine, &mut session, 1000);
    while !session.is_full() {
        step(&engine, &mut session);
    }
    assert_eq!(session.tokens().len(), 200);
    assert_eq!(session.cache_bytes(), engine.cache_bytes(199));
}
