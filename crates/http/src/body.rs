//! Bodies: read with a limit, written compressed where that pays.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

/// Smaller answers are not worth compressing.
const GZIP_BYTES_MIN: usize = 1024;
/// How long a body that is too large is read on and thrown away.
const PASS_OVER_MAX: Duration = Duration::from_secs(5);

/// Why there is no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit: 413.
    #[error("the body of the request is too large")]
    TooLarge,
    /// The connection, or the way the body is framed.
    #[error("{0}")]
    Broken(String),
}

/// The whole body, if it is not longer than `bytes_max`. A longer one is read on for some seconds without being kept: a
/// client that is still writing when the connection closes would never see the answer.
///
/// # Errors
/// See [`BodyError`].
pub async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let (mut chunks, mut size) = (Vec::new(), 0);
    while let Some(chunk) = next_chunk(&mut body).await? {
        size += chunk.len();
        if size > bytes_max {
            drop(chunks);
            let _ = timeout(PASS_OVER_MAX, async { while let Ok(Some(_)) = next_chunk(&mut body).await {} }).await;
            return Err(BodyError::TooLarge);
        }
        chunks.push(chunk);
    }
    Ok(if chunks.len() == 1 { chunks.swap_remove(0) } else { chunks.concat().into() })
}

/// The next bytes, possibly none of them; `None` at the end.
async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    let Some(frame) = body.frame().await else { return Ok(None) };
    let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
    Ok(Some(frame.into_data().unwrap_or_default()))
}

/// `body` as gzip; `None` when it is too short for that.
pub fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < GZIP_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_or_too_large() {
        assert_eq!(read(Body::from("fourfour"), 8).await.unwrap(), "fourfour");
        assert_eq!(read(Body::empty(), 0).await.unwrap(), "");
        assert_eq!(read(Body::from("fourfour."), 8).await, Err(BodyError::TooLarge));
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
