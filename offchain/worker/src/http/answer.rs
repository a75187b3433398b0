//! `POST /v1/chat/completions` and `POST /v1/completions`.

use super::{
    ApiError, App, BODY_TIMEOUT,
    request::{Kind, Prompt, Request},
    shape::Shape,
};
use crate::{
    clock,
    health::State as Condition,
    payment::{Cashier, PaymentError, Reservation, SignedVoucher},
    scheduler::{Done, Event, Job, Refused},
    served::Served,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use blyan_model::{chat::ChatError, tokenizer::TokenizerError};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A comment in the stream while an answer waits in the queue, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Guess of an answer's length in seconds, before any has been measured.
const FIRST_GUESS: f64 = 5.0;

pub(super) async fn chat(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    answer(app, Kind::Chat, headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn text(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    answer(app, Kind::Text, headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(app: Arc<App>, kind: Kind, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let arrived = Instant::now();
    if !app.settings.gateway {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not_a_gateway",
            "This worker does not have the role of a gateway: ask another one for answers.",
        ));
    }
    check_ready(&app)?;
    let body = read_body(&app, &headers, body).await?;
    let request = Request::parse(kind, &body, app.settings.max_tokens)?;
    let served = app.current.get().ok_or_else(not_ready)?;
    if !served.answers_to(&request.model) {
        let name: String = request.model.chars().take(128).collect();
        return Err(ApiError {
            param: Some("model".into()),
            ..ApiError::not_found("model_not_found", format!("The model '{name}' is not served here; try 'default'."))
        });
    }
    let prompt = tokens(&served, request.prompt).await?;
    let max_tokens = fit(&served, kind, prompt.len(), request.max_tokens, app.settings.max_tokens)?;
    // Before a voucher is used up for a request that is then refused.
    if served.engine.waiting() >= app.settings.max_queue {
        return Err(queue_full(&app, &served));
    }
    let most = prompt.len() as u64 + u64::from(max_tokens);
    let reservation = pay(&app, &headers, most).await?;
    let channel = reservation.as_ref().map(Reservation::channel);
    let shape = Shape::new(kind, &served, request.sampling.seed, request.include_usage, clock::unix_millis() / 1000);
    let (sender, events) = Job::channel(max_tokens);
    let cancel = CancellationToken::new();
    let running = Running { events, app: app.clone(), channel, _leaves: cancel.clone().drop_guard() };
    let job = Job {
        prompt,
        sampling: request.sampling,
        max_tokens,
        stop: request.stop,
        reservation,
        cancel,
        events: sender,
        arrived,
    };
    match served.engine.submit(job) {
        Ok(()) => app.metrics.queue.set(served.engine.waiting() as i64),
        Err(Refused::Full { .. }) => return Err(queue_full(&app, &served)),
        Err(Refused::Closed) => {
            check_ready(&app)?;
            return Err(not_ready());
        },
    }
    if request.stream { Ok(running.stream(shape)) } else { running.whole(&shape).await }
}

fn not_ready() -> ApiError {
    ApiError::unavailable("not_ready", "The worker is starting.", 5)
}

fn check_ready(app: &App) -> Result<(), ApiError> {
    match app.health.get() {
        Condition::Ready => Ok(()),
        Condition::Starting(reason) => {
            Err(ApiError::unavailable("not_ready", format!("The worker is not ready yet: {reason}."), 5))
        },
        Condition::Draining => Err(ApiError::unavailable("draining", "The worker is stopping; ask another one.", 30)),
        Condition::Unhealthy(reason) => {
            Err(ApiError::unavailable("unhealthy", format!("The worker is unhealthy: {reason}."), 60))
        },
    }
}

fn queue_full(app: &App, served: &Served) -> ApiError {
    app.metrics.queue_refused.inc();
    let measured = &app.metrics.answer_seconds;
    let count = measured.get_sample_count();
    let each = if count > 0 { measured.get_sample_sum() / count as f64 } else { FIRST_GUESS };
    let side_by_side = served.engine.running().max(1);
    let wait = each * served.engine.waiting() as f64 / side_by_side as f64;
    ApiError {
        retry_after: Some((wait.ceil() as u64).clamp(1, 60)),
        ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", "As many requests wait as may; try again later.")
    }
}

async fn read_body(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, ApiError> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !json {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the header 'content-type: application/json'.",
        ));
    }
    let limit = app.settings.max_body;
    let too_large = || {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            format!("The body is longer than {limit} bytes."),
        )
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let read = async {
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| ApiError::bad_request("invalid_json", "The body broke off."))?;
            if bytes.len().saturating_add(piece.len()) > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(result) => result.map(|()| bytes),
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body took too long.")),
    }
}

async fn tokens(served: &Arc<Served>, prompt: Prompt) -> Result<Vec<u32>, ApiError> {
    let text = served.text.clone();
    let vocab = served.spec.dimensions.vocab;
    // A long text takes a while: other requests do not wait for it.
    let encoded = tokio::task::spawn_blocking(move || match prompt {
        Prompt::Messages(messages) => text.chat(&messages, true).map_err(|error| refuse_text("messages", &error)),
        Prompt::Text(prompt) => text.prompt(&prompt).map_err(|error| refuse_text("prompt", &error)),
        Prompt::Tokens(tokens) => match tokens.iter().find(|token| **token >= vocab) {
            Some(token) => Err(ApiError::parameter(
                "invalid_value",
                "prompt",
                format!("{token} is no token of this model, which has {vocab}."),
            )),
            None => Ok(tokens),
        },
    });
    let tokens = encoded.await.map_err(ApiError::internal)??;
    if tokens.is_empty() {
        return Err(ApiError::parameter("invalid_value", "prompt", "The prompt is empty."));
    }
    Ok(tokens)
}

fn refuse_text(param: &str, error: &ChatError) -> ApiError {
    match error {
        ChatError::NoTemplate
        | ChatError::NoMessages
        | ChatError::TooManyMessages { .. }
        | ChatError::TooLong { .. }
        | ChatError::Role(_)
        | ChatError::Noncharacter { .. }
        | ChatError::Refused(_)
        | ChatError::RenderedTooLong
        | ChatError::OutOfFuel
        | ChatError::Tokenizer(TokenizerError::TextTooLong { .. }) => {
            ApiError::parameter("invalid_value", param, format!("Invalid value for '{param}': {error}."))
        },
        _ => ApiError::internal(error),
    }
}

/// How long the answer can be: what the client asks for has to fit, what it does not ask for is made to.
fn fit(served: &Served, kind: Kind, prompt: usize, asked: Option<u32>, most: u32) -> Result<u32, ApiError> {
    let context = u64::from(served.spec.dimensions.context);
    let room = context.saturating_sub(prompt as u64);
    let wanted = asked.unwrap_or(1);
    if u64::from(wanted) > room {
        return Err(ApiError::parameter(
            "context_length_exceeded",
            match kind {
                Kind::Chat => "messages",
                Kind::Text => "prompt",
            },
            format!(
                "This model's context has {context} tokens. The prompt has {prompt} and the answer may have {wanted}: \
                 shorten one of them."
            ),
        ));
    }
    Ok(asked.unwrap_or(most.min(u32::try_from(room).unwrap_or(u32::MAX))))
}

async fn pay(app: &Arc<App>, headers: &HeaderMap, tokens: u64) -> Result<Option<Reservation>, ApiError> {
    let chain = app.chain()?;
    let Some(cashier) = &chain.cashier else { return Ok(None) };
    let refuse = |error: PaymentError| refuse_payment(app, cashier, tokens, &error);
    let header = |name: &str| {
        headers.get(name).map(|value| value.to_str().map_err(|_| PaymentError::Malformed("it is not ASCII")))
    };
    let Some(voucher) = header("x-blyan-voucher") else { return Err(refuse(cashier.required(tokens))) };
    let signed = voucher.and_then(SignedVoucher::parse).map_err(refuse)?;
    if let Some(given) = header("x-blyan-channel") {
        let number = given
            .map_err(refuse)?
            .trim()
            .parse()
            .map_err(|_| ApiError::bad_request("voucher_malformed", "x-blyan-channel is not a whole number."))?;
        if number != signed.voucher.channel {
            return Err(refuse(PaymentError::OtherChannel { header: number, voucher: signed.voucher.channel }));
        }
    }
    let view = chain.channels.channel(signed.voucher.channel).await.map_err(|error| {
        ApiError::unavailable("chain_unreachable", format!("The channel could not be looked up: {error}."), 5)
    })?;
    let till = cashier.clone();
    let admitted = tokio::task::spawn_blocking(move || till.admit(&signed, view, tokens));
    match admitted.await.map_err(ApiError::internal)? {
        Ok(reservation) => Ok(Some(reservation)),
        Err(error) => Err(refuse(error)),
    }
}

fn refuse_payment(app: &App, cashier: &Cashier, tokens: u64, error: &PaymentError) -> ApiError {
    use PaymentError::*;
    let (status, code) = match error {
        Malformed(_) | OtherChannel { .. } => (StatusCode::BAD_REQUEST, "voucher_malformed"),
        WrongGenesis(_) => (StatusCode::BAD_REQUEST, "voucher_wrong_genesis"),
        WrongSigner(_) => (StatusCode::BAD_REQUEST, "voucher_wrong_signer"),
        Replayed { .. } => (StatusCode::BAD_REQUEST, "voucher_replayed"),
        Required { .. } => (StatusCode::PAYMENT_REQUIRED, "payment_required"),
        Unknown(_) => (StatusCode::PAYMENT_REQUIRED, "channel_unknown"),
        NotOurs(_) => (StatusCode::PAYMENT_REQUIRED, "channel_not_ours"),
        Closing(_) => (StatusCode::PAYMENT_REQUIRED, "channel_closing"),
        Insufficient { .. } => (StatusCode::PAYMENT_REQUIRED, "voucher_insufficient"),
        OverEscrow { .. } => (StatusCode::PAYMENT_REQUIRED, "voucher_over_escrow"),
        Journal(error) => return ApiError::internal(error),
    };
    let required = match error {
        Insufficient { required, .. } | Required { required, .. } => *required,
        _ => cashier.price().of(tokens),
    };
    let details = json!({
        "price_per_1k_tokens": cashier.price().per_1k.to_string(),
        "required": required.to_string(),
        "worker": app.account.to_string(),
    });
    ApiError { details: Some(details), ..ApiError::new(status, code, format!("{error}.")) }
}

/// An answer on its way. Dropping it tells the engine that the client has left.
struct Running {
    events: mpsc::Receiver<Event>,
    app: Arc<App>,
    channel: Option<u64>,
    _leaves: DropGuard,
}

impl Running {
    /// What the answer's channel has used, now that the answer is charged.
    fn spent(&self) -> Option<u128> {
        let cashier = self.app.chain.get()?.cashier.as_ref()?;
        match cashier.standing(self.channel?) {
            Ok(standing) => standing.map(|(ledger, _)| ledger.spent),
            Err(error) => {
                tracing::warn!(%error, "a channel's use cannot be read");
                None
            },
        }
    }

    async fn whole(mut self, shape: &Shape) -> Result<Response, ApiError> {
        let mut text = String::new();
        loop {
            match self.events.recv().await {
                Some(Event::Text(piece)) => text.push_str(&piece),
                Some(Event::Done(done)) => {
                    text.push_str(&done.tail);
                    let mut response = Json(shape.whole(&text, &done, self.spent())).into_response();
                    if let Ok(receipt) = HeaderValue::from_str(&done.receipt.to_string()) {
                        response.headers_mut().insert("x-blyan-receipt", receipt);
                    }
                    return Ok(response);
                },
                Some(Event::Failed(failure)) => return Err(ApiError::internal(failure)),
                None => return Err(ApiError::internal("the engine dropped an answer")),
            }
        }
    }

    fn stream(self, shape: Shape) -> Response {
        let first: Vec<sse::Event> = shape.first().iter().map(data).collect();
        let pieces = stream::unfold(Some((self, shape)), |state| async {
            let (mut running, shape) = state?;
            let (events, goes_on) = match running.events.recv().await {
                Some(Event::Text(text)) => (vec![data(&shape.piece(&text))], true),
                Some(Event::Done(done)) => (end(&shape, &done, running.spent()), false),
                Some(Event::Failed(failure)) => (vec![data(&ApiError::internal(failure).to_json())], false),
                None => (vec![data(&ApiError::internal("the engine dropped an answer").to_json())], false),
            };
            Some((stream::iter(events), goes_on.then_some((running, shape))))
        });
        respond(stream::iter(first).chain(pieces.flatten()))
    }
}

fn end(shape: &Shape, done: &Done, spent: Option<u128>) -> Vec<sse::Event> {
    let mut events = Vec::new();
    if !done.tail.is_empty() {
        events.push(data(&shape.piece(&done.tail)));
    }
    events.extend(shape.last(done, spent).iter().map(data));
    events.push(sse::Event::default().data("[DONE]"));
    events
}

fn data(value: &Value) -> sse::Event {
    // JSON text has no line breaks, which an event could not hold in one line.
    sse::Event::default().data(value.to_string())
}

fn respond(events: impl Stream<Item = sse::Event> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // Proxies must pass pieces on as they come.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
