//! Which media types a request may have and an answer can have, and the embedded formats that they name.

use axum::http::HeaderMap;
use milena_http::media;

use super::endpoint::Media;
use crate::formats::Format;

/// v2 without embedded records.
pub const V2: &str = "application/vnd.kafka.v2+json";
/// v3, and for clients that accept nothing else.
pub const JSON: &str = "application/json";

/// What v2 answers without embedded records.
const V2_OFFERED: [(&str, f32); 5] = [
    (V2, 1.0),
    ("application/vnd.kafka+json", 0.9),
    (JSON, 0.5),
    ("application/vnd.kafka.v1+json", 0.4),
    ("application/octet-stream", 0.1),
];
/// What v2 answers with embedded records; the format is `None` for types that name none.
const EMBEDDED: [(&str, Option<Format>); 14] = [
    (V2, None),
    ("application/vnd.kafka.binary.v2+json", Some(Format::Binary)),
    ("application/vnd.kafka.json.v2+json", Some(Format::Json)),
    ("application/vnd.kafka.avro.v2+json", Some(Format::Avro)),
    ("application/vnd.kafka.jsonschema.v2+json", Some(Format::JsonSchema)),
    ("application/vnd.kafka.protobuf.v2+json", Some(Format::Protobuf)),
    (JSON, None),
    ("application/vnd.kafka+json", None),
    ("application/vnd.kafka.v1+json", None),
    ("application/vnd.kafka.binary.v1+json", Some(Format::Binary)),
    ("application/vnd.kafka.json.v1+json", Some(Format::Json)),
    ("application/vnd.kafka.avro.v1+json", Some(Format::Avro)),
    ("application/vnd.kafka.binary+json", Some(Format::Binary)),
    ("application/octet-stream", None),
];

/// The type of the answer and the embedded format that it names; `None` when the client takes none of them.
pub fn negotiate(media: Media, headers: &HeaderMap) -> Option<(&'static str, Option<Format>)> {
    match media {
        Media::Json => media::negotiate(headers, &[(JSON, 1.0)]).map(|name| (name, None)),
        Media::V2 => media::negotiate(headers, &V2_OFFERED).map(|name| (name, None)),
        Media::V2Embedded => {
            let offered: Vec<(&'static str, f32)> =
                EMBEDDED.iter().enumerate().map(|(at, (name, _))| (*name, 1.0 - at as f32 / 100.0)).collect();
            let name = media::negotiate(headers, &offered)?;
            Some((name, format_of(name)?))
        }
    }
}

/// The embedded format of a body; `None` when bodies of its type are not read. What names no format is binary.
pub fn readable(media: Media, headers: &HeaderMap) -> Option<Format> {
    let name = media::content_type(headers)?;
    let is_readable = match media {
        _ if name.is_empty() => true,
        Media::Json => name == JSON,
        Media::V2 => V2_OFFERED.iter().any(|(known, _)| *known == name),
        Media::V2Embedded => return format_of(&name).map(Option::unwrap_or_default),
    };
    is_readable.then_some(Format::Binary)
}

fn format_of(name: &str) -> Option<Option<Format>> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn an_answer_has_the_type_that_the_client_names() {
        let cases = [
            (Media::V2, "*/*", Some((V2, None))),
            (Media::V2, "application/json", Some((JSON, None))),
            (Media::V2, "application/vnd.kafka.v2+json, */*;q=0.1", Some((V2, None))),
            (Media::V2, "text/html", None),
            (Media::V2Embedded, "application/json", Some((JSON, None))),
            (
                Media::V2Embedded,
                "application/vnd.kafka.avro.v2+json",
                Some(("application/vnd.kafka.avro.v2+json", Some(Format::Avro))),
            ),
            (Media::V2Embedded, "*/*", Some((V2, None))),
            (Media::Json, "*/*", Some((JSON, None))),
            (Media::Json, "application/vnd.kafka.v2+json", None),
        ];
        for (media, accept, expected) in cases {
            assert_eq!(negotiate(media, &headers(header::ACCEPT, accept)), expected, "{media:?} {accept}");
        }
    }

    #[test]
    fn the_type_of_a_body_names_its_format() {
        let format = |media, name| readable(media, &headers(header::CONTENT_TYPE, name));
        assert_eq!(format(Media::V2Embedded, "application/vnd.kafka.json.v2+json"), Some(Format::Json));
        assert_eq!(format(Media::V2Embedded, "application/vnd.kafka.v2+json; charset=utf-8"), Some(Format::Binary));
        assert_eq!(format(Media::V2Embedded, "text/plain"), None);
        assert_eq!(format(Media::V2, "application/vnd.kafka.json.v2+json"), None);
        assert_eq!(format(Media::Json, "application/x-www-form-urlencoded"), None);
        assert_eq!(readable(Media::Json, &HeaderMap::new()), Some(Format::Binary));
    }
}
