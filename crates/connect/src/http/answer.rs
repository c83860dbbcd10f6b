//! Answers.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use serde::Serialize;
use serde_json::json;

use super::status_of;
use crate::herder::HerderError;

/// What a call has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    body: Option<Vec<u8>>,
    location: Option<String>,
    media: &'static str,
}

const JSON: &str = "application/json";

impl Answer {
    /// Without a body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, body: None, location: None, media: JSON }
    }

    /// With a body.
    pub fn json(status: u16, body: &impl Serialize) -> Answer {
        match serde_json::to_vec(body) {
            Ok(body) => Answer { status, body: Some(body), location: None, media: JSON },
            Err(error) => Answer::error(500, 500, &error.to_string()),
        }
    }

    /// With bytes that are JSON already.
    pub fn of_bytes(status: u16, body: Vec<u8>) -> Answer {
        Answer { status, body: (!body.is_empty()).then_some(body), location: None, media: JSON }
    }

    /// With a text of this media type.
    pub fn text(status: u16, body: String, media: &'static str) -> Answer {
        Answer { status, body: Some(body.into_bytes()), location: None, media }
    }

    /// The same with where the thing is.
    #[must_use]
    pub fn at(mut self, location: String) -> Answer {
        self.location = Some(location);
        self
    }

    /// `{"error_code","message"}`
    pub fn error(status: u16, code: i64, message: &str) -> Answer {
        Answer::json(status, &json!({ "error_code": code, "message": message }))
    }

    /// An error of the herder.
    pub fn of_error(error: &HerderError) -> Answer {
        if error.status() >= 500 && !matches!(error, HerderError::Unreadable(_)) {
            tracing::warn!("a call has failed: {error}");
        }
        Answer::error(error.status(), error.code(), &error.to_string())
    }

    /// As it goes over the wire.
    pub fn into_response(self) -> Response<Body> {
        let has_body = self.body.is_some();
        let mut response = Response::new(self.body.map_or_else(Body::empty, Body::from));
        *response.status_mut() = status_of(self.status);
        if has_body {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}
