//! JSON Path over values: `$.a.b`, `$['a']`, `[0]`, `[*]`, `..` is not there; predicates `[?(..)]` with `==`, `!=`, `<`,
//! `<=`, `>`, `>=`, `=~ /regex/`, `in [..]`, `&&`, `||`, `!` and parentheses.

use std::cmp::Ordering;

use crate::data::{DataError, Value};
use crate::transforms::JavaRegex;

/// Parentheses nest no deeper.
const DEPTH_MAX: usize = 50;

/// A path that has been read.
pub(super) struct JsonPath(Vec<Step>);

enum Step {
    Name(String),
    Index(usize),
    All,
    Filter(Condition),
}

enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Operand),
    Compare(Operand, Operator, Operand),
    Matches(Operand, JavaRegex),
    In(Operand, Vec<Value>),
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

/// What a path has selected.
pub(super) struct Selection<'a> {
    pub(super) found: Vec<&'a Value>,
    /// Something that the path or a predicate names is not there, or null.
    pub(super) misses: bool,
}

impl JsonPath {
    /// # Errors
    /// What is no path of the kind above.
    pub(super) fn new(text: &str) -> Result<JsonPath, DataError> {
        let mut parser = Parser { rest: text.trim() };
        let refuse = |rest: &str| DataError::new(format!("Invalid JSON path {text} at '{rest}'"));
        let steps = parser.take("$").then(|| parser.steps(0)).flatten();
        match steps {
            Some(steps) if parser.rest.trim().is_empty() => Ok(JsonPath(steps)),
            _ => Err(refuse(parser.rest)),
        }
    }

    /// The parts of a value that the path leads to, without nulls.
    pub(super) fn select<'a>(&self, value: &'a Value) -> Selection<'a> {
        let mut misses = false;
        let found = walk(&self.0, value, &mut misses);
        Selection { found, misses }
    }
}

fn walk<'a>(steps: &[Step], value: &'a Value, misses: &mut bool) -> Vec<&'a Value> {
    let mut current = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in current {
            match (step, value) {
                (Step::Name(name), value) => match value.get(name) {
                    Some(found) => next.push(found),
                    None => *misses = true,
                },
                (Step::Index(index), Value::Array(elements)) => match elements.get(*index) {
                    Some(found) => next.push(found),
                    None => *misses = true,
                },
                (Step::All, Value::Array(elements)) => next.extend(elements),
                (Step::All, Value::Map(entries)) => next.extend(entries.iter().map(|(_, value)| value)),
                (Step::All, Value::Struct(value)) => next.extend(value.values()),
                (Step::Filter(condition), Value::Array(elements)) => {
                    next.extend(elements.iter().filter(|element| condition.holds(element, misses)));
                }
                (Step::Filter(condition), value) if condition.holds(value, misses) => next.push(value),
                _ => {}
            }
        }
        current = next;
    }
    let found: Vec<&Value> = current.iter().copied().filter(|value| !value.is_null()).collect();
    *misses |= found.len() < current.len();
    found
}

impl Condition {
    fn holds(&self, value: &Value, misses: &mut bool) -> bool {
        match self {
            Condition::Or(conditions) => conditions.iter().any(|condition| condition.holds(value, misses)),
            Condition::And(conditions) => conditions.iter().all(|condition| condition.holds(value, misses)),
            Condition::Not(condition) => !condition.holds(value, misses),
            Condition::Exists(operand) => operand.value(value, &mut false).is_some(),
            Condition::Compare(left, operator, right) => {
                let (Some(left), Some(right)) = (left.value(value, misses), right.value(value, misses)) else {
                    return false;
                };
                operator.holds(left, right)
            }
            Condition::Matches(operand, regex) => match operand.value(value, misses) {
                Some(Value::String(text)) => regex.matches(text),
                _ => false,
            },
            Condition::In(operand, choices) => match operand.value(value, misses) {
                Some(value) => choices.iter().any(|choice| Operator::Equal.holds(value, choice)),
                None => false,
            },
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, value: &'a Value, misses: &mut bool) -> Option<&'a Value> {
        match self {
            Operand::Path(steps) => walk(steps, value, misses).into_iter().next(),
            Operand::Literal(literal) => Some(literal),
        }
    }
}

impl Operator {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (number(left), number(right)) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => match (left, right) {
                (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
                (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
                (left, right) if left == right => Some(Ordering::Equal),
                _ => None,
            },
        };
        match self {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Int8(value) => f64::from(*value),
        Value::Int16(value) => f64::from(*value),
        Value::Int32(value) => f64::from(*value),
        Value::Int64(value) => *value as f64,
        Value::Float32(value) => f64::from(*value),
        Value::Float64(value) => *value,
        Value::Decimal(value) => value.to_string().parse().ok()?,
        value => value.epoch_millis()? as f64,
    })
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let taken = rest.strip_prefix(token);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn word(&mut self) -> Option<&'a str> {
        let is_part = |character: char| character.is_alphanumeric() || character == '_' || character == '-';
        let length = self.rest.find(|character| !is_part(character)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Text in quotes of either kind.
    fn quoted(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let mut text = String::new();
        let mut escaped = false;
        for (index, character) in rest.char_indices().skip(1) {
            if escaped || !matches!(character, '\\') && character != quote {
                text.push(character);
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else {
                self.rest = &rest[index + 1..];
                return Some(text);
            }
        }
        None
    }

    fn steps(&mut self, depth: usize) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                steps.push(if self.take("*") { Step::All } else { Step::Name(self.word()?.to_owned()) });
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                self.rest = rest;
                let step = if self.take("*") {
                    Step::All
                } else if self.take("?") {
                    if !self.take("(") {
                        return None;
                    }
                    let condition = self.condition(depth + 1)?;
                    if !self.take(")") {
                        return None;
                    }
                    Step::Filter(condition)
                } else if let Some(name) = self.quoted() {
                    Step::Name(name)
                } else {
                    self.rest = self.rest.trim_start();
                    Step::Index(self.word()?.parse().ok()?)
                };
                if !self.take("]") {
                    return None;
                }
                steps.push(step);
            } else {
                return Some(steps);
            }
        }
    }

    fn condition(&mut self, depth: usize) -> Option<Condition> {
        let mut alternatives = vec![self.conjunction(depth)?];
        while self.take("||") {
            alternatives.push(self.conjunction(depth)?);
        }
        Some(Condition::Or(alternatives))
    }

    fn conjunction(&mut self, depth: usize) -> Option<Condition> {
        let mut conditions = vec![self.comparison(depth)?];
        while self.take("&&") {
            conditions.push(self.comparison(depth)?);
        }
        Some(Condition::And(conditions))
    }

    fn comparison(&mut self, depth: usize) -> Option<Condition> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.take("!") {
            return Some(Condition::Not(Box::new(self.comparison(depth + 1)?)));
        }
        if self.take("(") {
            let condition = self.condition(depth + 1)?;
            return self.take(")").then_some(condition);
        }
        let left = self.operand(depth)?;
        if self.take("=~") {
            return self.regex().map(|regex| Condition::Matches(left, regex));
        }
        if self.take("in ") {
            return self.list(depth).map(|choices| Condition::In(left, choices));
        }
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        for (token, operator) in operators {
            if self.take(token) {
                return Some(Condition::Compare(left, operator, self.operand(depth)?));
            }
        }
        Some(Condition::Exists(left))
    }

    fn operand(&mut self, depth: usize) -> Option<Operand> {
        if self.take("@") {
            return self.steps(depth).map(Operand::Path);
        }
        if let Some(text) = self.quoted() {
            return Some(Operand::Literal(Value::String(text)));
        }
        let rest = self.rest.trim_start();
        let length = rest.find(|end: char| !(end.is_alphanumeric() || "+-._".contains(end))).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        let value = match word {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            "null" => Value::Null,
            number => Value::Float64(number.parse().ok()?),
        };
        self.rest = after;
        Some(Operand::Literal(value))
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Value>> {
        if !self.take("[") {
            return None;
        }
        let mut values = Vec::new();
        while !self.take("]") {
            match self.operand(depth)? {
                Operand::Literal(value) => values.push(value),
                Operand::Path(_) => return None,
            }
            self.take(",");
        }
        Some(values)
    }

    /// `/regex/` with `i` behind it for any case.
    fn regex(&mut self) -> Option<JavaRegex> {
        let rest = self.rest.trim_start().strip_prefix('/')?;
        let (pattern, after) = rest.split_once('/')?;
        let (flag, after) = after.strip_prefix('i').map_or(("", after), |after| ("(?i)", after));
        self.rest = after;
        JavaRegex::new(&format!("{flag}{pattern}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::literal;

    #[test]
    fn paths_select_what_their_predicates_say() {
        let value = literal::parse(r#"{"a":{"n":5,"s":"xyz","z":null},"l":[{"n":1},{"n":9}]}"#).value;
        for (path, count, misses) in [
            ("$.a.n", 1, false),
            ("$['a'][\"s\"]", 1, false),
            ("$.a.none", 0, true),
            ("$.a.z", 0, true),
            ("$.l[1].n", 1, false),
            ("$.l[*].n", 2, false),
            ("$[?(@.a.n == 5)]", 1, false),
            ("$[?(@.a.n > 5)]", 0, false),
            ("$[?(@.a.n >= 5 && @.a.s == 'xyz')]", 1, false),
            ("$[?(@.a.n < 5 || @.a.s =~ /XY./i)]", 1, false),
            ("$[?(@.a.s in ['abc', 'xyz'])]", 1, false),
            ("$[?(!(@.a.n == 5))]", 0, false),
            ("$[?(@.none == 5)]", 0, true),
            ("$.l[?(@.n > 1)]", 1, false),
            ("$.l[?(@.n)]", 2, false),
        ] {
            let selection = JsonPath::new(path).unwrap();
            let selection = selection.select(&value);
            assert_eq!((selection.found.len(), selection.misses), (count, misses), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", "a", "$.", "$[", "$[?(", "$[?(@.a ==)]", "$[?(@.a =~ /(/)]", "$..a", "$.a x"] {
            assert!(JsonPath::new(path).is_err(), "{path}");
        }
        assert!(JsonPath::new(&format!("$[?({}", "(".repeat(10_000))).is_err());
    }
}
