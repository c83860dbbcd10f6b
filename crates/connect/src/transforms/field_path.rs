//! The path of a field: a name, or with `field.syntax.version=V2` (KIP-821) names with dots between them, each in
//! backticks when it has dots itself.

use super::structure::{get, require_map, require_struct};
use crate::data::{DataError, Field, Kind, Schema, Struct, Value};

const PURPOSE: &str = "nested field access";

/// At least one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath {
    parents: Vec<String>,
    last: String,
}

impl FieldPath {
    /// # Errors
    /// A backtick that is not closed.
    pub(super) fn new(path: &str, nested: bool) -> Result<FieldPath, DataError> {
        let mut parents = if nested { steps(path)? } else { vec![path.to_owned()] };
        let last = parents.pop().unwrap_or_default();
        Ok(FieldPath { parents, last })
    }

    /// The field of a schema; `None` when there is none.
    ///
    /// # Errors
    /// A part of the path that is no struct.
    pub(super) fn field_of<'a>(&self, schema: &'a Schema) -> Result<Option<&'a Field>, DataError> {
        let mut current = schema;
        for step in &self.parents {
            match look_up(current, step)? {
                Some(field) => current = &field.schema,
                None => return Ok(None),
            }
        }
        look_up(current, &self.last)
    }

    /// The value of the field; null when there is none.
    ///
    /// # Errors
    /// A part of the path that is no struct.
    pub(super) fn value_of_struct(&self, value: &Struct, replace_null: bool) -> Result<Value, DataError> {
        let mut current = value;
        for step in &self.parents {
            current = match current.get_or_default(step) {
                None | Some(Value::Null) => return Ok(Value::Null),
                Some(Value::Struct(inner)) => inner,
                Some(other) => return require_struct(other.clone(), PURPOSE).map(|_| Value::Null),
            };
        }
        let found = if replace_null { current.get_or_default(&self.last) } else { current.get(&self.last) };
        Ok(found.cloned().unwrap_or(Value::Null))
    }

    /// The value of the key; null when there is none.
    ///
    /// # Errors
    /// A part of the path that is no map.
    pub(super) fn value_of_map(&self, entries: &[(Value, Value)]) -> Result<Value, DataError> {
        let mut current = entries;
        for step in &self.parents {
            current = match get(current, step) {
                Value::Null => return Ok(Value::Null),
                Value::Map(inner) => inner,
                other => return require_map(other.clone(), PURPOSE).map(|_| Value::Null),
            };
        }
        Ok(get(current, &self.last).clone())
    }
}

fn look_up<'a>(schema: &'a Schema, name: &str) -> Result<Option<&'a Field>, DataError> {
    match schema.kind {
        Kind::Struct(_) => Ok(schema.field(name)),
        _ => Err(DataError::new("Cannot look up fields on non-struct type")),
    }
}

fn steps(path: &str) -> Result<Vec<String>, DataError> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let (step, after) = match rest.strip_prefix('`') {
            Some(quoted) => quoted_step(path, quoted)?,
            None => match rest.split_once('.') {
                Some((step, after)) => (step.to_owned(), Some(after)),
                None => (rest.to_owned(), None),
            },
        };
        steps.push(step);
        match after {
            Some(after) => rest = after,
            None => return Ok(steps),
        }
    }
}

/// A step up to the backtick that has a dot or the end behind it and no backslash before it.
fn quoted_step<'a>(path: &str, quoted: &'a str) -> Result<(String, Option<&'a str>), DataError> {
    let mut step = String::new();
    let mut start = 0;
    for (index, _) in quoted.match_indices('`') {
        let escaped = quoted[..index].ends_with('\\');
        let after = &quoted[index + 1..];
        if after.is_empty() && !escaped {
            step.push_str(&quoted[start..index]);
            return Ok((step, None));
        }
        let Some(next) = after.strip_prefix('.') else { continue };
        if !escaped {
            step.push_str(&quoted[start..index]);
            return Ok((step, Some(next)));
        }
        step.push_str(&quoted[start..index - 1]);
        step.push('`');
        start = index + 1;
    }
    let position = path.len() - quoted.len() - 1;
    Err(DataError::new(format!(
        "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position \
         {position} to escape it"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_separated_by_dots_outside_of_backticks() {
        for (path, expected) in [
            ("a", vec!["a"]),
            ("a.b.c", vec!["a", "b", "c"]),
            ("a.", vec!["a", ""]),
            ("`a.b`.c", vec!["a.b", "c"]),
            ("a.`b.c`", vec!["a", "b.c"]),
            ("a`b.c", vec!["a`b", "c"]),
            ("`a`b.c`", vec!["a`b.c"]),
            ("`a\\`.b`.c", vec!["a`.b", "c"]),
        ] {
            assert_eq!(steps(path).unwrap(), expected, "{path}");
        }
        assert!(steps("`a.b").is_err());
        assert!(steps("a.`b\\`").is_err());
    }
}
