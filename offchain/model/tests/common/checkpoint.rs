//! Small random checkpoints in the shapes of three families.

use super::{Numbers, gguf::alphabet};
use half::{bf16, f16};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

pub(crate) const LAYERS: usize = 2;
pub(crate) const HIDDEN: usize = 32;
pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 16;
pub(crate) const FFN: usize = 48;
pub(crate) const EXPERTS: usize = 3;
pub(crate) const VOCAB: usize = 260;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Llama,
    Mixtral,
    Qwen3Moe,
}

/// A checkpoint in memory: configuration, and tensors as shape and values.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    pub(crate) config: Value,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Checkpoint {
    pub(crate) fn new(family: Family) -> Self {
        let mut config = json!({
            "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "vocab_size": VOCAB, "hidden_act": "silu",
            "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 50000.0,
            "torch_dtype": "bfloat16", "tie_word_embeddings": family == Family::Llama,
        });
        let (kind, extra) = match family {
            Family::Llama => ("llama", json!({ "intermediate_size": FFN })),
            Family::Mixtral => (
                "mixtral",
                json!({ "intermediate_size": FFN, "num_local_experts": EXPERTS, "num_experts_per_tok": 2, "sliding_window": null }),
            ),
            Family::Qwen3Moe => (
                "qwen3_moe",
                json!({ "intermediate_size": 4 * FFN, "moe_intermediate_size": FFN, "num_experts": EXPERTS,
                        "num_experts_per_tok": 2, "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": [] }),
            ),
        };
        config["model_type"] = json!(kind);
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        let mut out = Self { config, tensors: BTreeMap::new() };
        let mut numbers = Numbers(family as u64 + 1);
        let mut add = |name: String, shape: &[usize]| {
            let values = numbers.take(shape.iter().product());
            out.tensors.insert(name, (shape.to_vec(), values));
        };
        add("model.embed_tokens.weight".into(), &[VOCAB, HIDDEN]);
        add("model.norm.weight".into(), &[HIDDEN]);
        if family != Family::Llama {
            add("lm_head.weight".into(), &[VOCAB, HIDDEN]);
        }
        for layer in 0..LAYERS {
            let mut at = |rest: &str, shape: &[usize]| add(format!("model.layers.{layer}.{rest}.weight"), shape);
            at("input_layernorm", &[HIDDEN]);
            at("post_attention_layernorm", &[HIDDEN]);
            at("self_attn.q_proj", &[HEADS * HEAD_DIM, HIDDEN]);
            at("self_attn.k_proj", &[KV_HEADS * HEAD_DIM, HIDDEN]);
            at("self_attn.v_proj", &[KV_HEADS * HEAD_DIM, HIDDEN]);
            at("self_attn.o_proj", &[HIDDEN, HEADS * HEAD_DIM]);
            if family == Family::Qwen3Moe {
                at("self_attn.q_norm", &[HEAD_DIM]);
                at("self_attn.k_norm", &[HEAD_DIM]);
            }
            match family {
                Family::Llama => {
                    at("mlp.gate_proj", &[FFN, HIDDEN]);
                    at("mlp.up_proj", &[FFN, HIDDEN]);
                    at("mlp.down_proj", &[HIDDEN, FFN]);
                },
                Family::Mixtral => {
                    at("block_sparse_moe.gate", &[EXPERTS, HIDDEN]);
                    for expert in 0..EXPERTS {
                        at(&format!("block_sparse_moe.experts.{expert}.w1"), &[FFN, HIDDEN]);
                        at(&format!("block_sparse_moe.experts.{expert}.w3"), &[FFN, HIDDEN]);
                        at(&format!("block_sparse_moe.experts.{expert}.w2"), &[HIDDEN, FFN]);
                    }
                },
                Family::Qwen3Moe => {
                    at("mlp.gate", &[EXPERTS, HIDDEN]);
                    for expert in 0..EXPERTS {
                        at(&format!("mlp.experts.{expert}.gate_proj"), &[FFN, HIDDEN]);
                        at(&format!("mlp.experts.{expert}.up_proj"), &[FFN, HIDDEN]);
                        at(&format!("mlp.experts.{expert}.down_proj"), &[HIDDEN, FFN]);
                    }
                },
            }
        }
        out
    }

    /// Names of the expert matrices of an expert, in the order gate, up, down.
    pub(crate) fn expert(family: Family, layer: usize, expert: usize) -> [String; 3] {
        let (folder, names) = match family {
            Family::Llama => ("mlp".to_owned(), ["gate_proj", "up_proj", "down_proj"]),
            Family::Mixtral => (format!("block_sparse_moe.experts.{expert}"), ["w1", "w3", "w2"]),
            Family::Qwen3Moe => (format!("mlp.experts.{expert}"), ["gate_proj", "up_proj", "down_proj"]),
        };
        names.map(|name| format!("model.layers.{layer}.{folder}.{name}.weight"))
    }

    /// Every value rounded to what `dtype` can hold, so that a checkpoint written in it reads back the same.
    pub(crate) fn rounded(mut self, dtype: Dtype) -> Self {
        for (_, values) in self.tensors.values_mut() {
            for value in values {
                *value = match dtype {
                    Dtype::F16 => f16::from_f32(*value).to_f32(),
                    Dtype::BF16 => bf16::from_f32(*value).to_f32(),
                    _ => *value,
                };
            }
        }
        self
    }

    /// Writes the folder, tensors in `shards` files.
    pub(crate) fn write(&self, folder: &Path, dtype: Dtype, shards: usize) {
        fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        fs::write(folder.join("tokenizer.json"), tokenizer_json().to_string()).unwrap();
        let config = json!({ "bos_token": "<s>", "eos_token": { "content": "</s>" }, "chat_template": "{{ bos_token }}{{ messages[0].content }}" });
        fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
        let mut map = serde_json::Map::new();
        for shard in 0..shards {
            let file = if shards == 1 {
                "model.safetensors".to_owned()
            } else {
                format!("model-{:05}-of-{shards:05}.safetensors", shard + 1)
            };
            let chosen = self.tensors.iter().enumerate().filter(|(i, _)| i % shards == shard).map(|(_, entry)| entry);
            let bytes: Vec<(String, Vec<usize>, Vec<u8>)> =
                chosen.map(|(name, (shape, values))| (name.clone(), shape.clone(), encode(values, dtype))).collect();
            for (name, ..) in &bytes {
                map.insert(name.clone(), json!(file));
            }
            let views = bytes
                .iter()
                .map(|(name, shape, data)| (name.clone(), TensorView::new(dtype, shape.clone(), data).unwrap()))
                .collect::<HashMap<_, _>>();
            fs::write(folder.join(file), safetensors::serialize(views, None).unwrap()).unwrap();
        }
        if shards > 1 {
            let index = json!({ "metadata": {}, "weight_map": map });
            fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
        }
    }
}

fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F16 => values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        Dtype::F64 => values.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn tokenizer_json() -> Value {
    let mut vocab: serde_json::Map<String, Value> =
        alphabet().into_iter().enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    vocab.insert("<s>".into(), json!(256));
    vocab.insert("</s>".into(), json!(257));
    let added = |id: u32, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(256, "<s>"), added(257, "</s>")],
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] },
    })
}
