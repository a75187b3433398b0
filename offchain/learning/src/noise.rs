//! Numbers for tests, the same each time.

/// Normal numbers, by their sum.
pub(crate) fn matrix(seed: u64, len: usize, size: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| (0..12).map(|_| uniform()).sum::<f32>() * size).collect()
}
