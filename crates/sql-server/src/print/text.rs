//! Records as people read them.

use milena_sql::formats::{Field, json};
use milena_sql::value::{Value, timestamp_text};
use serde_json::Value as Json;

/// A row of Avro: names and values, or a value that stands alone.
pub fn avro(fields: &[Field], row: &[Value], is_single: bool) -> String {
    let shown: Vec<String> = fields
        .iter()
        .zip(row)
        .map(|(field, value)| {
            let mut text = String::new();
            json::write(value, &field.field_type, &mut text);
            let text = spaced(&text);
            if is_single { text } else { format!("{}: {text}", Json::from(&*field.name)) }
        })
        .collect();
    if is_single { shown.concat() } else { format!("{{{}}}", shown.join(", ")) }
}

/// JSON with a blank behind commas and colons.
fn spaced(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 8);
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        text.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' | ':' if !quoted => text.push(' '),
            _ => {}
        }
    }
    text
}

/// A Protobuf message in the text form, on one line: `title: "Die Hard" year: 1988`.
pub fn protobuf(message: &Json) -> String {
    let mut parts = Vec::new();
    if let Json::Object(members) = message {
        for (name, value) in members {
            match value {
                Json::Null => {}
                Json::Array(elements) => parts.extend(elements.iter().map(|element| member(name, element))),
                value => parts.push(member(name, value)),
            }
        }
    }
    parts.join(" ")
}

fn member(name: &str, value: &Json) -> String {
    match value {
        Json::Object(_) => format!("{name} {{ {} }}", protobuf(value)),
        value => format!("{name}: {value}"),
    }
}

/// Bytes as Kafka's own tools show them: what is printable stays, everything else in hexadecimal.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'\\' => text.push(char::from(*byte)),
            byte => text.push_str(&format!("\\x{byte:02X}")),
        }
    }
    text
}

/// `2020/05/04 23:25:38.132 Z`; records without a time have none.
pub fn time(timestamp: i64) -> String {
    if timestamp < 0 {
        return "N/A".to_owned();
    }
    match timestamp_text(timestamp).split_once('T') {
        Some((date, time)) => format!("{} {time} Z", date.replace('-', "/")),
        None => timestamp.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_one_line() {
        let message =
            json!({ "title": "Die \"Hard\"", "year": 1988, "tags": ["a", "b"], "of": { "id": 1 }, "no": null });
        assert_eq!(protobuf(&message), r#"title: "Die \"Hard\"" year: 1988 tags: "a" tags: "b" of { id: 1 }"#);
    }

    #[test]
    fn times_have_slashes_and_milliseconds() {
        assert_eq!(time(1_588_634_738_132), "2020/05/04 23:25:38.132 Z");
        assert_eq!(time(-1), "N/A");
    }

    #[test]
    fn only_separators_are_followed_by_blanks() {
        assert_eq!(spaced(r#"{"a:,\"":[1,2]}"#), r#"{"a:,\"": [1, 2]}"#);
    }
}
