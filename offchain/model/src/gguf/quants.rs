//! Dequantisation of ggml's block formats to f32, value for value as ggml does it.
//!
//! A row is cut into blocks of 32 values (the `_0` and `_1` types) or 256 (the `_K` types). Each block starts with one or
//! two f16 scales. All arithmetic is f32 in the order that the formulas below give, without fused operations, so that the
//! results are the same bits everywhere.
//!
//! | type | value |
//! |---|---|
//! | `Q4_0`, `Q5_0`, `Q8_0` | `q · d`, q signed |
//! | `Q4_1`, `Q5_1` | `q · d + m` |
//! | `Q4_K`, `Q5_K` | `(d · sc) · q − (dmin · mn)`, eight pairs of 6-bit `sc`, `mn` a block |
//! | `Q6_K` | `(d · sc) · q`, q signed, sixteen 8-bit `sc` a block |

use half::{bf16, f16};

/// Values in a block of the `_K` types.
const K: usize = 256;
/// Values in a block of the other quantised types.
const SMALL: usize = 32;

macro_rules! ggml_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $len:expr, $bytes:expr;)*) => {
        /// Element types of tensors that can be imported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GgmlType {
            $($(#[$doc])* $name,)*
        }

        impl GgmlType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The type with this number in a file; `None` where it is unknown or cannot be dequantised.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The type's number in a file.
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// Values in a block.
            pub fn block_len(self) -> usize {
                match self { $(Self::$name => $len,)* }
            }

            /// Bytes of a block.
            pub fn block_bytes(self) -> usize {
                match self { $(Self::$name => $bytes,)* }
            }
        }

        impl std::fmt::Display for GgmlType {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

ggml_types! {
    /// IEEE 754 binary32.
    F32 = 0, "F32", 1, 4;
    /// IEEE 754 binary16.
    F16 = 1, "F16", 1, 2;
    /// 4 bits, a scale a block.
    Q4_0 = 2, "Q4_0", SMALL, 2 + 16;
    /// 4 bits, a scale and a minimum a block.
    Q4_1 = 3, "Q4_1", SMALL, 4 + 16;
    /// 5 bits, a scale a block.
    Q5_0 = 6, "Q5_0", SMALL, 2 + 4 + 16;
    /// 5 bits, a scale and a minimum a block.
    Q5_1 = 7, "Q5_1", SMALL, 4 + 4 + 16;
    /// 8 bits, a scale a block.
    Q8_0 = 8, "Q8_0", SMALL, 2 + 32;
    /// 4 bits, scales and minima in two levels.
    Q4K = 12, "Q4_K", K, 4 + 12 + 128;
    /// 5 bits, scales and minima in two levels.
    Q5K = 13, "Q5_K", K, 4 + 12 + 32 + 128;
    /// 6 bits, scales in two levels.
    Q6K = 14, "Q6_K", K, 128 + 64 + 16 + 2;
    /// bfloat16.
    Bf16 = 30, "BF16", 1, 2;
}

/// Bytes and values that do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes of {ty} are not {values} values")]
pub struct QuantError {
    /// The type.
    pub ty: GgmlType,
    /// Bytes given.
    pub bytes: usize,
    /// Values asked for.
    pub values: usize,
}

/// Writes the values of whole blocks of type `ty` to `out`.
pub fn dequantise(ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<(), QuantError> {
    let blocks = out.len() / ty.block_len();
    if !out.len().is_multiple_of(ty.block_len()) || blocks.checked_mul(ty.block_bytes()) != Some(bytes.len()) {
        return Err(QuantError { ty, bytes: bytes.len(), values: out.len() });
    }
    match ty {
        GgmlType::F32 => each(bytes, out, |b: &[u8; 4], y: &mut [f32; 1]| y[0] = f32::from_le_bytes(*b)),
        GgmlType::F16 => each(bytes, out, |b: &[u8; 2], y: &mut [f32; 1]| y[0] = f16::from_le_bytes(*b).to_f32()),
        GgmlType::Bf16 => each(bytes, out, |b: &[u8; 2], y: &mut [f32; 1]| y[0] = bf16::from_le_bytes(*b).to_f32()),
        GgmlType::Q4_0 => each(bytes, out, q4_0),
        GgmlType::Q4_1 => each(bytes, out, q4_1),
        GgmlType::Q5_0 => each(bytes, out, q5_0),
        GgmlType::Q5_1 => each(bytes, out, q5_1),
        GgmlType::Q8_0 => each(bytes, out, q8_0),
        GgmlType::Q4K => each(bytes, out, q4_k),
        GgmlType::Q5K => each(bytes, out, q5_k),
        GgmlType::Q6K => each(bytes, out, q6_k),
    }
    Ok(())
}

/// Calls `block` on every block of `B` bytes and its `N` values.
fn each<const B: usize, const N: usize>(bytes: &[u8], out: &mut [f32], block: impl Fn(&[u8; B], &mut [f32; N])) {
    let (from, _) = bytes.as_chunks::<B>();
    let (to, _) = out.as_chunks_mut::<N>();
    for (from, to) in from.iter().zip(to) {
        block(from, to);
    }
}

fn scale(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The low half of a block's values is in the low nibbles, the high half in the high ones.
fn q4_0(block: &[u8; 18], y: &mut [f32; SMALL]) {
    let d = scale(block, 0);
    for (i, byte) in block[2..].iter().enumerate() {
        y[i] = f32::from((byte & 0x0f) as i8 - 8) * d;
        y[i + SMALL / 2] = f32::from((byte >> 4) as i8 - 8) * d;
    }
}

fn q4_1(block: &[u8; 20], y: &mut [f32; SMALL]) {
    let (d, m) = (scale(block, 0), scale(block, 2));
    for (i, byte) in block[4..].iter().enumerate() {
        y[i] = f32::from(byte & 0x0f) * d + m;
        y[i + SMALL / 2] = f32::from(byte >> 4) * d + m;
    }
}

/// The fifth bit of value `i` is bit `i` of a little-endian u32.
fn fifth_bits(block: &[u8], at: usize) -> impl Fn(usize) -> u8 {
    let bits = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    move |i| ((bits >> i & 1) << 4) as u8
}

fn q5_0(block: &[u8; 22], y: &mut [f32; SMALL]) {
    let (d, fifth) = (scale(block, 0), fifth_bits(block, 2));
    for (i, byte) in block[6..].iter().enumerate() {
        y[i] = f32::from((byte & 0x0f | fifth(i)) as i8 - 16) * d;
        y[i + SMALL / 2] = f32::from((byte >> 4 | fifth(i + SMALL / 2)) as i8 - 16) * d;
    }
}

fn q5_1(block: &[u8; 24], y: &mut [f32; SMALL]) {
    let (d, m, fifth) = (scale(block, 0), scale(block, 2), fifth_bits(block, 4));
    for (i, byte) in block[8..].iter().enumerate() {
        y[i] = f32::from(byte & 0x0f | fifth(i)) * d + m;
        y[i + SMALL / 2] = f32::from(byte >> 4 | fifth(i + SMALL / 2)) * d + m;
    }
}

fn q8_0(block: &[u8; 34], y: &mut [f32; SMALL]) {
    let d = scale(block, 0);
    for (y, q) in y.iter_mut().zip(&block[2..]) {
        *y = f32::from(*q as i8) * d;
    }
}

/// Sub-block `j` of eight: its 6-bit scale and minimum. The first four pairs are whole bytes' low six bits; the others have
/// four bits in the last four bytes, and their upper two in the top bits of the first eight.
fn scale_and_min(packed: &[u8], j: usize) -> (f32, f32) {
    let (sc, mn) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (packed[j + 4] & 0x0f | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
    };
    (f32::from(sc), f32::from(mn))
}

/// Values `64 g … 64 g + 31` are the low nibbles of bytes `32 g …`, the next 32 values their high nibbles.
fn q4_k(block: &[u8; 144], y: &mut [f32; K]) {
    k_nibbles(scale(block, 0), scale(block, 2), &block[4..16], &block[16..], |_, _| 0, y);
}

/// As [`q4_k`]; sub-block `j` has its fifth bits in bit `j` of the 32 bytes in front of the nibbles.
fn q5_k(block: &[u8; 176], y: &mut [f32; K]) {
    let high = &block[16..48];
    let fifth = |j: usize, i: usize| (high[i] >> j & 1) << 4;
    k_nibbles(scale(block, 0), scale(block, 2), &block[4..16], &block[48..], fifth, y);
}

fn k_nibbles(d: f32, dmin: f32, scales: &[u8], nibbles: &[u8], fifth: impl Fn(usize, usize) -> u8, y: &mut [f32; K]) {
    for (j, y) in y.chunks_exact_mut(SMALL).enumerate() {
        let (sc, mn) = scale_and_min(scales, j);
        let (scale, min) = (d * sc, dmin * mn);
        let bytes = &nibbles[j / 2 * SMALL..][..SMALL];
        for (i, (y, byte)) in y.iter_mut().zip(bytes).enumerate() {
            let low = if j % 2 == 0 { byte & 0x0f } else { byte >> 4 };
            *y = scale * f32::from(low | fifth(j, i)) - min;
        }
    }
}

/// Two halves of 128 values; in each, quarter `t` has its low nibbles in bytes `32 (t mod 2) …` (low nibble for `t < 2`),
/// its two high bits at bit `2 t` of 32 bytes, and a scale for every 16 values.
fn q6_k(block: &[u8; 210], y: &mut [f32; K]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let d = scale(rest, 16);
    for (half, y) in y.chunks_exact_mut(128).enumerate() {
        for (t, y) in y.chunks_exact_mut(32).enumerate() {
            for (i, y) in y.iter_mut().enumerate() {
                let nibbles = low[64 * half + 32 * (t % 2) + i];
                let four = if t < 2 { nibbles & 0x0f } else { nibbles >> 4 };
                let two = high[32 * half + i] >> (2 * t) & 3;
                let q = (four | two << 4) as i8 - 32;
                let sc = rest[8 * half + 2 * t + i / 16] as i8;
                *y = d * f32::from(sc) * f32::from(q);
            }
        }
    }
}
