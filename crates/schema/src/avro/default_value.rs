//! Default values of fields: whether they fit their type, and their normal form.

use std::collections::HashMap;

use super::types::{Kind, Type, TypeId};
use crate::document::{Members, Node, double_text};

/// Deepest value that is looked into: a recursive record whose default is `{}` has defaults without end.
const DEPTH_MAX: usize = 64;

/// How much may still be looked at. Records whose defaults are records with defaults multiply, so that a short text
/// could ask for any amount of work.
#[derive(Debug)]
pub(super) struct Steps(u32);

impl Default for Steps {
    fn default() -> Self {
        Steps(2_000_000)
    }
}

impl Steps {
    fn take(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

/// Whether `value` is a default for a field of type `id`. Of a union any branch will do.
pub(super) fn is_valid(types: &[Type], id: TypeId, value: &Node, steps: &mut Steps) -> bool {
    fits(types, id, value, 0, steps)
}

fn fits(types: &[Type], id: TypeId, value: &Node, depth: usize, steps: &mut Steps) -> bool {
    if depth > DEPTH_MAX || !steps.take() {
        return false;
    }
    let mut inner = |id: TypeId, value: &Node| fits(types, id, value, depth + 1, steps);
    match (&types[id.index()].kind, value) {
        (Kind::Null, Node::Null) | (Kind::Boolean, Node::Bool(_)) => true,
        (Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Fixed(_), Node::String(_)) => true,
        (Kind::Int, Node::Number(_)) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        (Kind::Long, Node::Number(_)) => value.as_i64().is_some(),
        (Kind::Float | Kind::Double, Node::Number(_)) => true,
        (Kind::Array(items), Node::Array(elements)) => elements.iter().all(|element| inner(*items, element)),
        (Kind::Map(values), Node::Object(members)) => members.values().all(|member| inner(*values, member)),
        (Kind::Record(record), Node::Object(members)) => record.fields.iter().all(|field| {
            let value = members.get(&field.name).or(field.default.as_ref());
            value.is_some_and(|value| inner(field.type_id, value))
        }),
        (Kind::Union(branches), value) => branches.iter().any(|branch| inner(*branch, value)),
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

/// Whether `value` is the default of something else than a union, or one that Java reads as a value of the union's first
/// branch: that is how Java hands out defaults, whichever branch the value was meant for. Of arrays and objects, and of
/// `null` and booleans, Java makes values for any branch.
pub(super) fn is_of_first_branch(types: &[Type], id: TypeId, value: &Node) -> bool {
    let Kind::Union(branches) = &types[id.index()].kind else { return true };
    let Some(first) = branches.first() else { return true };
    match (&types[first.index()].kind, value) {
        (Kind::String | Kind::Enum(_) | Kind::Bytes | Kind::Fixed(_), Node::String(_)) => true,
        (Kind::Int | Kind::Long, Node::Number(_)) => value.as_i64().is_some(),
        (Kind::Float | Kind::Double, Node::Number(_)) => true,
        (_, Node::String(_) | Node::Number(_)) => false,
        _ => true,
    }
}

/// `value` spelled uniformly: floating-point numbers with a point, members sorted.
pub(super) fn normal(types: &[Type], id: TypeId, value: &Node, steps: &mut Steps) -> Node {
    spelled(types, id, value, 0, steps)
}

fn spelled(types: &[Type], id: TypeId, value: &Node, depth: usize, steps: &mut Steps) -> Node {
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
            let element = |element: &Node| spelled(types, *items, element, depth + 1, steps);
            Node::Array(elements.iter().map(element).collect())
        }
        (Kind::Map(values), Node::Object(members)) => {
            sorted_members(members, |_, member| spelled(types, *values, member, depth + 1, steps))
        }
        (Kind::Record(record), Node::Object(members)) => {
            let types_by_name: HashMap<&str, TypeId> =
                record.fields.iter().map(|field| (field.name.as_str(), field.type_id)).collect();
            sorted_members(members, |name, member| match types_by_name.get(name) {
                Some(id) => spelled(types, *id, member, depth + 1, steps),
                None => sorted(member),
            })
        }
        (Kind::Union(branches), value) => {
            match branches.iter().find(|branch| fits(types, **branch, value, depth + 1, steps)) {
                Some(branch) => spelled(types, *branch, value, depth + 1, steps),
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
