//! Whether a file that parses makes sense: imports are there and names resolve; for new schemas also names, numbers
//! and duplicates.

use std::collections::{HashMap, HashSet};

use super::ast::*;
use super::types::{TypeIndex, qualified};
use crate::{SchemaError, SchemaType};

/// Checks that every type that `file` names is known to `index`.
///
/// # Errors
/// Names the type and the field, method or block that uses it.
pub fn check_names(file: &ProtoFile, index: &TypeIndex<'_>) -> Result<(), SchemaError> {
    let scope = file.package.as_deref().unwrap_or_default();
    let names = Names { index };
    names.extends(&file.extends, scope)?;
    messages(&file.types).try_for_each(|message| names.message(message, scope))?;
    for rpc in file.services.iter().flat_map(|service| &service.rpcs) {
        names.known(&rpc.request, scope, || format!("rpc {}", rpc.name))?;
        names.known(&rpc.response, scope, || format!("rpc {}", rpc.name))?;
    }
    Ok(())
}

fn invalid(message: String) -> SchemaError {
    SchemaError::invalid(SchemaType::Protobuf, message)
}

struct Names<'a> {
    index: &'a TypeIndex<'a>,
}

impl Names<'_> {
    fn message(&self, message: &Message, outer: &str) -> Result<(), SchemaError> {
        let scope = &qualified(outer, &message.name);
        let groups = message.groups.iter().chain(message.oneofs.iter().flat_map(|oneof| &oneof.groups));
        let grouped = groups.flat_map(|group| &group.fields);
        message.all_fields().chain(grouped).try_for_each(|field| self.field(field, scope))?;
        self.extends(&message.extends, scope)?;
        messages(&message.types).try_for_each(|nested| self.message(nested, scope))
    }

    fn field(&self, field: &Field, scope: &str) -> Result<(), SchemaError> {
        let name = match &field.field_type {
            FieldType::Plain(name) => name,
            FieldType::Map { key, value } => {
                if !is_scalar(key) || matches!(key.as_str(), "float" | "double" | "bytes") {
                    let place = qualified(scope, &field.name);
                    return Err(invalid(format!("{place}: {key} cannot be the key type of a map")));
                }
                value
            }
        };
        self.known(name, scope, || format!("field {}", qualified(scope, &field.name)))
    }

    fn extends(&self, extends: &[Extend], scope: &str) -> Result<(), SchemaError> {
        for extend in extends {
            self.known(&extend.name, scope, || "extend".to_owned())?;
            extend.fields.iter().try_for_each(|field| self.field(field, scope))?;
        }
        Ok(())
    }

    fn known(&self, name: &str, scope: &str, place: impl Fn() -> String) -> Result<(), SchemaError> {
        if is_scalar(name) || self.index.resolve(name, scope).is_some() {
            return Ok(());
        }
        Err(invalid(format!("Could not resolve type: {name} ({})", place())))
    }
}

/// Checks names, numbers and duplicates, as a compiler would.
///
/// # Errors
/// Names the first declaration that breaks a rule.
pub fn check_strictly(file: &ProtoFile) -> Result<(), SchemaError> {
    let scope = file.package.as_deref().unwrap_or_default();
    if let Some(package) = &file.package {
        package.split('.').try_for_each(|part| identifier(part, || format!("package {package}")))?;
    }
    let mut imports = HashSet::new();
    for import in file.all_imports() {
        if !imports.insert(import) {
            return Err(invalid(format!("import \"{import}\" is listed twice")));
        }
    }
    check_types(&file.types, scope, file.is_proto3())?;
    for service in &file.services {
        let place = || format!("service {}", service.name);
        identifier(&service.name, place)?;
        service.rpcs.iter().try_for_each(|rpc| identifier(&rpc.name, place))?;
    }
    Ok(())
}

fn identifier(name: &str, place: impl Fn() -> String) -> Result<(), SchemaError> {
    let mut chars = name.chars();
    let start = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if start && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(invalid(format!("{}: \"{name}\" is not a valid identifier", place())))
}

fn check_types(types: &[TypeDecl], scope: &str, proto3: bool) -> Result<(), SchemaError> {
    let mut seen = HashSet::new();
    for decl in types {
        let full_name = qualified(scope, decl.name());
        identifier(decl.name(), || full_name.clone())?;
        if !seen.insert(decl.name()) {
            return Err(invalid(format!("{full_name} is already defined")));
        }
        match decl {
            TypeDecl::Message(message) => check_message(message, &full_name, proto3)?,
            TypeDecl::Enum(decl) => check_enum(decl, &full_name, proto3)?,
        }
    }
    Ok(())
}

fn check_message(message: &Message, full_name: &str, proto3: bool) -> Result<(), SchemaError> {
    let groups = message.groups.iter().chain(message.oneofs.iter().flat_map(|oneof| &oneof.groups));
    let fields = message.all_fields().map(|field| (field.name.as_str(), field.number));
    let fields: Vec<_> = fields.chain(groups.map(|group| (group.name.as_str(), group.number))).collect();
    let mut names = HashMap::new();
    let mut numbers = HashMap::new();
    for (name, number) in &fields {
        identifier(name, || format!("field {}", qualified(full_name, name)))?;
        if names.insert(*name, *number).is_some() {
            return Err(invalid(format!("\"{name}\" is already defined in \"{full_name}\"")));
        }
        if !(1..=NUMBER_MAX).contains(number) {
            return Err(invalid(format!(
                "field {full_name}.{name}: field numbers must be between 1 and {NUMBER_MAX}, not {number}"
            )));
        }
        if (19_000..=19_999).contains(number) {
            return Err(invalid(format!(
                "field {full_name}.{name}: the numbers 19000 to 19999 are reserved for the protocol"
            )));
        }
        if let Some(other) = numbers.insert(*number, *name) {
            return Err(invalid(format!(
                "field number {number} has already been used in \"{full_name}\" by field \"{other}\""
            )));
        }
    }
    let reserved = ReservedIndex::of(&message.reserved);
    if let Some((name, number)) = fields.iter().find(|(name, number)| reserved.covers(name, *number)) {
        return Err(invalid(format!("field {full_name}.{name} = {number} is reserved")));
    }
    check_types(&message.types, full_name, proto3)
}

/// Reserved names and numbers, searched quickly however many there are.
struct ReservedIndex<'a> {
    names: HashSet<&'a str>,
    /// First numbers of ranges in ascending order, each with the highest last number up to there.
    ranges: Vec<(i32, i32)>,
}

impl<'a> ReservedIndex<'a> {
    fn of(reserved: &'a [Reserved]) -> Self {
        let mut index = ReservedIndex { names: HashSet::new(), ranges: Vec::new() };
        for value in reserved.iter().flat_map(|reserved| &reserved.values) {
            match value {
                RangeValue::Name(name) => {
                    index.names.insert(name);
                }
                RangeValue::Number(number) => index.ranges.push((*number, *number)),
                RangeValue::Range(first, last) => index.ranges.push((*first, *last)),
            }
        }
        index.ranges.sort_unstable();
        let mut highest = i32::MIN;
        for (_, last) in &mut index.ranges {
            highest = highest.max(*last);
            *last = highest;
        }
        index
    }

    fn covers(&self, name: &str, number: i32) -> bool {
        let before = self.ranges.partition_point(|(first, _)| *first <= number);
        let in_range = before.checked_sub(1).is_some_and(|at| self.ranges[at].1 >= number);
        in_range || self.names.contains(name)
    }
}

fn check_enum(decl: &Enum, full_name: &str, proto3: bool) -> Result<(), SchemaError> {
    let Some(first) = decl.constants.first() else {
        return Err(invalid(format!("enum {full_name} must contain at least one value")));
    };
    if proto3 && first.number != 0 {
        return Err(invalid(format!("enum {full_name}: the first value must be zero in proto3")));
    }
    let alias = decl.options.iter().any(|option| {
        option.name == "allow_alias" && !option.parenthesized && option.value == OptionValue::Bool("true".to_owned())
    });
    let reserved = ReservedIndex::of(&decl.reserved);
    let mut names = HashSet::new();
    let mut numbers = HashMap::new();
    for constant in &decl.constants {
        let EnumConstant { name, number, .. } = constant;
        identifier(name, || format!("enum {full_name}"))?;
        if !names.insert(name) {
            return Err(invalid(format!("\"{name}\" is already defined in \"{full_name}\"")));
        }
        if let Some(other) = numbers.insert(*number, name).filter(|_| !alias) {
            return Err(invalid(format!("\"{name}\" uses the same enum value as \"{other}\" in \"{full_name}\"")));
        }
        if reserved.covers(name, *number) {
            return Err(invalid(format!("{full_name}.{name} = {number} is reserved")));
        }
    }
    Ok(())
}
