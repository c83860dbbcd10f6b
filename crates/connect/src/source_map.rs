//! Partitions and offsets of sources.
//!
//! Every record of a source carries an offset, and some ten thousand of them are under way at once. They have one to three
//! fields, so a list does, whose names are mostly those that the source has in its code: one allocation for an offset.

use std::borrow::Cow;
use std::ops::Index;

use serde_json::Value;

type Field = (Cow<'static, str>, Value);

/// Where a source has read: a partition or an offset of the system outside. Null, strings, numbers and booleans only.
///
/// Fields keep their order. Two maps are equal whatever the order of their fields.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    fields: Vec<Field>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// An empty map with room for so many fields.
    pub fn with_capacity(fields: usize) -> SourceMap {
        SourceMap { fields: Vec::with_capacity(fields) }
    }

    /// The map of one field.
    pub fn of(key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> SourceMap {
        SourceMap { fields: vec![(key.into(), value.into())] }
    }

    /// Sets a field; a new one comes last.
    pub fn insert(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.fields.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => self.fields.push((key, value)),
        }
    }

    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(other, _)| other == key).map(|(_, value)| value)
    }

    /// Whether there is such a field.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(key, value)| (&**key, value))
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Orders the fields by their names.
    pub fn sort_keys(&mut self) {
        self.fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
}

impl PartialEq for SourceMap {
    fn eq(&self, other: &SourceMap) -> bool {
        self.fields.len() == other.fields.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Index<&str> for SourceMap {
    type Output = Value;

    /// Null for a field that is not there, as in JSON.
    fn index(&self, key: &str) -> &Value {
        const NULL: &Value = &Value::Null;
        self.get(key).unwrap_or(NULL)
    }
}

impl<K: Into<Cow<'static, str>>> FromIterator<(K, Value)> for SourceMap {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(fields: I) -> SourceMap {
        let mut map = SourceMap::new();
        for (key, value) in fields {
            map.insert(key, value);
        }
        map
    }
}

impl IntoIterator for SourceMap {
    type Item = (String, Value);
    type IntoIter = std::iter::Map<std::vec::IntoIter<Field>, fn(Field) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        fn owned((key, value): Field) -> (String, Value) {
            (key.into_owned(), value)
        }
        self.fields.into_iter().map(owned as fn(Field) -> Self::Item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_are_equal_in_any() {
        let mut one = SourceMap::of("b", 1);
        one.insert("a".to_owned(), "x");
        one.insert("b", 2);
        assert!(one.iter().eq([("b", &Value::from(2)), ("a", &Value::from("x"))]));
        let other: SourceMap = [("a", Value::from("x")), ("b", Value::from(2))].into_iter().collect();
        assert_eq!(one, other);
        assert_ne!(one, SourceMap::of("b", 2));
        one.sort_keys();
        assert!(one.clone().into_iter().map(|(key, _)| key).eq(["a", "b"]));
        assert_eq!((&one["a"], &one["c"]), (&Value::from("x"), &Value::Null));
    }
}
