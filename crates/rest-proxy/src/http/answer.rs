//! What a call answers, before headers that depend on the request.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use serde_json::json;

use crate::error::{RestError, Result};

/// An answer. The media type is what the client and the endpoint have agreed on.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Further headers, such as `Location`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; `None` for none.
    pub body: Option<Body>,
}

impl Answer {
    /// 200 with `value` as JSON.
    ///
    /// # Errors
    /// 500 when it cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Answer> {
        Answer::with_status(200, value)
    }

    /// `value` as JSON with another status.
    ///
    /// # Errors
    /// As [`Answer::json`].
    pub fn with_status(status: u16, value: &impl Serialize) -> Result<Answer> {
        let body =
            serde_json::to_vec(value).map_err(|error| RestError::Plain { status: 500, message: error.to_string() })?;
        Ok(Answer { status, headers: Vec::new(), body: Some(Body::from(body)) })
    }

    /// 200 with a body that is written while it is sent.
    pub fn stream(body: Body) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: Some(body) }
    }

    /// A status without body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: None }
    }

    /// 204.
    pub fn nothing() -> Answer {
        Answer::empty(204)
    }

    /// The same answer with a `Location`.
    #[must_use]
    pub fn with_location(mut self, url: &str) -> Answer {
        self.headers.extend(HeaderValue::from_str(url).ok().map(|url| (header::LOCATION, url)));
        self
    }

    /// The body of an error.
    pub fn error(error: &RestError) -> Answer {
        let body = json!({"error_code": error.code(), "message": error.to_string()}).to_string();
        Answer { status: error.status(), headers: Vec::new(), body: Some(Body::from(body)) }
    }
}
