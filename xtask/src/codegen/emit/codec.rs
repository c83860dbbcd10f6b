//! Writes how a struct is read and written.

use std::fmt::Write as _;

use super::super::model::{Field, Message, Struct, Type, Versions};
use super::super::names;
use super::{default_value, uses_word};

/// The `impl` with the functions `read` and `write`.
pub fn struct_impl(item: &Struct, message: &Message) -> anyhow::Result<String> {
    let whole = message.versions;
    let (tagged, plain): (Vec<&Field>, Vec<&Field>) = item.fields.iter().partition(|field| field.tag.is_some());
    let (mut read, mut write) = (Statements::default(), Statements::default());
    for field in plain {
        let condition = field.versions.condition(whole);
        let ident = names::field_ident(&field.name);
        let value = read_field(field, whole);
        read.add(condition.clone(), &format!("m.{ident} = {value};"));
        write.add(condition, &write_field(field, whole));
    }
    let (mut read, mut write) = (read.finish(), write.finish());
    if message.flexible.is_some() {
        read += &read_tagged(&tagged, whole)?;
        write += &write_tagged(tagged, whole)?;
    }
    let flexible = |body: &str| match uses_word(body, "flexible") {
        true => "let flexible = is_flexible(version);\n",
        false => "",
    };
    let version = |body: &str| match uses_word(body, "version") || uses_word(body, "flexible") {
        true => "version",
        false => "_version",
    };
    let default = if read.is_empty() { "let m" } else { "let mut m" };
    Ok(format!(
        "impl {name} {{
            fn read(r: &mut Reader, {rv}: i16) -> DecodeResult<Self> {{
                {rf}{default} = Self::default();
                {read}Ok(m)
            }}

            fn write(&self, w: &mut Writer, {wv}: i16) -> EncodeResult {{
                {wf}{write}Ok(())
            }}
        }}\n\n",
        name = item.name,
        rv = version(&read),
        rf = flexible(&read),
        wv = version(&write),
        wf = flexible(&write),
    ))
}

fn read_tagged(tagged: &[&Field], whole: Versions) -> anyhow::Result<String> {
    if tagged.is_empty() {
        return Ok("if flexible { r.skip_tagged_fields()?; }\n".to_owned());
    }
    let mut arms = String::new();
    for field in tagged {
        let guard = field.versions.condition(whole).map_or(String::new(), |c| format!(" if {c}"));
        let ident = names::field_ident(&field.name);
        let tag = field.tag.unwrap_or_default();
        writeln!(arms, "{tag}{guard} => m.{ident} = {},", read_field(field, whole))?;
    }
    Ok(format!(
        "if flexible {{ r.tagged_fields(|tag, r| {{
            match tag {{ {arms} _ => return Ok(false), }}
            Ok(true)
        }})?; }}\n"
    ))
}

fn write_tagged(mut tagged: Vec<&Field>, whole: Versions) -> anyhow::Result<String> {
    if tagged.is_empty() {
        return Ok("if flexible { w.uvarint(0); }\n".to_owned());
    }
    tagged.sort_by_key(|field| field.tag);
    let mut out = "if flexible {\n".to_owned();
    let mut counts = Vec::new();
    let mut writes = String::new();
    for field in tagged {
        let ident = names::field_ident(&field.name);
        let local = format!("has_{}", ident.trim_start_matches("r#"));
        let present = both(field.versions.condition(whole), Some(differs_from_default(field)));
        writeln!(out, "let {local} = {};", present.unwrap_or_default())?;
        counts.push(format!("u32::from({local})"));
        let tag = field.tag.unwrap_or_default();
        let write = write_field(field, whole);
        writeln!(writes, "if {local} {{ w.tagged_field({tag}, |w| {{ {write} Ok(()) }})?; }}")?;
    }
    writeln!(out, "w.uvarint({});\n{writes}}}", counts.join(" + "))?;
    Ok(out)
}

/// The condition that a tagged field has to be written.
pub fn differs_from_default(field: &Field) -> String {
    let ident = format!("self.{}", names::field_ident(&field.name));
    if field.nullable.is_some() {
        return format!("{ident}.is_some()");
    }
    match (&field.ty, field.default.as_deref()) {
        (Type::Bool, Some("true")) => format!("!{ident}"),
        (Type::Bool, _) => ident,
        (Type::Str | Type::Bytes | Type::Array(_) | Type::Records, _) => {
            format!("!{ident}.is_empty()")
        }
        (Type::Named(name), _) => format!("{ident} != {name}::default()"),
        (Type::Uuid, _) => format!("{ident} != Uuid::ZERO"),
        (_, None) => format!("{ident} != 0"),
        (_, Some(_)) => format!("{ident} != {}", default_value(field)),
    }
}

/// The reader and writer function of a type of fixed width.
pub fn number(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::Bool => "bool",
        Type::I8 => "i8",
        Type::I16 => "i16",
        Type::U16 => "u16",
        Type::I32 => "i32",
        Type::U32 => "u32",
        Type::I64 => "i64",
        Type::F64 => "f64",
        Type::Uuid => "uuid",
        _ => return None,
    })
}

/// The expression that reads one value; `nullable_` or nothing as `prefix`.
fn read_value(ty: &Type, prefix: &str) -> String {
    if let Some(number) = number(ty) {
        return format!("r.{number}()");
    }
    match ty {
        Type::Str => format!("r.{prefix}string(flexible)"),
        Type::Bytes => format!("r.{prefix}bytes(flexible)"),
        Type::Records => format!("r.{prefix}records(flexible)"),
        Type::Array(element) => {
            let element = match (number(element), &**element) {
                (Some(number), _) => format!("Reader::{number}"),
                (None, element) => format!("|r| {}", read_value(element, "")),
            };
            format!("r.{prefix}array(flexible, {element})")
        }
        Type::Named(name) if prefix.is_empty() => format!("{name}::read(r, version)"),
        Type::Named(name) => format!("r.nullable_struct(|r| {name}::read(r, version))"),
        other => unreachable!("{other:?}"),
    }
}

fn read_field(field: &Field, whole: Versions) -> String {
    let plain = read_value(&field.ty, "");
    let Some(nullable) = field.nullable else {
        return format!("{plain}?");
    };
    let nullable_read = read_value(&field.ty, "nullable_");
    match nullable.condition(field.versions.within(whole)) {
        None => format!("{nullable_read}?"),
        Some(condition) => {
            format!("if {condition} {{ {nullable_read}? }} else {{ Some({plain}?) }}")
        }
    }
}

/// The expression (a `Result`) that writes the value of expression `value`, a reference.
fn write_value(ty: &Type, prefix: &str, value: &str) -> String {
    match ty {
        Type::Str => format!("w.{prefix}string({value}, flexible)"),
        Type::Bytes => format!("w.{prefix}bytes({value}, flexible)"),
        Type::Records => format!("w.{prefix}records({value}, flexible)"),
        Type::Array(element) => {
            let element = match (number(element), &**element) {
                (Some(number), _) => format!("|w, v| {{ w.{number}(*v); Ok(()) }}"),
                (None, element) => format!("|w, v| {}", write_value(element, "", "v")),
            };
            format!("w.{prefix}array({value}, flexible, {element})")
        }
        Type::Named(_) if prefix.is_empty() => format!("{value}.write(w, version)"),
        Type::Named(_) => format!("w.nullable_struct({value}, |w, v| v.write(w, version))"),
        other => unreachable!("{other:?}"),
    }
}

fn write_field(field: &Field, whole: Versions) -> String {
    let ident = format!("self.{}", names::field_ident(&field.name));
    if let Some(number) = number(&field.ty) {
        return format!("w.{number}({ident});");
    }
    let Some(nullable) = field.nullable else {
        let value = match field.ty {
            Type::Named(_) => ident,
            _ => format!("&{ident}"),
        };
        return format!("{}?;", write_value(&field.ty, "", &value));
    };
    let option = match field.ty {
        Type::Str | Type::Array(_) => format!("{ident}.as_deref()"),
        _ => format!("{ident}.as_ref()"),
    };
    let nullable_write = write_value(&field.ty, "nullable_", &option);
    match nullable.condition(field.versions.within(whole)) {
        None => format!("{nullable_write}?;"),
        Some(condition) => {
            let value = match field.ty {
                Type::Str | Type::Array(_) => format!("{option}.unwrap_or_default()"),
                _ => format!("&{ident}.clone().unwrap_or_default()"),
            };
            let plain = write_value(&field.ty, "", &value);
            format!("if {condition} {{ {nullable_write}?; }} else {{ {plain}?; }}")
        }
    }
}

/// Statements, each under the condition that its field exists; neighbours share their condition.
#[derive(Default)]
pub struct Statements {
    text: String,
    condition: Option<String>,
}

impl Statements {
    /// Adds a statement.
    pub fn add(&mut self, condition: Option<String>, statement: &str) {
        if condition != self.condition {
            self.close();
            if let Some(condition) = &condition {
                self.text += &format!("if {condition} {{\n");
            }
            self.condition = condition;
        }
        self.text += statement;
        self.text.push('\n');
    }

    fn close(&mut self) {
        if self.condition.take().is_some() {
            self.text += "}\n";
        }
    }

    /// The text of all statements.
    pub fn finish(mut self) -> String {
        self.close();
        self.text
    }
}

/// `a`, `b` or `a && b`.
pub fn both(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(format!("{a} && {b}")),
        (a, b) => a.or(b),
    }
}
