//! A `FileDescriptorProto` as a [`ProtoFile`]: how a registry takes a schema in base64, and how the well-known types
//! become known to it.

use prost_reflect::prost_types::descriptor_proto::{ExtensionRange, ReservedRange};
use prost_reflect::prost_types::enum_descriptor_proto::EnumReservedRange;
use prost_reflect::prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileOptions,
    ServiceDescriptorProto, field_options, file_options, method_options,
};

use super::ast::*;

/// The file that `file` describes. Extensions of options are dropped; a descriptor does not name them.
pub fn from_descriptor(file: &FileDescriptorProto) -> ProtoFile {
    let syntax = match file.syntax() {
        "proto3" => Some(Syntax::Proto3),
        "proto2" => Some(Syntax::Proto2),
        _ => None,
    };
    let proto3 = syntax == Some(Syntax::Proto3);
    let mut result = ProtoFile {
        syntax,
        package: file.package.clone().filter(|package| !package.is_empty()),
        options: file.options.as_ref().map(file_options).unwrap_or_default(),
        extends: extends(&file.extension, proto3),
        services: file.service.iter().map(service).collect(),
        ..ProtoFile::default()
    };
    for (index, path) in file.dependency.iter().enumerate() {
        let is_in = |indexes: &[i32]| indexes.iter().any(|listed| usize::try_from(*listed) == Ok(index));
        let list = if is_in(&file.public_dependency) {
            &mut result.public_imports
        } else if is_in(&file.weak_dependency) {
            &mut result.weak_imports
        } else {
            &mut result.imports
        };
        list.push(path.clone());
    }
    result.types.extend(file.message_type.iter().map(|decl| TypeDecl::Message(message(decl, proto3))));
    result.types.extend(file.enum_type.iter().map(|decl| TypeDecl::Enum(enumeration(decl))));
    result
}

fn option(name: &str, value: OptionValue) -> OptionEntry {
    OptionEntry { name: name.to_owned(), parenthesized: false, path: Vec::new(), value }
}

/// Gathers the options that are set.
#[derive(Default)]
struct Options(Vec<OptionEntry>);

impl Options {
    fn flag(mut self, name: &str, value: Option<bool>) -> Self {
        self.0.extend(value.map(|value| option(name, OptionValue::Bool(value.to_string()))));
        self
    }

    fn text(mut self, name: &str, value: &Option<String>) -> Self {
        self.0.extend(value.as_ref().map(|value| option(name, OptionValue::String(value.clone()))));
        self
    }

    fn word(mut self, name: &str, value: Option<&str>) -> Self {
        self.0.extend(value.map(|value| option(name, OptionValue::Enum(value.to_owned()))));
        self
    }
}

fn file_options(options: &FileOptions) -> Vec<OptionEntry> {
    let optimize_for = options.optimize_for.and_then(|mode| file_options::OptimizeMode::try_from(mode).ok());
    Options::default()
        .text("java_package", &options.java_package)
        .text("java_outer_classname", &options.java_outer_classname)
        .flag("java_multiple_files", options.java_multiple_files)
        .flag("java_string_check_utf8", options.java_string_check_utf8)
        .word("optimize_for", optimize_for.as_ref().map(file_options::OptimizeMode::as_str_name))
        .text("go_package", &options.go_package)
        .flag("cc_generic_services", options.cc_generic_services)
        .flag("java_generic_services", options.java_generic_services)
        .flag("py_generic_services", options.py_generic_services)
        .flag("deprecated", options.deprecated)
        .flag("cc_enable_arenas", options.cc_enable_arenas)
        .text("objc_class_prefix", &options.objc_class_prefix)
        .text("csharp_namespace", &options.csharp_namespace)
        .text("swift_prefix", &options.swift_prefix)
        .text("php_class_prefix", &options.php_class_prefix)
        .text("php_namespace", &options.php_namespace)
        .text("php_metadata_namespace", &options.php_metadata_namespace)
        .text("ruby_package", &options.ruby_package)
        .0
}

fn message(decl: &DescriptorProto, proto3: bool) -> Message {
    let mut result = Message { name: decl.name().to_owned(), ..Message::default() };
    let mut oneofs: Vec<OneOf> = decl
        .oneof_decl
        .iter()
        .map(|oneof| OneOf {
            name: oneof.name().to_owned(),
            options: Vec::new(),
            fields: Vec::new(),
            groups: Vec::new(),
        })
        .collect();
    for described in &decl.field {
        let index = described.oneof_index.filter(|_| !described.proto3_optional());
        let oneof = index.and_then(|index| oneofs.get_mut(usize::try_from(index).ok()?));
        match oneof {
            Some(oneof) => oneof.fields.push(Field { label: None, ..field(described, proto3) }),
            None => result.fields.push(field(described, proto3)),
        }
    }
    oneofs.retain(|oneof| !oneof.fields.is_empty());
    result.oneofs = oneofs;
    result.types.extend(decl.nested_type.iter().map(|nested| TypeDecl::Message(message(nested, proto3))));
    result.types.extend(decl.enum_type.iter().map(|nested| TypeDecl::Enum(enumeration(nested))));
    result.reserved.extend(decl.reserved_range.iter().map(reserved_range));
    result.reserved.extend(decl.reserved_name.iter().map(|name| reserved(RangeValue::Name(name.clone()))));
    result.extensions = decl.extension_range.iter().map(extension_range).collect();
    result.extends = extends(&decl.extension, proto3);
    if let Some(options) = &decl.options {
        result.options = Options::default()
            .flag("message_set_wire_format", options.message_set_wire_format)
            .flag("no_standard_descriptor_accessor", options.no_standard_descriptor_accessor)
            .flag("deprecated", options.deprecated)
            .flag("map_entry", options.map_entry)
            .0;
    }
    result
}

fn field(field: &FieldDescriptorProto, proto3: bool) -> Field {
    let label = match field.label() {
        _ if field.proto3_optional() => Some(Label::Optional),
        ProtoLabel::Repeated => Some(Label::Repeated),
        ProtoLabel::Optional if !proto3 => Some(Label::Optional),
        ProtoLabel::Required if !proto3 => Some(Label::Required),
        ProtoLabel::Optional | ProtoLabel::Required => None,
    };
    let field_type = match &field.type_name {
        Some(name) => name.clone(),
        None => scalar_name(field.r#type()).to_owned(),
    };
    Field {
        label,
        field_type: FieldType::Plain(field_type),
        name: field.name().to_owned(),
        number: field.number(),
        options: field.options.as_ref().map(field_options).unwrap_or_default(),
        default: field.default_value.clone().filter(|_| !proto3),
        json_name: field.json_name.clone(),
    }
}

fn field_options(options: &FieldOptions) -> Vec<OptionEntry> {
    let ctype = options.ctype.and_then(|ctype| field_options::CType::try_from(ctype).ok());
    let jstype = options.jstype.and_then(|jstype| field_options::JsType::try_from(jstype).ok());
    Options::default()
        .word("ctype", ctype.as_ref().map(field_options::CType::as_str_name))
        .flag("packed", options.packed)
        .word("jstype", jstype.as_ref().map(field_options::JsType::as_str_name))
        .flag("lazy", options.lazy)
        .flag("deprecated", options.deprecated)
        .flag("weak", options.weak)
        .0
}

fn scalar_name(scalar: Type) -> &'static str {
    match scalar {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::Group => "group",
        Type::Message => "message",
        Type::Enum => "enum",
    }
}

fn extends(fields: &[FieldDescriptorProto], proto3: bool) -> Vec<Extend> {
    let mut extends: Vec<Extend> = Vec::new();
    for extension in fields {
        let name = extension.extendee();
        let added = field(extension, proto3);
        match extends.iter_mut().find(|extend| extend.name == name) {
            Some(extend) => extend.fields.push(added),
            None => extends.push(Extend { name: name.to_owned(), fields: vec![added] }),
        }
    }
    extends
}

fn enumeration(decl: &EnumDescriptorProto) -> Enum {
    let constants = decl.value.iter().map(|value| EnumConstant {
        name: value.name().to_owned(),
        number: value.number(),
        options: Options::default().flag("deprecated", value.options.as_ref().and_then(|options| options.deprecated)).0,
    });
    let mut result = Enum { name: decl.name().to_owned(), constants: constants.collect(), ..Enum::default() };
    result.reserved.extend(decl.reserved_range.iter().map(enum_reserved_range));
    result.reserved.extend(decl.reserved_name.iter().map(|name| reserved(RangeValue::Name(name.clone()))));
    if let Some(options) = &decl.options {
        result.options =
            Options::default().flag("allow_alias", options.allow_alias).flag("deprecated", options.deprecated).0;
    }
    result
}

fn service(decl: &ServiceDescriptorProto) -> Service {
    let rpcs = decl.method.iter().map(|method| {
        let options = method.options.as_ref();
        let level = options.and_then(|options| options.idempotency_level);
        let level = level.and_then(|level| method_options::IdempotencyLevel::try_from(level).ok());
        Rpc {
            name: method.name().to_owned(),
            request: method.input_type().to_owned(),
            request_streaming: method.client_streaming(),
            response: method.output_type().to_owned(),
            response_streaming: method.server_streaming(),
            options: Options::default()
                .flag("deprecated", options.and_then(|options| options.deprecated))
                .word("idempotency_level", level.as_ref().map(method_options::IdempotencyLevel::as_str_name))
                .0,
        }
    });
    Service {
        name: decl.name().to_owned(),
        options: Options::default().flag("deprecated", decl.options.as_ref().and_then(|options| options.deprecated)).0,
        rpcs: rpcs.collect(),
    }
}

fn reserved(value: RangeValue) -> Reserved {
    Reserved { values: vec![value] }
}

/// Numbers from `start` up to and without `end`.
fn range(start: i32, end: i32) -> RangeValue {
    let last = end.saturating_sub(1);
    if start == last { RangeValue::Number(start) } else { RangeValue::Range(start, last) }
}

fn reserved_range(described: &ReservedRange) -> Reserved {
    reserved(range(described.start(), described.end()))
}

/// Unlike the ranges of a message, both ends of an enum's range are included.
fn enum_reserved_range(described: &EnumReservedRange) -> Reserved {
    let (first, last) = (described.start(), described.end());
    reserved(if first == last { RangeValue::Number(first) } else { RangeValue::Range(first, last) })
}

fn extension_range(described: &ExtensionRange) -> Extensions {
    Extensions { values: vec![range(described.start(), described.end())], options: Vec::new() }
}
