//! Protobuf schemas: `.proto` text or a base64 `FileDescriptorProto`, canonical text, normal form, evolution, dynamic
//! messages.
//!
//! [`ast`] is what a file says; [`parse`](self::parse) and [`from_descriptor`] make it, [`print`] turns it into the
//! canonical text. [`types`] knows what names mean across imports, [`check`] what a compiler would refuse, [`normal`]
//! the normal form, [`compatibility`] the rules of evolution. [`to_descriptor`] and [`message`] lead to dynamic
//! messages.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, FileDescriptor};

use crate::{
    CompatibilityPolicy, Incompatibility, ParseOptions, ResolvedReference, SchemaError, SchemaTag, SchemaType, TagEdit,
};

pub mod ast;
mod builtin;
mod check;
mod compatibility;
mod from_descriptor;
mod message;
mod normal;
mod options;
mod parse;
mod print;
mod scan;
mod tags;
mod to_descriptor;
mod types;

#[cfg(test)]
mod tests;

use ast::ProtoFile;
use types::TypeIndex;

/// The deepest nesting of messages or option values that is read.
pub const DEPTH_MAX: usize = 100;

/// A parsed schema with the files it imports.
#[derive(Debug)]
pub struct ProtobufSchema {
    canonical: String,
    file: ProtoFile,
    imports: Vec<(String, Arc<ProtoFile>)>,
    descriptor: OnceLock<Result<FileDescriptor, SchemaError>>,
}

impl ProtobufSchema {
    /// Reads `text`: a `.proto` file, or the base64 of a `FileDescriptorProto`. The name of a reference is the path by
    /// which it is imported.
    ///
    /// # Errors
    /// A syntax error with line and column; an import that is neither a reference nor built in; a type that cannot be
    /// resolved. With [`ParseOptions::strict`] also what a compiler refuses: doubled or reserved names and numbers.
    pub fn parse(text: &str, references: &[ResolvedReference], options: &ParseOptions) -> Result<Self, SchemaError> {
        let file = read(text)?;
        let schema = ProtobufSchema {
            canonical: print::print(&file),
            imports: imports(&file, references)?,
            file,
            descriptor: OnceLock::new(),
        };
        check::check_names(&schema.file, &schema.index())?;
        if options.strict {
            check::check_strictly(&schema.file)?;
            schema.descriptor()?;
        }
        Ok(schema)
    }

    /// What the file says.
    pub fn file(&self) -> &ProtoFile {
        &self.file
    }

    /// See [`ParsedSchema::canonical`](crate::ParsedSchema::canonical).
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// See [`ParsedSchema::normalized`](crate::ParsedSchema::normalized).
    pub fn normalized(&self) -> String {
        print::print(&normal::normalize(&self.file, &self.index()))
    }

    /// See [`ParsedSchema::formatted`](crate::ParsedSchema::formatted): `serialized` is the base64 of a
    /// `FileDescriptorProto`, `ignore_extensions` leaves out what concerns extensions.
    pub fn formatted(&self, format: &str, _references: &[ResolvedReference]) -> Option<String> {
        match format {
            "serialized" => {
                let descriptor = to_descriptor::to_descriptor(&self.file, "default", &self.index());
                Some(STANDARD.encode(descriptor.encode_to_vec()))
            }
            "ignore_extensions" => {
                let mut file = self.file.clone();
                remove_extensions(&mut file);
                Some(print::print(&file))
            }
            _ => None,
        }
    }

    /// The full name of the first message, or of the first enum in a file without messages.
    pub fn record_name(&self) -> Option<String> {
        let types = &self.file.types;
        let first = ast::messages(types).map(|message| &message.name).next();
        let name = first.or_else(|| ast::enums(types).map(|decl| &decl.name).next())?;
        Some(types::qualified(self.package(), name))
    }

    /// See [`ParsedSchema::has_top_level_field`](crate::ParsedSchema::has_top_level_field).
    pub fn has_top_level_field(&self, name: &str) -> bool {
        let first = ast::messages(&self.file.types).next();
        first.is_some_and(|message| message.all_fields().any(|field| field.name == name))
    }

    /// See [`ParsedSchema::tags`](crate::ParsedSchema::tags).
    pub fn tags(&self) -> Vec<SchemaTag> {
        tags::tags(&self.file)
    }

    /// See [`ParsedSchema::with_tags`](crate::ParsedSchema::with_tags).
    ///
    /// # Errors
    /// A tag for a message or field that does not exist.
    pub fn with_tags(&self, edit: &TagEdit<'_>) -> Result<String, SchemaError> {
        tags::with_tags(&self.file, edit).map(|file| print::print(&file))
    }

    /// See [`ParsedSchema::incompatibilities`](crate::ParsedSchema::incompatibilities). Both policies mean the same.
    pub fn incompatibilities(&self, writer: &ProtobufSchema, _policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        compatibility::compare((&writer.file, &writer.index()), (&self.file, &self.index()))
    }

    /// The file with its imports in its pool, for dynamic messages. Made at the first call.
    ///
    /// # Errors
    /// A file from which no messages can be made, as one with two fields of one number.
    pub fn descriptor(&self) -> Result<&FileDescriptor, SchemaError> {
        self.descriptor.get_or_init(|| self.describe()).as_ref().map_err(Clone::clone)
    }

    fn describe(&self) -> Result<FileDescriptor, SchemaError> {
        let name = self.own_path();
        let index = self.index();
        let mut file: Vec<FileDescriptorProto> =
            self.imports.iter().map(|(path, file)| to_descriptor::to_descriptor(file, path, &index)).collect();
        file.push(to_descriptor::to_descriptor(&self.file, &name, &index));
        let invalid = |error: String| SchemaError::invalid(SchemaType::Protobuf, error);
        let pool = DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file })
            .map_err(|error| invalid(error.to_string()))?;
        pool.get_file_by_name(&name).ok_or_else(|| invalid(format!("{name} has no descriptor")))
    }

    /// A path that no import has.
    fn own_path(&self) -> String {
        let mut path = "default".to_owned();
        while self.imports.iter().any(|(taken, _)| *taken == path) {
            path.push('_');
        }
        path
    }

    fn package(&self) -> &str {
        self.file.package.as_deref().unwrap_or_default()
    }

    fn index(&self) -> TypeIndex<'_> {
        TypeIndex::new(std::iter::once(&self.file).chain(self.imports.iter().map(|(_, file)| file.as_ref())))
    }
}

/// `.proto` text, else base64; of a text that is neither, the syntax error counts.
fn read(text: &str) -> Result<ProtoFile, SchemaError> {
    let error = match parse::parse(text) {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    let described = STANDARD.decode(text.trim()).ok().filter(|bytes| !bytes.is_empty());
    match described.map(|bytes| FileDescriptorProto::decode(bytes.as_slice())) {
        Some(Ok(described)) => Ok(from_descriptor::from_descriptor(&described)),
        _ => Err(error),
    }
}

/// The files that `file` can see: every reference, and the built-in ones that somebody imports.
fn imports(file: &ProtoFile, references: &[ResolvedReference]) -> Result<Vec<(String, Arc<ProtoFile>)>, SchemaError> {
    let mut known: Vec<(String, Arc<ProtoFile>)> = Vec::new();
    for reference in references {
        if known.iter().all(|(path, _)| *path != reference.name) {
            known.push((reference.name.clone(), Arc::new(read(&reference.schema)?)));
        }
    }
    let mut wanted: Vec<String> = known.iter().flat_map(|(_, file)| file.all_imports()).map(str::to_owned).collect();
    for path in file.all_imports() {
        if known.iter().all(|(known, _)| known != path) && builtin::builtin(path).is_none() {
            let message = format!("No dependency found for import \"{path}\": it is not among the references");
            return Err(SchemaError::invalid(SchemaType::Protobuf, message));
        }
        wanted.push(path.to_owned());
    }
    while let Some(path) = wanted.pop() {
        if known.iter().any(|(known, _)| *known == path) {
            continue;
        }
        if let Some(file) = builtin::builtin(&path) {
            wanted.extend(file.all_imports().map(str::to_owned));
            known.push((path, file));
        }
    }
    Ok(known)
}

/// Drops extension ranges, `extend` blocks and options that are extensions, except for the registry's own.
fn remove_extensions(file: &mut ProtoFile) {
    let kept = |option: &ast::OptionEntry| !option.parenthesized || option.name.starts_with("confluent.");
    file.options.retain(kept);
    file.extends.clear();
    file.types.iter_mut().for_each(remove_type_extensions);
    for service in &mut file.services {
        service.options.retain(kept);
        service.rpcs.iter_mut().for_each(|rpc| rpc.options.retain(kept));
    }
}

fn remove_type_extensions(decl: &mut ast::TypeDecl) {
    let kept = |option: &ast::OptionEntry| !option.parenthesized || option.name.starts_with("confluent.");
    match decl {
        ast::TypeDecl::Message(message) => {
            message.options.retain(kept);
            message.extensions.clear();
            message.extends.clear();
            message.oneofs.iter_mut().for_each(|oneof| oneof.options.retain(kept));
            let oneof_fields = message.oneofs.iter_mut().flat_map(|oneof| &mut oneof.fields);
            message.fields.iter_mut().chain(oneof_fields).for_each(|field| field.options.retain(kept));
            message.types.iter_mut().for_each(remove_type_extensions);
        }
        ast::TypeDecl::Enum(decl) => {
            decl.options.retain(kept);
            decl.constants.iter_mut().for_each(|constant| constant.options.retain(kept));
        }
    }
}
