//! A small Llama-shaped GGUF file, dense or a mixture, and the canonical weights it holds.

use super::{Numbers, gguf::GgufFile};
use std::collections::BTreeMap;

pub(crate) const LAYERS: usize = 2;
pub(crate) const HIDDEN: usize = 32;
pub(crate) const HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 16;
pub(crate) const KV_HEADS: usize = 1;
pub(crate) const FFN: usize = 64;
pub(crate) const EXPERTS: usize = 3;
pub(crate) const VOCAB: usize = 259;

/// The weights, by their names in blocks, rows in half-split order.
pub(crate) fn weights(mixture: bool) -> BTreeMap<String, Vec<f32>> {
    let mut numbers = Numbers(7);
    let mut out = BTreeMap::new();
    let mut add = |name: String, count: usize| {
        out.insert(name, numbers.take(count));
    };
    add("embed".into(), VOCAB * HIDDEN);
    add("norm".into(), HIDDEN);
    for layer in 0..LAYERS {
        add(format!("{layer}.attn_norm"), HIDDEN);
        add(format!("{layer}.ffn_norm"), HIDDEN);
        add(format!("{layer}.q"), HEADS * HEAD_DIM * HIDDEN);
        add(format!("{layer}.k"), KV_HEADS * HEAD_DIM * HIDDEN);
        add(format!("{layer}.v"), KV_HEADS * HEAD_DIM * HIDDEN);
        add(format!("{layer}.o"), HIDDEN * HEADS * HEAD_DIM);
        if mixture {
            add(format!("{layer}.router"), EXPERTS * HIDDEN);
        }
        for expert in 0..if mixture { EXPERTS } else { 1 } {
            for matrix in ["gate", "up", "down"] {
                add(format!("{layer}.{expert}.{matrix}"), FFN * HIDDEN);
            }
        }
    }
    out
}

/// What llama.cpp's converter does to queries and keys: each head's two halves are interleaved.
fn interleave(values: &[f32], heads: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for head in 0..heads {
        for i in 0..HEAD_DIM / 2 {
            for half in 0..2 {
                let row = head * HEAD_DIM + half * HEAD_DIM / 2 + i;
                out.extend_from_slice(&values[row * HIDDEN..(row + 1) * HIDDEN]);
            }
        }
    }
    out
}

/// The file that holds [`weights`].
pub(crate) fn gguf(mixture: bool) -> GgufFile {
    let weights = weights(mixture);
    let mut file = GgufFile::default()
        .text("general.architecture", "llama")
        .u32("llama.block_count", LAYERS as u32)
        .u32("llama.context_length", 128)
        .u32("llama.embedding_length", HIDDEN as u32)
        .u32("llama.feed_forward_length", FFN as u32)
        .u32("llama.attention.head_count", HEADS as u32)
        .u32("llama.attention.head_count_kv", KV_HEADS as u32)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .f32("llama.rope.freq_base", 10_000.0)
        .tokenizer()
        .tensor("token_embd.weight", &[VOCAB, HIDDEN], &weights["embed"])
        .tensor("output_norm.weight", &[HIDDEN], &weights["norm"]);
    if mixture {
        file = file.u32("llama.expert_count", EXPERTS as u32).u32("llama.expert_used_count", 2);
    }
    for layer in 0..LAYERS {
        let at = |name: &str| &weights[&format!("{layer}.{name}")];
        let name = |name: &str| format!("blk.{layer}.{name}.weight");
        file = file
            .tensor(&name("attn_norm"), &[HIDDEN], at("attn_norm"))
            .tensor(&name("ffn_norm"), &[HIDDEN], at("ffn_norm"))
            .tensor(&name("attn_q"), &[HEADS * HEAD_DIM, HIDDEN], &interleave(at("q"), HEADS))
            .tensor(&name("attn_k"), &[KV_HEADS * HEAD_DIM, HIDDEN], &interleave(at("k"), KV_HEADS))
            .tensor(&name("attn_v"), &[KV_HEADS * HEAD_DIM, HIDDEN], at("v"))
            .tensor(&name("attn_output"), &[HIDDEN, HEADS * HEAD_DIM], at("o"));
        for (matrix, shape) in [("gate", [FFN, HIDDEN]), ("up", [FFN, HIDDEN]), ("down", [HIDDEN, FFN])] {
            if mixture {
                let experts: Vec<f32> = (0..EXPERTS).flat_map(|e| at(&format!("{e}.{matrix}")).clone()).collect();
                file = file.tensor(&name(&format!("ffn_{matrix}_exps")), &[EXPERTS, shape[0], shape[1]], &experts);
            } else {
                file = file.tensor(&name(&format!("ffn_{matrix}")), &shape, at(&format!("0.{matrix}")));
            }
        }
        if mixture {
            file = file.tensor(&name("ffn_gate_inp"), &[EXPERTS, HIDDEN], at("router"));
        }
    }
    file
}
