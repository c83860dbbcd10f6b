//! POST `…/topics/{topic_name}/records:batch`: some records at a time, each with an id of the client's.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::record::{Failure, NewRecord};
use super::{Submitted, Target};
use crate::error::{RestError, Result};
use crate::http::{Answer, Call};
use crate::v3::scope::Scope;

/// Letters of an id.
const ID_LENGTH_MAX: usize = 80;

#[derive(Deserialize)]
struct Batch {
    entries: Option<Vec<NewRecord>>,
}

/// The endpoint.
pub async fn produce_batch(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let bytes = call.bytes().await?;
    let batch: Option<Batch> = match bytes.trim_ascii() {
        b"" => None,
        text => serde_json::from_slice(text)
            .map_err(|error| crate::v3::scope::bad_request(format!("Malformed JSON: {error}")))?,
    };
    let entries = batch.ok_or_else(super::no_record)?.entries.unwrap_or_default();
    let ids = check(&entries, call.proxy.config.streams.batch_entries_max)?;
    let bytes_each = bytes.len() / entries.len().max(1);
    let target = Target::new(&call, scope);
    let mut submitted = Vec::with_capacity(entries.len());
    for entry in entries {
        submitted.push(target.submit(entry, bytes_each).await);
    }
    let (mut successes, mut failures): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for (id, submitted) in ids.iter().zip(submitted) {
        match settled(&target, id, submitted).await {
            Ok(success) => successes.push(success),
            Err(error) => failures.push(json!(Failure::new(&error, Some(id)))),
        }
    }
    Answer::with_status(207, &json!({"successes": successes, "failures": failures}))
}

async fn settled(target: &Target, id: &str, submitted: Result<Submitted>) -> Result<Value> {
    let Submitted { sent, pending } = submitted?;
    let at = pending.outcome().await?;
    Ok(json!(sent.success(&target.cluster_id, &target.topic, at, Some(id))))
}

/// The ids, once they are fit.
fn check(entries: &[NewRecord], entries_max: usize) -> Result<Vec<String>> {
    let refuse = |message: &str| Err(RestError::InvalidBatch(message.to_owned()));
    if entries.is_empty() {
        return refuse("Empty batch.");
    }
    if entries.len() > entries_max {
        return refuse("Too many entries in batch.");
    }
    let mut seen = HashSet::new();
    let mut ids = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(id) = entry.id.as_deref().filter(|id| !id.is_empty() && id.chars().count() <= ID_LENGTH_MAX) else {
            return refuse("Batch entry ID is invalid: it has 1 to 80 characters.");
        };
        if !seen.insert(id) {
            return refuse("Batch entry IDs are not distinct.");
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(ids: &[Option<&str>]) -> String {
        let entry = |id: &Option<&str>| serde_json::from_value(json!({"id": id}));
        let entries: Vec<NewRecord> = ids.iter().map(entry).collect::<std::result::Result<_, _>>().unwrap();
        check(&entries, 3).map_or_else(|error| error.to_string(), |ids| ids.join(","))
    }

    #[test]
    fn a_batch_has_a_few_entries_with_distinct_ids() {
        assert_eq!(refusal(&[Some("1"), Some("2")]), "1,2");
        assert_eq!(refusal(&[]), "Empty batch.");
        assert_eq!(refusal(&[Some("1"), Some("2"), Some("3"), Some("4")]), "Too many entries in batch.");
        assert_eq!(refusal(&[Some("1"), Some("1")]), "Batch entry IDs are not distinct.");
        assert!(refusal(&[None]).contains("invalid") && refusal(&[Some(&"x".repeat(81))]).contains("invalid"));
    }
}
