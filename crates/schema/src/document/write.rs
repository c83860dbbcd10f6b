//! [`Node`] to compact text.

use std::fmt::Write as _;

use super::Node;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As they were read.
    AsRead,
    /// As Java prints what it read them into: integers as they are, everything else as a `double`.
    Java,
}

pub(super) fn write(node: &Node, spelling: Spelling, output: &mut String) {
    match node {
        Node::Null => output.push_str("null"),
        Node::Bool(true) => output.push_str("true"),
        Node::Bool(false) => output.push_str("false"),
        Node::Number(text) => number(text, spelling, output),
        Node::String(text) => quoted(text, output),
        Node::Array(elements) => {
            output.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    output.push(',');
                }
                write(element, spelling, output);
            }
            output.push(']');
        }
        Node::Object(members) => {
            output.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    output.push(',');
                }
                quoted(name, output);
                output.push(':');
                write(value, spelling, output);
            }
            output.push('}');
        }
    }
}

fn number(text: &str, spelling: Spelling, output: &mut String) {
    match spelling {
        Spelling::Java if text == "-0" => output.push('0'),
        Spelling::Java if text.contains(['.', 'e', 'E']) => match text.parse::<f64>() {
            Ok(double) if double.is_finite() => output.push_str(&double_text(double)),
            Ok(double) => quoted(&double_text(double), output),
            Err(_) => output.push_str(text),
        },
        _ => output.push_str(text),
    }
}

/// A double as Java's `Double.toString` prints it: `1.0`, `1.0E10`, `1.0E-5`.
pub fn double_text(double: f64) -> String {
    let mut text = String::new();
    write_double(double, &mut text);
    text
}

/// Appends what [`double_text`] gives.
pub fn write_double(double: f64, output: &mut String) {
    if double.is_nan() {
        return output.push_str("NaN");
    }
    if double.is_infinite() {
        return output.push_str(if double > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let magnitude = double.abs();
    // Writing to a string cannot fail.
    if double == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let _ = write!(output, "{double:?}");
        return;
    }
    let scientific = format!("{double:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let _ = write!(output, "{mantissa}{point}E{exponent}");
}

/// Appends `text` as a JSON string with the escapes that Jackson writes.
pub fn quoted(text: &str, output: &mut String) {
    output.push('"');
    let mut clean_from = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0C => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        output.push_str(&text[clean_from..index]);
        clean_from = index + 1;
        if escape.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(output, "\\u{byte:04X}");
        } else {
            output.push_str(escape);
        }
    }
    output.push_str(&text[clean_from..]);
    output.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_spelled_as_java_does() {
        let table = [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e-10, "1.25E-10"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
        ];
        for (double, text) in table {
            assert_eq!(double_text(double), text);
        }
    }

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        let mut text = String::new();
        quoted("a\"b\\c/\n\u{1}\u{1f}\u{7f}é😀", &mut text);
        assert_eq!(text, "\"a\\\"b\\\\c/\\n\\u0001\\u001F\u{7f}é😀\"");
    }
}
