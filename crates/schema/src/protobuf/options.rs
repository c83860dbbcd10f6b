//! Reading options: `name = value`, and text format inside of braces.

use super::ast::{OptionEntry, OptionValue};
use super::scan::{Brackets, Scanner};
use crate::SchemaError;

/// `[a = 1, (b).c = "x"]` if a bracket comes next.
pub fn read_options(scanner: &mut Scanner<'_>) -> Result<Vec<OptionEntry>, SchemaError> {
    let mut options = Vec::new();
    if !scanner.take('[')? {
        return Ok(options);
    }
    loop {
        options.push(read_option(scanner, '=')?);
        if scanner.take(']')? {
            return Ok(options);
        }
        scanner.require(',')?;
    }
}

/// One option. `separator` stands between name and value: `=`, or `:` in text format, where it may be missing before
/// a brace.
pub fn read_option(scanner: &mut Scanner<'_>, separator: char) -> Result<OptionEntry, SchemaError> {
    let (name, brackets) = scanner.name()?;
    let name = if brackets == Brackets::Square { format!("[{name}]") } else { name.to_owned() };
    let mut path = Vec::new();
    while scanner.take('.')? {
        let (part, brackets) = scanner.name()?;
        if brackets == Brackets::Round {
            path.push(format!("({part})"));
        } else {
            path.extend(part.split('.').map(str::to_owned));
        }
    }
    let message_follows = separator == ':' && scanner.peek()? == Some('{');
    if !message_follows && !scanner.take(separator)? {
        return Err(scanner.error(format_args!("expected '{separator}' in option")));
    }
    let value = read_value(scanner)?;
    Ok(OptionEntry { name, parenthesized: brackets == Brackets::Round, path, value })
}

fn read_value(scanner: &mut Scanner<'_>) -> Result<OptionValue, SchemaError> {
    Ok(match scanner.peek()? {
        Some('{') => {
            scanner.enter()?;
            let value = read_map(scanner)?;
            scanner.leave();
            value
        }
        Some('[') => {
            scanner.enter()?;
            let value = read_list(scanner)?;
            scanner.leave();
            value
        }
        Some('"' | '\'') => OptionValue::String(scanner.quoted()?),
        Some(c) => {
            let word = scanner.word()?.to_owned();
            match word.as_str() {
                _ if c.is_ascii_digit() || c == '-' => OptionValue::Number(word),
                "true" | "false" => OptionValue::Bool(word),
                _ => OptionValue::Enum(word),
            }
        }
        None => return Err(scanner.error("unexpected end of file")),
    })
}

fn read_list(scanner: &mut Scanner<'_>) -> Result<OptionValue, SchemaError> {
    scanner.require('[')?;
    let mut list = Vec::new();
    while !scanner.take(']')? {
        list.push(read_value(scanner)?);
        if !scanner.take(',')? && scanner.peek()? != Some(']') {
            return Err(scanner.error("expected ',' or ']'"));
        }
    }
    Ok(OptionValue::List(list))
}

fn read_map(scanner: &mut Scanner<'_>) -> Result<OptionValue, SchemaError> {
    scanner.require('{')?;
    let mut entries = MapBuilder::default();
    while !scanner.take('}')? {
        let mut option = read_option(scanner, ':')?;
        let mut value = option.value;
        while let Some(part) = option.path.pop() {
            value = OptionValue::Map(vec![(part, value)]);
        }
        entries.add(option.name, value);
        if !scanner.take(',')? {
            scanner.take(';')?;
        }
    }
    Ok(OptionValue::Map(entries.entries))
}

/// Collects the entries of a message in text format; a name given again makes a list.
#[derive(Default)]
struct MapBuilder {
    entries: Vec<(String, OptionValue)>,
    places: std::collections::HashMap<String, usize>,
}

impl MapBuilder {
    fn add(&mut self, name: String, value: OptionValue) {
        let Some(place) = self.places.get(&name) else {
            self.places.insert(name.clone(), self.entries.len());
            self.entries.push((name, value));
            return;
        };
        let present = &mut self.entries[*place].1;
        let added = match value {
            OptionValue::List(list) => list,
            value => vec![value],
        };
        match present {
            OptionValue::List(list) => list.extend(added),
            _ => {
                let mut list = vec![std::mem::replace(present, OptionValue::List(Vec::new()))];
                list.extend(added);
                *present = OptionValue::List(list);
            }
        }
    }
}
