//! OpenAI's answers, whole and in pieces.

use super::request::Kind;
use crate::{scheduler::Done, served::Served};
use serde_json::{Value, json};

/// What the pieces of one answer share.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Which endpoint.
    pub(super) kind: Kind,
    /// The answer's id.
    pub(super) id: String,
    /// Unix time in seconds.
    pub(super) created: u64,
    /// The model's name.
    pub(super) model: String,
    /// The spec, in hex.
    pub(super) spec: String,
    /// The weights, in hex.
    pub(super) weights: String,
    /// The sampling's seed.
    pub(super) seed: u64,
    /// Whether a stream ends with the usage.
    pub(super) include_usage: bool,
}

impl Shape {
    /// The shape of an answer by `served`.
    pub(super) fn new(kind: Kind, served: &Served, seed: u64, include_usage: bool, created: u64) -> Self {
        let prefix = match kind {
            Kind::Chat => "chatcmpl",
            Kind::Text => "cmpl",
        };
        // As with a request's id: it only tells answers apart.
        let random = getrandom::u64().unwrap_or_default();
        Self {
            kind,
            id: format!("{prefix}-{random:016x}"),
            created,
            model: format!("{}@{}", served.spec.name, served.spec.version),
            spec: served.id.to_string(),
            weights: served.weights.to_string(),
            seed,
            include_usage,
        }
    }

    fn frame(&self, streamed: bool) -> Value {
        let object = match (self.kind, streamed) {
            (Kind::Chat, false) => "chat.completion",
            (Kind::Chat, true) => "chat.completion.chunk",
            (Kind::Text, _) => "text_completion",
        };
        json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model,
            "system_fingerprint": self.weights,
        })
    }

    fn choice(&self, streamed: bool, text: Option<&str>, first: bool, finish: Option<&str>) -> Value {
        let mut choice = json!({"index": 0, "logprobs": null, "finish_reason": finish});
        match (self.kind, streamed) {
            (Kind::Chat, false) => {
                choice["message"] = json!({"role": "assistant", "content": text.unwrap_or_default(), "refusal": null});
            },
            (Kind::Chat, true) => {
                let mut delta = json!({});
                if first {
                    delta["role"] = "assistant".into();
                }
                if let Some(text) = text {
                    delta["content"] = text.into();
                }
                choice["delta"] = delta;
            },
            (Kind::Text, _) => choice["text"] = text.unwrap_or_default().into(),
        }
        choice
    }

    fn usage(done: &Done) -> Value {
        let (prompt, output) = (done.prompt_tokens, done.output_tokens);
        json!({"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt.saturating_add(output)})
    }

    fn extension(&self, done: &Done, spent: Option<u128>) -> Value {
        let first_token = done.timings.queued.saturating_add(done.timings.prefill);
        let mut extension = json!({
            "receipt": done.receipt,
            "spec": self.spec,
            "weights": self.weights,
            "seed": self.seed,
            "price": done.price.to_string(),
            "prefill_tokens_per_second": done.timings.prefill_rate(done.prompt_tokens),
            "decode_tokens_per_second": done.timings.decode_rate(done.output_tokens),
            "time_to_first_token_ms": first_token.as_secs_f64() * 1000.0,
        });
        if let Some(spent) = spent {
            extension["channel_spent"] = spent.to_string().into();
        }
        extension
    }

    /// An answer in one piece. `spent` is what its channel has used.
    pub(super) fn whole(&self, text: &str, done: &Done, spent: Option<u128>) -> Value {
        let mut body = self.frame(false);
        body["choices"] = json!([self.choice(false, Some(text), true, Some(done.finish.as_str()))]);
        body["usage"] = Self::usage(done);
        body["blyan"] = self.extension(done, spent);
        body
    }

    /// The first piece of a stream.
    pub(super) fn first(&self) -> Option<Value> {
        match self.kind {
            Kind::Chat => Some(self.chunk(self.choice(true, Some(""), true, None))),
            Kind::Text => None,
        }
    }

    /// A piece with text.
    pub(super) fn piece(&self, text: &str) -> Value {
        self.chunk(self.choice(true, Some(text), false, None))
    }

    /// The pieces that end a stream.
    pub(super) fn last(&self, done: &Done, spent: Option<u128>) -> Vec<Value> {
        let mut last = self.chunk(self.choice(true, None, false, Some(done.finish.as_str())));
        if !self.include_usage {
            last["blyan"] = self.extension(done, spent);
            return vec![last];
        }
        let mut usage = self.frame(true);
        usage["choices"] = json!([]);
        usage["usage"] = Self::usage(done);
        usage["blyan"] = self.extension(done, spent);
        vec![last, usage]
    }

    fn chunk(&self, choice: Value) -> Value {
        let mut chunk = self.frame(true);
        chunk["choices"] = json!([choice]);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}
