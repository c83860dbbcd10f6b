//! A [`ProtoFile`] as a `FileDescriptorProto`, from which dynamic messages are made.
//!
//! Types are resolved to full names. Options that the language defines are carried over; extensions of options are not:
//! they do not change what a message looks like.

use prost_reflect::prost_types::descriptor_proto::{ExtensionRange, ReservedRange};
use prost_reflect::prost_types::enum_descriptor_proto::EnumReservedRange;
use prost_reflect::prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, EnumValueOptions,
    FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileOptions, MessageOptions, MethodDescriptorProto,
    MethodOptions, OneofDescriptorProto, ServiceDescriptorProto, ServiceOptions, field_options, file_options,
    method_options,
};

use super::ast::*;
use super::types::{Decl, TypeIndex, qualified};

/// Describes `file`, whose names `index` knows, under the path `name`.
pub fn to_descriptor(file: &ProtoFile, name: &str, index: &TypeIndex<'_>) -> FileDescriptorProto {
    let scope = file.package.as_deref().unwrap_or_default();
    let describer = Describer { index, proto3: file.is_proto3() };
    let plain = file.imports.len();
    let public = plain + file.public_imports.len();
    let indexes = |from: usize, to: usize| (from..to).filter_map(|index| i32::try_from(index).ok()).collect();
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: file.package.clone(),
        dependency: file.all_imports().map(str::to_owned).collect(),
        public_dependency: indexes(plain, public),
        weak_dependency: indexes(public, public + file.weak_imports.len()),
        message_type: messages(&file.types).map(|message| describer.message(message, scope)).collect(),
        enum_type: enums(&file.types).map(enumeration).collect(),
        service: file.services.iter().map(|service| describer.service(service, scope)).collect(),
        extension: describer.extensions(&file.extends, scope),
        options: (!file.options.is_empty()).then(|| file_options(&file.options)),
        syntax: file.syntax.map(|syntax| syntax.name().to_owned()),
        ..FileDescriptorProto::default()
    }
}

/// The text of the option `name`, which is not an extension.
fn text_option<'a>(options: &'a [OptionEntry], name: &str) -> Option<&'a str> {
    let mut found = options.iter().rev().filter(|option| !option.parenthesized && option.path.is_empty());
    found.find(|option| option.name == name)?.value.as_text()
}

fn string(options: &[OptionEntry], name: &str) -> Option<String> {
    text_option(options, name).map(str::to_owned)
}

fn flag(options: &[OptionEntry], name: &str) -> Option<bool> {
    text_option(options, name)?.parse().ok()
}

fn file_options(options: &[OptionEntry]) -> FileOptions {
    let optimize_for = text_option(options, "optimize_for").and_then(file_options::OptimizeMode::from_str_name);
    FileOptions {
        java_package: string(options, "java_package"),
        java_outer_classname: string(options, "java_outer_classname"),
        java_multiple_files: flag(options, "java_multiple_files"),
        java_string_check_utf8: flag(options, "java_string_check_utf8"),
        optimize_for: optimize_for.map(i32::from),
        go_package: string(options, "go_package"),
        cc_generic_services: flag(options, "cc_generic_services"),
        java_generic_services: flag(options, "java_generic_services"),
        py_generic_services: flag(options, "py_generic_services"),
        deprecated: flag(options, "deprecated"),
        cc_enable_arenas: flag(options, "cc_enable_arenas"),
        objc_class_prefix: string(options, "objc_class_prefix"),
        csharp_namespace: string(options, "csharp_namespace"),
        swift_prefix: string(options, "swift_prefix"),
        php_class_prefix: string(options, "php_class_prefix"),
        php_namespace: string(options, "php_namespace"),
        php_metadata_namespace: string(options, "php_metadata_namespace"),
        ruby_package: string(options, "ruby_package"),
        ..FileOptions::default()
    }
}

struct Describer<'a> {
    index: &'a TypeIndex<'a>,
    proto3: bool,
}

impl Describer<'_> {
    fn message(&self, message: &Message, outer: &str) -> DescriptorProto {
        let scope = &qualified(outer, &message.name);
        let mut result = DescriptorProto {
            name: Some(message.name.clone()),
            nested_type: messages(&message.types).map(|nested| self.message(nested, scope)).collect(),
            enum_type: enums(&message.types).map(enumeration).collect(),
            extension: self.extensions(&message.extends, scope),
            options: message_options(&message.options),
            ..DescriptorProto::default()
        };
        for field in &message.fields {
            let described = self.field(field, scope, &mut result);
            result.field.push(described);
        }
        for group in &message.groups {
            self.group(group, None, scope, &mut result);
        }
        for (index, oneof) in message.oneofs.iter().enumerate() {
            let oneof_index = i32::try_from(index).ok();
            result.oneof_decl.push(OneofDescriptorProto { name: Some(oneof.name.clone()), options: None });
            for field in &oneof.fields {
                let described = self.field(field, scope, &mut result);
                result.field.push(FieldDescriptorProto { oneof_index, ..described });
            }
            for group in &oneof.groups {
                self.group(group, oneof_index, scope, &mut result);
            }
        }
        add_synthetic_oneofs(&mut result);
        for value in message.reserved.iter().flat_map(|reserved| &reserved.values) {
            match value {
                RangeValue::Name(name) => result.reserved_name.push(name.clone()),
                value => {
                    let (start, end) = bounds(value);
                    result.reserved_range.push(ReservedRange { start: Some(start), end: Some(end) });
                }
            }
        }
        for value in message.extensions.iter().flat_map(|extensions| &extensions.values) {
            let (start, end) = bounds(value);
            result.extension_range.push(ExtensionRange { start: Some(start), end: Some(end), options: None });
        }
        result
    }

    /// The field; the message of a map's entries is added to `container`.
    fn field(&self, field: &Field, scope: &str, container: &mut DescriptorProto) -> FieldDescriptorProto {
        let mut described = match &field.field_type {
            FieldType::Plain(name) => {
                let label = match field.label {
                    Some(Label::Repeated) => ProtoLabel::Repeated,
                    Some(Label::Required) => ProtoLabel::Required,
                    Some(Label::Optional) | None => ProtoLabel::Optional,
                };
                let proto3_optional = (self.proto3 && field.label == Some(Label::Optional)).then_some(true);
                FieldDescriptorProto { proto3_optional, ..self.typed(&field.name, field.number, name, scope, label) }
            }
            FieldType::Map { key, value } => {
                let entry_name = map_entry_name(&field.name);
                container.nested_type.push(DescriptorProto {
                    name: Some(entry_name.clone()),
                    field: vec![
                        self.typed("key", 1, key, scope, ProtoLabel::Optional),
                        self.typed("value", 2, value, scope, ProtoLabel::Optional),
                    ],
                    options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
                    ..DescriptorProto::default()
                });
                FieldDescriptorProto {
                    name: Some(field.name.clone()),
                    number: Some(field.number),
                    label: Some(ProtoLabel::Repeated.into()),
                    r#type: Some(Type::Message.into()),
                    type_name: Some(format!(".{}", qualified(scope, &entry_name))),
                    ..FieldDescriptorProto::default()
                }
            }
        };
        described.json_name.clone_from(&field.json_name);
        described.default_value = field.default.as_ref().map(|text| default_value(text, &field.field_type));
        described.options = field_options(&field.options);
        described
    }

    fn typed(&self, name: &str, number: i32, type_name: &str, scope: &str, label: ProtoLabel) -> FieldDescriptorProto {
        let mut described = FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(label.into()),
            ..FieldDescriptorProto::default()
        };
        if let Some(scalar) = scalar_type(type_name) {
            described.r#type = Some(scalar.into());
            return described;
        }
        match self.index.lookup(type_name, scope) {
            Some((full_name, info)) => {
                let kind = match info.decl {
                    Decl::Message(_) => Type::Message,
                    Decl::Enum => Type::Enum,
                    Decl::Group => Type::Group,
                };
                described.r#type = Some(kind.into());
                described.type_name = Some(format!(".{full_name}"));
            }
            None => described.type_name = Some(type_name.to_owned()),
        }
        described
    }

    fn group(&self, group: &Group, oneof_index: Option<i32>, scope: &str, container: &mut DescriptorProto) {
        let full_name = qualified(scope, &group.name);
        let mut nested = DescriptorProto { name: Some(group.name.clone()), ..DescriptorProto::default() };
        for field in &group.fields {
            let described = self.field(field, &full_name, &mut nested);
            nested.field.push(described);
        }
        container.nested_type.push(nested);
        let label = match group.label {
            Some(Label::Repeated) => ProtoLabel::Repeated,
            Some(Label::Required) => ProtoLabel::Required,
            Some(Label::Optional) | None => ProtoLabel::Optional,
        };
        container.field.push(FieldDescriptorProto {
            name: Some(group.name.to_lowercase()),
            number: Some(group.number),
            label: Some(label.into()),
            r#type: Some(Type::Group.into()),
            type_name: Some(format!(".{full_name}")),
            oneof_index,
            ..FieldDescriptorProto::default()
        });
    }

    fn extensions(&self, extends: &[Extend], scope: &str) -> Vec<FieldDescriptorProto> {
        let mut described = Vec::new();
        for extend in extends {
            let extendee = self.full_name(&extend.name, scope);
            for field in &extend.fields {
                let field = self.field(field, scope, &mut DescriptorProto::default());
                described.push(FieldDescriptorProto {
                    extendee: Some(extendee.clone()),
                    proto3_optional: None,
                    ..field
                });
            }
        }
        described
    }

    fn service(&self, service: &Service, scope: &str) -> ServiceDescriptorProto {
        let method = service.rpcs.iter().map(|rpc| MethodDescriptorProto {
            name: Some(rpc.name.clone()),
            input_type: Some(self.full_name(&rpc.request, scope)),
            output_type: Some(self.full_name(&rpc.response, scope)),
            client_streaming: rpc.request_streaming.then_some(true),
            server_streaming: rpc.response_streaming.then_some(true),
            options: (!rpc.options.is_empty()).then(|| MethodOptions {
                deprecated: flag(&rpc.options, "deprecated"),
                idempotency_level: text_option(&rpc.options, "idempotency_level")
                    .and_then(method_options::IdempotencyLevel::from_str_name)
                    .map(i32::from),
                ..MethodOptions::default()
            }),
        });
        ServiceDescriptorProto {
            name: Some(service.name.clone()),
            method: method.collect(),
            options: (!service.options.is_empty()).then(|| ServiceOptions {
                deprecated: flag(&service.options, "deprecated"),
                ..ServiceOptions::default()
            }),
        }
    }

    fn full_name(&self, name: &str, scope: &str) -> String {
        self.index.resolve(name, scope).map_or_else(|| name.to_owned(), |full_name| format!(".{full_name}"))
    }
}

/// Gives every `optional` field of proto3 the oneof of its own that the wire format's tools expect.
fn add_synthetic_oneofs(message: &mut DescriptorProto) {
    for field in message.field.iter_mut().filter(|field| field.proto3_optional()) {
        field.oneof_index = i32::try_from(message.oneof_decl.len()).ok();
        message.oneof_decl.push(OneofDescriptorProto { name: Some(format!("_{}", field.name())), options: None });
    }
}

/// `some_field` → `SomeFieldEntry`.
fn map_entry_name(field: &str) -> String {
    let mut name = String::new();
    let mut upper = true;
    for c in field.chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            name.extend(c.to_uppercase());
            upper = false;
        } else {
            name.push(c);
        }
    }
    name + "Entry"
}

fn scalar_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "fixed32" => Type::Fixed32,
        "fixed64" => Type::Fixed64,
        "float" => Type::Float,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "sfixed32" => Type::Sfixed32,
        "sfixed64" => Type::Sfixed64,
        "sint32" => Type::Sint32,
        "sint64" => Type::Sint64,
        "string" => Type::String,
        "uint32" => Type::Uint32,
        "uint64" => Type::Uint64,
        _ => return None,
    })
}

/// The first number and the one after the last.
fn bounds(value: &RangeValue) -> (i32, i32) {
    match value {
        RangeValue::Number(number) => (*number, number.saturating_add(1)),
        RangeValue::Range(first, last) => (*first, last.saturating_add(1)),
        RangeValue::Name(_) => (0, 0),
    }
}

/// Numbers in decimal digits and bytes escaped, as descriptors have them.
fn default_value(text: &str, field_type: &FieldType) -> String {
    match field_type {
        FieldType::Plain(name) if name == "bytes" => text.bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        FieldType::Plain(name) if is_scalar(name) && name != "string" => {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
            match hexadecimal.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
                Some(number) => format!("{sign}{number}"),
                None => text.to_owned(),
            }
        }
        _ => text.to_owned(),
    }
}

fn message_options(options: &[OptionEntry]) -> Option<MessageOptions> {
    (!options.is_empty()).then(|| MessageOptions {
        message_set_wire_format: flag(options, "message_set_wire_format"),
        no_standard_descriptor_accessor: flag(options, "no_standard_descriptor_accessor"),
        deprecated: flag(options, "deprecated"),
        map_entry: flag(options, "map_entry"),
        ..MessageOptions::default()
    })
}

fn field_options(options: &[OptionEntry]) -> Option<FieldOptions> {
    (!options.is_empty()).then(|| FieldOptions {
        ctype: text_option(options, "ctype").and_then(field_options::CType::from_str_name).map(i32::from),
        packed: flag(options, "packed"),
        jstype: text_option(options, "jstype").and_then(field_options::JsType::from_str_name).map(i32::from),
        lazy: flag(options, "lazy"),
        deprecated: flag(options, "deprecated"),
        weak: flag(options, "weak"),
        ..FieldOptions::default()
    })
}

fn enumeration(decl: &Enum) -> EnumDescriptorProto {
    let value = decl.constants.iter().map(|constant| EnumValueDescriptorProto {
        name: Some(constant.name.clone()),
        number: Some(constant.number),
        options: flag(&constant.options, "deprecated")
            .map(|deprecated| EnumValueOptions { deprecated: Some(deprecated), ..EnumValueOptions::default() }),
    });
    let mut result = EnumDescriptorProto {
        name: Some(decl.name.clone()),
        value: value.collect(),
        options: (!decl.options.is_empty()).then(|| EnumOptions {
            allow_alias: flag(&decl.options, "allow_alias"),
            deprecated: flag(&decl.options, "deprecated"),
            ..EnumOptions::default()
        }),
        ..EnumDescriptorProto::default()
    };
    for value in decl.reserved.iter().flat_map(|reserved| &reserved.values) {
        match value {
            RangeValue::Name(name) => result.reserved_name.push(name.clone()),
            RangeValue::Number(first) => {
                result.reserved_range.push(EnumReservedRange { start: Some(*first), end: Some(*first) });
            }
            RangeValue::Range(first, last) => {
                result.reserved_range.push(EnumReservedRange { start: Some(*first), end: Some(*last) });
            }
        }
    }
    result
}
