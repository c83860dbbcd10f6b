//! Writes how a struct becomes JSON, and how it is filled with sample values.

use std::fmt::Write as _;

use super::super::model::{Field, Message, Struct, Type};
use super::super::names;
use super::codec::{Statements, both, differs_from_default, number};
use super::uses_word;

/// `impl ToJson`.
pub fn json_impl(item: &Struct, message: &Message) -> String {
    let whole = message.versions;
    let mut body = Statements::default();
    for field in &item.fields {
        let present = match field.tag {
            Some(_) => both(field.versions.condition(whole), Some(differs_from_default(field))),
            None => field.versions.condition(whole),
        };
        let key = names::camel(&field.name);
        body.add(present, &format!("o.insert(\"{key}\".into(), {});", json_field(field)));
    }
    let body = body.finish();
    let version = if uses_word(&body, "version") { "version" } else { "_version" };
    let binding = if body.is_empty() { "let o" } else { "let mut o" };
    format!(
        "#[cfg(feature = \"json\")]
        impl ToJson for {} {{
            fn to_json(&self, {version}: i16) -> serde_json::Value {{
                {binding} = serde_json::Map::new();
                {body}serde_json::Value::Object(o)
            }}
        }}\n\n",
        item.name
    )
}

/// The JSON of the value behind reference expression `value`.
fn json_value(ty: &Type, value: &str) -> String {
    match ty {
        Type::Uuid => format!("{value}.to_string().into()"),
        Type::Str => format!("{value}.as_str().into()"),
        Type::Bytes => format!("inspect::base64({value})"),
        Type::Records => format!("inspect::records({value})"),
        Type::Array(element) => {
            let element = json_value(element, "v");
            format!("inspect::array({value}, |v| {element})")
        }
        Type::Named(_) => format!("{}.to_json(version)", value.trim_start_matches('&')),
        _ => format!("(*{value}).into()"),
    }
}

fn json_field(field: &Field) -> String {
    let ident = format!("self.{}", names::field_ident(&field.name));
    if field.nullable.is_some() {
        if field.ty == Type::Records {
            return format!("inspect::nullable({ident}.as_ref(), inspect::records)");
        }
        let value = json_value(&field.ty, "v");
        return format!("inspect::nullable({ident}.as_ref(), |v| {value})");
    }
    match field.ty {
        Type::Uuid | Type::Str => json_value(&field.ty, &ident),
        _ if number(&field.ty).is_some() => format!("{ident}.into()"),
        _ => json_value(&field.ty, &format!("&{ident}")),
    }
}

/// `impl Sample`.
pub fn sample_impl(item: &Struct) -> anyhow::Result<String> {
    let mut fields = String::new();
    for field in &item.fields {
        writeln!(fields, "{}: s.draw(),", names::field_ident(&field.name))?;
    }
    let samples = if fields.is_empty() { "_s" } else { "s" };
    Ok(format!(
        "#[cfg(feature = \"json\")]
        impl Sample for {name} {{
            fn sample({samples}: &mut Samples) -> Self {{
                {name} {{ {fields} }}
            }}
        }}\n\n",
        name = item.name
    ))
}
