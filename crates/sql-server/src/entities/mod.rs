//! Answers to statements as JSON: one object with an `@type` for each.

pub mod functions;
pub mod merged;
pub mod plan;
pub mod schema;
pub mod source;
pub mod statistics;

use serde_json::{Map, Value, json};

/// An answer of type `kind` to the statement `text` with these members.
pub fn entity(kind: &str, text: &str, members: Value) -> Value {
    with_warnings(kind, text, members, &[])
}

/// As [`entity`], with warnings.
pub fn with_warnings(kind: &str, text: &str, members: Value, warnings: &[String]) -> Value {
    let mut entity = Map::new();
    entity.insert("@type".to_owned(), kind.into());
    entity.insert("statementText".to_owned(), text.into());
    if let Value::Object(members) = members {
        entity.extend(members);
    }
    let warnings: Vec<Value> = warnings.iter().map(|message| json!({ "message": message })).collect();
    entity.insert("warnings".to_owned(), warnings.into());
    Value::Object(entity)
}
