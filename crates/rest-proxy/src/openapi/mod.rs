//! The OpenAPI document of what this proxy serves: GET `/openapi.json`.
//!
//! Paths, methods and names come from the table that dispatches; what bodies look like, from `operations.json` beside this file.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::error::{RestError, Result};
use crate::http::{Answer, Call, Endpoint, Media};

/// The document's own endpoint.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: "GET",
    path: "/openapi.json",
    name: "api.openapi.get",
    reads: Media::Json,
    answers: Media::Json,
    handler: |call| Box::pin(get(call)),
    summary: "This document",
}];

/// Bodies, parameters of queries and statuses by name of the endpoint, and the schemas that they refer to.
static OPERATIONS: LazyLock<std::result::Result<Value, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("operations.json")).map_err(|error| error.to_string()));

async fn get(call: Call) -> Result<Answer> {
    let served = crate::http::endpoints(&call.proxy.config.http);
    Answer::json(&document(served, &call.base_url())?)
}

fn document<'a>(endpoints: impl Iterator<Item = &'a Endpoint>, url: &str) -> Result<Value> {
    let known = OPERATIONS.as_ref().map_err(|error| RestError::Plain { status: 500, message: error.clone() })?;
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.to_ascii_lowercase()] = operation(endpoint, &known["operations"][endpoint.name], known);
    }
    Ok(json!({
        "openapi": "3.0.3",
        "info": {
            "title": "REST Proxy",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Produce, consume and administer Kafka over HTTP.",
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"schemas": known["schemas"]},
    }))
}

/// `told` is the entry of `operations.json`: `body` and `answer` (names of schemas), `status`, `query`.
fn operation(endpoint: &Endpoint, told: &Value, known: &Value) -> Value {
    let mut parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": parameter(name, known)}))
        .collect();
    if let Some(query) = told["query"].as_object() {
        let optional = |(name, schema): (&String, &Value)| json!({"name": name, "in": "query", "schema": schema});
        parameters.extend(query.iter().map(optional));
    }
    let status = told["status"].as_str().unwrap_or("200");
    let mut answer = json!({"description": endpoint.summary});
    if status != "204" && !told["answer"].is_null() {
        answer["content"] = content(endpoint.answers, &told["answer"]);
    }
    let error = json!({
        "description": "Refused",
        "content": content_of(error_types(endpoint), &json!({"$ref": "#/components/schemas/Error"})),
    });
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [if endpoint.path.starts_with("/v3") { "v3" } else { "v2" }],
        "parameters": parameters,
        "responses": {status: answer, "default": error},
    });
    if !told["body"].is_null() {
        let required = !told["body_optional"].as_bool().unwrap_or(false);
        operation["requestBody"] = json!({"required": required, "content": content(endpoint.reads, &told["body"])});
    }
    operation
}

/// Parameters of paths that are numbers, or have a form of their own.
fn parameter(name: &str, known: &Value) -> Value {
    let known = &known["parameters"][name];
    if known.is_null() { json!({"type": "string", "minLength": 1}) } else { known.clone() }
}

fn content(media: Media, schema: &Value) -> Value {
    content_of(types(media), schema)
}

fn content_of(types: &[&str], schema: &Value) -> Value {
    let schema =
        schema.as_str().map_or_else(|| schema.clone(), |name| json!({"$ref": format!("#/components/schemas/{name}")}));
    types.iter().map(|media_type| ((*media_type).to_owned(), json!({"schema": schema}))).collect::<Map<_, _>>().into()
}

fn types(media: Media) -> &'static [&'static str] {
    match media {
        Media::Json => &["application/json"],
        Media::V2 => &["application/vnd.kafka.v2+json", "application/json"],
        Media::V2Embedded => &[
            "application/vnd.kafka.binary.v2+json",
            "application/vnd.kafka.json.v2+json",
            "application/vnd.kafka.avro.v2+json",
            "application/vnd.kafka.jsonschema.v2+json",
            "application/vnd.kafka.protobuf.v2+json",
        ],
    }
}

/// Errors are of the type of the answer, or plain JSON when there was no agreement on one.
fn error_types(endpoint: &Endpoint) -> &'static [&'static str] {
    match endpoint.answers {
        Media::Json => &["application/json"],
        Media::V2 => &["application/vnd.kafka.v2+json", "application/json"],
        Media::V2Embedded => &[
            "application/json",
            "application/vnd.kafka.v2+json",
            "application/vnd.kafka.binary.v2+json",
            "application/vnd.kafka.json.v2+json",
            "application/vnd.kafka.avro.v2+json",
            "application/vnd.kafka.jsonschema.v2+json",
            "application/vnd.kafka.protobuf.v2+json",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<&'static Endpoint> {
        crate::v2::ENDPOINTS.iter().chain(crate::v3::ENDPOINTS).chain(ENDPOINTS).collect()
    }

    #[test]
    fn every_endpoint_is_described_and_every_description_has_an_endpoint() {
        let known = OPERATIONS.as_ref().unwrap()["operations"].as_object().unwrap();
        let names: Vec<&str> = all().iter().map(|endpoint| endpoint.name).collect();
        for name in &names {
            assert!(known.contains_key(*name), "operations.json does not describe {name}");
        }
        for name in known.keys() {
            assert!(names.contains(&name.as_str()), "operations.json describes {name}, which is not there");
        }
    }

    #[test]
    fn names_are_distinct_and_references_lead_somewhere() {
        let document = document(all().into_iter(), "http://localhost").unwrap();
        let mut names: Vec<&str> = all().iter().map(|endpoint| endpoint.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(!document["components"]["schemas"][name].is_null(), "{name}");
        }
    }
}
