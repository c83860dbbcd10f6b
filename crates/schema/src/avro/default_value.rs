//! Default values of fields: whether they fit their type, and their normal form.

use super::types::{Kind, Type, TypeId};
use crate::document::{Members, Node, double_text};

/// Deepest value that is looked into: a recursive record whose default is `{}` has defaults without end.
const DEPTH_MAX: usize = 64;

/// Whether `value` is a default for a field of type `id`. Of a union any branch will do.
pub(super) fn is_valid(types: &[Type], id: TypeId, value: &Node) -> bool {
    fits(types, id, value, 0)
}

fn fits(types: &[Type], id: TypeId, value: &Node, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match (&types[id.index()].kind, value) {
        (Kind::Null, Node::Null) | (Kind::Boolean, Node::Bool(_)) => true,
        (Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Fixed(_), Node::String(_)) => true,
        (Kind::Int, Node::Number(_)) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        (Kind::Long, Node::Number(_)) => value.as_i64().is_some(),
        (Kind::Float | Kind::Double, Node::Number(_)) => true,
        (Kind::Array(items), Node::Array(elements)) => {
            elements.iter().all(|element| fits(types, *items, element, depth + 1))
        }
        (Kind::Map(values), Node::Object(members)) => {
            members.values().all(|member| fits(types, *values, member, depth + 1))
        }
        (Kind::Record(record), Node::Object(members)) => record.fields.iter().all(|field| {
            let value = members.get(&field.name).or(field.default.as_ref());
            value.is_some_and(|value| fits(types, field.type_id, value, depth + 1))
        }),
        (Kind::Union(branches), value) => branches.iter().any(|branch| fits(types, *branch, value, depth + 1)),
        _ => false,
    }
}

/// The number that a text stands for as the default of a `float` or `double`; what JSON cannot spell stays text.
pub(super) fn number_from_text(text: &str) -> Option<Node> {
    let number: f64 = match text.trim() {
        "NaN" => f64::NAN,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        text if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => text.parse().ok()?,
        _ => return None,
    };
    let spelled = double_text(number);
    Some(if number.is_finite() { Node::Number(spelled.into()) } else { Node::String(spelled) })
}

/// `value` spelled uniformly: floating-point numbers with a point, members sorted.
pub(super) fn normal(types: &[Type], id: TypeId, value: &Node, depth: usize) -> Node {
    if depth > DEPTH_MAX {
        return sorted(value);
    }
    match (&types[id.index()].kind, value) {
        (Kind::Double, Node::Number(_)) => value.as_f64().map_or_else(|| value.clone(), number),
        (Kind::Float, Node::Number(_)) => match value.as_f64() {
            // The shortest spelling of the float, which a double would write longer.
            Some(double) => (double as f32).to_string().parse().map_or_else(|_| value.clone(), number),
            None => value.clone(),
        },
        (Kind::Array(items), Node::Array(elements)) => {
            Node::Array(elements.iter().map(|element| normal(types, *items, element, depth + 1)).collect())
        }
        (Kind::Map(values), Node::Object(members)) => {
            sorted_members(members, |_, member| normal(types, *values, member, depth + 1))
        }
        (Kind::Record(record), Node::Object(members)) => {
            sorted_members(members, |name, member| match record.fields.iter().find(|field| field.name == name) {
                Some(field) => normal(types, field.type_id, member, depth + 1),
                None => sorted(member),
            })
        }
        (Kind::Union(branches), value) => {
            match branches.iter().find(|branch| fits(types, **branch, value, depth + 1)) {
                Some(branch) => normal(types, *branch, value, depth + 1),
                None => sorted(value),
            }
        }
        _ => sorted(value),
    }
}

/// `node` with the members of all objects sorted.
pub(super) fn sorted(node: &Node) -> Node {
    match node {
        Node::Array(elements) => Node::Array(elements.iter().map(sorted).collect()),
        Node::Object(members) => sorted_members(members, |_, member| sorted(member)),
        other => other.clone(),
    }
}

fn sorted_members(members: &Members, mut each: impl FnMut(&str, &Node) -> Node) -> Node {
    let mut sorted: Members = members.iter().map(|(name, member)| (name.clone(), each(name, member))).collect();
    sorted.sort_keys();
    Node::Object(sorted)
}

fn number(double: f64) -> Node {
    if double.is_finite() { Node::Number(double_text(double).into()) } else { Node::String(double_text(double)) }
}
