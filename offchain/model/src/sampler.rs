//! Choosing a token from logits, the same one on every machine.
//!
//! With temperature 0 the token with the highest logit is chosen, the lower one where logits are equal. Otherwise:
//!
//! 1. Tokens are ordered by falling logit, the lower token first where logits are equal. The *mass* of a token is the integer
//!    `floor(exp((logit - highest) / temperature) · 2^40)`, computed in f32 with [`crate::math::exp`]. Sums of masses are
//!    exact, so that the order of adding them does not matter.
//! 2. `top_k` keeps that many tokens from the front of the order; 0 keeps all.
//! 3. `top_p` keeps the shortest front of those whose mass is at least `floor(top_p · 2^32) / 2^32` of theirs; it is never
//!    empty.
//! 4. `u` is the first 8 bytes, little endian, of BLAKE2b-256 over the domain `blyan/sample/1`, the seed and the position
//!    whose hidden state the logits come from (u64 and u32, little endian). With `total` the mass of the kept tokens, the
//!    draw is `floor(u · total / 2^64)`.
//! 5. Chosen is the first kept token, in ascending order of tokens, at which the running sum of masses exceeds the draw.

use crate::math::exp;
use blyan_primitives::{
    hash::{Domain, hash},
    receipt::Sampling,
};
use core::cmp::Ordering;

const SAMPLE: Domain = Domain("blyan/sample/1");
/// Highest temperature.
pub const MAX_TEMPERATURE: f32 = 100.0;
/// A probability of 1, relative to the most likely token's.
const ONE: f32 = (1u64 << 40) as f32;

/// Why sampling parameters were refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// The temperature is negative, too high, or not a number.
    #[error("temperature {0} is not between 0 and {MAX_TEMPERATURE}")]
    Temperature(f32),
    /// The nucleus is empty, more than everything, or not a number.
    #[error("top_p {0} is not above 0 and at most 1")]
    TopP(f32),
}

/// Sampling parameters that were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler(Sampling);

impl Sampler {
    /// Checks the parameters.
    pub fn new(sampling: Sampling) -> Result<Self, SamplingError> {
        let (temperature, top_p) = (sampling.temperature.get(), sampling.top_p.get());
        // One way to write zero, so that equal requests have equal receipts.
        if !(0.0..=MAX_TEMPERATURE).contains(&temperature) || temperature.is_sign_negative() {
            return Err(SamplingError::Temperature(temperature));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(SamplingError::TopP(top_p));
        }
        Ok(Self(sampling))
    }

    /// The parameters.
    pub fn sampling(&self) -> &Sampling {
        &self.0
    }

    /// Chooses from finite `logits`, `[vocab]`, computed from the hidden state of `position`. Of no logits, token 0.
    pub fn choose(&self, logits: &[f32], position: u32) -> u32 {
        let best = argmax(logits);
        let temperature = self.0.temperature.get();
        if temperature == 0.0 {
            return best;
        }
        let highest = logits.get(best as usize).copied().unwrap_or(0.0);
        let mass = |logit: f32| (exp((logit - highest) / temperature) * ONE) as u64;
        let kept = self.kept(logits, mass);
        let masses =
            || (0u32..).zip(logits).filter(|(token, logit)| kept.has(**logit, *token)).map(|(t, l)| (t, mass(*l)));
        let total: u64 = masses().map(|(_, mass)| mass).sum();
        let draw = scale(self.uniform(position), total);
        let mut sum = 0;
        for (token, mass) in masses() {
            sum += mass;
            if sum > draw {
                return token;
            }
        }
        best
    }

    /// The last token that top-k and top-p keep.
    fn kept(&self, logits: &[f32], mass: impl Fn(f32) -> u64) -> Last {
        let everything = Last { logit: f32::NEG_INFINITY, token: u32::MAX };
        let top_k = match self.0.top_k as usize {
            0 => logits.len(),
            k => k.min(logits.len()),
        };
        let share = (f64::from(self.0.top_p.get()) * 2f64.powi(32)) as u64;
        let all_mass = share == 1 << 32;
        if top_k == logits.len() && all_mass {
            return everything;
        }
        let mut order: Vec<Last> = (0u32..).zip(logits).map(|(token, logit)| Last { logit: *logit, token }).collect();
        if top_k < order.len() {
            order.select_nth_unstable_by(top_k - 1, Last::order);
            order.truncate(top_k);
        }
        if all_mass {
            return order.into_iter().max_by(Last::order).unwrap_or(everything);
        }
        let total: u64 = order.iter().map(|item| mass(item.logit)).sum();
        // The front that is needed is short as a rule: sort ever longer ones until it is found.
        let (mut sorted, mut sum) = (0, 0u64);
        while sorted < order.len() {
            let front = (sorted * 4).max(64).min(order.len());
            if front < order.len() {
                order[sorted..].select_nth_unstable_by(front - sorted - 1, Last::order);
            }
            order[sorted..front].sort_unstable_by(Last::order);
            for item in &order[sorted..front] {
                sum += mass(item.logit);
                if u128::from(sum) << 32 >= u128::from(share) * u128::from(total) {
                    return *item;
                }
            }
            sorted = front;
        }
        everything
    }

    /// A number that is uniform over 64 bits.
    fn uniform(&self, position: u32) -> u64 {
        let digest = hash(SAMPLE, &[&self.0.seed.to_le_bytes(), &position.to_le_bytes()]);
        digest.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// `floor(u · total / 2^64)`.
fn scale(u: u64, total: u64) -> u64 {
    ((u128::from(u) * u128::from(total)) >> 64) as u64
}

/// A place in the order of tokens.
#[derive(Clone, Copy)]
struct Last {
    logit: f32,
    token: u32,
}

impl Last {
    /// Falling logit, then ascending token. Logits are finite; zeros of both signs are equal.
    fn order(&self, other: &Self) -> Ordering {
        other.logit.partial_cmp(&self.logit).unwrap_or(Ordering::Equal).then(self.token.cmp(&other.token))
    }

    /// Whether a token is not after this one.
    fn has(&self, logit: f32, token: u32) -> bool {
        logit > self.logit || logit == self.logit && token <= self.token
    }
}

/// The token with the highest logit, the lowest of those.
fn argmax(logits: &[f32]) -> u32 {
    const LANES: usize = 16;
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (most, logit) in most.iter_mut().zip(chunk) {
            *most = if *logit > *most { *logit } else { *most };
        }
    }
    let highest =
        most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, logit| if *logit > most { *logit } else { most });
    logits.iter().position(|logit| *logit == highest).map_or(0, |token| token as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::spec::F32Bits;
    use proptest::prelude::*;

    fn sampler(temperature: f32, top_p: f32, top_k: u32, seed: u64) -> Sampler {
        Sampler::new(Sampling { temperature: F32Bits::new(temperature), top_p: F32Bits::new(top_p), top_k, seed })
            .unwrap()
    }

    fn refused(temperature: f32, top_p: f32) -> SamplingError {
        let (temperature, top_p) = (F32Bits::new(temperature), F32Bits::new(top_p));
        Sampler::new(Sampling { temperature, top_p, ..Sampling::GREEDY }).unwrap_err()
    }

    #[test]
    fn hostile_parameters_are_refused_by_name() {
        for bad in [-1.0, -0.0, f32::INFINITY, 100.1] {
            assert_eq!(refused(bad, 1.0), SamplingError::Temperature(bad));
        }
        assert!(matches!(refused(f32::NAN, 1.0), SamplingError::Temperature(_)));
        for bad in [0.0, -1.0, 1.001, f32::INFINITY] {
            assert_eq!(refused(1.0, bad), SamplingError::TopP(bad));
        }
        assert!(matches!(refused(1.0, f32::NAN), SamplingError::TopP(_)));
    }

    #[test]
    fn greedy_takes_the_first_of_the_highest() {
        let mut logits = vec![0.0; 40];
        (logits[7], logits[33], logits[39]) = (2.0, 2.0, 2.0);
        assert_eq!(sampler(0.0, 1.0, 0, 5).choose(&logits, 3), 7);
        logits[39] = 2.5;
        assert_eq!(sampler(0.0, 1.0, 0, 5).choose(&logits, 3), 39);
    }

    #[test]
    fn choices_are_pinned() {
        // Any change here is a change of the protocol.
        let logits: Vec<f32> = (0..1000).map(|i| ((i * 7919 % 1009) as f32) / 200.0).collect();
        let chosen: Vec<u32> = (0..6)
            .map(|position| sampler(0.8, 0.9, 50, 42).choose(&logits, position))
            .chain((0..6).map(|position| sampler(1.0, 1.0, 0, 7).choose(&logits, position)))
            .collect();
        assert_eq!(chosen, [864, 831, 20, 442, 442, 231, 587, 8, 687, 985, 864, 50]);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let logits = [0.0f32, 1.0, 2.0, -1.0];
        let temperature = 0.7f32;
        let weights = logits.map(|l| f64::from(l / temperature).exp());
        let total: f64 = weights.iter().sum();
        let draws = 40_000;
        let mut counts = [0u32; 4];
        for position in 0..draws {
            counts[sampler(temperature, 1.0, 0, 11).choose(&logits, position) as usize] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            let expected = weight / total;
            let deviation = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
            assert!((f64::from(*count) / f64::from(draws) - expected).abs() < 4.0 * deviation, "{counts:?}");
        }
    }

    #[test]
    fn a_cold_sampler_is_greedy_and_a_tiny_nucleus_too() {
        let logits: Vec<f32> = (0..101).map(|i| ((i * 37 % 101) as f32) / 10.0).collect();
        let best = argmax(&logits);
        for position in 0..50 {
            assert_eq!(sampler(f32::from_bits(1), 1.0, 0, 3).choose(&logits, position), best);
            assert_eq!(sampler(1.0, f32::MIN_POSITIVE, 0, 3).choose(&logits, position), best);
            assert_eq!(sampler(1.0, 1.0, 1, 3).choose(&logits, position), best);
        }
    }

    proptest! {
        #[test]
        fn filters_keep_what_a_full_sort_keeps(
            logits in proptest::collection::vec(-8i32..8, 1..400),
            top_k in 0u32..500,
            top_p in 1u32..=1000,
        ) {
            let logits: Vec<f32> = logits.into_iter().map(|l| l as f32 / 2.0).collect();
            let sampler = sampler(1.0, top_p as f32 / 1000.0, top_k, 0);
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mass = |l: f32| (exp(l - highest) * ONE) as u64;
            let last = sampler.kept(&logits, mass);
            let kept: Vec<u32> = (0u32..).zip(&logits).filter(|(t, l)| last.has(**l, *t)).map(|(t, _)| t).collect();

            let mut order: Vec<u32> = (0..logits.len() as u32).collect();
            order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
            if top_k > 0 {
                order.truncate(top_k as usize);
            }
            let total: u64 = order.iter().map(|t| mass(logits[*t as usize])).sum();
            let share = (f64::from(sampler.sampling().top_p.get()) * 2f64.powi(32)) as u128;
            let mut sum = 0;
            let end = order.iter().position(|t| {
                sum += mass(logits[*t as usize]);
                (sum as u128) << 32 >= share * total as u128
            });
            order.truncate(end.map_or(order.len(), |end| end + 1));
            order.sort_unstable();
            prop_assert_eq!(&kept, &order);
            prop_assert!(kept.contains(&sampler.choose(&logits, 1)));
        }
    }
}
