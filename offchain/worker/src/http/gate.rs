//! What every request passes: an id, headers, measures, keys and rate limits.

use super::{ApiError, App};
use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use blyan_primitives::hash::blake2_256;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Instant,
};
use tracing::Instrument;

/// Addresses whose rate is remembered.
const MAX_ADDRESSES: usize = 1 << 16;
/// Longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 64;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Keys and rates.
#[derive(Debug)]
pub(super) struct Gate {
    /// Hashes of keys: looking one up takes no longer for one that is nearly right.
    keys: HashSet<[u8; 32]>,
    rate: Option<NonZeroU32>,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Gate {
    pub(super) fn new(keys: &[String], rate: Option<NonZeroU32>) -> Self {
        Self { keys: keys.iter().map(|key| blake2_256(key.as_bytes())).collect(), rate, buckets: Mutex::default() }
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match given {
            Some((_, key)) if self.keys.contains(&blake2_256(key.trim().as_bytes())) => Ok(()),
            _ => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "This worker asks for an API key, as 'Authorization: Bearer <key>'.",
            )),
        }
    }

    /// A bucket that holds a minute's requests and fills steadily.
    fn check_rate(&self, address: IpAddr, now: Instant) -> Result<(), ApiError> {
        let Some(rate) = self.rate else { return Ok(()) };
        let full = f64::from(rate.get());
        let per_second = full / 60.0;
        let mut buckets = self.buckets.lock();
        let level = |bucket: &Bucket| (bucket.tokens + (now - bucket.at).as_secs_f64() * per_second).min(full);
        if buckets.len() >= MAX_ADDRESSES && !buckets.contains_key(&address) {
            // Full buckets say nothing. Should all be in use, the limit itself is under attack: forget them.
            buckets.retain(|_, bucket| level(bucket) < full);
            if buckets.len() >= MAX_ADDRESSES {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket { tokens: full, at: now });
        let tokens = level(bucket);
        *bucket = Bucket { tokens, at: now };
        if tokens < 1.0 {
            let wait = ((1.0 - tokens) / per_second).ceil() as u64;
            return Err(ApiError {
                retry_after: Some(wait.max(1)),
                ..ApiError::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_exceeded",
                    format!("More than {rate} requests a minute from your address."),
                )
            });
        }
        bucket.tokens = tokens - 1.0;
        Ok(())
    }
}

/// Lets requests for answers in.
pub(super) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let checked = app.gate.check_key(request.headers()).and_then(|()| match address {
        Some(address) => app.gate.check_rate(address, Instant::now()),
        None => Ok(()),
    });
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(&REQUEST_ID).filter(|value| {
        value.len() <= MAX_REQUEST_ID && value.as_bytes().iter().all(u8::is_ascii_graphic) && !value.is_empty()
    });
    if let Some(given) = given {
        return given.clone();
    }
    // An id only has to be told from others in a log: without random bytes it is 0.
    let id = getrandom::u64().unwrap_or_default();
    HeaderValue::from_str(&format!("req-{id:016x}")).unwrap_or(HeaderValue::from_static("req-0"))
}

/// Gives a request its id, its span in the log, and its place in the measures; gives a response its headers.
pub(super) async fn frame(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "other".to_owned(),
    };
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    let elapsed = started.elapsed();
    app.metrics.requests.with_label_values(&[&route, status.as_str()]).inc();
    app.metrics.request_seconds.with_label_values(&[&route]).observe(elapsed.as_secs_f64());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), ?elapsed, "answered"));
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())])
    }

    #[test]
    fn only_known_keys_pass() {
        let gate = Gate::new(&["sk-secret-1".into()], None);
        assert!(gate.check_key(&headers("Bearer sk-secret-1")).is_ok());
        assert!(gate.check_key(&headers("bearer sk-secret-1 ")).is_ok());
        for bad in ["Bearer sk-secret-2", "Basic sk-secret-1", "sk-secret-1", "Bearer "] {
            assert_eq!(gate.check_key(&headers(bad)).unwrap_err().code, "invalid_api_key");
        }
        assert!(Gate::new(&[], None).check_key(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn an_address_that_asks_too_often_waits() {
        let gate = Gate::new(&[], NonZeroU32::new(2));
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        assert!(gate.check_rate(one, start).is_ok() && gate.check_rate(one, start).is_ok());
        let refused = gate.check_rate(one, start).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), ("rate_limit_exceeded", Some(30)));
        assert!(gate.check_rate(other, start).is_ok());
        assert!(gate.check_rate(one, start + Duration::from_secs(31)).is_ok());
    }

    #[test]
    fn addresses_are_bounded() {
        let gate = Gate::new(&[], NonZeroU32::new(1));
        let now = Instant::now();
        for i in 0..MAX_ADDRESSES as u32 + 10 {
            let _ = gate.check_rate(IpAddr::from(i.to_be_bytes()), now);
        }
        assert!(gate.buckets.lock().len() <= MAX_ADDRESSES);
    }

    #[test]
    fn request_ids_are_kept_when_sane() {
        let id = |value: &str| request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(value).unwrap())]));
        assert_eq!(id("abc-1"), "abc-1");
        assert!(id(&"x".repeat(65)).to_str().unwrap().starts_with("req-"));
        assert!(id("a b").to_str().unwrap().starts_with("req-"));
    }
}
