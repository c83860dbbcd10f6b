//! Media types: what a body is, and which of the offered types a client would like best.

use axum::http::{HeaderMap, header};

/// The best of `offered` for the client's `Accept`, each with the quality that the server gives it, the first of them
/// without any `Accept`; `None` when the client takes none of them.
pub fn negotiate<'a>(headers: &HeaderMap, offered: &[(&'a str, f32)]) -> Option<&'a str> {
    let accepted: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accepted.iter().all(|value| value.trim().is_empty()) {
        return offered.first().map(|(media_type, _)| *media_type);
    }
    let mut best: Option<(&str, f32)> = None;
    for (media_type, own) in offered {
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
        "application/*" if media_type.starts_with("application/") => 1,
        name if name == media_type => 2,
        _ => return None,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok());
    Some((specific, quality.unwrap_or(0.0)))
}

/// The type of the body, in small letters and without parameters: empty when it is not told, `None` when it cannot be read.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Some(String::new()) };
    let name = given.to_str().ok()?.split(';').next().unwrap_or_default();
    Some(name.trim().to_ascii_lowercase())
}
