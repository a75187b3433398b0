//! Each path's kernels against [`canonical`], which has the operations an element at a time.

use super::{
    cpu::{Cpu, CpuError, CpuPath, Panel, check_floats},
    kv::KvCache,
    pool::Pool,
    quant::{Activations, NotFinite},
};
use crate::math;
use blyan_primitives::{
    canonical::{self, Quantised},
    spec::{Dimensions, F32Bits},
};
use blyan_tensorblock::quant::pack_rows16k4;
use proptest::prelude::*;

fn paths() -> Vec<Cpu> {
    CpuPath::available().map(|path| Cpu::new(path).unwrap()).collect()
}

/// Rows of `x`, `[tokens, k]`, quantised by `cpu`; the results say which were finite.
fn quantise(cpu: Cpu, x: &[f32], k: usize, block: usize) -> (Activations, Vec<Result<(), NotFinite>>) {
    let tokens = x.len() / k;
    let mut activations = Activations::new(tokens, k, block);
    let mut results = vec![Ok(()); tokens];
    let parts = (activations.parts(tokens), super::pool::Chunks::new(&mut results, 1));
    Pool::new(1).unwrap().each(parts, |token, (row, result)| {
        result.fill(cpu.quantise(&x[token * k..][..k], block, row));
    });
    (activations, results)
}

/// Numbers whose blocks have very different sizes.
fn activations(tokens: usize, k: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = (-1f32..1.0, 0u32..4);
    (proptest::collection::vec(value, tokens * k), 0i32..30, any::<u64>()).prop_map(move |(values, spread, seed)| {
        let size = |i: usize| ((seed.rotate_left((i / 16 % 64) as u32) % 31) as i32 * spread / 30) as f32;
        values.iter().enumerate().map(|(i, (v, kind))| if *kind == 0 { 0.0 } else { v * size(i).exp2() }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn dot_products_are_the_defined_ones(
        ((tokens, k, x), rows, block, hostile, seed) in (
            (1usize..20, 1usize..300).prop_flat_map(|(t, k)| (Just(t), Just(k), activations(t, k))),
            1usize..50,
            prop::sample::select(vec![16usize, 32, 64]),
            any::<bool>(),
            any::<u64>(),
        )
    ) {
        let mut state = seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let weights: Vec<i8> = (0..rows * k).map(|_| match (hostile, random() % 3) {
            (true, 0) => i8::MIN,
            (true, 1) => i8::MAX,
            _ => random() as i8,
        }).collect();
        let scales: Vec<f32> = (0..rows).map(|_| random() as i32 as f32 / 1e9).collect();
        let mut packed = pack_rows16k4(&weights, rows, k).unwrap();
        if hostile {
            // Nothing looks at the padding: a block may hold anything there.
            for row in 0..rows.next_multiple_of(16) {
                for column in 0..k.next_multiple_of(4) {
                    if row >= rows || column >= k {
                        packed[blyan_tensorblock::quant::rows16k4_index(row, column, k)] = 99;
                    }
                }
            }
        }
        let order: Vec<u32> = (0..tokens as u32).rev().collect();
        let width = rows.next_multiple_of(16);
        for cpu in paths() {
            let (activations, results) = quantise(cpu, &x, k, block);
            prop_assert!(results.iter().all(Result::is_ok));
            let mut out = vec![f32::NAN; tokens * width];
            let panel = Panel { weights: &packed, scales: &scales, activations: &activations, tokens: &order };
            cpu.dots(&panel, &mut out);
            for (i, token) in order.iter().enumerate() {
                let x = Quantised::new(&x[*token as usize * k..][..k], block).unwrap();
                for row in 0..rows {
                    let expected = x.linear(weights[row * k..][..k].iter().copied(), scales[row]);
                    let found = out[i * width + row];
                    prop_assert_eq!(found.to_bits(), expected.to_bits(), "{:?}: row {} of token {}", cpu, row, token);
                }
            }
        }
    }

    #[test]
    fn all_floats_are_quantised_as_defined(bits in proptest::collection::vec(any::<u32>(), 1..200), near in 0u32..3) {
        let x: Vec<f32> = bits.iter().map(|bits| f32::from_bits(match near {
            // Any float, subnormals only, and neighbours in size.
            0 => *bits,
            1 => bits & 0x80ff_ffff,
            _ => bits & 0x87ff_ffff | 0x3800_0000,
        })).filter(|x| x.is_finite()).chain([0.0]).collect();
        for block in [16, 32, 64] {
            let Quantised { values: q, shifts, least, .. } = Quantised::new(&x, block).unwrap();
            for cpu in paths() {
                let (activations, results) = quantise(cpu, &x, x.len(), block);
                prop_assert_eq!(results[0], Ok(()));
                let row = activations.row(0);
                prop_assert_eq!(row.scale.unit, math::pow2::<f32>(least));
                let (mut offset, mut bound) = (0i64, 0i64);
                for (b, record) in row.words.chunks(block / 4 + 1).enumerate() {
                    let integers: Vec<i8> =
                        record[..block / 4].iter().flat_map(|w| w.to_le_bytes()).map(|q| q as i8).collect();
                    let expected = &q[b * block..q.len().min((b + 1) * block)];
                    prop_assert_eq!(&integers[..expected.len()], expected);
                    prop_assert!(integers[expected.len()..].iter().all(|q| *q == 0));
                    let shift = record[block / 4];
                    prop_assert_eq!(shift, shifts[b]);
                    prop_assert!(shift <= 24);
                    offset -= expected.iter().map(|q| i64::from(*q)).sum::<i64>() << (7 + shift);
                    bound += expected.iter().map(|q| i64::from(*q).abs()).sum::<i64>() << (7 + shift);
                }
                prop_assert_eq!(row.scale.offset, offset);
                prop_assert_eq!(row.scale.narrow, bound <= i64::from(i32::MAX));
            }
        }
    }

    #[test]
    fn attention_is_the_defined_one(
        positions in 1usize..70,
        half in 1usize..45,
        group in 1usize..7,
        seed in any::<u64>(),
    ) {
        let d = 2 * half;
        let mut state = seed;
        let mut floats = |count: usize| -> Vec<f32> {
            (0..count).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1 << 22) as f32 - 2.0
            }).collect()
        };
        let dimensions = Dimensions {
            layers: 2, hidden: 64, heads: 2 * group as u16, kv_heads: 2, head_dim: d as u16, ffn: 64, vocab: 16,
            context: 128, experts: 1, top_k: 1, activation_block: 32, rope_theta: F32Bits::new(1e4),
            rms_eps: F32Bits::new(1e-5), tied_embeddings: true, qk_norm: false, checkpoint_every: 1,
        };
        let mut cache = KvCache::new(&dimensions);
        cache.grow(positions + 3);
        let (keys, values) = (floats((positions + 3) * 2 * d), floats((positions + 3) * 2 * d));
        // Three positions more than are attended over: a prompt's later tokens are there before the earlier attend.
        for position in 0..positions + 3 {
            let offset = cache.offset(1, 0);
            let row = position * 2 * d;
            let page = &mut cache.pages_mut(position..position + 1)[0];
            page.store(offset, position % 16, d, &keys[row..][..2 * d], &values[row..][..2 * d]);
        }
        let queries = floats(group * d);
        let scale = math::rsqrt(d as f32);
        for cpu in paths() {
            let mut scores = vec![f32::NAN; group * positions.next_multiple_of(16)];
            let mut out = vec![f32::NAN; group * d];
            cpu.attend(&queries, &cache.head(1, 1), positions, scale, &mut scores, &mut out);
            for (query, out) in queries.chunks(d).zip(out.chunks(d)) {
                let row = |x: &[f32], p: usize| x[(2 * p + 1) * d..][..d].to_vec();
                let s: Vec<f32> = (0..positions).map(|p| canonical::score(query, &row(&keys, p))).collect();
                let most = canonical::largest(&s);
                let t: Vec<f32> = s.iter().map(|s| canonical::softmax_numerator(*s, most)).collect();
                let total = canonical::sum(&t);
                for (i, out) in out.iter().enumerate() {
                    let column: Vec<f32> = (0..positions).map(|p| row(&values, p)[i]).collect();
                    let expected = canonical::attended(&t, &column, total);
                    prop_assert_eq!(out.to_bits(), expected.to_bits(), "{:?}, column {}", cpu, i);
                }
            }
        }
    }

    #[test]
    fn elementwise_kernels_agree_on_every_path(
        bits in proptest::collection::vec(any::<u32>(), 2..150),
        gains in proptest::collection::vec(-4f32..4.0, 150),
    ) {
        // Any float that is a number: also those at which exp ends.
        let x: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).map(|x| if x.is_nan() { 1.0 } else { x }).collect();
        let even = x.len() / 2 * 2;
        let (cos, sin) = gains[..even].split_at(even / 2);
        let run = |cpu: Cpu| {
            let mut normed = vec![0.0; x.len()];
            cpu.rms_norm(&x, &gains[..x.len()], 1e-5, &mut normed);
            let mut rotated = x[..even].to_vec();
            cpu.rotate(&mut rotated, cos, sin);
            let mut gated: Vec<f32> = x.iter().map(|x| x.clamp(-200.0, 200.0)).collect();
            cpu.swiglu(&mut gated, &gains);
            let dot = cpu.dot(&x, &gains[..x.len()]);
            // All NaN are one: which one is the machine's choice, and a named error before anybody sees it.
            let canonical = |x: &f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
            normed.iter().chain(&rotated).chain(&gated).chain([&dot]).map(canonical).collect::<Vec<_>>()
        };
        let canonical = |x: f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
        let factor = canonical::norm_factor(&x, 1e-5);
        let normed = x.iter().zip(&gains).map(|(x, gain)| canonical::norm(*x, factor, *gain));
        let pairs = (0..even / 2).map(|i| canonical::rotate((x[i], x[even / 2 + i]), (cos[i], sin[i])));
        let (first, second): (Vec<f32>, Vec<f32>) = pairs.unzip();
        let gated = x.iter().zip(&gains).map(|(x, up)| canonical::gated(x.clamp(-200.0, 200.0), *up));
        let dot = math::dot(&x, &gains[..x.len()]);
        let expected: Vec<u32> =
            normed.chain(first).chain(second).chain(gated).chain([dot]).map(canonical).collect();
        for cpu in paths() {
            prop_assert_eq!(run(cpu), expected.clone(), "{:?}", cpu);
        }
    }
}

#[test]
fn sums_of_the_largest_magnitudes_are_exact() {
    // 64 blocks of ±127 against ±128: 32 bits hold the sum up to a shift of 7, and everything beyond needs 64.
    let k = 2048;
    let weights = vec![i8::MIN; 16 * k];
    let packed = pack_rows16k4(&weights, 16, k).unwrap();
    for spread in [0, 6, 7, 8, 24] {
        for sign in [1.0, -1.0] {
            let x: Vec<f32> =
                (0..k).map(|i| if i < 32 { sign * 127.0 } else { sign * 127.0 * 2f32.powi(spread) }).collect();
            for cpu in paths() {
                let (activations, _) = quantise(cpu, &x, k, 32);
                let mut out = [0.0; 16];
                let panel = Panel { weights: &packed, scales: &[1.0; 16], activations: &activations, tokens: &[0] };
                cpu.dots(&panel, &mut out);
                let expected = Quantised::new(&x, 32).unwrap().linear(weights[..k].iter().copied(), 1.0);
                assert_eq!(out, [expected; 16], "{cpu:?}, spread {spread}");
            }
        }
    }
}

#[test]
fn values_that_are_not_finite_are_refused_and_leave_zeros() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0xffc0_1234)] {
        for place in [0, 31, 32, 69] {
            let mut x = vec![1.0; 140];
            x[70 + place] = bad;
            for cpu in paths() {
                let (activations, results) = quantise(cpu, &x, 70, 32);
                assert_eq!(results, [Ok(()), Err(NotFinite)]);
                assert!(activations.row(1).words.iter().all(|word| *word == 0));
                assert_eq!(activations.row(1).scale.offset, 0);
            }
        }
    }
}

#[test]
fn paths_have_names() {
    for path in [CpuPath::Scalar, CpuPath::Avx2, CpuPath::Avx512, CpuPath::Neon] {
        assert_eq!(path.to_string().parse(), Ok(path));
    }
    assert_eq!("sse".parse::<CpuPath>(), Err(CpuError::Unknown("sse".into())));
    assert_eq!(CpuPath::available().last(), Some(CpuPath::Scalar));
    #[cfg(target_arch = "x86_64")]
    assert_eq!(Cpu::new(CpuPath::Neon).unwrap_err(), CpuError::Unsupported(CpuPath::Neon));
    #[cfg(target_arch = "aarch64")]
    assert_eq!(Cpu::new(CpuPath::Avx2).unwrap_err(), CpuError::Unsupported(CpuPath::Avx2));
}

/// What `job` returns on a thread that flushes subnormal results to zero, as some libraries have it.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "changes the floating-point mode")]
fn flushing<T: Send>(job: impl FnOnce() -> T + Send) -> T {
    let set = |mode: u32| {
        // SAFETY: loads a valid mode from a variable; the thread ends, or gets its mode back, before anything depends on it.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &mode, options(nostack, readonly)) }
    };
    const USUAL: u32 = 0x1f80;
    const FLUSH_TO_ZERO: u32 = 1 << 15;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            set(USUAL | FLUSH_TO_ZERO);
            let result = job();
            set(USUAL);
            result
        });
        thread.join().unwrap()
    })
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_thread_that_computes_in_another_mode_is_refused() {
    use super::{Engine, EngineConfig, ExecError, Model, ModelBlocks};
    use blyan_primitives::{ids::ContentHash, receipt::Sampling};
    use std::collections::BTreeMap;

    assert_eq!(flushing(|| Cpu::new(CpuPath::Scalar).unwrap_err()), CpuError::FloatMode);
    // Threads inherit the mode of the one that starts them, and keep it when that one mends its ways.
    let mut pool = flushing(|| Pool::new(3).unwrap());
    let unsound = std::sync::atomic::AtomicUsize::new(0);
    pool.on_every_worker(&|| {
        unsound.fetch_add(usize::from(check_floats().is_err()), std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(unsound.into_inner(), 2);

    let tiny = crate::tiny::build(1).unwrap();
    let spec = tiny.genesis.spec;
    let blocks: BTreeMap<ContentHash, _> =
        tiny.blocks.into_iter().map(|block| (block.hash(), block.into_block().unwrap())).collect();
    let block = |hash: &ContentHash| blocks[hash].clone();
    let experts = tiny.genesis.heads.iter().map(|layer| layer.iter().map(block).collect()).collect();
    let (trunk, router) = (block(&spec.trunk), block(&spec.router));
    let model = std::sync::Arc::new(Model::load(ModelBlocks { spec, trunk, router, experts }).unwrap());
    let engine = Engine::new(model, EngineConfig { threads: 2, ..EngineConfig::default() }).unwrap();
    let mut session = engine.session(&[1, 2], Sampling::GREEDY, 2).unwrap();
    let refused = ExecError::Cpu(CpuError::FloatMode);
    assert_eq!(flushing(|| engine.prefill(&mut session, 9).unwrap_err()), refused);
    assert!(engine.prefill(&mut session, 9).unwrap().is_done());
    assert_eq!(flushing(|| engine.decode(&mut [&mut session]).remove(0)), Err(refused));
    assert!(engine.decode(&mut [&mut session]).remove(0).is_ok());
}
