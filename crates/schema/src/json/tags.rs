//! Inline tags: the member `confluent:tags` of a schema object.
//!
//! A path names what it passes: `object` and a property, `array` for the elements of an array, `oneof.0` for a branch,
//! `definitions` and a name.

use crate::document::Node;
use crate::{SchemaError, SchemaTag, SchemaType, TagEdit, TaggedEntity};

const KEYWORD: &str = "confluent:tags";
const RECORD: &str = "SR_RECORD";

/// The tags of every object and property that a schema declares.
pub fn tags(document: &Node) -> Vec<SchemaTag> {
    let mut found = Vec::new();
    collect(document, "", false, &mut found);
    found
}

fn own_tags(schema: &Node) -> Vec<String> {
    let tags = schema.get(KEYWORD).and_then(Node::as_array).into_iter().flatten();
    tags.filter_map(Node::as_str).map(str::to_owned).collect()
}

fn add(path: &str, entity_type: &str, schema: &Node, found: &mut Vec<SchemaTag>) {
    let tags = own_tags(schema);
    if !tags.is_empty() {
        let entity = TaggedEntity { path: path.to_owned(), entity_type: entity_type.to_owned() };
        found.push(SchemaTag { entity, tags });
    }
}

fn collect(schema: &Node, scope: &str, in_field: bool, found: &mut Vec<SchemaTag>) {
    for (keyword, segment) in [("allOf", "allof"), ("anyOf", "anyof"), ("oneOf", "oneof")] {
        let branches = schema.get(keyword).and_then(Node::as_array).unwrap_or_default();
        for (index, branch) in branches.iter().enumerate() {
            collect(branch, &format!("{scope}{segment}.{index}."), false, found);
        }
    }
    if let Some(items @ Node::Object(_)) = schema.get("items") {
        collect(items, &format!("{scope}array."), false, found);
    }
    if let Some(opposite) = schema.get("not") {
        collect(opposite, &format!("{scope}not."), false, found);
    }
    for keyword in ["if", "then", "else"] {
        if let Some(branch) = schema.get(keyword) {
            collect(branch, &format!("{scope}conditional.{keyword}."), false, found);
        }
    }
    let object = format!("{scope}object");
    let is_object = schema.get("properties").is_some() || schema.get("type").and_then(Node::as_str) == Some("object");
    if is_object && !in_field {
        add(&object, RECORD, schema, found);
    }
    for (name, property) in schema.get("properties").and_then(Node::as_object).into_iter().flatten() {
        let path = format!("{object}.{name}");
        add(&path, "SR_FIELD", property, found);
        collect(property, &format!("{path}."), true, found);
    }
    for keyword in ["definitions", "$defs"] {
        for (name, definition) in schema.get(keyword).and_then(Node::as_object).into_iter().flatten() {
            collect(definition, &format!("{object}.{keyword}.{name}."), false, found);
        }
    }
}

/// `document` with tags added and removed.
///
/// # Errors
/// A path that leads nowhere.
pub fn with_tags(document: &Node, edit: &TagEdit<'_>) -> Result<Node, SchemaError> {
    let mut document = document.clone();
    for (tags, added) in edit.add.iter().map(|tag| (tag, true)).chain(edit.remove.iter().map(|tag| (tag, false))) {
        let path = tags.entity.path.strip_prefix('.').unwrap_or(&tags.entity.path);
        let Some(Node::Object(members)) = find(&mut document, path) else {
            let message = format!("No matching path '{}' found in the schema", tags.entity.path);
            return Err(SchemaError::invalid(SchemaType::Json, message));
        };
        let present = members.get(KEYWORD).and_then(Node::as_array).unwrap_or_default();
        let mut kept: Vec<String> = present.iter().filter_map(Node::as_str).map(str::to_owned).collect();
        if added {
            let new: Vec<String> = tags.tags.iter().filter(|tag| !kept.contains(tag)).cloned().collect();
            kept.extend(new);
        } else {
            kept.retain(|tag| !tags.tags.contains(tag));
        }
        if kept.is_empty() {
            members.shift_remove(KEYWORD);
        } else {
            members.insert(KEYWORD.to_owned(), Node::Array(kept.into_iter().map(Node::String).collect()));
        }
    }
    Ok(document)
}

/// The schema at `path`. Names of properties may hold dots: the longest one that leads on counts.
fn find<'a>(schema: &'a mut Node, path: &str) -> Option<&'a mut Node> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if first == "object" && rest.is_empty() || path.is_empty() {
        return Some(schema);
    }
    let Node::Object(members) = schema else { return None };
    let keyword = match first {
        "allof" => "allOf",
        "anyof" => "anyOf",
        "oneof" => "oneOf",
        "array" => return find(members.get_mut("items")?, rest),
        "not" => return find(members.get_mut("not")?, rest),
        "conditional" => {
            let (branch, rest) = rest.split_once('.').unwrap_or((rest, ""));
            return find(members.get_mut(branch)?, rest);
        }
        "object" => {
            let definitions = rest.split_once('.').filter(|(keyword, _)| matches!(*keyword, "definitions" | "$defs"));
            return match definitions {
                Some((keyword, rest)) if members.contains_key(keyword) => named(members.get_mut(keyword)?, rest),
                _ => named(members.get_mut("properties")?, rest),
            };
        }
        _ => return None,
    };
    let (index, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let Node::Array(branches) = members.get_mut(keyword)? else { return None };
    find(branches.get_mut(index.parse::<usize>().ok()?)?, rest)
}

fn named<'a>(schemas: &'a mut Node, path: &str) -> Option<&'a mut Node> {
    let Node::Object(members) = schemas else { return None };
    let ends = path.rmatch_indices('.').map(|(end, _)| end);
    let end = std::iter::once(path.len()).chain(ends).find(|end| members.contains_key(&path[..*end]))?;
    find(members.get_mut(&path[..end])?, path.get(end + 1..).unwrap_or_default())
}
