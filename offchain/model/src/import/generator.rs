//! Seeded numbers that are the same on every machine: for the routers of an upcycled model, and for the tiny model.
//!
//! Counter-based: number `i` of a stream is 32 bits of `BLAKE2b-256(domain ‖ seed ‖ stream ‖ i / 8)`, so any of them can be
//! computed alone, and none depends on how many were drawn before.

use blyan_primitives::hash::{Domain, hash};

const DOMAIN: Domain = Domain("blyan/weights-generator/1");
/// Numbers in one digest.
const PER_DIGEST: u64 = 8;

/// A stream of numbers in [-1, 1), each a multiple of 2^-23 and so exact in f32.
#[derive(Clone, Debug)]
pub(crate) struct Uniform {
    seed: u64,
    stream: u64,
    next: u64,
    digest: [u8; 32],
}

impl Uniform {
    /// Stream `stream` of `seed`, from its first number.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream, next: 0, digest: [0; 32] }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> f32 {
        let place = self.next % PER_DIGEST;
        if place == 0 {
            let counter = self.next / PER_DIGEST;
            self.digest = hash(DOMAIN, &[&self.seed.to_le_bytes(), &self.stream.to_le_bytes(), &counter.to_le_bytes()]);
        }
        self.next += 1;
        let (words, _) = self.digest.as_chunks::<4>();
        let word = words.get(place as usize).map_or(0, |bytes| u32::from_le_bytes(*bytes));
        // 24 bits, as an integer from -2^23 up to 2^23.
        let integer = (word >> 8) as i32 - (1 << 23);
        integer as f32 / (1 << 23) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        let mut uniform = Uniform::new(1, 2);
        let bits: Vec<u32> = (0..10).map(|_| uniform.next().to_bits()).collect();
        let mut again = Uniform::new(1, 2);
        assert_eq!(bits, (0..10).map(|_| again.next().to_bits()).collect::<Vec<_>>());
        assert_eq!((bits[0], bits[9]), PINNED);
    }

    const PINNED: (u32, u32) = (0x3d36_dc00, 0xbde3_72b0);

    #[test]
    fn numbers_are_uniform() {
        let mut uniform = Uniform::new(7, 0);
        let draws: Vec<f32> = (0..20_000).map(|_| uniform.next()).collect();
        assert!(draws.iter().all(|x| (-1.0..1.0).contains(x)));
        let mean = draws.iter().sum::<f32>() / 20_000.0;
        let square = draws.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.02 && (square - 1.0 / 3.0).abs() < 0.01, "{mean} {square}");
    }
}
