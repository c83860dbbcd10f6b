//! Pages of other origins: which may use the API.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// `access.control.allow.*`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// `access.control.allow.origin`; empty: no answer to other origins.
    pub allow_origin: String,
    /// `access.control.allow.methods`
    pub allow_methods: String,
    /// `access.control.allow.headers`
    pub allow_headers: String,
}

impl Cors {
    /// Whether other origins are served at all.
    pub fn is_on(&self) -> bool {
        !self.allow_origin.is_empty()
    }

    /// Whether the request only asks what a page may do.
    pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Adds what lets pages of the request's origin read the answer.
    pub fn allow(&self, asked: &HeaderMap, is_preflight: bool, answered: &mut HeaderMap) {
        let Some(origin) = asked.get(header::ORIGIN).filter(|_| self.is_on()) else { return };
        let allowed = |origin: &str| self.allow_origin.split(',').any(|one| matches_origin(one.trim(), origin));
        if !origin.to_str().is_ok_and(allowed) {
            return;
        }
        answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if is_preflight {
            insert_list(answered, header::ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
            insert_list(answered, header::ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
            answered.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("1800"));
        }
    }
}

fn insert_list(headers: &mut HeaderMap, name: HeaderName, list: &str) {
    if let Ok(value) = HeaderValue::from_str(list)
        && !list.is_empty()
    {
        headers.insert(name, value);
    }
}

/// `*` stands for anything in an allowed origin.
fn matches_origin(allowed: &str, origin: &str) -> bool {
    match allowed.split_once('*') {
        None => allowed.eq_ignore_ascii_case(origin),
        Some((before, after)) => {
            origin.len() >= before.len() + after.len() && origin.starts_with(before) && origin.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_origins_get_an_answer_and_only_preflights_the_lists() {
        let cors = Cors {
            allow_origin: "https://*.example.org, http://localhost:3000".to_owned(),
            allow_methods: "GET,POST".to_owned(),
            allow_headers: String::new(),
        };
        let answered = |origin: &'static str, is_preflight| {
            let asked = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            let mut headers = HeaderMap::new();
            cors.allow(&asked, is_preflight, &mut headers);
            headers
        };
        assert!(answered("https://evil.org", true).is_empty());
        assert_eq!(answered("https://a.example.org", false).len(), 1);
        assert_eq!(answered("http://localhost:3000", true)[header::ACCESS_CONTROL_ALLOW_METHODS], "GET,POST");
    }
}
