//! Inline tags: the property `confluent:tags` of records and fields.

use std::collections::HashSet;

use super::types::{Kind, Name, Type, TypeId};
use crate::document::{Members, Node};
use crate::{SchemaError, SchemaTag, SchemaType, TagEdit, TaggedEntity};

const TAGS: &str = "confluent:tags";
const RECORD: &str = "SR_RECORD";
const FIELD: &str = "SR_FIELD";

/// All tags, records before their fields, in the order of the schema.
pub(super) fn tags(types: &[Type], root: TypeId) -> Vec<SchemaTag> {
    let mut found = Vec::new();
    collect(types, root, &mut HashSet::new(), &mut found);
    found
}

fn collect(types: &[Type], id: TypeId, visited: &mut HashSet<TypeId>, found: &mut Vec<SchemaTag>) {
    let schema = &types[id.index()];
    match &schema.kind {
        Kind::Array(child) | Kind::Map(child) => collect(types, *child, visited, found),
        Kind::Union(branches) => branches.iter().for_each(|branch| collect(types, *branch, visited, found)),
        Kind::Record(record) if visited.insert(id) => {
            let path = record.naming.name.full();
            found.extend(tag(path.to_owned(), RECORD, &schema.properties));
            for field in &record.fields {
                found.extend(tag(format!("{path}.{}", field.name), FIELD, &field.properties));
                collect(types, field.type_id, visited, found);
            }
        }
        _ => {}
    }
}

fn tag(path: String, entity_type: &str, properties: &Members) -> Option<SchemaTag> {
    let tags = names(properties);
    let entity = TaggedEntity { path, entity_type: entity_type.to_owned() };
    (!tags.is_empty()).then_some(SchemaTag { entity, tags })
}

fn names(properties: &Members) -> Vec<String> {
    let names = properties.get(TAGS).and_then(Node::as_array).unwrap_or_default().iter().filter_map(Node::as_str);
    unique(names.map(str::to_owned))
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// Adds and removes tags in place.
pub(super) fn apply(types: &mut [Type], edit: &TagEdit<'_>) -> Result<(), SchemaError> {
    for tag in edit.add {
        let properties = entity(types, &tag.entity)?;
        let tags = unique(names(properties).into_iter().chain(tag.tags.iter().cloned()));
        store(properties, tags);
    }
    for tag in edit.remove {
        let properties = entity(types, &tag.entity)?;
        let removed: HashSet<&String> = tag.tags.iter().collect();
        let tags = names(properties).into_iter().filter(|name| !removed.contains(name)).collect();
        store(properties, tags);
    }
    Ok(())
}

fn store(properties: &mut Members, tags: Vec<String>) {
    if tags.is_empty() {
        properties.shift_remove(TAGS);
    } else {
        properties.insert(TAGS.to_owned(), Node::Array(tags.into_iter().map(Node::String).collect()));
    }
}

/// The properties of the record or field that is meant.
fn entity<'a>(types: &'a mut [Type], entity: &TaggedEntity) -> Result<&'a mut Members, SchemaError> {
    let missing = || {
        let TaggedEntity { path, entity_type } = entity;
        SchemaError::invalid(SchemaType::Avro, format!("No matching path '{path}' of type {entity_type} in the schema"))
    };
    let named = |schema: &&mut Type, name: &str| match &schema.kind {
        Kind::Record(record) => record.naming.name.full() == name,
        _ => false,
    };
    if entity.entity_type == RECORD {
        let path = Name::new(&entity.path, None);
        return types
            .iter_mut()
            .find(|schema| named(schema, path.full()))
            .map(|schema| &mut schema.properties)
            .ok_or_else(missing);
    }
    let (record, field) = entity.path.rsplit_once('.').ok_or_else(missing)?;
    let schema = types.iter_mut().find(|schema| named(schema, record)).ok_or_else(missing)?;
    match &mut schema.kind {
        Kind::Record(record) => record
            .fields
            .iter_mut()
            .find(|known| known.name == field)
            .map(|known| &mut known.properties)
            .ok_or_else(missing),
        _ => Err(missing()),
    }
}
