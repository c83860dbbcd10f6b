//! Functions of URLs.

use super::{Category, Registry, optional};
use crate::expression::EvalError;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(Category::Url, "url_encode_param", "The text as part of a URL: unusual characters as %XX, blanks as +.")
        .strict("(input STRING) STRING", |c| Ok(Value::from(encode(c.str(0)))));
    registry
        .scalar(Category::Url, "url_decode_param", "The text that is part of a URL, with %XX and + decoded.")
        .strict("(input STRING) STRING", |c| decode(c.str(0)).map(Value::from));
    registry
        .scalar(Category::Url, "url_extract_protocol", "The protocol of a URL: `https` of `https://host/`.")
        .strict("(input STRING) STRING", |c| Ok(optional(Url::parse(c.str(0))?.protocol)));
    registry
        .scalar(Category::Url, "url_extract_host", "The host of a URL.")
        .strict("(input STRING) STRING", |c| Ok(optional(Url::parse(c.str(0))?.host)));
    registry
        .scalar(Category::Url, "url_extract_port", "The port of a URL; null if it names none.")
        .strict("(input STRING) INT", |c| Ok(optional(Url::parse(c.str(0))?.port)));
    registry
        .scalar(Category::Url, "url_extract_path", "The path of a URL.")
        .strict("(input STRING) STRING", |c| Ok(optional(Url::parse(c.str(0))?.path)));
    registry
        .scalar(Category::Url, "url_extract_query", "The query of a URL: what stands behind the `?`.")
        .strict("(input STRING) STRING", |c| Ok(optional(Url::parse(c.str(0))?.query)));
    registry
        .scalar(Category::Url, "url_extract_fragment", "The fragment of a URL: what stands behind the `#`.")
        .strict("(input STRING) STRING", |c| Ok(optional(Url::parse(c.str(0))?.fragment)));
    registry
        .scalar(
            Category::Url,
            "url_extract_parameter",
            "The value of a parameter in the query of a URL: empty if it stands without one, null if it is not there.",
        )
        .strict("(input STRING, paramToFind STRING) STRING", |c| {
            let Some(query) = Url::parse(c.str(0))?.query else { return Ok(Value::Null) };
            // The query is decoded as a whole first: an `&` or `=` that was coded separates too.
            let mut parameters = query.split('&').map(|one| one.split_once('=').unwrap_or((one, "")));
            Ok(optional(parameters.find(|(name, _)| *name == c.str(1)).map(|(_, value)| value.to_owned())))
        });
}

/// The parts of a URL as `java.net.URI` sees them (RFC 2396), percent-decoded.
struct Url {
    protocol: Option<String>,
    host: Option<String>,
    port: Option<i32>,
    path: Option<String>,
    query: Option<String>,
    fragment: Option<String>,
}

impl Url {
    fn parse(text: &str) -> Result<Url, EvalError> {
        let escapes = || text.as_bytes().iter().enumerate().filter(|(_, byte)| **byte == b'%').map(|(at, _)| at + 1);
        let invalid = || EvalError::new(format!("URL input has invalid syntax: {text}"));
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(c))
            || escapes().any(|at| hex_pair(&text.as_bytes()[at..]).is_none())
        {
            return Err(invalid());
        }
        let (rest, fragment) = text.split_once('#').map_or((text, None), |(rest, part)| (rest, Some(part)));
        let scheme_end = rest.find([':', '/', '?']).filter(|end| rest[*end..].starts_with(':'));
        let (protocol, rest) = match scheme_end {
            Some(end) if !is_scheme(&rest[..end]) || rest.len() == end + 1 => return Err(invalid()),
            Some(end) => (Some(rest[..end].to_owned()), &rest[end + 1..]),
            None => (None, rest),
        };
        if fragment.is_some_and(|fragment| fragment.contains('#')) || (rest == "//" && fragment.is_none()) {
            return Err(invalid());
        }
        let mut url =
            Url { protocol, host: None, port: None, path: None, query: None, fragment: fragment.map(percent_decode) };
        // `mailto:x` is opaque: it has nothing but its scheme and fragment.
        if url.protocol.is_some() && !rest.starts_with('/') {
            return Ok(url);
        }
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, part)| (rest, Some(part)));
        url.query = query.map(percent_decode);
        let path = match rest.strip_prefix("//") {
            Some(after) => {
                let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
                if !url.read_authority(authority) && authority.contains(['[', ']']) {
                    return Err(invalid());
                }
                path
            }
            None => rest,
        };
        if path.contains(['[', ']']) {
            return Err(invalid());
        }
        url.path = Some(percent_decode(path));
        Ok(url)
    }

    /// Whether the authority is a server. What is none is of another kind, which has neither host nor port.
    fn read_authority(&mut self, authority: &str) -> bool {
        let server = authority.split_once('@').map_or(authority, |(_, server)| server);
        let port_at = server.rfind(':').filter(|at| server[at + 1..].bytes().all(|digit| digit.is_ascii_digit()));
        let (host, port) = port_at.map_or((server, ""), |at| (&server[..at], &server[at + 1..]));
        let number = port.parse().ok();
        let found = is_server(host) && (port.is_empty() || number.is_some());
        if found {
            self.host = Some(host.to_owned());
            self.port = number;
        }
        found
    }
}

/// Whether the text is the name of a protocol.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Whether the text is a name that RFC 2396 allows (labels of letters, digits and hyphens, the last one beginning with a
/// letter), an IPv4 address, or an IPv6 address in brackets.
fn is_server(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.split('%').next().is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let mut labels = host.strip_suffix('.').unwrap_or(host).split('.').peekable();
    while let Some(label) = labels.next() {
        let is_last = labels.peek().is_none();
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let begins = label.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || (!is_last && byte != b'-'));
        if !plain || !begins || label.ends_with('-') {
            return false;
        }
    }
    true
}

fn encode(text: &str) -> String {
    let mut output = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => output.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) => output.push(char::from(byte)),
            byte => output.push_str(&format!("%{byte:02X}")),
        }
    }
    output
}

/// As a form is decoded: `+` is a blank, a wrong `%` an error.
fn decode(text: &str) -> Result<String, EvalError> {
    let spaced = text.replace('+', " ");
    let mut bytes = Vec::with_capacity(spaced.len());
    let mut rest = spaced.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let Some(decoded) = hex_pair(rest) else {
            return Err(EvalError::new(format!("Illegal %-escape in '{text}'")));
        };
        bytes.push(decoded);
        rest = &rest[2..];
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As a URI is decoded: only `%XX`.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        match (*byte == b'%').then(|| hex_pair(after)).flatten() {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let pair = std::str::from_utf8(bytes.get(..2)?).ok()?;
    u8::from_str_radix(pair, 16).ok()
}
