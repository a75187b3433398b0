//! `config.json`: which architecture, which dimensions.

use super::HfError;
use crate::import::DEFAULT_ACTIVATION_BLOCK;
use blyan_primitives::spec::{Dimensions, F32Bits};
use serde::Deserialize;
use serde_json::Value;

/// How a checkpoint names its feed-forward networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// One network a layer: Llama, Mistral, Qwen3.
    Dense,
    /// Mixtral's experts.
    Mixtral,
    /// Qwen3's experts.
    Qwen3Moe,
}

impl Family {
    pub(super) fn is_mixture(self) -> bool {
        self != Self::Dense
    }
}

/// The settings that decide what the model computes. Others are about training, or about libraries.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    model_type: String,
    hidden_size: u32,
    num_hidden_layers: u16,
    num_attention_heads: u16,
    num_key_value_heads: Option<u16>,
    head_dim: Option<u16>,
    intermediate_size: Option<u32>,
    moe_intermediate_size: Option<u32>,
    vocab_size: u32,
    max_position_embeddings: u32,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    /// Newer files keep `rope_theta` here.
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    sliding_window: Option<u32>,
    use_sliding_window: Option<bool>,
    num_local_experts: Option<u16>,
    num_experts: Option<u16>,
    num_experts_per_tok: Option<u16>,
    norm_topk_prob: Option<bool>,
    decoder_sparse_step: Option<u32>,
    mlp_only_layers: Option<Vec<u32>>,
    quantization_config: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
}

fn unsupported<T>(key: &'static str, found: impl ToString) -> Result<T, HfError> {
    Err(HfError::Config { key, found: found.to_string() })
}

impl Config {
    /// The family and its dimensions; refuses settings that change the computation in ways that canonical execution does
    /// not know.
    pub(super) fn dimensions(&self) -> Result<(Family, Dimensions), HfError> {
        let (family, qk_norm) = match self.model_type.as_str() {
            "llama" | "mistral" => (Family::Dense, false),
            "qwen3" => (Family::Dense, true),
            "mixtral" => (Family::Mixtral, false),
            "qwen3_moe" => (Family::Qwen3Moe, true),
            other => return unsupported("model_type", other),
        };
        self.check_settings(family)?;
        let (ffn_key, ffn) = match family {
            Family::Qwen3Moe => ("moe_intermediate_size", self.moe_intermediate_size),
            Family::Dense | Family::Mixtral => ("intermediate_size", self.intermediate_size),
        };
        let (experts_key, experts) = match family {
            Family::Dense => ("", Some(1)),
            Family::Mixtral => ("num_local_experts", self.num_local_experts),
            Family::Qwen3Moe => ("num_experts", self.num_experts),
        };
        let top_k = if family.is_mixture() { self.num_experts_per_tok } else { Some(1) };
        let heads = self.num_attention_heads;
        let even = self.hidden_size.checked_div(heads.into()).and_then(|dim| u16::try_from(dim).ok()).unwrap_or(0);
        let theta = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta).or(self.rope_theta);
        let dimensions = Dimensions {
            layers: self.num_hidden_layers,
            hidden: self.hidden_size,
            heads,
            kv_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim: self.head_dim.unwrap_or(even),
            ffn: ffn.ok_or(HfError::MissingKey(ffn_key))?,
            vocab: self.vocab_size,
            context: self.max_position_embeddings,
            experts: experts.ok_or(HfError::MissingKey(experts_key))?,
            top_k: top_k.ok_or(HfError::MissingKey("num_experts_per_tok"))?,
            activation_block: DEFAULT_ACTIVATION_BLOCK,
            rope_theta: F32Bits::new(theta.unwrap_or(10_000.0) as f32),
            rms_eps: F32Bits::new(self.rms_norm_eps as f32),
            tied_embeddings: self.tie_word_embeddings,
            qk_norm,
            checkpoint_every: 1,
        };
        Ok((family, dimensions))
    }

    fn check_settings(&self, family: Family) -> Result<(), HfError> {
        if let Some(act) = self.hidden_act.as_deref().filter(|act| *act != "silu") {
            return unsupported("hidden_act", act);
        }
        if self.attention_bias == Some(true) {
            return unsupported("attention_bias", true);
        }
        if self.mlp_bias == Some(true) {
            return unsupported("mlp_bias", true);
        }
        if self.quantization_config.as_ref().is_some_and(|value| !value.is_null()) {
            return unsupported("quantization_config", "a quantised checkpoint");
        }
        for rope in [&self.rope_scaling, &self.rope_parameters].into_iter().flatten() {
            if let Some(kind) = rope.rope_type.as_deref().filter(|kind| *kind != "default") {
                return unsupported("rope_type", kind);
            }
        }
        // Full attention and a window as long as the context are the same thing.
        let window = self.sliding_window.filter(|_| self.use_sliding_window.unwrap_or(true));
        if let Some(window) = window.filter(|window| *window < self.max_position_embeddings) {
            return unsupported("sliding_window", window);
        }
        if family == Family::Qwen3Moe {
            // Canonical routers' weights sum to one.
            if self.norm_topk_prob != Some(true) {
                return unsupported("norm_topk_prob", "false");
            }
            if let Some(step) = self.decoder_sparse_step.filter(|step| *step != 1) {
                return unsupported("decoder_sparse_step", step);
            }
            if let Some(layers) = self.mlp_only_layers.as_ref().filter(|layers| !layers.is_empty()) {
                return unsupported("mlp_only_layers", format!("{layers:?}"));
            }
        }
        Ok(())
    }
}
