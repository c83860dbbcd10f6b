//! Inline tags: `tags` of the options `(confluent.message_meta)` and `(confluent.field_meta)`.

use super::ast::*;
use crate::{SchemaError, SchemaTag, SchemaType, TagEdit, TaggedEntity};

const MESSAGE_META: &str = "confluent.message_meta";
const FIELD_META: &str = "confluent.field_meta";
const RECORD: &str = "SR_RECORD";
const FIELD: &str = "SR_FIELD";

/// The tags of every message and field, outermost messages first.
pub fn tags(file: &ProtoFile) -> Vec<SchemaTag> {
    let mut found = Vec::new();
    messages(&file.types).for_each(|message| message_tags(message, "", &mut found));
    found
}

fn message_tags(message: &Message, scope: &str, found: &mut Vec<SchemaTag>) {
    let path = format!("{scope}{}", message.name);
    let mut add = |path: String, entity_type: &str, tags: Vec<String>| {
        if !tags.is_empty() {
            let entity = TaggedEntity { path, entity_type: entity_type.to_owned() };
            found.push(SchemaTag { entity, tags });
        }
    };
    add(path.clone(), RECORD, option_tags(&message.options, MESSAGE_META));
    for field in message.oneofs.iter().flat_map(|oneof| &oneof.fields).chain(&message.fields) {
        add(format!("{path}.{}", field.name), FIELD, option_tags(&field.options, FIELD_META));
    }
    messages(&message.types).for_each(|nested| message_tags(nested, &format!("{path}."), found));
}

fn is_meta(option: &OptionEntry, meta: &str) -> bool {
    option.parenthesized && option.name.trim_start_matches('.') == meta
}

fn option_tags(options: &[OptionEntry], meta: &str) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for option in options.iter().filter(|option| is_meta(option, meta)) {
        let value = match (&option.value, option.path.as_slice()) {
            (value, [only]) if only == "tags" => Some(value),
            (OptionValue::Map(entries), []) => entries.iter().find(|(name, _)| name == "tags").map(|(_, value)| value),
            _ => None,
        };
        let texts: Vec<&str> = match value {
            Some(OptionValue::List(list)) => list.iter().filter_map(OptionValue::as_text).collect(),
            Some(value) => value.as_text().into_iter().collect(),
            None => Vec::new(),
        };
        for text in texts {
            if !tags.iter().any(|tag| tag == text) {
                tags.push(text.to_owned());
            }
        }
    }
    tags
}

/// `file` with tags added and removed.
///
/// # Errors
/// A message or field that does not exist.
pub fn with_tags(file: &ProtoFile, edit: &TagEdit<'_>) -> Result<ProtoFile, SchemaError> {
    let mut file = file.clone();
    for tag in edit.add {
        let (options, meta) = options_of(&mut file, &tag.entity)?;
        let mut tags = option_tags(options, meta);
        tags.extend(tag.tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>());
        set_tags(options, meta, tags);
    }
    for tag in edit.remove {
        let (options, meta) = options_of(&mut file, &tag.entity)?;
        let mut tags = option_tags(options, meta);
        tags.retain(|present| !tag.tags.contains(present));
        set_tags(options, meta, tags);
    }
    Ok(file)
}

/// The options that hold the tags of `entity`, and which of them does.
fn options_of<'a>(
    file: &'a mut ProtoFile,
    entity: &TaggedEntity,
) -> Result<(&'a mut Vec<OptionEntry>, &'static str), SchemaError> {
    let missing = || {
        SchemaError::invalid(SchemaType::Protobuf, format!("No matching path '{}' found in the schema", entity.path))
    };
    let path = entity.path.strip_prefix('.').unwrap_or(&entity.path);
    if entity.entity_type == RECORD {
        let message = find_message(&mut file.types, path).ok_or_else(missing)?;
        return Ok((&mut message.options, MESSAGE_META));
    }
    let (message, name) = path.rsplit_once('.').ok_or_else(missing)?;
    let found = find_message(&mut file.types, message).is_some();
    // The path may go through the name of a oneof.
    let (message, oneof) = match message.rsplit_once('.') {
        Some((outer, oneof)) if !found => (outer, Some(oneof)),
        _ => (message, None),
    };
    let message = find_message(&mut file.types, message).ok_or_else(missing)?;
    let plain = message.fields.iter_mut().filter(|_| oneof.is_none());
    let oneofs = message.oneofs.iter_mut().filter(|one| oneof.is_none_or(|name| one.name == name));
    let mut fields = plain.chain(oneofs.flat_map(|oneof| &mut oneof.fields));
    let field = fields.find(|field| field.name == name).ok_or_else(missing)?;
    Ok((&mut field.options, FIELD_META))
}

fn find_message<'a>(types: &'a mut [TypeDecl], path: &str) -> Option<&'a mut Message> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let message = types.iter_mut().filter_map(TypeDecl::as_message_mut).find(|message| message.name == name)?;
    match rest {
        Some(rest) => find_message(&mut message.types, rest),
        None => Some(message),
    }
}

/// Merges every setting of `meta` into one at the place of the first, with these tags.
fn set_tags(options: &mut Vec<OptionEntry>, meta: &str, tags: Vec<String>) {
    let place = options.iter().position(|option| is_meta(option, meta)).unwrap_or(options.len());
    let mut entries: Vec<(String, OptionValue)> = Vec::new();
    for option in options.iter().filter(|option| is_meta(option, meta)) {
        match (option.path.split_first(), &option.value) {
            (None, OptionValue::Map(more)) => entries.extend(more.iter().cloned()),
            (Some((name, rest)), value) => {
                let nested = |value, part: &String| OptionValue::Map(vec![(part.clone(), value)]);
                entries.push((name.clone(), rest.iter().rev().fold(value.clone(), nested)));
            }
            (None, _) => {}
        }
    }
    let tags_place = entries.iter().position(|(name, _)| name == "tags").unwrap_or(entries.len());
    entries.retain(|(name, _)| name != "tags");
    if !tags.is_empty() {
        let list = OptionValue::List(tags.into_iter().map(OptionValue::String).collect());
        entries.insert(tags_place.min(entries.len()), ("tags".to_owned(), list));
    }
    options.retain(|option| !is_meta(option, meta));
    if !entries.is_empty() {
        let option = OptionEntry {
            name: meta.to_owned(),
            parenthesized: true,
            path: Vec::new(),
            value: OptionValue::Map(entries),
        };
        options.insert(place.min(options.len()), option);
    }
}
