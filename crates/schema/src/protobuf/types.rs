//! Which names a file can see, and what they mean.

use std::collections::HashMap;

use super::ast::*;

/// The messages, enums and extensions of a file and of everything it imports, by full name (without leading dot).
#[derive(Debug, Default)]
pub struct TypeIndex<'a> {
    types: HashMap<String, TypeInfo<'a>>,
    extensions: HashMap<String, ExtensionInfo<'a>>,
}

/// What a full name stands for.
#[derive(Debug, Clone, Copy)]
pub struct TypeInfo<'a> {
    /// The declaration.
    pub decl: Decl<'a>,
    /// The package of its file; empty without one.
    pub package: &'a str,
}

/// What is declared.
#[derive(Debug, Clone, Copy)]
pub enum Decl<'a> {
    /// `message`
    Message(&'a Message),
    /// `enum`
    Enum,
    /// The message of a `group`.
    Group,
}

impl<'a> TypeInfo<'a> {
    /// The message, when it is one.
    pub fn as_message(self) -> Option<&'a Message> {
        match self.decl {
            Decl::Message(message) => Some(message),
            Decl::Enum | Decl::Group => None,
        }
    }

    /// Whether it is an enum.
    pub fn is_enum(self) -> bool {
        matches!(self.decl, Decl::Enum)
    }
}

/// A field that an `extend` block adds.
#[derive(Debug, Clone)]
pub struct ExtensionInfo<'a> {
    /// The field.
    pub field: &'a Field,
    /// The scope in which the name of its type is meant.
    pub scope: String,
}

impl<'a> TypeIndex<'a> {
    /// Everything that `files` declare. Where two declare the same name, the first counts.
    pub fn new(files: impl IntoIterator<Item = &'a ProtoFile>) -> Self {
        let mut index = TypeIndex::default();
        for file in files {
            let package = file.package.as_deref().unwrap_or_default();
            index.add_types(&file.types, package, package);
            index.add_extensions(&file.extends, package);
        }
        index
    }

    fn add_types(&mut self, types: &'a [TypeDecl], scope: &str, package: &'a str) {
        for decl in types {
            let full_name = qualified(scope, decl.name());
            let info = match decl {
                TypeDecl::Message(message) => {
                    self.add_types(&message.types, &full_name, package);
                    self.add_extensions(&message.extends, &full_name);
                    for group in message.groups.iter().chain(message.oneofs.iter().flat_map(|oneof| &oneof.groups)) {
                        let info = TypeInfo { decl: Decl::Group, package };
                        self.types.entry(qualified(&full_name, &group.name)).or_insert(info);
                    }
                    Decl::Message(message)
                }
                TypeDecl::Enum(_) => Decl::Enum,
            };
            self.types.entry(full_name).or_insert(TypeInfo { decl: info, package });
        }
    }

    fn add_extensions(&mut self, extends: &'a [Extend], scope: &str) {
        for field in extends.iter().flat_map(|extend| &extend.fields) {
            let info = ExtensionInfo { field, scope: scope.to_owned() };
            self.extensions.entry(qualified(scope, &field.name)).or_insert(info);
        }
    }

    /// The type with a full name.
    pub fn get(&self, full_name: &str) -> Option<TypeInfo<'a>> {
        self.types.get(full_name).copied()
    }

    /// The extension field with a full name.
    pub fn extension(&self, full_name: &str) -> Option<&ExtensionInfo<'a>> {
        self.extensions.get(full_name)
    }

    /// The full name that `name` means inside of `scope`: the innermost enclosing scope that has it wins.
    pub fn resolve(&self, name: &str, scope: &str) -> Option<String> {
        resolve_in(name, scope, |candidate| self.types.contains_key(candidate))
    }

    /// As [`resolve`](Self::resolve), for extension fields.
    pub fn resolve_extension(&self, name: &str, scope: &str) -> Option<String> {
        resolve_in(name, scope, |candidate| self.extensions.contains_key(candidate))
    }

    /// The type that `name` means inside of `scope`, with its full name.
    pub fn lookup(&self, name: &str, scope: &str) -> Option<(String, TypeInfo<'a>)> {
        let full_name = self.resolve(name, scope)?;
        let info = self.get(&full_name)?;
        Some((full_name, info))
    }
}

/// `scope.name`, or `name` where there is no scope.
pub fn qualified(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

fn resolve_in(name: &str, scope: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(full_name) = name.strip_prefix('.') {
        return known(full_name).then(|| full_name.to_owned());
    }
    let mut scope = scope;
    loop {
        let candidate = qualified(scope, name);
        if known(&candidate) {
            return Some(candidate);
        }
        if scope.is_empty() {
            return None;
        }
        scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
    }
}
