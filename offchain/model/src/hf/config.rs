//! `config.json`: which architecture, which dimensions.
//!
//! Checked against the configuration classes of transformers (`configuration_<model>.py`): where a file leaves out
//! a setting that they have a default for, it means that default.

use super::HfError;
use crate::import::DEFAULT_ACTIVATION_BLOCK;
use blyan_primitives::spec::{Dimensions, F32Bits};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// The configuration class of transformers that a file is for. What a file leaves out is what the class says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Llama,
    Mistral,
    Mixtral,
    Qwen3,
    Qwen3Moe,
}

impl Class {
    fn named(model_type: &str) -> Option<Self> {
        Some(match model_type {
            "llama" => Self::Llama,
            "mistral" => Self::Mistral,
            "mixtral" => Self::Mixtral,
            "qwen3" => Self::Qwen3,
            "qwen3_moe" => Self::Qwen3Moe,
            _ => return None,
        })
    }

    fn family(self) -> Family {
        match self {
            Self::Llama | Self::Mistral | Self::Qwen3 => Family::Dense,
            Self::Mixtral => Family::Mixtral,
            Self::Qwen3Moe => Family::Qwen3Moe,
        }
    }

    fn rope_theta(self) -> f64 {
        match self {
            Self::Mixtral => 1_000_000.0,
            Self::Llama | Self::Mistral | Self::Qwen3 | Self::Qwen3Moe => 10_000.0,
        }
    }

    /// Key and value heads of a file that does not say, where `None` is as many as there are query heads.
    fn kv_heads(self) -> Option<u16> {
        match self {
            Self::Llama => None,
            Self::Mistral | Self::Mixtral => Some(8),
            Self::Qwen3 => Some(32),
            Self::Qwen3Moe => Some(4),
        }
    }

    /// Width of a head of a file that does not say, where `None` is the residual stream's width over the heads.
    fn head_dim(self) -> Option<u16> {
        match self {
            Self::Qwen3 => Some(128),
            Self::Llama | Self::Mistral | Self::Mixtral | Self::Qwen3Moe => None,
        }
    }

    /// The window of a file that does not say.
    fn sliding_window(self) -> Option<u32> {
        match self {
            Self::Mistral | Self::Qwen3 | Self::Qwen3Moe => Some(4096),
            Self::Llama | Self::Mixtral => None,
        }
    }

    fn is_qwen(self) -> bool {
        matches!(self, Self::Qwen3 | Self::Qwen3Moe)
    }
}

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
    #[serde(default)]
    num_key_value_heads: Setting<u16>,
    #[serde(default)]
    head_dim: Setting<u16>,
    intermediate_size: Option<u32>,
    moe_intermediate_size: Option<u32>,
    vocab_size: u32,
    max_position_embeddings: u32,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    /// Newer files keep `rope_theta` here.
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    partial_rotary_factor: Option<f64>,
    /// Not tied, say all classes, where a file does not.
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    #[serde(default)]
    sliding_window: Setting<u32>,
    use_sliding_window: Option<bool>,
    layer_types: Option<Vec<String>>,
    num_local_experts: Option<u16>,
    num_experts: Option<u16>,
    num_experts_per_tok: Option<u16>,
    norm_topk_prob: Option<bool>,
    decoder_sparse_step: Option<u32>,
    mlp_only_layers: Option<Vec<u32>>,
    quantization_config: Option<Value>,
}

/// A setting of which transformers tells apart that a file does not have it, which leaves it to the class, and that it is
/// null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Setting<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

#[derive(Debug, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// What older files call it; some have both.
    #[serde(rename = "type")]
    older_type: Option<String>,
    partial_rotary_factor: Option<f64>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

fn unsupported<T>(key: &'static str, found: impl ToString) -> Result<T, HfError> {
    Err(HfError::Config { key, found: found.to_string() })
}

impl Config {
    /// The family and its dimensions; refuses settings that change the computation in ways that canonical execution does
    /// not know.
    pub(super) fn dimensions(&self) -> Result<(Family, Dimensions), HfError> {
        let Some(class) = Class::named(&self.model_type) else {
            return unsupported("model_type", &self.model_type);
        };
        let family = class.family();
        self.check_settings(class)?;
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
            kv_heads: match self.num_key_value_heads {
                Setting::Value(heads) => heads,
                Setting::Absent => class.kv_heads().unwrap_or(heads),
                // This class alone computes nothing sensible of it.
                Setting::Null if class == Class::Qwen3Moe => return Err(HfError::MissingKey("num_key_value_heads")),
                Setting::Null => heads,
            },
            head_dim: match self.head_dim {
                Setting::Value(dim) => dim,
                Setting::Absent => class.head_dim().unwrap_or(even),
                Setting::Null if class.is_qwen() => return Err(HfError::MissingKey("head_dim")),
                Setting::Null => even,
            },
            ffn: ffn.ok_or(HfError::MissingKey(ffn_key))?,
            vocab: self.vocab_size,
            context: self.max_position_embeddings,
            experts: experts.ok_or(HfError::MissingKey(experts_key))?,
            top_k: top_k.ok_or(HfError::MissingKey("num_experts_per_tok"))?,
            activation_block: DEFAULT_ACTIVATION_BLOCK,
            rope_theta: F32Bits::new(theta.unwrap_or(class.rope_theta()) as f32),
            rms_eps: F32Bits::new(self.rms_norm_eps as f32),
            tied_embeddings: self.tie_word_embeddings,
            qk_norm: class.is_qwen(),
            checkpoint_every: 1,
        };
        Ok((family, dimensions))
    }

    fn check_settings(&self, class: Class) -> Result<(), HfError> {
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
        let ropes = || [&self.rope_scaling, &self.rope_parameters].into_iter().flatten();
        for rope in ropes() {
            let kinds = [&rope.rope_type, &rope.older_type].into_iter().flatten();
            if let Some(kind) = kinds.into_iter().find(|kind| *kind != "default") {
                return unsupported("rope_type", kind);
            }
            if let Some((key, _)) = rope.more.iter().find(|(_, value)| value.is_object()) {
                return unsupported("rope_parameters", format!("another for {key}"));
            }
        }
        let mut parts = ropes().map(|rope| rope.partial_rotary_factor).chain([self.partial_rotary_factor]).flatten();
        if let Some(part) = parts.find(|part| *part != 1.0) {
            return unsupported("partial_rotary_factor", part);
        }
        let window = match self.sliding_window {
            _ if class.is_qwen() && self.use_sliding_window != Some(true) => None,
            Setting::Value(window) => Some(window),
            Setting::Absent => class.sliding_window(),
            Setting::Null => None,
        };
        // Full attention and a window as long as the context are the same thing.
        if let Some(window) = window.filter(|window| *window < self.max_position_embeddings) {
            return unsupported("sliding_window", window);
        }
        if let Some(other) = self.layer_types.iter().flatten().find(|kind| *kind != "full_attention") {
            return unsupported("layer_types", other);
        }
        if class == Class::Qwen3Moe {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Dimensions of a file for `class` without the settings that classes have defaults for, but for `more`.
    fn dimensions(class: &str, more: Value) -> Result<Dimensions, HfError> {
        let mut config = json!({
            "model_type": class, "hidden_size": 4096, "num_hidden_layers": 2, "num_attention_heads": 64,
            "vocab_size": 100, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "intermediate_size": 128,
            "moe_intermediate_size": 64, "num_local_experts": 8, "num_experts": 16, "num_experts_per_tok": 2,
            "norm_topk_prob": true,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let config: Config = serde_json::from_value(config).unwrap();
        config.dimensions().map(|(_, dimensions)| dimensions)
    }

    #[test]
    fn what_a_file_leaves_out_is_what_its_class_says() {
        for (class, kv_heads, head_dim, theta) in [
            ("llama", 64, 64, 10_000.0),
            ("mistral", 8, 64, 10_000.0),
            ("mixtral", 8, 64, 1_000_000.0),
            ("qwen3", 32, 128, 10_000.0),
            ("qwen3_moe", 4, 64, 10_000.0),
        ] {
            let d = dimensions(class, json!({})).unwrap();
            assert_eq!((d.kv_heads, d.head_dim, d.rope_theta.get()), (kv_heads, head_dim, theta), "{class}");
            assert!(!d.tied_embeddings);
        }
    }

    #[test]
    fn null_is_not_the_same_as_nothing() {
        let null = json!({ "num_key_value_heads": null });
        for class in ["llama", "mistral", "mixtral", "qwen3"] {
            assert_eq!(dimensions(class, null.clone()).unwrap().kv_heads, 64, "{class}");
        }
        assert!(matches!(dimensions("qwen3_moe", null), Err(HfError::MissingKey("num_key_value_heads"))));
        let null = json!({ "head_dim": null });
        for class in ["llama", "mistral", "mixtral"] {
            assert_eq!(dimensions(class, null.clone()).unwrap().head_dim, 64, "{class}");
        }
        for class in ["qwen3", "qwen3_moe"] {
            assert!(matches!(dimensions(class, null.clone()), Err(HfError::MissingKey("head_dim"))), "{class}");
        }
    }

    #[test]
    fn windows_are_those_of_the_class() {
        let long = |more: Value| {
            let mut config = json!({ "max_position_embeddings": 8192 });
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            config
        };
        let refused = |class: &str, more: Value| match dimensions(class, long(more)) {
            Err(HfError::Config { key: "sliding_window", found }) => Some(found),
            Ok(_) => None,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused("mistral", json!({})).as_deref(), Some("4096"));
        assert_eq!(refused("mistral", json!({ "sliding_window": null })), None);
        // The switch is not that class's.
        assert!(refused("mistral", json!({ "use_sliding_window": false })).is_some());
        assert_eq!(refused("mixtral", json!({})), None);
        assert!(refused("mixtral", json!({ "sliding_window": 64 })).is_some());
        assert_eq!(refused("llama", json!({})), None);
        assert_eq!(refused("qwen3", json!({ "sliding_window": 64 })), None);
        assert!(refused("qwen3", json!({ "use_sliding_window": true })).is_some());
    }

    #[test]
    fn rotary_embeddings_that_are_not_plain_are_refused() {
        let refused = |more: Value| match dimensions("llama", more) {
            Err(HfError::Config { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } })), "rope_type");
        assert_eq!(refused(json!({ "rope_scaling": { "type": "yarn", "rope_type": "default" } })), "rope_type");
        assert_eq!(
            refused(json!({ "rope_parameters": { "full_attention": { "rope_theta": 1.0 } } })),
            "rope_parameters"
        );
        assert_eq!(refused(json!({ "rope_parameters": { "partial_rotary_factor": 0.5 } })), "partial_rotary_factor");
        assert_eq!(refused(json!({ "partial_rotary_factor": 0.5 })), "partial_rotary_factor");
        assert_eq!(refused(json!({ "layer_types": ["full_attention", "sliding_attention"] })), "layer_types");
        let plain =
            json!({ "rope_scaling": { "type": "default", "rope_type": "default" }, "partial_rotary_factor": 1.0 });
        dimensions("llama", plain).unwrap();
    }
}
