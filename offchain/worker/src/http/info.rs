//! What the worker tells about itself, its model, its receipts and its channels.

use super::{ApiError, App};
use crate::{
    health::State as Condition,
    receipts::{bundle::Bundle, journal::JournalError},
    served::Served,
};
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use blyan_primitives::{ids::ReceiptId, payment::ChannelId};
use serde_json::{Value, json};
use std::sync::Arc;

fn describe(app: &App, served: &Served) -> Value {
    let price = app.chain.get().and_then(|chain| chain.cashier.as_ref()).map_or(0, |cashier| cashier.price().per_1k);
    json!({
        "id": served.spec.name.as_str(),
        "object": "model",
        "created": served.since,
        "owned_by": "blyan",
        "blyan": {
            "spec": served.id,
            "weights": served.weights,
            "version": served.spec.version,
            "supported_versions": served.spec.compatible.to_string(),
            "context": served.spec.dimensions.context,
            "max_tokens": app.settings.max_tokens.min(served.spec.dimensions.context),
            "price_per_1k_tokens": price.to_string(),
        },
    })
}

pub(super) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let data: Vec<Value> = app.current.get().iter().map(|served| describe(&app, served)).collect();
    Json(json!({"object": "list", "data": data}))
}

pub(super) async fn model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    match app.current.get().filter(|served| served.answers_to(&name)) {
        Some(served) => Ok(Json(describe(&app, &served))),
        None => {
            let name: String = name.chars().take(128).collect();
            Err(ApiError::not_found("model_not_found", format!("The model '{name}' is not served here.")))
        },
    }
}

pub(super) async fn receipt(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Bundle>, ApiError> {
    let id: ReceiptId = id
        .parse()
        .map_err(|error| ApiError::parameter("invalid_value", "id", format!("This is no receipt id: {error}.")))?;
    let journal = app.chain()?.journal.clone();
    let found = tokio::task::spawn_blocking(move || {
        let Some((stored, standing)) = journal.get(id)? else { return Ok(None) };
        let named = journal.named_at(stored.signed.receipt.weights)?;
        Ok::<_, JournalError>(Some(Bundle::new(stored, &standing, named)))
    });
    match found.await.map_err(ApiError::internal)?.map_err(ApiError::internal)? {
        Some(bundle) => Ok(Json(bundle)),
        None => Err(ApiError::not_found("receipt_not_found", "This worker has no such receipt.")),
    }
}

pub(super) async fn channel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let id: ChannelId =
        id.parse().map_err(|_| ApiError::parameter("invalid_value", "id", "A channel's id is a whole number."))?;
    let unknown = || ApiError::not_found("channel_not_found", "This worker has taken nothing from such a channel.");
    let cashier = app.chain()?.cashier.clone().ok_or_else(unknown)?;
    let price = cashier.price().per_1k;
    let standing = tokio::task::spawn_blocking(move || cashier.standing(id)).await.map_err(ApiError::internal)?;
    let (ledger, reserved) = standing.map_err(ApiError::internal)?.ok_or_else(unknown)?;
    Ok(Json(json!({
        "channel": id,
        "spent": ledger.spent.to_string(),
        "reserved": reserved.to_string(),
        "voucher": ledger.voucher.map_or(0, |(voucher, _)| voucher.cumulative).to_string(),
        "redeemed": ledger.redeemed.to_string(),
        "price_per_1k_tokens": price.to_string(),
    })))
}

pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let state = app.health.get();
    let ready = app.health.is_ready();
    let served = app.current.get();
    let chain = app.chain.get();
    let sight = chain.map(|chain| (chain.sight)()).unwrap_or_default();
    let counts = match chain.map(|chain| chain.journal.clone()) {
        Some(journal) => tokio::task::spawn_blocking(move || journal.counts()).await.ok().and_then(Result::ok),
        None => None,
    };
    let counts = counts.unwrap_or_default();
    let body = json!({
        "status": state.word(),
        "live": !matches!(state, Condition::Unhealthy(_)),
        "ready": ready,
        "reason": state.reason(),
        "version": env!("CARGO_PKG_VERSION"),
        "worker": app.account.to_string(),
        "worker_key": format!("0x{}", hex::encode(app.key)),
        "genesis": chain.map(|chain| format!("0x{}", hex::encode(chain.genesis))),
        "chain": {
            "connected": sight.connected,
            "finalized": sight.finalized,
            "refused": sight.refused,
        },
        "model": served.as_ref().map(|served| json!({
            "name": served.spec.name.as_str(),
            "version": served.spec.version,
            "spec": served.id,
            "weights": served.weights,
        })),
        "queue": served.as_ref().map_or(0, |served| served.engine.waiting()),
        "batch": served.as_ref().map_or(0, |served| served.engine.running()),
        "receipts": {"pending": counts.pending, "unfinalized": counts.open, "anchored": counts.anchored},
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

pub(super) async fn live(State(app): State<Arc<App>>) -> Response {
    match app.health.get() {
        Condition::Unhealthy(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"live": false, "reason": reason}))).into_response()
        },
        _ => Json(json!({"live": true})).into_response(),
    }
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    app.metrics.ready.set(i64::from(app.health.is_ready()));
    if let Some(number) = app.chain.get().and_then(|chain| (chain.sight)().finalized) {
        app.metrics.finalized_height.set(i64::from(number));
    }
    if let Some(served) = app.current.get() {
        app.metrics.queue.set(served.engine.waiting() as i64);
    }
    let text = app.metrics.render().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
