//! Random numbers for the simulation, out of the protocol's own draws: a seed and a purpose give the same run again.

use blyan_primitives::pol::Draw;
use std::f64::consts::TAU;

/// Bits of a uniform number: as many as an f64 keeps.
const BITS: u32 = 53;

/// A row of numbers.
pub(crate) struct Numbers {
    draw: Draw,
    /// Normal numbers come in pairs.
    spare: Option<f64>,
}

impl Numbers {
    /// The numbers for one purpose. Those for another do not depend on how many of these are taken.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { draw: Draw::new(&bytes, purpose.as_bytes()), spare: None }
    }

    /// What an epoch's randomness is on the chain.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&self.draw.below(u128::MAX).to_le_bytes());
        seed
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.draw.below(limit as u128) as usize
    }

    /// Puts a list into any order, each with the same chance.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for place in (1..list.len()).rev() {
            list.swap(place, self.below(place + 1));
        }
    }

    /// Between 0 and 1, neither of which it is.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.draw.below(1 << BITS) as f64 + 0.5) / (1u64 << BITS) as f64
    }

    /// Of the standard normal distribution (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (radius, angle) = ((-2.0 * self.uniform().ln()).sqrt(), TAU * self.uniform());
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Of the log-normal distribution with this median, and this deviation of the logarithm.
    pub(crate) fn log_normal(&mut self, median: f64, deviation: f64) -> f64 {
        median * (deviation * self.normal()).exp()
    }

    /// Of the exponential distribution: how long something takes to happen that happens once in `mean`.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut next: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = (0..40_000).map(|_| next()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn distributions_have_their_means_and_deviations() {
        let mut numbers = Numbers::new(1, "test");
        // Five standard errors, or more.
        let near = |found: (f64, f64), mean: f64, deviation: f64| {
            let close = (found.0 - mean).abs() < 0.025 * deviation && (found.1 / deviation - 1.0).abs() < 0.05;
            assert!(close, "{found:?} for {mean} and {deviation}");
        };
        near(moments(|| numbers.uniform()), 0.5, 12f64.sqrt().recip());
        near(moments(|| numbers.normal()), 0.0, 1.0);
        near(moments(|| numbers.exponential(3.0)), 3.0, 3.0);
        near(moments(|| numbers.log_normal(2.0, 0.5).ln()), 2f64.ln(), 0.5);
    }

    #[test]
    fn every_order_comes_as_often_as_the_others() {
        let mut numbers = Numbers::new(1, "test");
        let mut counts = [0; 27];
        for _ in 0..6_000 {
            let mut list = [0, 1, 2];
            numbers.shuffle(&mut list);
            counts[9 * list[0] + 3 * list[1] + list[2]] += 1;
        }
        let came: Vec<i32> = counts.into_iter().filter(|count| *count > 0).collect();
        assert!(came.len() == 6 && came.iter().all(|count| (count - 1_000).abs() < 150), "{came:?}");
    }

    #[test]
    fn a_seed_and_a_purpose_give_the_same_numbers() {
        let row = |seed, purpose| {
            let mut numbers = Numbers::new(seed, purpose);
            (numbers.normal(), numbers.below(1 << 30), numbers.seed())
        };
        assert_eq!(row(1, "a"), row(1, "a"));
        assert_ne!(row(1, "a"), row(2, "a"));
        assert_ne!(row(1, "a"), row(1, "b"));
    }
}
