//! Code paths and how one is chosen.

use super::{
    kv::HeadCache,
    portable,
    quant::{Activations, NotFinite, Row, RowMut},
};
use core::{fmt, str::FromStr};

/// Environment variable that forces a code path: `scalar`, `avx2`, `avx512` or `neon`.
pub const CPU_VARIABLE: &str = "BLYAN_CPU";

/// A code path. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPath {
    /// Plain Rust, for any machine.
    Scalar,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
    /// 64-bit Arm with Advanced SIMD.
    Neon,
}

/// Why a code path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// No path has this name.
    #[error("{CPU_VARIABLE}: no code path is called {0:?}; use scalar, avx2, avx512 or neon")]
    Unknown(String),
    /// This machine lacks the instructions.
    #[error("this machine cannot execute the {0} code path; it can: {available}", available = Available)]
    Unsupported(CpuPath),
    /// Some code changed the floating-point mode of a thread that computes.
    #[error(
        "a thread flushes subnormal numbers to zero or does not round to nearest; canonical execution is impossible"
    )]
    FloatMode,
}

struct Available;

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = CpuPath::available().map(|path| path.to_string()).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Display for CpuPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        })
    }
}

impl FromStr for CpuPath {
    type Err = CpuError;

    fn from_str(text: &str) -> Result<Self, CpuError> {
        let found = Self::ALL.into_iter().find(|path| path.to_string() == text);
        found.ok_or_else(|| CpuError::Unknown(text.into()))
    }
}

impl CpuPath {
    /// All paths, the preferred first.
    const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];

    /// The paths that this machine can execute, the preferred first; the last is [`CpuPath::Scalar`].
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|path| path.kernels().is_some())
    }

    /// The path that [`CPU_VARIABLE`] names, or this machine's best.
    pub fn from_env() -> Result<Self, CpuError> {
        match std::env::var_os(CPU_VARIABLE) {
            Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
            _ => Ok(Self::available().next().unwrap_or(Self::Scalar)),
        }
    }

    /// The path's kernels, where this machine can execute them.
    fn kernels(self) -> Option<&'static Kernels> {
        match self {
            Self::Scalar => Some(&scalar::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if is_x86_feature_detected!("avx2") => Some(&super::avx2::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni") =>
            {
                Some(&super::avx512::KERNELS)
            },
            #[cfg(target_arch = "aarch64")]
            Self::Neon if std::arch::is_aarch64_feature_detected!("neon") => Some(&super::neon::KERNELS),
            _ => None,
        }
    }
}

/// A matrix, or some groups of its rows, and the tokens to multiply it with.
pub(crate) struct Panel<'a> {
    /// Whole groups of 16 rows in the layout `Rows16K4`.
    pub(crate) weights: &'a [i8],
    /// Scale of each row, without padding.
    pub(crate) scales: &'a [f32],
    /// Quantised tokens; their length is the matrix' number of columns.
    pub(crate) activations: &'a Activations,
    /// Which tokens.
    pub(crate) tokens: &'a [u32],
}

impl Panel<'_> {
    /// Groups of 16 rows.
    #[inline(always)]
    pub(super) fn groups(&self) -> usize {
        self.scales.len().div_ceil(16)
    }

    /// The 64-byte lines of group `index` and its rows' scales, padded with zeros.
    #[inline(always)]
    pub(super) fn group(&self, index: usize) -> (&[[i8; 64]], [f32; 16]) {
        let lines = self.activations.k().div_ceil(4);
        let weights = &self.weights.as_chunks::<64>().0[index * lines..][..lines];
        let scales = &self.scales[index * 16..];
        let scales = scales.first_chunk::<16>().copied().unwrap_or_else(|| {
            let mut padded = [0.0; 16];
            padded[..scales.len()].copy_from_slice(scales);
            padded
        });
        (weights, scales)
    }

    /// `N` tokens from the one at `first`.
    #[inline(always)]
    pub(super) fn rows<const N: usize>(&self, first: usize) -> [Row<'_>; N] {
        let mut rows = [Row::EMPTY; N];
        for (row, token) in rows.iter_mut().zip(&self.tokens[first..][..N]) {
            *row = self.activations.row(*token as usize);
        }
        rows
    }
}

/// See [`super::attention::attend`].
type Attend = unsafe fn(&[f32], &HeadCache<'_>, usize, f32, &mut [f32], &mut [f32]);

/// The kernels of a path. Each may only be called on a machine that has the path's instructions.
pub(super) struct Kernels {
    pub(super) dots: unsafe fn(&Panel<'_>, &mut [f32]),
    pub(super) quantise: unsafe fn(&[f32], usize, RowMut<'_>) -> Result<(), NotFinite>,
    pub(super) rms_norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) rotate: unsafe fn(&mut [f32], &[f32], &[f32]),
    pub(super) swiglu: unsafe fn(&mut [f32], &[f32]),
    pub(super) dot: unsafe fn(&[f32], &[f32]) -> f32,
    pub(super) attend: Attend,
}

/// A code path that this machine can execute.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    path: CpuPath,
    kernels: &'static Kernels,
}

impl Cpu {
    /// Checks that this machine has the instructions of `path`, and that floats behave on this thread.
    pub(crate) fn new(path: CpuPath) -> Result<Self, CpuError> {
        let kernels = path.kernels().ok_or(CpuError::Unsupported(path))?;
        check_floats()?;
        Ok(Self { path, kernels })
    }

    /// Which path this is.
    pub(crate) fn path(self) -> CpuPath {
        self.path
    }

    /// Products of the panel's rows with its tokens, `[tokens, rows padded to 16]`: row `r` of token `t` is
    /// `(S as f32) · unit_t · scale_r`, where `S` is the exact integer.
    pub(crate) fn dots(self, panel: &Panel<'_>, out: &mut [f32]) {
        // SAFETY: `new` checked that this machine has the path's instructions; so for all calls below.
        unsafe { (self.kernels.dots)(panel, out) }
    }

    /// See [`portable::quantise`].
    pub(crate) fn quantise(self, x: &[f32], block: usize, row: RowMut<'_>) -> Result<(), NotFinite> {
        // SAFETY: as above.
        unsafe { (self.kernels.quantise)(x, block, row) }
    }

    /// See [`portable::rms_norm`].
    pub(crate) fn rms_norm(self, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
        // SAFETY: as above.
        unsafe { (self.kernels.rms_norm)(x, gain, eps, out) }
    }

    /// See [`portable::rotate`].
    pub(crate) fn rotate(self, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: as above.
        unsafe { (self.kernels.rotate)(head, cos, sin) }
    }

    /// See [`portable::swiglu`].
    pub(crate) fn swiglu(self, gate: &mut [f32], up: &[f32]) {
        // SAFETY: as above.
        unsafe { (self.kernels.swiglu)(gate, up) }
    }

    /// See [`crate::math::dot`].
    pub(crate) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: as above.
        unsafe { (self.kernels.dot)(a, b) }
    }

    /// See [`super::attention::attend`].
    pub(crate) fn attend(
        self,
        queries: &[f32],
        cache: &HeadCache<'_>,
        positions: usize,
        scale: f32,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        // SAFETY: as above.
        unsafe { (self.kernels.attend)(queries, cache, positions, scale, scores, out) }
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu({})", self.path)
    }
}

/// Checks that this thread rounds to nearest, half to even, and honours subnormal numbers. The mode is each thread's own: it
/// is inherited, and any library can change it.
pub(super) fn check_floats() -> Result<(), CpuError> {
    let opaque = core::hint::black_box::<f32>;
    let half = opaque(f32::MIN_POSITIVE) * opaque(0.5);
    let (down, up) =
        (opaque(1.0) + opaque(f32::EPSILON / 2.0), opaque(1.0 + f32::EPSILON) + opaque(f32::EPSILON / 2.0));
    let ieee = half.to_bits() == 1 << 22
        && opaque(half) * opaque(2.0) == f32::MIN_POSITIVE
        && down == 1.0
        && up == 1.0 + 2.0 * f32::EPSILON;
    if ieee { Ok(()) } else { Err(CpuError::FloatMode) }
}

/// Defines `KERNELS` from a module's `tile`, and the portable kernels compiled for the module's instructions.
///
/// `tile::<N, LINES, RECORD>(lines, rows) -> [[f32; 16]; N]` multiplies a group of 16 rows with `N` tokens, for the numbers of tokens
/// listed, which descend to 1. `$vector` is the path's [`Vector`](super::attention::Vector).
macro_rules! kernels {
    ([$($tokens:literal),*], $vector:ty $(, $features:literal)?) => {
        use $crate::exec::{
            attention,
            cpu::{Kernels, Panel},
            kv::HeadCache,
            portable,
            quant::{NotFinite, RowMut},
        };

        pub(in $crate::exec) static KERNELS: Kernels = Kernels { dots, quantise, rms_norm, rotate, swiglu, dot, attend };

        $(#[target_feature(enable = $features)])?
        fn dots(panel: &Panel<'_>, out: &mut [f32]) {
            match panel.activations.block() {
                16 => dots_in_blocks::<4, 5>(panel, out),
                32 => dots_in_blocks::<8, 9>(panel, out),
                _ => dots_in_blocks::<16, 17>(panel, out),
            }
        }

        $(#[target_feature(enable = $features)])?
        fn dots_in_blocks<const LINES: usize, const RECORD: usize>(panel: &Panel<'_>, out: &mut [f32]) {
            let (groups, width) = (panel.groups(), panel.groups() * 16);
            for group in 0..groups {
                let (lines, scales) = panel.group(group);
                let mut done = 0;
                while done < panel.tokens.len() {
                    let out = &mut out[done * width + group * 16..];
                    $(
                        if panel.tokens.len() - done >= $tokens {
                            let rows = panel.rows::<$tokens>(done);
                            let sums = tile::<$tokens, LINES, RECORD>(lines, rows);
                            for n in 0..$tokens {
                                let out = &mut out[n * width..][..16];
                                for r in 0..16 {
                                    out[r] = sums[n][r] * scales[r];
                                }
                            }
                            done += $tokens;
                            continue;
                        }
                    )*
                }
            }
        }

        $(#[target_feature(enable = $features)])?
        fn quantise(x: &[f32], block: usize, row: RowMut<'_>) -> Result<(), NotFinite> {
            portable::quantise(x, block, row)
        }

        $(#[target_feature(enable = $features)])?
        fn rms_norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
            portable::rms_norm(x, gain, eps, out);
        }

        $(#[target_feature(enable = $features)])?
        fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
            portable::rotate(head, cos, sin);
        }

        $(#[target_feature(enable = $features)])?
        fn swiglu(gate: &mut [f32], up: &[f32]) {
            portable::swiglu(gate, up);
        }

        $(#[target_feature(enable = $features)])?
        fn dot(a: &[f32], b: &[f32]) -> f32 {
            $crate::math::dot(a, b)
        }

        $(#[target_feature(enable = $features)])?
        fn attend(
            queries: &[f32],
            cache: &HeadCache<'_>,
            positions: usize,
            scale: f32,
            scores: &mut [f32],
            out: &mut [f32],
        ) {
            attention::attend::<$vector>(queries, cache, positions, scale, scores, out);
        }
    };
}
pub(super) use kernels;

/// The path for any machine.
mod scalar {
    use super::{super::attention::Plain, portable::tile};

    super::kernels!([1], Plain);
}
