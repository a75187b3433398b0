//! Blocks of weights for other workers.
//!
//! What is sent are the mapped pages themselves, without a copy. Whoever fetches checks every subtile against the chain, so
//! that nothing here has to be believed.

use super::{ApiError, App};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use blyan_primitives::{
    block::{FORMAT_VERSION, MAGIC, PREFIX_LEN, data_offset},
    ids::ContentHash,
    merkle::SUBTILE,
};
use blyan_store::StoreError;
use blyan_tensorblock::VerifiedBlock;
use futures::stream;
use std::{convert::Infallible, ops::Range, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Longest time that a transfer keeps others waiting: who reads more slowly than this loses its place, not its data.
const MAX_TRANSFER: Duration = Duration::from_secs(600);
/// Seconds after which to try again when all places are taken.
const BUSY_RETRY: u64 = 2;

pub(super) async fn whole(
    State(app): State<Arc<App>>,
    Path(hash): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let block = find(&app, &hash).await?;
    let length = block.file_len();
    let (status, range) = match headers.get(header::RANGE).map(|value| parse_range(value, length)) {
        None | Some(Asked::Everything) => (StatusCode::OK, 0..length),
        Some(Asked::Part(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Asked::Nothing) => {
            let error = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                format!("The block has {length} bytes."),
            );
            let mut response = error.into_response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return Ok(response);
        },
    };
    let body = match method {
        Method::HEAD => Body::empty(),
        _ => transfer(&app, &block, range.clone())?,
    };
    let mut response = immutable(&block, body);
    *response.status_mut() = status;
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {}-{last}/{length}", range.start));
    }
    Ok(response)
}

pub(super) async fn header(State(app): State<Arc<App>>, Path(hash): Path<String>) -> Result<Response, ApiError> {
    let block = find(&app, &hash).await?;
    let bytes = block.header_bytes().to_vec();
    Ok(immutable(&block, bytes.into()))
}

pub(super) async fn leaves(State(app): State<Arc<App>>, Path(hash): Path<String>) -> Result<Response, ApiError> {
    let block = find(&app, &hash).await?;
    let bytes = block.tree().leaves().as_flattened().to_vec();
    Ok(immutable(&block, bytes.into()))
}

async fn find(app: &Arc<App>, hash: &str) -> Result<VerifiedBlock, ApiError> {
    let hash: ContentHash = hash
        .parse()
        .map_err(|error| ApiError::parameter("invalid_value", "hash", format!("This is no block hash: {error}.")))?;
    let store = app.store.clone();
    // Opening a block for the first time reads and hashes all of it.
    let found = tokio::task::spawn_blocking(move || store.get(&hash)).await.map_err(ApiError::internal)?;
    match found {
        Ok(block) => Ok(block),
        Err(error) if error.needs_fetch() => {
            if let StoreError::Corrupt { .. } = error {
                tracing::error!(%error, "a block is damaged and is refused");
                heal(app, hash);
            }
            Err(ApiError::not_found("block_not_found", format!("Block {hash} is not in this store.")))
        },
        Err(error) => Err(ApiError::internal(error)),
    }
}

/// Has a block healed that has just been moved into quarantine: nobody else will find it damaged again.
fn heal(app: &App, hash: ContentHash) {
    let Some(damaged) = app.damaged.get() else { return };
    if let Err(error) = damaged.try_send(hash) {
        tracing::error!(%hash, %error, "a damaged block is not healed before the next start");
    }
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    // Digits and punctuation only.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn immutable(block: &VerifiedBlock, body: Body) -> Response {
    let mut response = Response::new(body);
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::ETAG, &format!("\"{}\"", block.hash()));
    set(&mut response, header::CACHE_CONTROL, "public, max-age=31536000, immutable");
    response
}

#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Everything,
    Part(Range<u64>),
    Nothing,
}

/// One range; whatever else a `Range` header says may be ignored, and is.
fn parse_range(value: &HeaderValue, length: u64) -> Asked {
    let Some((first, last)) = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.split_once('-'))
    else {
        return Asked::Everything;
    };
    let range = match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(first), "") => first..length,
        (Ok(first), last) => match last.parse::<u64>() {
            Ok(last) if last >= first => first..last.saturating_add(1).min(length),
            _ => return Asked::Everything,
        },
        (Err(_), last) if first.trim().is_empty() => match last.parse::<u64>() {
            Ok(count) => length.saturating_sub(count)..length,
            Err(_) => return Asked::Everything,
        },
        _ => return Asked::Everything,
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Nothing }
}

/// What stands in front of a block's data in its file.
fn head(block: &VerifiedBlock) -> Vec<u8> {
    let header = block.header_bytes();
    // A header is at most a megabyte.
    let header_len = header.len() as u32;
    let mut bytes = Vec::with_capacity(data_offset(header_len) as usize);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&header_len.to_le_bytes());
    debug_assert_eq!(bytes.len() as u64, PREFIX_LEN);
    bytes.extend_from_slice(header);
    bytes.resize(data_offset(header_len) as usize, 0);
    bytes
}

/// The pieces of `range` of the file.
fn transfer(app: &Arc<App>, block: &VerifiedBlock, range: Range<u64>) -> Result<Body, ApiError> {
    let permit =
        app.uploads.clone().try_acquire_owned().map_err(|_| {
            ApiError::unavailable("uploads_busy", "All transfers are taken; try again later.", BUSY_RETRY)
        })?;
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    tokio::spawn(async move {
        let _permit = permit;
        tokio::select! {
            () = ended.cancelled() => {},
            () = tokio::time::sleep(MAX_TRANSFER) => {},
        }
    });
    let front = head(block);
    let offset = front.len() as u64;
    let mut pieces: Vec<Piece> = Vec::new();
    if range.start < offset {
        let part = range.start as usize..range.end.min(offset) as usize;
        pieces.push(Piece::Front(Bytes::from(front).slice(part)));
    }
    let (mut at, end) = (range.start.max(offset) - offset, range.end.max(offset) - offset);
    while at < end {
        let next = end.min(at.saturating_add(SUBTILE));
        pieces.push(Piece::Data(at..next));
        at = next;
    }
    let (block, metrics) = (block.clone(), app.metrics.clone());
    let bytes = stream::unfold((pieces.into_iter(), guard), move |(mut pieces, guard)| {
        let piece = pieces.next().and_then(|piece| piece.bytes(&block));
        if let Some(bytes) = &piece {
            metrics.uploaded_bytes.inc_by(bytes.len() as u64);
        }
        async move { piece.map(|bytes| (Ok::<_, Infallible>(bytes), (pieces, guard))) }
    });
    Ok(Body::from_stream(bytes))
}

enum Piece {
    Front(Bytes),
    Data(Range<u64>),
}

impl Piece {
    /// `None` past the end of the block, where no range reaches: the transfer would break off, which the length tells.
    fn bytes(self, block: &VerifiedBlock) -> Option<Bytes> {
        match self {
            Self::Front(bytes) => Some(bytes),
            Self::Data(range) => block.slice(range).ok().map(Bytes::from_owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let range = |text: &str| parse_range(&HeaderValue::from_str(text).unwrap(), 100);
        assert_eq!(range("bytes=0-9"), Asked::Part(0..10));
        assert_eq!(range("bytes=90-"), Asked::Part(90..100));
        assert_eq!(range("bytes=90-500"), Asked::Part(90..100));
        assert_eq!(range("bytes=-10"), Asked::Part(90..100));
        assert_eq!(range("bytes=-500"), Asked::Part(0..100));
        for nothing in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(range(nothing), Asked::Nothing, "{nothing}");
        }
        for ignored in ["bytes=9-3", "bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes=", "bytes=-"] {
            assert_eq!(range(ignored), Asked::Everything, "{ignored}");
        }
    }
}
