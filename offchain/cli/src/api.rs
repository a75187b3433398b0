//! Client of a worker's HTTP API, as far as the commands need it.

use anyhow::{Context, Result, anyhow, bail};
use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence between two pieces of an answer: a busy worker may queue a request first.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// A message of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// How an answer is to be made.
#[derive(Clone, Debug, Serialize)]
pub struct ChatRequest {
    /// Name of the model, or `default`.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Longest answer, in tokens.
    pub max_tokens: u32,
    /// 0 chooses the most likely token each time.
    pub temperature: f32,
    /// Nucleus sampling.
    pub top_p: f32,
    /// Seed of the sampling; the worker draws one when it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Clone, Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl ChatRequest {
    /// A streamed request.
    pub fn new(model: impl Into<String>, messages: Vec<Message>, max_tokens: u32) -> Self {
        Self {
            model: model.into(),
            messages,
            max_tokens,
            temperature: 0.0,
            top_p: 1.0,
            seed: None,
            stream: true,
            stream_options: StreamOptions { include_usage: true },
        }
    }
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    blyan: Option<Extension>,
}

#[derive(Clone, Debug, Deserialize)]
struct Choice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

/// Tokens of a prompt and its answer.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub completion_tokens: u32,
}

/// What Blyan adds to OpenAI's answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Extension {
    /// The receipt's id.
    pub receipt: String,
    /// The specification that was executed.
    pub spec: String,
    /// Prompt tokens a second.
    pub prefill_tokens_per_second: f64,
    /// Answer tokens a second.
    pub decode_tokens_per_second: f64,
}

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// `stop` or `length`.
    pub finish_reason: String,
    /// Tokens used.
    pub usage: Usage,
    /// Receipt, spec and speed.
    pub blyan: Extension,
}

/// A worker's API.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    base: String,
}

impl Api {
    /// The API at `base`, such as `http://127.0.0.1:8645`; `key` where the worker asks for one.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self> {
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(key) = key {
            let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {key}"))
                .context("the API key has characters that no header can hold")?;
            value.set_sensitive(true);
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .default_headers(headers)
            .build()?;
        let base = base.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        Ok(Self { http, base })
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET path` as JSON.
    pub async fn get(&self, path: &str) -> Result<serde_json::Value> {
        let response = accept(&self.base, self.fetch(self.http.get(format!("{}{path}", self.base))).await?).await?;
        response.json().await.with_context(|| format!("{}{path} did not answer with JSON", self.base))
    }

    /// `GET /health`, also of a worker that is not ready and says so with status 503.
    pub async fn health(&self) -> Result<serde_json::Value> {
        let mut response = self.fetch(self.http.get(format!("{}/health", self.base))).await?;
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            response = accept(&self.base, response).await?;
        }
        response.json().await.with_context(|| format!("{}/health did not answer with JSON", self.base))
    }

    /// Answers `request`; `on_text` sees each piece of text as it arrives. Its error ends the answer: the worker is left.
    pub async fn chat(&self, request: &ChatRequest, mut on_text: impl FnMut(&str) -> Result<()>) -> Result<Answer> {
        let mut events = Box::pin(self.stream(request).await?);
        let (mut text, mut finish_reason, mut usage, mut blyan) = (String::new(), None, None, None);
        while let Some(chunk) = events.next().await {
            let chunk = chunk?;
            for choice in chunk.choices {
                if let Some(piece) = choice.delta.content {
                    on_text(&piece)?;
                    text.push_str(&piece);
                }
                finish_reason = choice.finish_reason.or(finish_reason);
            }
            usage = chunk.usage.or(usage);
            blyan = chunk.blyan.or(blyan);
        }
        match (finish_reason, usage, blyan) {
            (Some(finish_reason), Some(usage), Some(blyan)) => Ok(Answer { text, finish_reason, usage, blyan }),
            _ => bail!("{} closed the connection before the answer was complete", self.base),
        }
    }

    async fn stream(&self, request: &ChatRequest) -> Result<impl Stream<Item = Result<Chunk>> + use<>> {
        let url = format!("{}/v1/chat/completions", self.base);
        let response = accept(&self.base, self.fetch(self.http.post(url).json(request)).await?).await?;
        let events = response.bytes_stream().eventsource();
        Ok(events
            .take_while(|event| {
                let done = matches!(event, Ok(event) if event.data == "[DONE]");
                futures::future::ready(!done)
            })
            .map(|event| {
                let event = event.map_err(|error| anyhow!("the answer broke off: {error}"))?;
                if let Some(error) = api_error(&event.data) {
                    return Err(error);
                }
                serde_json::from_str(&event.data).context("the worker sent a piece of answer that is no JSON")
            }))
    }

    async fn fetch(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        request.send().await.map_err(|error| {
            if error.is_connect() {
                anyhow!("no worker answers at {}; start one with `blyan dev`, or name another with --api", self.base)
            } else {
                anyhow!(error)
            }
        })
    }
}

/// `response` if it is a success, otherwise the error in it.
async fn accept(base: &str, response: reqwest::Response) -> Result<reqwest::Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.text().await.unwrap_or_default();
    Err(api_error(&body).unwrap_or_else(|| anyhow!("{base} answered {status}")))
}

/// The error in a body of OpenAI's shape, if it is one.
fn api_error(body: &str) -> Option<anyhow::Error> {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
        code: Option<String>,
    }
    let Body { error } = serde_json::from_str(body).ok()?;
    Some(match error.code {
        Some(code) => anyhow!("{} ({code})", error.message),
        None => anyhow!(error.message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_openais_shape_are_told() {
        let body = r#"{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":"context"}}"#;
        assert_eq!(api_error(body).unwrap().to_string(), "too long (context)");
        assert!(api_error("{}").is_none() && api_error("<html>").is_none());
    }

    #[test]
    fn a_base_may_end_in_v1() {
        for base in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(Api::new(base, None).unwrap().base(), "http://h:1");
        }
    }

    #[tokio::test]
    async fn a_missing_worker_is_explained() {
        // Port 9 (discard) on loopback has no listener.
        let error = Api::new("http://127.0.0.1:9", None).unwrap().get("/health").await.unwrap_err();
        assert!(error.to_string().contains("blyan dev"), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_is_not_ready_tells_its_health() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let body = r#"{"status":"loading","worker":"5F"}"#;
                let head =
                    format!("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: {}", body.len());
                stream.write_all(format!("{head}\r\ncontent-type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        let api = Api::new(&base, None).unwrap();
        assert_eq!(api.health().await.unwrap()["status"], "loading");
        let error = api.get("/health").await.unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
    }
}
