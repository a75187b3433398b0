//! Canonical execution: what a model computes, to the last bit.
//!
//! This page is the protocol's definition. Whoever follows it gets the same tokens and the same commitments, on any machine,
//! with any number of threads, however a prompt is cut and whatever else is computed at the same time. The code below it is
//! one way to follow it quickly; [`portable`] is the plainest.
//!
//! # Numbers
//!
//! f32 and f64 are IEEE 754 binary32 and binary64, round to nearest even, subnormals honoured. Every operation written here
//! is rounded once, in the order written; nothing is fused or reassociated. `Σ₁₆` is the sum in 16 lanes that
//! [`crate::math::tree`] defines: element `i` is added to lane `i mod 16` in ascending order, then lanes fold by 8, 4, 2, 1.
//! `exp` and `silu` are those of [`crate::math`]. An infinity, or no number, in the input of a linear layer, in router scores
//! or in logits ends the sequence with [`ExecError::NotFinite`].
//!
//! # Linear layers
//!
//! A matrix holds int8 weights `w[r][k]` (stored values may be -128) and an f32 scale for each row. A token's f32 input `x[k]`
//! is quantised first, in blocks of `B = activation_block` consecutive elements; the last block may be shorter.
//!
//! 1. `m_b` is the largest magnitude in block `b`. `E_b` is the biased exponent field of the f32 `m_b`, 0 for subnormals.
//!    `e_b = max(E_b - 133, -126)`: for normal numbers `floor(log2 m_b) - 6`, so that magnitudes are in [64, 128).
//! 2. `e_b` is raised to `e_max - 24` where it is below; `e_max` is the largest over the token's blocks.
//! 3. `q[k] = clamp(round(x[k] · 2^-e_b), -127, 127)`, halves to even. The product is exact, or below a half.
//! 4. `e_min` is the smallest `e_b` over blocks with `m_b ≠ 0`; a block with `m_b = 0` has `q = 0` and counts nowhere.
//! 5. `S[r] = Σ_b 2^(e_b - e_min) Σ_{k in b} w[r][k] · q[k]`, an integer.
//! 6. `y[r] = ((S[r] as f32) · 2^e_min) · scale[r]`: the conversion rounds to nearest even, the first product is exact.
//!
//! `|S| ≤ 2^24 · 128 · 127 · K < 2^58` for every `K` that a spec allows (at most 2^20), so 64 bits hold it and no order of
//! adding changes it. Where the token's own magnitudes show that 32 bits hold it, kernels stay in 32 bits.
//!
//! # Layers
//!
//! `x` is the residual stream, `[hidden]`; at first the embedding's row, each element `(w as f32) · scale`. In each layer:
//!
//! 1. `n = norm(x, attn_norm)`. `norm(v, g)[i] = (v[i] · r) · g[i]` with `r = 1 / sqrt(Σ₁₆ v[i]² / len + rms_eps)`.
//! 2. `q`, `k`, `v` are linear layers of `n`, in heads of `d = head_dim`. With `qk_norm` each head of `q` and `k` is replaced
//!    by its `norm`.
//! 3. Rotary embedding turns the pairs `(a, b) = (h[i], h[i + d/2])` of each head of `q` and `k` into
//!    `(a · cos - b · sin, b · cos + a · sin)`; the angle is `position · rope_theta^(-2i/d)` radians, see
//!    [`crate::math::rope_row`].
//! 4. Each query head attends over positions `p` up to its own, with keys and values of head
//!    `floor(h · kv_heads / heads)`:
//!    `s[p] = Σ₁₆ q[i] · k[p][i] · (1 / sqrt(d))`, the scale multiplied last; `t[p] = exp(s[p] - max s)`;
//!    `o[i] = (Σ t[p] · v[p][i]) / Σ₁₆ t[p]`, the first sum from +0.0 over ascending `p`.
//! 5. `x[i] = x[i] + y[i]`, `y` the output projection of the heads' `o`.
//! 6. `n = norm(x, ffn_norm)`. The score of expert `j` is `Σ₁₆ n[i] · router[j][i]`.
//! 7. Chosen are the `top_k` experts with the highest scores, the lower index first where scores are equal. With `s_1` the
//!    highest score their weights are `w_j = exp(s_j - s_1) / Σ exp(s_i - s_1)`, the sum in order of rank.
//! 8. An expert computes `down(silu(gate(n)) · up(n))`, all three linear.
//! 9. `y = y_1 + Σ w_j · (y_j - y_1)` over ranks 2 and up in order, elementwise, leaving out experts whose *block* is that of
//!    rank 1: those would add exactly nothing. `x[i] = x[i] + y[i]`.
//!
//! So a layer whose experts share one block computes what the dense layer computes, and only once.
//!
//! After the last layer `f = norm(x, norm)` is the final state, and logits are the output matrix times `f`, a linear layer.
//! [`crate::sampler`] chooses the next token from them.
//!
//! # Commitment
//!
//! The rolling commitment ([`blyan_primitives::receipt`]) takes the bits of `x` after `checkpoint_every`,
//! `2 · checkpoint_every`, … layers, as far as these are fewer than `layers`, and of `f`.

#![allow(clippy::needless_range_loop, reason = "a lane, row or token is an index into several arrays at once")]

mod attention;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads and stores")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads and stores")]
mod avx512;
#[allow(unsafe_code, reason = "calls the kernels that this machine can execute")]
mod cpu;
mod engine;
mod forward;
mod kv;
mod model;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector loads and stores")]
mod neon;
#[allow(unsafe_code, reason = "gives threads parts of one slice")]
mod pool;
mod portable;
mod quant;
mod router;
mod score;
#[cfg(test)]
mod tests;

pub use cpu::{CPU_VARIABLE, CpuError, CpuPath};
pub use engine::{Engine, EngineConfig, EngineError, ExecError, MAX_PASS_TOKENS, MAX_THREADS};
pub use model::{LoadError, Model, ModelBlocks};
pub use score::{ItemScorer, ScoreError, Scorer};

pub(crate) use kv::KvCache;
