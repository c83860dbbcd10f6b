//! [`ProtoFile`] to text. The text is canonical: registries hash it, so every blank counts.
//!
//! Groups of declarations (imports, options, fields, …) stand in a fixed order with a blank line between two groups;
//! inside of a group the order of the file is kept. Indenting is applied to finished text line by line, blank lines
//! included: in nested blocks they carry trailing blanks.

use std::fmt::Write as _;

use super::ast::*;

/// The text of `file`.
pub fn print(file: &ProtoFile) -> String {
    let mut out = String::new();
    if let Some(syntax) = file.syntax {
        out += &format!("syntax = \"{}\";\n", syntax.name());
    }
    if let Some(package) = &file.package {
        out += &format!("package {package};\n");
    }
    let mut imports = String::new();
    for (keyword, paths) in [("", &file.imports), ("public ", &file.public_imports), ("weak ", &file.weak_imports)] {
        for path in paths {
            imports += &format!("import {keyword}\"{path}\";\n");
        }
    }
    let groups = [
        imports,
        file.options.iter().map(option_line).collect(),
        types(&file.types),
        file.extends.iter().map(extend).collect(),
        file.services.iter().map(service).collect(),
    ];
    for group in groups.iter().filter(|group| !group.is_empty()) {
        out.push('\n');
        out += group;
    }
    out
}

/// Messages first, then enums.
fn types(types: &[TypeDecl]) -> String {
    let mut out: String = messages(types).map(message).collect();
    out.extend(enums(types).map(enumeration));
    out
}

/// `head {` groups `}`, with a blank line between two groups.
fn block(head: &str, groups: &[String]) -> String {
    let mut out = format!("{head} {{");
    for group in groups.iter().filter(|group| !group.is_empty()) {
        out.push('\n');
        indent(&mut out, group);
    }
    out += "}\n";
    out
}

fn message(message: &Message) -> String {
    block(
        &format!("message {}", message.name),
        &[
            message.reserved.iter().map(reserved).collect(),
            message.options.iter().map(option_line).collect(),
            message.fields.iter().map(field).collect(),
            message.oneofs.iter().map(oneof).collect(),
            message.groups.iter().map(group).collect(),
            message.extensions.iter().map(extensions).collect(),
            message.extends.iter().map(extend).collect(),
            types(&message.types),
        ],
    )
}

fn enumeration(decl: &Enum) -> String {
    let mut lines: String = decl.reserved.iter().map(reserved).collect();
    lines.extend(decl.options.iter().map(option_line));
    for constant in &decl.constants {
        let _ = write!(lines, "{} = {}", constant.name, constant.number);
        if !constant.options.is_empty() {
            lines.push(' ');
            lines += &bracketed(&constant.options.iter().map(option_text).collect::<Vec<_>>());
        }
        lines += ";\n";
    }
    block(&format!("enum {}", decl.name), &[lines])
}

fn oneof(oneof: &OneOf) -> String {
    block(
        &format!("oneof {}", oneof.name),
        &[
            oneof.options.iter().map(option_line).collect(),
            oneof.fields.iter().map(field).collect(),
            oneof.groups.iter().map(group).collect(),
        ],
    )
}

fn group(group: &Group) -> String {
    let label = group.label.map(|label| format!("{} ", label.name())).unwrap_or_default();
    let head = format!("{label}group {} = {}", group.name, group.number);
    block(&head, &[group.fields.iter().map(field).collect()])
}

fn extend(extend: &Extend) -> String {
    block(&format!("extend {}", extend.name), &[extend.fields.iter().map(field).collect()])
}

fn service(service: &Service) -> String {
    block(
        &format!("service {}", service.name),
        &[service.options.iter().map(option_line).collect(), service.rpcs.iter().map(rpc).collect()],
    )
}

fn rpc(rpc: &Rpc) -> String {
    let stream = |streaming| if streaming { "stream " } else { "" };
    let mut out = format!(
        "rpc {} ({}{}) returns ({}{})",
        rpc.name,
        stream(rpc.request_streaming),
        rpc.request,
        stream(rpc.response_streaming),
        rpc.response
    );
    if !rpc.options.is_empty() {
        out += " {\n";
        for option in &rpc.options {
            indent(&mut out, &option_line(option));
        }
        out.push('}');
    }
    out += ";\n";
    out
}

fn reserved(reserved: &Reserved) -> String {
    format!("reserved {};\n", range_values(&reserved.values))
}

fn extensions(extensions: &Extensions) -> String {
    let mut out = format!("extensions {}", range_values(&extensions.values));
    if !extensions.options.is_empty() {
        out.push(' ');
        out += &bracketed(&extensions.options.iter().map(option_text).collect::<Vec<_>>());
    }
    out += ";\n";
    out
}

fn range_values(values: &[RangeValue]) -> String {
    let texts = values.iter().map(|value| match value {
        RangeValue::Name(name) => format!("\"{name}\""),
        RangeValue::Number(number) => number.to_string(),
        RangeValue::Range(first, last) if *last >= NUMBER_MAX => format!("{first} to max"),
        RangeValue::Range(first, last) => format!("{first} to {last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// The type of a field as it is printed.
pub fn type_text(field_type: &FieldType) -> String {
    match field_type {
        FieldType::Plain(name) => name.clone(),
        FieldType::Map { key, value } => format!("map<{key}, {value}>"),
    }
}

fn field(field: &Field) -> String {
    let label = field.label.map(|label| format!("{} ", label.name())).unwrap_or_default();
    let mut out = format!("{label}{} {} = {}", type_text(&field.field_type), field.name, field.number);
    let mut options: Vec<String> = field.options.iter().map(option_text).collect();
    if let Some(default) = &field.default {
        options.push(option_text(&default_option(&field.field_type, default)));
    }
    if let Some(json_name) = &field.json_name {
        options.push(format!("json_name = \"{}\"", escaped(json_name)));
    }
    if !options.is_empty() {
        out.push(' ');
        out += &bracketed(&options);
    }
    out += ";\n";
    out
}

/// The option `default` of a field; only strings are put in quotes.
pub fn default_option(field_type: &FieldType, text: &str) -> OptionEntry {
    let text = text.to_owned();
    let value = match field_type {
        FieldType::Plain(name) if name == "string" => OptionValue::String(text),
        FieldType::Plain(name) if name == "bool" => OptionValue::Bool(text),
        FieldType::Plain(name) if is_scalar(name) => OptionValue::Number(text),
        _ => OptionValue::Enum(text),
    };
    OptionEntry { name: "default".to_owned(), parenthesized: false, path: Vec::new(), value }
}

/// One entry in the line, several one a line.
fn bracketed(entries: &[String]) -> String {
    match entries {
        [single] => format!("[{single}]"),
        _ => format!("[\n{}]", comma_lines(entries)),
    }
}

fn comma_lines(entries: &[String]) -> String {
    let mut out = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let comma = if index + 1 < entries.len() { "," } else { "" };
        indent(&mut out, &format!("{entry}{comma}"));
    }
    out
}

fn option_line(option: &OptionEntry) -> String {
    format!("option {};\n", option_text(option))
}

fn option_text(option: &OptionEntry) -> String {
    let mut out = if option.parenthesized { format!("({})", option.name) } else { option.name.clone() };
    for part in &option.path {
        out.push('.');
        out += part;
    }
    out += " = ";
    out += &match &option.value {
        OptionValue::List(list) => bracketed(&list.iter().map(value_text).collect::<Vec<_>>()),
        value => value_text(value),
    };
    out
}

fn value_text(value: &OptionValue) -> String {
    match value {
        OptionValue::String(text) => format!("\"{}\"", escaped(text)),
        OptionValue::Bool(text) | OptionValue::Enum(text) | OptionValue::Number(text) => text.clone(),
        OptionValue::Map(entries) => {
            let lines: Vec<_> = entries.iter().map(|(name, value)| format!("{name}: {}", value_text(value))).collect();
            format!("{{\n{}}}", comma_lines(&lines))
        }
        OptionValue::List(list) => format!("[\n{}]", comma_lines(&list.iter().map(value_text).collect::<Vec<_>>())),
    }
}

/// Appends the lines of `text`, each two blanks further right.
fn indent(out: &mut String, text: &str) {
    for line in text.trim_end_matches('\n').split('\n') {
        out.push_str("  ");
        out.push_str(line);
        out.push('\n');
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7}' => out += "\\a",
            '\u{8}' => out += "\\b",
            '\u{c}' => out += "\\f",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\u{b}' => out += "\\v",
            '\\' => out += "\\\\",
            '\'' => out += "\\'",
            '"' => out += "\\\"",
            c => out.push(c),
        }
    }
    out
}
