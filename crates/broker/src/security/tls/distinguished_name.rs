//! The name in a certificate, written as Java writes it: RFC 2253, the last part first.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::Tag;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate, X509Name};

/// Characters that Java puts a backslash before.
const ESCAPED: &str = ",=+<>#;\"\\";

/// The name of the certificate's owner; `None` when it cannot be read.
pub(super) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(rfc2253(parsed.subject()))
}

fn rfc2253(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let text = text_of(attribute);
    match (keyword(&oid), text) {
        (Some(keyword), Some(text)) => format!("{keyword}={}", escaped(&text)),
        (keyword, _) => format!("{}={}", keyword.unwrap_or(&oid), in_hex(attribute)),
    }
}

/// The keywords of RFC 2253; every other type is written as a number.
fn keyword(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

fn text_of(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => {
            let units: Vec<u16> =
                value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        Tag::TeletexString => Some(value.data.iter().copied().map(char::from).collect()),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    let leading = text.chars().take_while(|character| *character == ' ').count();
    let trailing_from = last + 1 - text.chars().rev().take_while(|character| *character == ' ').count();
    for (index, character) in text.chars().enumerate() {
        let outer_space = character == ' ' && (index < leading || index >= trailing_from);
        if ESCAPED.contains(character) || outer_space {
            out.push('\\');
        }
        if character == '\0' { out.push_str("\\00") } else { out.push(character) }
    }
    out
}

/// `#` and the whole value with its type and length, in hexadecimal digits.
fn in_hex(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    let mut der = vec![value.tag().0 as u8];
    let length = value.data.len();
    match length {
        0..0x80 => der.push(length as u8),
        0x80..0x100 => der.extend([0x81, length as u8]),
        _ => der.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    der.extend_from_slice(value.data);
    let mut out = String::from("#");
    for byte in der {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}
