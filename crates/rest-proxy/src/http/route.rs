//! From method and path to an endpoint.
//!
//! Paths are split before they are decoded, so that `%2F` inside a name does not split it.

use milena_http::percent_decode;

use super::endpoint::Endpoint;

/// The endpoints that are served.
pub struct Routes(Vec<Row>);

struct Row {
    endpoint: &'static Endpoint,
    segments: Vec<Segment>,
}

enum Segment {
    Literal(&'static str),
    Parameter,
}

/// Why there is no endpoint.
#[derive(Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// 404.
    UnknownPath,
    /// 405, with what would be allowed.
    Method(Vec<&'static str>),
}

impl Routes {
    /// Routes to `endpoints`. Of several that fit a path the first is taken.
    pub fn new(endpoints: impl IntoIterator<Item = &'static Endpoint>) -> Routes {
        let row = |endpoint: &'static Endpoint| Row { endpoint, segments: segments_of(endpoint.path) };
        Routes(endpoints.into_iter().map(row).collect())
    }

    /// The endpoint for a raw path (still percent-encoded, without the query), and the decoded `{...}` of it.
    ///
    /// # Errors
    /// See [`NoRoute`].
    pub fn find(&self, method: &str, path: &str) -> Result<(&'static Endpoint, Vec<String>), NoRoute> {
        let mut segments: Vec<String> = Vec::new();
        for segment in path.trim_start_matches('/').split('/') {
            segments.push(percent_decode(segment).ok_or(NoRoute::UnknownPath)?);
        }
        while segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        let wanted = if method == "HEAD" { "GET" } else { method };
        let mut allowed: Vec<&'static str> = Vec::new();
        for row in self.0.iter().filter(|row| row.fits(&segments)) {
            if row.endpoint.method == wanted {
                return Ok((row.endpoint, row.parameters(segments)));
            }
            if !allowed.contains(&row.endpoint.method) {
                allowed.push(row.endpoint.method);
            }
        }
        Err(if allowed.is_empty() { NoRoute::UnknownPath } else { NoRoute::Method(allowed) })
    }
}

impl Row {
    fn fits(&self, given: &[String]) -> bool {
        let fits = |(segment, given): (&Segment, &String)| match segment {
            Segment::Literal(literal) => literal == given,
            Segment::Parameter => !given.is_empty(),
        };
        self.segments.len() == given.len() && self.segments.iter().zip(given).all(fits)
    }

    fn parameters(&self, given: Vec<String>) -> Vec<String> {
        let is_parameter = |segment: &Segment| matches!(segment, Segment::Parameter);
        self.segments.iter().zip(given).filter(|(segment, _)| is_parameter(segment)).map(|(_, given)| given).collect()
    }
}

fn segments_of(path: &'static str) -> Vec<Segment> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.map(|text| if text.starts_with('{') { Segment::Parameter } else { Segment::Literal(text) }).collect()
}

/// Whether a list of names, which may end in `*`, has `name`.
pub fn is_listed(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => entry == name,
    })
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::Media;
    use super::*;
    use crate::error::RestError;

    const fn row(method: &'static str, path: &'static str, name: &'static str) -> Endpoint {
        Endpoint {
            method,
            path,
            name,
            reads: Media::Json,
            answers: Media::Json,
            handler: |_| Box::pin(async { Err(RestError::Http(500)) }),
            summary: "",
        }
    }

    static ROWS: [Endpoint; 4] = [
        row("GET", "/v3/clusters/{cluster_id}/topics/-/configs", "all"),
        row("GET", "/v3/clusters/{cluster_id}/topics/{topic_name}/configs", "one"),
        row("POST", "/v3/clusters/{cluster_id}/topics/{topic_name}/configs:alter", "alter"),
        row("DELETE", "/v3/clusters/{cluster_id}/topics/{topic_name}/configs", "reset"),
    ];

    fn found(method: &str, path: &str) -> Result<(&'static str, Vec<String>), NoRoute> {
        Routes::new(&ROWS).find(method, path).map(|(endpoint, parameters)| (endpoint.name, parameters))
    }

    #[test]
    fn literal_paths_come_before_parameters_and_names_are_decoded_after_splitting() {
        let parameters = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(found("GET", "/v3/clusters/c/topics/-/configs"), Ok(("all", parameters(&["c"]))));
        assert_eq!(found("HEAD", "/v3/clusters/c/topics/a%2Fb/configs/"), Ok(("one", parameters(&["c", "a/b"]))));
        assert_eq!(found("POST", "/v3/clusters/c/topics/t/configs%3Aalter"), Ok(("alter", parameters(&["c", "t"]))));
    }

    #[test]
    fn wrong_methods_are_told_apart_from_wrong_paths() {
        assert_eq!(found("PUT", "/v3/clusters/c/topics/t/configs"), Err(NoRoute::Method(vec!["GET", "DELETE"])));
        assert_eq!(found("GET", "/v3/clusters/c/topics//configs"), Err(NoRoute::UnknownPath));
        assert_eq!(found("GET", "/v3/clusters/%ff/topics/t/configs"), Err(NoRoute::UnknownPath));
    }

    #[test]
    fn lists_of_names_may_end_in_a_star() {
        let list = ["api.v3.topics.*".to_owned(), "api.v2.brokers.list".to_owned()];
        assert!(is_listed(&list, "api.v3.topics.create") && is_listed(&list, "api.v2.brokers.list"));
        assert!(!is_listed(&list, "api.v3.acls.list"));
    }
}
