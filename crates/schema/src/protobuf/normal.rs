//! The normal form: one text for files that differ only in spelling or order.
//!
//! Type names become full names with a leading dot; imports, fields, oneofs, ranges, enum constants and options are
//! sorted; options of one extension are merged; maps spelled as messages become maps again. Messages and enums keep
//! their places, since the wire format counts them.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;

use super::ast::*;
use super::print::default_option;
use super::types::{ExtensionInfo, TypeIndex, qualified};

/// The normal form of `file`, whose names `index` knows. A name that it does not know stays as it is.
pub fn normalize(file: &ProtoFile, index: &TypeIndex<'_>) -> ProtoFile {
    let scope = file.package.as_deref().unwrap_or_default();
    let normalizer = Normalizer { index };
    ProtoFile {
        syntax: file.syntax.filter(|syntax| *syntax == Syntax::Proto3),
        package: file.package.clone(),
        imports: sorted_unique(&file.imports),
        public_imports: sorted_unique(&file.public_imports),
        weak_imports: sorted_unique(&file.weak_imports),
        options: normalizer.options(&file.options, scope),
        types: normalizer.types(&file.types, scope),
        extends: normalizer.extends(&file.extends, scope),
        services: file.services.iter().map(|service| normalizer.service(service, scope)).collect(),
    }
}

fn sorted_unique(paths: &[String]) -> Vec<String> {
    let mut paths = paths.to_vec();
    paths.sort();
    paths.dedup();
    paths
}

struct Normalizer<'a> {
    index: &'a TypeIndex<'a>,
}

impl Normalizer<'_> {
    fn types(&self, types: &[TypeDecl], scope: &str) -> Vec<TypeDecl> {
        let kept = types.iter().filter(|decl| !decl.as_message().is_some_and(Message::is_map_entry));
        kept.map(|decl| match decl {
            TypeDecl::Message(message) => TypeDecl::Message(self.message(message, scope)),
            TypeDecl::Enum(decl) => TypeDecl::Enum(self.enumeration(decl, &qualified(scope, &decl.name))),
        })
        .collect()
    }

    fn message(&self, message: &Message, outer: &str) -> Message {
        let scope = &qualified(outer, &message.name);
        Message {
            name: message.name.clone(),
            reserved: normal_reserved(&message.reserved),
            options: self.options(&message.options, scope),
            fields: self.fields(&message.fields, scope),
            oneofs: self.oneofs(&message.oneofs, scope),
            groups: self.groups(&message.groups, scope),
            extensions: self.extensions(&message.extensions, scope),
            extends: self.extends(&message.extends, scope),
            types: self.types(&message.types, scope),
        }
    }

    fn fields(&self, fields: &[Field], scope: &str) -> Vec<Field> {
        let mut fields: Vec<Field> = fields.iter().map(|field| self.field(field, scope)).collect();
        fields.sort_by_key(|field| field.number);
        fields
    }

    fn field(&self, field: &Field, scope: &str) -> Field {
        let field_type = self.field_type(&field.field_type, scope);
        let label = field.label.filter(|_| !matches!(field_type, FieldType::Map { .. }));
        let mut options = field.options.clone();
        options.extend(field.default.as_ref().map(|text| default_option(&field_type, text)));
        options.extend(field.json_name.as_ref().map(|text| OptionEntry {
            name: "json_name".to_owned(),
            parenthesized: false,
            path: Vec::new(),
            value: OptionValue::String(text.clone()),
        }));
        Field {
            label,
            field_type,
            name: field.name.clone(),
            number: field.number,
            options: self.options(&options, scope),
            default: None,
            json_name: None,
        }
    }

    fn field_type(&self, field_type: &FieldType, scope: &str) -> FieldType {
        match field_type {
            FieldType::Plain(name) if is_scalar(name) => field_type.clone(),
            FieldType::Plain(name) => {
                let Some((full_name, info)) = self.index.lookup(name, scope) else { return field_type.clone() };
                match info.as_message().and_then(Message::map_entry_types) {
                    Some((key, value)) => FieldType::Map { key: key.to_owned(), value: self.name(value, &full_name) },
                    None => FieldType::Plain(format!(".{full_name}")),
                }
            }
            FieldType::Map { key, value } => FieldType::Map { key: key.clone(), value: self.name(value, scope) },
        }
    }

    /// The full name with a leading dot; scalars and unknown names as they are.
    fn name(&self, name: &str, scope: &str) -> String {
        if is_scalar(name) {
            return name.to_owned();
        }
        self.index.resolve(name, scope).map_or_else(|| name.to_owned(), |full_name| format!(".{full_name}"))
    }

    fn oneofs(&self, oneofs: &[OneOf], scope: &str) -> Vec<OneOf> {
        let kept = oneofs.iter().filter(|oneof| !oneof.fields.is_empty());
        let mut oneofs: Vec<OneOf> = kept
            .map(|oneof| OneOf {
                name: oneof.name.clone(),
                options: self.options(&oneof.options, scope),
                fields: self.fields(&oneof.fields, scope),
                groups: self.groups(&oneof.groups, scope),
            })
            .collect();
        oneofs.sort_by_key(|oneof| oneof.fields.first().map(|field| field.number));
        oneofs
    }

    fn groups(&self, groups: &[Group], scope: &str) -> Vec<Group> {
        let mut groups: Vec<Group> =
            groups.iter().map(|group| Group { fields: self.fields(&group.fields, scope), ..group.clone() }).collect();
        groups.sort_by_key(|group| group.number);
        groups
    }

    fn extensions(&self, extensions: &[Extensions], scope: &str) -> Vec<Extensions> {
        let mut lines: Vec<Extensions> = extensions
            .iter()
            .flat_map(|line| line.values.iter().map(move |value| (value, &line.options)))
            .map(|(value, options)| Extensions {
                values: vec![normal_range(value)],
                options: self.options(options, scope),
            })
            .collect();
        lines.sort_by_key(|line| line.values.first().map(range_start));
        lines
    }

    /// One block for each extended message, in the order in which they first occur.
    fn extends(&self, extends: &[Extend], scope: &str) -> Vec<Extend> {
        let mut merged: IndexMap<String, Vec<Field>> = IndexMap::new();
        for extend in extends.iter().filter(|extend| !extend.fields.is_empty()) {
            let name = self.name(&extend.name, scope);
            merged.entry(name).or_default().extend(self.fields(&extend.fields, scope));
        }
        let sorted = |(name, mut fields): (String, Vec<Field>)| {
            fields.sort_by_key(|field| field.number);
            Extend { name, fields }
        };
        merged.into_iter().map(sorted).collect()
    }

    fn enumeration(&self, decl: &Enum, scope: &str) -> Enum {
        let mut constants: Vec<EnumConstant> = decl
            .constants
            .iter()
            .map(|constant| EnumConstant { options: self.options(&constant.options, scope), ..constant.clone() })
            .collect();
        constants.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
        Enum {
            name: decl.name.clone(),
            reserved: normal_reserved(&decl.reserved),
            options: self.options(&decl.options, scope),
            constants,
        }
    }

    fn service(&self, service: &Service, scope: &str) -> Service {
        let rpcs = service.rpcs.iter().map(|rpc| Rpc {
            request: self.name(&rpc.request, scope),
            response: self.name(&rpc.response, scope),
            options: self.options(&rpc.options, scope),
            ..rpc.clone()
        });
        Service { name: service.name.clone(), options: self.options(&service.options, scope), rpcs: rpcs.collect() }
    }

    /// Sorted by name; several settings of one extension that is not repeated become one.
    fn options(&self, options: &[OptionEntry], scope: &str) -> Vec<OptionEntry> {
        let mut options: Vec<OptionEntry> = options.iter().map(|option| self.option(option, scope)).collect();
        options.sort_by(|a, b| a.name.cmp(&b.name));
        let mut merged: Vec<OptionEntry> = Vec::new();
        for same in options.chunk_by(|a, b| a.name == b.name) {
            let extension = self.index.extension(&same[0].name);
            match extension.filter(|info| info.field.label != Some(Label::Repeated)) {
                Some(info) => merged.extend(self.merge_options(same, info)),
                None => merged.extend_from_slice(same),
            }
        }
        for option in &mut merged {
            option.value = match std::mem::replace(&mut option.value, OptionValue::List(Vec::new())) {
                OptionValue::List(list) => {
                    OptionValue::List(list.into_iter().map(|value| self.value(value, scope)).collect())
                }
                value => self.value(value, scope),
            };
        }
        merged
    }

    /// An extension's name in full, and its path turned into nested messages.
    fn option(&self, option: &OptionEntry, scope: &str) -> OptionEntry {
        let known = option.parenthesized.then(|| self.index.resolve_extension(&option.name, scope)).flatten();
        let Some(full_name) = known else { return option.clone() };
        let value = option
            .path
            .iter()
            .rev()
            .fold(option.value.clone(), |value, part| OptionValue::Map(vec![(part.clone(), value)]));
        OptionEntry { name: full_name, parenthesized: true, path: Vec::new(), value }
    }

    /// The settings of one extension as one: messages merge, of anything else the last counts.
    fn merge_options(&self, same: &[OptionEntry], info: &ExtensionInfo<'_>) -> Option<OptionEntry> {
        let (last, earlier) = same.split_last()?;
        if earlier.is_empty() {
            return Some(last.clone());
        }
        let mut maps = Vec::new();
        for option in same {
            match &option.value {
                OptionValue::Map(entries) => maps.push(entries.clone()),
                _ => maps.clear(),
            }
        }
        let value = match &last.value {
            OptionValue::Map(_) => OptionValue::Map(self.merge_maps(maps, Some((info.field, &info.scope)))),
            value => value.clone(),
        };
        Some(OptionEntry { value, ..last.clone() })
    }

    /// Merges text format messages: fields of a known singular type replace or merge, all others gather in lists.
    fn merge_maps(
        &self,
        maps: Vec<Vec<(String, OptionValue)>>,
        container: Option<(&Field, &str)>,
    ) -> Vec<(String, OptionValue)> {
        let container = container.and_then(|(field, scope)| match &field.field_type {
            FieldType::Plain(name) => self.index.lookup(name, scope),
            FieldType::Map { .. } => None,
        });
        let mut by_name: IndexMap<String, Vec<OptionValue>> = IndexMap::new();
        for (name, value) in maps.into_iter().flatten() {
            by_name.entry(name).or_default().push(value);
        }
        let merge = |(name, mut values): (String, Vec<OptionValue>)| {
            let nested = container.as_ref().and_then(|(scope, info)| {
                let field = info.as_message()?.fields.iter().find(|field| field.name == name)?;
                Some((field, scope.as_str()))
            });
            let singular = nested.is_some_and(|(field, _)| field.label != Some(Label::Repeated));
            let value = match values.len() {
                1 => values.swap_remove(0),
                _ if singular => self.merge_singular(values, nested),
                _ => {
                    let mut seen = HashSet::new();
                    let all = values.into_iter().flat_map(into_list);
                    OptionValue::List(all.filter(|value| seen.insert(value.clone())).collect())
                }
            };
            (name, value)
        };
        by_name.into_iter().map(merge).collect()
    }

    /// Several values of a field that has one: messages merge, of anything else the last counts.
    fn merge_singular(&self, values: Vec<OptionValue>, nested: Option<(&Field, &str)>) -> OptionValue {
        let mut maps = Vec::new();
        let mut last = OptionValue::List(Vec::new());
        for value in values {
            match value {
                OptionValue::Map(entries) => maps.push(entries),
                value => {
                    maps.clear();
                    last = value;
                }
            }
        }
        if maps.is_empty() { last } else { OptionValue::Map(self.merge_maps(maps, nested)) }
    }

    /// Sorted entries without empty lists, a list of one as that one, numbers spelled alike.
    fn value(&self, value: OptionValue, scope: &str) -> OptionValue {
        match value {
            OptionValue::Number(text) => OptionValue::Number(number_text(&text)),
            OptionValue::Map(entries) => {
                let mut sorted = BTreeMap::new();
                for (name, value) in entries {
                    if value == OptionValue::List(Vec::new()) {
                        continue;
                    }
                    let value = self.value(value, scope);
                    sorted.entry(self.entry_name(name, scope)).or_insert(value);
                }
                OptionValue::Map(sorted.into_iter().collect())
            }
            OptionValue::List(mut list) if list.len() == 1 => match list.pop() {
                Some(single) => self.value(single, scope),
                None => OptionValue::List(list),
            },
            OptionValue::List(list) => {
                OptionValue::List(list.into_iter().map(|value| self.value(value, scope)).collect())
            }
            value => value,
        }
    }

    fn entry_name(&self, name: String, scope: &str) -> String {
        let extension = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match extension.and_then(|extension| self.index.resolve_extension(extension, scope)) {
            Some(full_name) => format!("[{full_name}]"),
            None => name,
        }
    }
}

fn into_list(value: OptionValue) -> Vec<OptionValue> {
    match value {
        OptionValue::List(list) => list,
        value => vec![value],
    }
}

/// One value a line, sorted by number, names last.
fn normal_reserved(reserved: &[Reserved]) -> Vec<Reserved> {
    let mut values: Vec<RangeValue> = reserved.iter().flat_map(|line| line.values.iter().map(normal_range)).collect();
    values.sort_by_key(|value| (range_start(value), range_text(value)));
    values.into_iter().map(|value| Reserved { values: vec![value] }).collect()
}

/// A range of one number as that number.
fn normal_range(value: &RangeValue) -> RangeValue {
    match value {
        RangeValue::Range(first, last) if first == last => RangeValue::Number(*first),
        value => value.clone(),
    }
}

fn range_start(value: &RangeValue) -> i32 {
    match value {
        RangeValue::Number(first) | RangeValue::Range(first, _) => *first,
        RangeValue::Name(_) => i32::MAX,
    }
}

fn range_text(value: &RangeValue) -> String {
    match value {
        RangeValue::Name(name) => name.clone(),
        RangeValue::Number(number) => number.to_string(),
        RangeValue::Range(first, last) => format!("{first}..{last}"),
    }
}

/// Integers in decimal digits, other numbers with at most three digits after the point.
fn number_text(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let radix_digits = if let Some(hexadecimal) = lower.strip_prefix("0x") {
        Some((16, hexadecimal))
    } else if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|byte| byte.is_ascii_digit()) {
        Some((8, &lower[1..]))
    } else {
        None
    };
    if let Some((radix, digits)) = radix_digits {
        return i128::from_str_radix(digits, radix).map_or_else(|_| text.to_owned(), |n| format!("{sign}{n}"));
    }
    if lower.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    match lower.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            let fixed = format!("{number:.3}");
            let trimmed = fixed.trim_end_matches('0').trim_end_matches('.');
            format!("{sign}{trimmed}")
        }
        _ => text.to_owned(),
    }
}
