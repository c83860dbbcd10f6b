//! `.proto` text to [`ProtoFile`]: recursive descent, with a limit to nesting.
//!
//! Accepts what registries accept: words may hold `-`, numbers are not checked here ([`super::check`] does). Editions
//! are refused, and so is text format in angle brackets.

use super::ast::*;
use super::options::{read_option, read_options};
use super::scan::Scanner;
use crate::SchemaError;

/// Reads a `.proto` text.
///
/// # Errors
/// A syntax error with line and column, or nesting deeper than [`DEPTH_MAX`](super::DEPTH_MAX).
pub fn parse(text: &str) -> Result<ProtoFile, SchemaError> {
    let mut parser = Parser { scanner: Scanner::new(text), proto3: false };
    parser.file()
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    proto3: bool,
}

/// A field, or the group that a field declaration turned out to be.
enum FieldOrGroup {
    Field(Field),
    Group(Group),
}

impl Parser<'_> {
    fn file(&mut self) -> Result<ProtoFile, SchemaError> {
        let mut file = ProtoFile::default();
        let mut declarations = 0;
        while !self.scanner.at_end()? {
            if self.scanner.take(';')? {
                continue;
            }
            let at = self.scanner.place()?;
            match self.scanner.word()? {
                "syntax" => {
                    if file.syntax.is_some() {
                        return Err(self.scanner.error_at(at, "too many syntax definitions"));
                    }
                    if declarations > 0 {
                        let message = "'syntax' must be the first declaration in a file";
                        return Err(self.scanner.error_at(at, message));
                    }
                    file.syntax = Some(self.syntax()?);
                    self.proto3 = file.is_proto3();
                }
                "edition" => return Err(self.scanner.error_at(at, "edition is not currently supported")),
                "package" => {
                    file.package = Some(self.scanner.word()?.to_owned());
                    self.scanner.require(';')?;
                }
                "import" => self.import(&mut file)?,
                "option" => file.options.push(self.option()?),
                "message" => file.types.push(TypeDecl::Message(self.message()?)),
                "enum" => file.types.push(TypeDecl::Enum(self.enumeration()?)),
                "service" => file.services.push(self.service()?),
                "extend" => file.extends.push(self.extend()?),
                other => {
                    let message = format!("unexpected label: {other}");
                    return Err(self.scanner.error_at(at, message));
                }
            }
            declarations += 1;
        }
        Ok(file)
    }

    fn syntax(&mut self) -> Result<Syntax, SchemaError> {
        self.scanner.require('=')?;
        let at = self.scanner.place()?;
        let syntax = match self.scanner.quoted()?.as_str() {
            "proto2" => Syntax::Proto2,
            "proto3" => Syntax::Proto3,
            other => return Err(self.scanner.error_at(at, format_args!("unexpected syntax: {other}"))),
        };
        self.scanner.require(';')?;
        Ok(syntax)
    }

    fn import(&mut self, file: &mut ProtoFile) -> Result<(), SchemaError> {
        let quoted = matches!(self.scanner.peek()?, Some('"' | '\''));
        let path = self.scanner.string()?;
        match path.as_str() {
            "public" if !quoted => file.public_imports.push(self.scanner.string()?),
            "weak" if !quoted => file.weak_imports.push(self.scanner.string()?),
            _ => file.imports.push(path),
        }
        self.scanner.require(';')
    }

    fn option(&mut self) -> Result<OptionEntry, SchemaError> {
        let option = read_option(&mut self.scanner, '=')?;
        self.scanner.require(';')?;
        Ok(option)
    }

    fn message(&mut self) -> Result<Message, SchemaError> {
        self.scanner.enter()?;
        let mut message = Message { name: self.scanner.word()?.to_owned(), ..Message::default() };
        self.scanner.require('{')?;
        while !self.scanner.take('}')? {
            if self.scanner.take(';')? {
                continue;
            }
            let at = self.scanner.place()?;
            match self.scanner.word()? {
                "option" => message.options.push(self.option()?),
                "message" => message.types.push(TypeDecl::Message(self.message()?)),
                "enum" => message.types.push(TypeDecl::Enum(self.enumeration()?)),
                "extend" => message.extends.push(self.extend()?),
                "reserved" => message.reserved.push(self.reserved()?),
                "extensions" => message.extensions.push(self.extensions()?),
                "oneof" => {
                    let oneof = self.oneof()?;
                    // An empty one cannot be encoded or printed back: it is as if it were not there.
                    if !oneof.fields.is_empty() || !oneof.groups.is_empty() {
                        message.oneofs.push(oneof);
                    }
                }
                word => match self.labelled_field(word, at)? {
                    FieldOrGroup::Field(field) => message.fields.push(field),
                    FieldOrGroup::Group(group) => message.groups.push(group),
                },
            }
        }
        self.scanner.leave();
        Ok(message)
    }

    /// A field of a message, whose first word has been read at `at`.
    fn labelled_field(&mut self, word: &str, at: usize) -> Result<FieldOrGroup, SchemaError> {
        let label = match word {
            "required" if self.proto3 => {
                return Err(self.scanner.error_at(at, "'required' label forbidden in proto3 field declarations"));
            }
            "required" => Some(Label::Required),
            "optional" => Some(Label::Optional),
            "repeated" => Some(Label::Repeated),
            _ => None,
        };
        let is_map = word == "map" && self.scanner.peek()? == Some('<');
        if label.is_none() && !self.proto3 && !is_map {
            return Err(self.scanner.error_at(at, format_args!("unexpected label: {word}")));
        }
        let field_type = match label {
            Some(_) => {
                let word = self.scanner.word()?;
                self.field_type(word)?
            }
            None => self.field_type(word)?,
        };
        if label.is_some() && matches!(field_type, FieldType::Map { .. }) {
            return Err(self.scanner.error_at(at, "'map' type cannot have label"));
        }
        self.field(label, field_type)
    }

    fn field_type(&mut self, word: &str) -> Result<FieldType, SchemaError> {
        if word != "map" || !self.scanner.take('<')? {
            return Ok(FieldType::Plain(word.to_owned()));
        }
        let at = self.scanner.place()?;
        let key = self.scanner.word()?.to_owned();
        self.scanner.require(',')?;
        let value = self.scanner.word()?.to_owned();
        if key == "map" || value == "map" || self.scanner.peek()? == Some('<') {
            return Err(self.scanner.error_at(at, "a map cannot hold maps"));
        }
        self.scanner.require('>')?;
        Ok(FieldType::Map { key, value })
    }

    /// A field from its name on, or a group.
    fn field(&mut self, label: Option<Label>, field_type: FieldType) -> Result<FieldOrGroup, SchemaError> {
        if field_type == FieldType::Plain("group".to_owned()) {
            return self.group(label).map(FieldOrGroup::Group);
        }
        let name = self.scanner.word()?.to_owned();
        self.scanner.require('=')?;
        let number = self.scanner.integer()?;
        let mut options = read_options(&mut self.scanner)?;
        self.scanner.require(';')?;
        let default = strip(&mut options, "default");
        let json_name = strip(&mut options, "json_name");
        Ok(FieldOrGroup::Field(Field { label, field_type, name, number, options, default, json_name }))
    }

    fn group(&mut self, label: Option<Label>) -> Result<Group, SchemaError> {
        self.scanner.enter()?;
        let name = self.scanner.word()?.to_owned();
        self.scanner.require('=')?;
        let number = self.scanner.integer()?;
        self.scanner.require('{')?;
        let mut fields = Vec::new();
        while !self.scanner.take('}')? {
            if self.scanner.take(';')? {
                continue;
            }
            let at = self.scanner.place()?;
            let word = self.scanner.word()?;
            match self.labelled_field(word, at)? {
                FieldOrGroup::Field(field) => fields.push(field),
                FieldOrGroup::Group(_) => return Err(self.scanner.error_at(at, "expected a field, not a group")),
            }
        }
        self.scanner.leave();
        Ok(Group { label, name, number, fields })
    }

    fn oneof(&mut self) -> Result<OneOf, SchemaError> {
        let name = self.scanner.word()?.to_owned();
        let mut oneof = OneOf { name, options: Vec::new(), fields: Vec::new(), groups: Vec::new() };
        self.scanner.require('{')?;
        while !self.scanner.take('}')? {
            if self.scanner.take(';')? {
                continue;
            }
            let word = self.scanner.word()?;
            if word == "option" {
                oneof.options.push(self.option()?);
                continue;
            }
            let field_type = self.field_type(word)?;
            match self.field(None, field_type)? {
                FieldOrGroup::Field(field) => oneof.fields.push(field),
                FieldOrGroup::Group(group) => oneof.groups.push(group),
            }
        }
        Ok(oneof)
    }

    fn enumeration(&mut self) -> Result<Enum, SchemaError> {
        let mut decl = Enum { name: self.scanner.word()?.to_owned(), ..Enum::default() };
        self.scanner.require('{')?;
        while !self.scanner.take('}')? {
            if self.scanner.take(';')? {
                continue;
            }
            match self.scanner.word()? {
                "option" => decl.options.push(self.option()?),
                "reserved" => decl.reserved.push(self.reserved()?),
                name => {
                    let name = name.to_owned();
                    self.scanner.require('=')?;
                    let number = self.scanner.integer()?;
                    let options = read_options(&mut self.scanner)?;
                    self.scanner.require(';')?;
                    decl.constants.push(EnumConstant { name, number, options });
                }
            }
        }
        Ok(decl)
    }

    fn reserved(&mut self) -> Result<Reserved, SchemaError> {
        let mut values = Vec::new();
        loop {
            values.push(match self.scanner.peek()? {
                Some('"' | '\'') => RangeValue::Name(self.scanner.quoted()?),
                _ => self.range()?,
            });
            if self.scanner.take(';')? {
                return Ok(Reserved { values });
            }
            self.scanner.require(',')?;
        }
    }

    fn extensions(&mut self) -> Result<Extensions, SchemaError> {
        let mut values = Vec::new();
        loop {
            values.push(self.range()?);
            if self.scanner.peek()? == Some('[') {
                let options = read_options(&mut self.scanner)?;
                self.scanner.require(';')?;
                return Ok(Extensions { values, options });
            }
            if self.scanner.take(';')? {
                return Ok(Extensions { values, options: Vec::new() });
            }
            self.scanner.require(',')?;
        }
    }

    /// `5`, `5 to 7`, `5 to max`.
    fn range(&mut self) -> Result<RangeValue, SchemaError> {
        let first = self.scanner.integer()?;
        if matches!(self.scanner.peek()?, Some(',' | ';' | '[')) {
            return Ok(RangeValue::Number(first));
        }
        let at = self.scanner.place()?;
        if self.scanner.word()? != "to" {
            return Err(self.scanner.error_at(at, "expected ',', ';' or 'to'"));
        }
        let at = self.scanner.place()?;
        let last = match self.scanner.word()? {
            "max" => NUMBER_MAX,
            number => number
                .parse()
                .map_err(|_| self.scanner.error_at(at, format_args!("expected an integer but was {number}")))?,
        };
        Ok(RangeValue::Range(first, last))
    }

    fn extend(&mut self) -> Result<Extend, SchemaError> {
        let mut extend = Extend { name: self.scanner.word()?.to_owned(), fields: Vec::new() };
        self.scanner.require('{')?;
        while !self.scanner.take('}')? {
            if self.scanner.take(';')? {
                continue;
            }
            let at = self.scanner.place()?;
            let word = self.scanner.word()?;
            // A group in an extension is read and dropped, as registries do: it has no canonical text.
            if let FieldOrGroup::Field(field) = self.labelled_field(word, at)? {
                extend.fields.push(field);
            }
        }
        Ok(extend)
    }

    fn service(&mut self) -> Result<Service, SchemaError> {
        let name = self.scanner.word()?.to_owned();
        let mut service = Service { name, options: Vec::new(), rpcs: Vec::new() };
        self.scanner.require('{')?;
        while !self.scanner.take('}')? {
            if self.scanner.take(';')? {
                continue;
            }
            let at = self.scanner.place()?;
            match self.scanner.word()? {
                "option" => service.options.push(self.option()?),
                "rpc" => service.rpcs.push(self.rpc()?),
                other => {
                    let message = format!("unexpected label: {other}");
                    return Err(self.scanner.error_at(at, message));
                }
            }
        }
        Ok(service)
    }

    fn rpc(&mut self) -> Result<Rpc, SchemaError> {
        let name = self.scanner.word()?.to_owned();
        let (request, request_streaming) = self.rpc_type()?;
        let at = self.scanner.place()?;
        if self.scanner.word()? != "returns" {
            return Err(self.scanner.error_at(at, "expected 'returns'"));
        }
        let (response, response_streaming) = self.rpc_type()?;
        let mut options = Vec::new();
        if self.scanner.take('{')? {
            while !self.scanner.take('}')? {
                if self.scanner.take(';')? {
                    continue;
                }
                let at = self.scanner.place()?;
                match self.scanner.word()? {
                    "option" => options.push(self.option()?),
                    other => {
                        let message = format!("unexpected label: {other}");
                        return Err(self.scanner.error_at(at, message));
                    }
                }
            }
        } else {
            self.scanner.require(';')?;
        }
        Ok(Rpc { name, request, request_streaming, response, response_streaming, options })
    }

    fn rpc_type(&mut self) -> Result<(String, bool), SchemaError> {
        self.scanner.require('(')?;
        let word = self.scanner.word()?;
        let (name, streaming) = match word {
            "stream" if self.scanner.peek()? != Some(')') => (self.scanner.word()?, true),
            word => (word, false),
        };
        self.scanner.require(')')?;
        Ok((name.to_owned(), streaming))
    }
}

/// Takes the option `name` out of `options` and answers its text; the last one counts.
fn strip(options: &mut Vec<OptionEntry>, name: &str) -> Option<String> {
    let mut found = None;
    options.retain(|option| {
        let special = !option.parenthesized && option.path.is_empty() && option.name == name;
        match option.value.as_text() {
            Some(text) if special => {
                found = Some(text.to_owned());
                false
            }
            _ => true,
        }
    });
    found
}
