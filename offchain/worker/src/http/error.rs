//! Errors in OpenAI's shape.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// What a program can tell it by.
    pub code: &'static str,
    /// The parameter at fault.
    pub param: Option<String>,
    /// What a person reads.
    pub message: String,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
    /// What a program needs to do better.
    pub details: Option<Value>,
}

impl ApiError {
    /// An error with this status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), retry_after: None, details: None }
    }

    /// 400.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400, for a parameter.
    pub fn parameter(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::bad_request(code, message) }
    }

    /// 404.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 503, to be tried again after some seconds.
    pub fn unavailable(code: &'static str, message: impl Into<String>, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// 500; what happened stays in the log.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the worker failed; its log says how")
    }

    /// OpenAI's word for the kind of error.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::PAYMENT_REQUIRED => "payment_required",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let mut error = json!({"message": self.message, "type": self.kind(), "param": self.param, "code": self.code});
        if let (Some(details), Some(fields)) = (&self.details, error.as_object_mut()) {
            fields.insert("blyan".into(), details.clone());
        }
        json!({ "error": error })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_openais() {
        let error = ApiError::parameter("invalid_value", "top_p", "too large");
        let expected = json!({"error": {
            "message": "too large", "type": "invalid_request_error", "param": "top_p", "code": "invalid_value"
        }});
        assert_eq!(error.to_json(), expected);
    }
}
