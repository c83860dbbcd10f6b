//! Handing a request to the worker that can do it: the leader, or the owner of a connector or task.

use axum::http::{HeaderMap, header};

use super::Call;
use super::answer::Answer;
use crate::client::RestClient;
use crate::herder::{HerderError, answered};

/// The answer of the worker at `url`. A request is handed on twice at most: to the leader, and by it to the owner.
///
/// # Errors
/// 409 when nobody is known who could do it; what the other worker has answered.
pub async fn forward(call: &Call, url: Option<&str>) -> Result<Answer, HerderError> {
    let conflict = |message: &str| HerderError::Answered { status: 409, code: 409, message: message.to_owned() };
    let is_last = match call.query.get("forward") {
        None => false,
        Some(forward) if forward.eq_ignore_ascii_case("true") => true,
        Some(_) => {
            return Err(conflict("Cannot complete request because of a conflicting operation (e.g. worker rebalance)"));
        }
    };
    let url = url.ok_or_else(|| {
        conflict(
            "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.",
        )
    })?;
    let failed = |error: &dyn std::fmt::Display| {
        HerderError::Failed(format!("IO Error trying to forward REST request: {error}"))
    };
    let client = RestClient::new(url, None).map_err(|error| failed(&error))?;
    let client = client.with_tls(call.herder.config.rest.client_tls.clone());
    let mut headers = HeaderMap::new();
    for (name, value) in &call.head.headers {
        if *name == header::AUTHORIZATION || name.as_str().starts_with("x-connect-") {
            headers.insert(name.clone(), value.clone());
        }
    }
    let path = path_and_query(call, is_last);
    let sent = client.send(call.head.method.as_str(), &path, &headers, call.body.clone()).await;
    let (status, body) = sent.map_err(|error| failed(&error))?;
    if status >= 400 {
        return Err(answered(status, &body));
    }
    let answer = Answer::of_bytes(status, body.to_vec());
    let name = serde_json::from_slice::<serde_json::Value>(&body).ok().and_then(|body| {
        let name = body.get("name")?.as_str()?;
        Some(milena_http::percent_encode(name))
    });
    Ok(match name.filter(|_| status == 201) {
        Some(name) => answer.at(format!("{}/connectors/{name}", call.base)),
        None => answer,
    })
}

/// The path as it came, with the word that says whether it may be handed on once more.
fn path_and_query(call: &Call, is_last: bool) -> String {
    let query = call.head.uri.query().unwrap_or_default();
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("forward="));
    let mut query: Vec<String> = kept.map(str::to_owned).collect();
    query.push(format!("forward={}", !is_last));
    format!("{}?{}", call.head.uri.path(), query.join("&"))
}
