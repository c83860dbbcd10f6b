//! The small change of HTTP: media types with quality, percent-encoding, compression, error bodies.

use std::io::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::json;

use crate::service::Error;

/// What answers are written as, best first, with the quality that the server gives them.
const PRODUCED: [(&str, f32); 3] = [
    ("application/vnd.schemaregistry.v1+json", 1.0),
    ("application/vnd.schemaregistry+json", 0.9),
    ("application/json", 0.5),
];
/// What bodies of requests may be, besides those.
const BINARY: &str = "application/octet-stream";
/// Smaller answers are not worth compressing.
const GZIP_BYTES_MIN: usize = 1024;

/// An answer before headers that depend on the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON; empty for none.
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 with `value` as JSON.
    ///
    /// # Errors
    /// 500 when it cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Answer, Error> {
        let body = serde_json::to_vec(value).map_err(|error| Error::Plain(500, error.to_string()))?;
        Ok(Answer { status: 200, body })
    }

    /// 200 with a text that is JSON already.
    pub fn text(text: &str) -> Answer {
        Answer { status: 200, body: text.as_bytes().to_vec() }
    }

    /// 204.
    pub fn nothing() -> Answer {
        Answer { status: 204, body: Vec::new() }
    }

    /// The usual body of an error; `incompatible` is the code for schemas that do not fit.
    pub fn error(error: &Error, incompatible: i32) -> Answer {
        let code = match error {
            Error::Incompatible { .. } => incompatible,
            other => other.code(),
        };
        let body = json!({"error_code": code, "message": error.to_string()}).to_string().into_bytes();
        Answer { status: error.status(), body }
    }

    /// As an HTTP response of type `media_type`, compressed when the client likes that.
    pub fn into_response(self, media_type: &'static str, accepts_gzip: bool) -> Response<Body> {
        let gzip = accepts_gzip && self.body.len() >= GZIP_BYTES_MIN;
        let body = if gzip { compress(&self.body).unwrap_or(self.body) } else { self.body };
        let has_body = self.status != 204;
        let mut response = Response::new(if has_body { Body::from(body) } else { Body::empty() });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, User-Agent"));
        response
    }
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// The media type for the answer; `None` when the client takes none of them.
pub fn negotiate(headers: &HeaderMap) -> Option<&'static str> {
    let accepted: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accepted.iter().all(|value| value.trim().is_empty()) {
        return Some(PRODUCED[0].0);
    }
    let mut best: Option<(&'static str, f32)> = None;
    for (media_type, own) in PRODUCED {
        let quality =
            accepted.iter().flat_map(|value| value.split(',')).filter_map(|range| quality_for(range, media_type));
        // The most specific range decides.
        let Some((_, quality)) = quality.max_by(|a, b| a.0.cmp(&b.0)) else { continue };
        let score = quality * own;
        // What the client names prevails over what the server likes.
        if quality > 0.0 && best.is_none_or(|(_, known)| score > known) {
            best = Some((media_type, score));
        }
    }
    best.map(|(media_type, _)| media_type)
}

/// How specific a range of `Accept` is and its quality, if it covers the media type.
fn quality_for(range: &str, media_type: &str) -> Option<(u8, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let specific = match name.as_str() {
        "*/*" | "*" => 0,
        "application/*" => 1,
        name if name == media_type => 2,
        _ => return None,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok());
    Some((specific, quality.unwrap_or(0.0)))
}

/// Whether a body of this type is read.
pub fn is_readable(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return true };
    let Ok(given) = given.to_str() else { return false };
    let name = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name.is_empty() || name == BINARY || PRODUCED.iter().any(|(known, _)| *known == name)
}

/// Whether the client takes gzip.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Decodes `%xx`; `None` when that is broken or not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(*high)? * 16 + digit(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_media_type_follows_the_quality_of_both_sides() {
        let cases = [
            ("*/*", Some(PRODUCED[0].0)),
            ("application/json", Some("application/json")),
            ("application/vnd.schemaregistry+json, application/json;q=0.2", Some(PRODUCED[1].0)),
            ("application/vnd.schemaregistry.v1+json; q=0.9, application/json; q=0.5", Some(PRODUCED[0].0)),
            ("text/html, application/*;q=0.1", Some(PRODUCED[0].0)),
            ("application/vnd.schemaregistry.v1+json;q=0, */*", Some(PRODUCED[1].0)),
            ("text/plain", None),
            ("application/json;q=0", None),
        ];
        for (accept, expected) in cases {
            assert_eq!(negotiate(&accepting(accept)), expected, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new()), Some(PRODUCED[0].0));
    }

    #[test]
    fn bodies_are_json_whatever_it_is_called() {
        let readable = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            is_readable(&headers)
        };
        assert!(readable("application/json; charset=utf-8") && readable("Application/Vnd.SchemaRegistry.v1+JSON"));
        assert!(readable("application/octet-stream") && is_readable(&HeaderMap::new()));
        assert!(!readable("text/plain") && !readable("application/x-www-form-urlencoded"));
    }

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(percent_decode("a%2Fb%C3%A4+").as_deref(), Some("a/bä+"));
        assert_eq!(percent_decode("%"), None);
        assert_eq!(percent_decode("%zz"), None);
        assert_eq!(percent_decode("%ff"), None);
    }

    #[test]
    fn gzip_can_be_declined() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&headers)
        };
        assert!(accepts("deflate, gzip;q=0.5"));
        assert!(!accepts("gzip;q=0") && !accepts("br"));
    }
}
