//! OpenAI's requests for chats and completions.

use super::{
    error::ApiError,
    params::{Params, invalid_value, unsupported},
};
use crate::stop::MAX_STOP;
use blyan_model::chat::{Message, Role};
use blyan_primitives::{receipt::Sampling, spec::F32Bits};
use serde_json::Value;

/// Most messages of a conversation.
const MAX_MESSAGES: usize = 4096;
/// Most stop sequences, as OpenAI has it.
const MAX_STOPS: usize = 4;
/// Seeds drawn here stay whole in JavaScript's numbers.
const SEED_BITS: u32 = 53;

/// Which of the two an answer is for: they differ in the shape of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// What the model is to continue.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A conversation.
    Messages(Vec<Message>),
    /// A text.
    Text(String),
    /// Tokens.
    Tokens(Vec<u32>),
}

/// A request, read and checked as far as that needs no model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which endpoint.
    pub kind: Kind,
    /// The model's name.
    pub model: String,
    /// What to continue.
    pub prompt: Prompt,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of the answer, if the client says.
    pub max_tokens: Option<u32>,
    /// Sequences that end it.
    pub stop: Vec<String>,
    /// Whether it is streamed.
    pub stream: bool,
    /// Whether a stream ends with the usage.
    pub include_usage: bool,
}

impl Request {
    /// Reads a body. Parameters that would change the answer and are not supported are refused by name.
    pub fn parse(kind: Kind, body: &[u8], max_tokens: u32) -> Result<Self, ApiError> {
        let mut params = Params::parse(body)?;
        let model = params.required_string("model")?;
        let prompt = match kind {
            Kind::Chat => Prompt::Messages(messages(params.required("messages")?)?),
            Kind::Text => text_prompt(params.required("prompt")?)?,
        };
        let stream = params.boolean("stream")?;
        let include_usage = stream_options(&mut params, stream)?;
        let limit = params.integer("max_tokens", 1, u64::from(max_tokens))?;
        let limit = match kind {
            Kind::Chat => params.integer("max_completion_tokens", 1, u64::from(max_tokens))?.or(limit),
            // OpenAI's default for completions.
            Kind::Text => limit.or(Some(16.min(u64::from(max_tokens)))),
        };
        let sampling = sampling(&mut params)?;
        let stop = params.strings("stop", MAX_STOPS, MAX_STOP)?;
        refuse_unsupported(&mut params, kind)?;
        params.finish()?;
        Ok(Self { kind, model, prompt, sampling, max_tokens: limit.map(|n| n as u32), stop, stream, include_usage })
    }
}

fn sampling(params: &mut Params) -> Result<Sampling, ApiError> {
    let temperature = params.number("temperature", 0.0, 2.0)?.unwrap_or(1.0);
    let top_p = params.number("top_p", 0.0, 1.0)?.unwrap_or(1.0);
    let top_k = params.integer("top_k", 0, u64::from(u32::MAX))?.unwrap_or(0) as u32;
    let seed = match params.seed("seed")? {
        Some(seed) => seed,
        None => getrandom::u64().map_err(ApiError::internal)? >> (u64::BITS - SEED_BITS),
    };
    Ok(Sampling { temperature: F32Bits::new(temperature), top_p: F32Bits::new(top_p), top_k, seed })
}

fn stream_options(params: &mut Params, stream: bool) -> Result<bool, ApiError> {
    let options = match params.take("stream_options") {
        None => return Ok(false),
        Some(Value::Object(options)) => options,
        Some(_) => return Err(invalid_value("stream_options", "it is not an object")),
    };
    if !stream {
        return Err(invalid_value("stream_options", "it is only allowed with 'stream': true"));
    }
    let mut include_usage = false;
    for (name, value) in options {
        match (name.as_str(), value) {
            ("include_usage", Value::Bool(flag)) => include_usage = flag,
            // Padding against traffic analysis, which is not done here.
            ("include_obfuscation", Value::Bool(_)) => {},
            (name, _) => return Err(invalid_value("stream_options", format!("'{name}' is not understood"))),
        }
    }
    Ok(include_usage)
}

fn refuse_unsupported(params: &mut Params, kind: Kind) -> Result<(), ApiError> {
    let is = |expected: f64| move |value: &Value| value.as_f64() == Some(expected);
    let off = |value: &Value| *value == Value::Bool(false);
    let empty = |value: &Value| match value {
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    params.only("n", is(1.0), "one answer is given to a request; send the request several times")?;
    params.only("presence_penalty", is(0.0), "tokens are chosen from the model's own probabilities")?;
    params.only("frequency_penalty", is(0.0), "tokens are chosen from the model's own probabilities")?;
    params.only("logit_bias", empty, "tokens are chosen from the model's own probabilities")?;
    params.only("top_logprobs", is(0.0), "probabilities are not returned")?;
    match kind {
        Kind::Chat => {
            params.only("logprobs", off, "probabilities are not returned")?;
            for name in ["tools", "functions"] {
                params.only(name, empty, "this model calls no tools")?;
            }
            for name in ["tool_choice", "function_call"] {
                params.only(name, |value| value.as_str() == Some("none"), "this model calls no tools")?;
            }
            params.only("parallel_tool_calls", |_| true, "")?;
            let text = |value: &Value| value.get("type").and_then(Value::as_str) == Some("text");
            params.only("response_format", text, "answers are plain text")?;
            let text_only = |value: &Value| {
                value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind.as_str() == Some("text")))
            };
            params.only("modalities", text_only, "answers are plain text")?;
            for name in ["audio", "prediction", "reasoning_effort", "web_search_options", "verbosity"] {
                params.only(name, |_| false, "this model has no such ability")?;
            }
        },
        Kind::Text => {
            params.only("logprobs", |_| false, "probabilities are not returned")?;
            params.only("best_of", is(1.0), "one answer is computed for a request")?;
            params.only("echo", off, "the prompt is not repeated")?;
            params.only("suffix", |value| value.as_str() == Some(""), "text is only continued, not filled in")?;
        },
    }
    let notes = ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"];
    params.ignore(&notes);
    Ok(())
}

fn messages(value: Value) -> Result<Vec<Message>, ApiError> {
    let Value::Array(values) = value else { return Err(invalid_value("messages", "it is not an array")) };
    if values.is_empty() || values.len() > MAX_MESSAGES {
        return Err(invalid_value("messages", format!("a conversation has 1 to {MAX_MESSAGES} messages")));
    }
    values.into_iter().enumerate().map(|(index, value)| message(index, value)).collect()
}

fn message(index: usize, value: Value) -> Result<Message, ApiError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let Value::Object(mut fields) = value else {
        return Err(invalid_value(&format!("messages[{index}]"), "it is not an object"));
    };
    let role = match fields.remove("role") {
        Some(Value::String(role)) => role,
        _ => return Err(invalid_value(&at("role"), "it is not a string")),
    };
    let role = match role.parse::<Role>() {
        Ok(Role::Tool) | Err(_) => {
            return Err(invalid_value(&at("role"), "roles are system, developer, user and assistant"));
        },
        Ok(role) => role,
    };
    let content = match fields.remove("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts
            .into_iter()
            .enumerate()
            .map(|(part, value)| text_part(&format!("messages[{index}].content[{part}]"), value))
            .collect::<Result<String, _>>()?,
        // What clients send for an assistant's message that only called tools.
        None | Some(Value::Null) if role == Role::Assistant => String::new(),
        _ => return Err(invalid_value(&at("content"), "it is neither a string nor an array of text parts")),
    };
    for name in ["tool_calls", "function_call", "audio"] {
        if fields.get(name).is_some_and(|value| !value.is_null()) {
            return Err(unsupported(&at(name), "this model calls no tools"));
        }
    }
    for name in ["name", "refusal", "tool_calls", "function_call", "audio", "annotations"] {
        fields.remove(name);
    }
    match fields.keys().next() {
        None => Ok(Message::new(role, content)),
        Some(name) => {
            let name: String = name.chars().take(64).collect();
            Err(ApiError::parameter("unknown_parameter", at(&name), format!("Unknown parameter: '{}'.", at(&name))))
        },
    }
}

fn text_part(name: &str, value: Value) -> Result<String, ApiError> {
    match (value.get("type").and_then(Value::as_str), value.get("text")) {
        (Some("text"), Some(Value::String(text))) => Ok(text.clone()),
        (Some("text"), _) => Err(invalid_value(name, "a text part has a string 'text'")),
        (Some(other), _) => Err(unsupported(name, format!("'{other}' parts cannot be read, only text"))),
        (None, _) => Err(invalid_value(name, "a part has a 'type'")),
    }
}

fn text_prompt(value: Value) -> Result<Prompt, ApiError> {
    let token = |value: &Value| value.as_u64().and_then(|token| u32::try_from(token).ok());
    match value {
        Value::String(text) => Ok(Prompt::Text(text)),
        Value::Array(mut values) => {
            if values.len() == 1 && (values[0].is_string() || values[0].is_array()) {
                return text_prompt(values.swap_remove(0));
            }
            if values.iter().any(|value| value.is_string() || value.is_array()) {
                return Err(unsupported("prompt", "one prompt is answered by a request"));
            }
            match values.iter().map(token).collect::<Option<Vec<u32>>>() {
                Some(tokens) if !tokens.is_empty() => Ok(Prompt::Tokens(tokens)),
                _ => Err(invalid_value("prompt", "it is not a list of token ids")),
            }
        },
        _ => Err(invalid_value("prompt", "it is neither a string nor a list of token ids")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(extra: Value) -> Result<Request, ApiError> {
        let mut body = json!({"model": "default", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Request::parse(Kind::Chat, body.to_string().as_bytes(), 100)
    }

    fn text(extra: Value) -> Result<Request, ApiError> {
        let mut body = json!({"model": "default", "prompt": "hi"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Request::parse(Kind::Text, body.to_string().as_bytes(), 100)
    }

    fn refused(result: Result<Request, ApiError>) -> (&'static str, String) {
        let error = result.unwrap_err();
        assert_eq!(error.status, 400);
        (error.code, error.param.unwrap_or_default())
    }

    #[test]
    fn a_plain_request_gets_openais_defaults() {
        let request = chat(json!({})).unwrap();
        assert_eq!(request.sampling.temperature.get(), 1.0);
        assert_eq!((request.max_tokens, request.stream, request.stop.len()), (None, false, 0));
        assert_eq!(text(json!({})).unwrap().max_tokens, Some(16));
        assert!(request.sampling.seed < 1 << 53);
        assert_ne!(request.sampling.seed, chat(json!({})).unwrap().sampling.seed);
    }

    #[test]
    fn values_are_read() {
        let request = chat(json!({
            "temperature": 0, "top_p": 0.5, "top_k": 40, "seed": -1, "stop": ["a", "b"], "max_tokens": 7,
            "stream": true, "stream_options": {"include_usage": true}, "n": 1, "user": "x", "logprobs": null,
            "presence_penalty": 0.0, "tools": [], "response_format": {"type": "text"},
        }))
        .unwrap();
        assert_eq!((request.sampling.temperature.get(), request.sampling.seed), (0.0, u64::MAX));
        assert_eq!((request.sampling.top_k, request.max_tokens), (40, Some(7)));
        assert!(request.stream && request.include_usage && request.stop == ["a", "b"]);
        assert_eq!(chat(json!({"max_tokens": 7, "max_completion_tokens": 9})).unwrap().max_tokens, Some(9));
    }

    #[test]
    fn text_parts_are_joined_and_developers_speak_as_the_system() {
        let messages = json!([
            {"role": "developer", "content": "be brief", "name": "ops"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null},
        ]);
        let Prompt::Messages(read) = chat(json!({ "messages": messages })).unwrap().prompt else { panic!() };
        let plain: Vec<_> = read.iter().map(|m| (m.role, m.content.as_str())).collect();
        assert_eq!(plain, [(Role::System, "be brief"), (Role::User, "ab"), (Role::Assistant, "")]);
    }

    #[test]
    fn every_form_of_prompt_is_read() {
        let prompt = |value: Value| text(json!({ "prompt": value })).map(|request| request.prompt);
        assert_eq!(prompt(json!(["x"])), Ok(Prompt::Text("x".into())));
        assert_eq!(prompt(json!([1, 2])), Ok(Prompt::Tokens(vec![1, 2])));
        assert_eq!(prompt(json!([[1, 2]])), Ok(Prompt::Tokens(vec![1, 2])));
        for bad in [json!([]), json!([-1]), json!([1.5]), json!(7), json!({}), json!([u64::MAX])] {
            assert_eq!(prompt(bad.clone()).unwrap_err().param.as_deref(), Some("prompt"), "{bad}");
        }
        assert_eq!(prompt(json!(["a", "b"])).unwrap_err().code, "unsupported_parameter");
    }

    #[test]
    fn what_is_not_supported_is_refused_by_its_name() {
        for (name, value) in [
            ("n", json!(2)),
            ("presence_penalty", json!(0.5)),
            ("frequency_penalty", json!(-1)),
            ("logit_bias", json!({"1": 5})),
            ("logprobs", json!(true)),
            ("top_logprobs", json!(3)),
            ("tools", json!([{}])),
            ("tool_choice", json!("auto")),
            ("response_format", json!({"type": "json_object"})),
            ("audio", json!({})),
        ] {
            assert_eq!(refused(chat(json!({ name: value }))), ("unsupported_parameter", name.into()));
        }
        for (name, value) in
            [("best_of", json!(2)), ("echo", json!(true)), ("suffix", json!("x")), ("logprobs", json!(0))]
        {
            assert_eq!(refused(text(json!({ name: value }))), ("unsupported_parameter", name.into()));
        }
    }

    #[test]
    fn bad_values_are_refused_by_their_parameter() {
        for (name, value, code) in [
            ("temperature", json!(2.5), "invalid_value"),
            ("temperature", json!("hot"), "invalid_type"),
            ("top_p", json!(-0.1), "invalid_value"),
            ("top_k", json!(-1), "invalid_value"),
            ("seed", json!(1.5), "invalid_type"),
            ("max_tokens", json!(0), "invalid_value"),
            ("max_tokens", json!(101), "invalid_value"),
            ("max_completion_tokens", json!(1.5), "invalid_value"),
            ("stop", json!(["a", "b", "c", "d", "e"]), "invalid_value"),
            ("stop", json!([1]), "invalid_type"),
            ("stop", json!(""), "invalid_value"),
            ("stream", json!("yes"), "invalid_type"),
            ("stream_options", json!({"include_usage": true}), "invalid_value"),
            ("model", json!(1), "invalid_type"),
            ("messages", json!("hi"), "invalid_value"),
            ("messages", json!([]), "invalid_value"),
            ("temprature", json!(1), "unknown_parameter"),
        ] {
            assert_eq!(refused(chat(json!({ name: value }))), (code, name.into()));
        }
    }

    #[test]
    fn bad_messages_are_refused_by_their_place() {
        for (message, param) in [
            (json!("hi"), "messages[0]"),
            (json!({"content": "hi"}), "messages[0].role"),
            (json!({"role": "tool", "content": "hi"}), "messages[0].role"),
            (json!({"role": "user"}), "messages[0].content"),
            (json!({"role": "user", "content": 5}), "messages[0].content"),
            (json!({"role": "user", "content": [{"type": "image_url"}]}), "messages[0].content[0]"),
            (json!({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0]"),
            (json!({"role": "user", "content": "hi", "colour": 1}), "messages[0].colour"),
            (json!({"role": "assistant", "content": "", "tool_calls": [{}]}), "messages[0].tool_calls"),
        ] {
            assert_eq!(refused(chat(json!({ "messages": [message] }))).1, param);
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["", "{", "[]", "null", "{\"model\": \"a\""] {
            assert_eq!(Request::parse(Kind::Chat, body.as_bytes(), 10).unwrap_err().code, "invalid_json");
        }
        let missing = Request::parse(Kind::Text, b"{}", 10).unwrap_err();
        assert_eq!((missing.code, missing.param.as_deref()), ("missing_required_parameter", Some("model")));
    }
}
