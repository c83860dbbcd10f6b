//! Reads the notation of the schema files (explained at the head of `schema/apis.txt`).

use anyhow::{Context as _, bail, ensure};

use super::model::{Api, ErrorCode, Field, Fields, Message, Type, Versions};

/// Reads `apis.txt`.
pub fn apis(text: &str) -> anyhow::Result<Vec<Api>> {
    let mut apis = Vec::new();
    for (heading, body) in blocks(text) {
        let api = api(heading, &body).with_context(|| heading.to_owned())?;
        apis.push(api);
    }
    Ok(apis)
}

/// Splits at the `## ` headings; comments and empty lines are dropped.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            blocks.push((heading, Vec::new()));
        } else if let (false, Some((_, body))) = (is_blank(line), blocks.last_mut()) {
            body.push(line);
        }
    }
    blocks
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn api(heading: &str, body: &[&str]) -> anyhow::Result<Api> {
    let (key, rest) = heading.split_once(' ').context("key before the name")?;
    let (name, listeners) = rest.split_once(' ').context("listeners after the name")?;
    let mut messages = entries(body, |line| {
        let (kind, rest) = line.split_once(' ').context("req or rsp")?;
        let suffix = match kind {
            "req" => "Request",
            "rsp" => "Response",
            other => bail!("unknown line {other}"),
        };
        Ok((format!("{name}{suffix}"), rest))
    })?;
    let response = messages.pop().context("response")?;
    let request = messages.pop().context("request")?;
    ensure!(messages.is_empty(), "more than two messages");
    let on_broker = listeners.contains("broker");
    Ok(Api { key: key.parse()?, name: name.to_owned(), on_broker, request, response })
}

/// Reads a file of messages, one a line: `Name [remark] v0-4 flex 4+: fields`.
pub fn messages(text: &str) -> anyhow::Result<Vec<Message>> {
    let lines: Vec<&str> = text.lines().filter(|line| !is_blank(line)).collect();
    entries(&lines, |line| {
        let (name, rest) = line.split_once(' ').context("name")?;
        let rest = match rest.strip_prefix('[') {
            Some(remark) => remark.split_once("] ").context("end of the remark")?.1,
            None => rest,
        };
        Ok((name.to_owned(), rest))
    })
}

/// Messages, each followed by the indented lines of the structs it names. `head` gives a line's name and
/// the rest from the versions on.
fn entries<'a>(
    lines: &[&'a str],
    head: impl Fn(&'a str) -> anyhow::Result<(String, &'a str)>,
) -> anyhow::Result<Vec<Message>> {
    let mut messages: Vec<Message> = Vec::new();
    for line in lines {
        if line.starts_with(' ') {
            let message = messages.last_mut().context("a struct before any message")?;
            message.named.push(named(line.trim()).with_context(|| (*line).to_owned())?);
        } else {
            let (name, rest) = head(line)?;
            messages.push(message(name, rest).with_context(|| (*line).to_owned())?);
        }
    }
    Ok(messages)
}

fn message(name: String, rest: &str) -> anyhow::Result<Message> {
    let (head, fields) = rest.split_once(": ").context("colon before the fields")?;
    let (range, flexible) = head.split_once(" flex ").context("flex")?;
    let mut versions = versions(range.strip_prefix('v').context("versions")?)?;
    versions.last.get_or_insert(versions.first);
    let flexible = match flexible {
        "none" => None,
        from => Some(from.trim_end_matches('+').parse()?),
    };
    let mut cursor = Cursor { text: fields, position: 0 };
    let fields = if fields == "(empty)" { Vec::new() } else { cursor.fields(None)? };
    Ok(Message { name, versions, flexible, fields, named: Vec::new() })
}

/// `<Name> = {fields}`
fn named(line: &str) -> anyhow::Result<(String, Vec<Field>)> {
    let (name, body) = line.split_once("> = {").context("<Name> = {")?;
    let name = name.strip_prefix('<').context("<")?;
    let mut cursor = Cursor { text: body, position: 0 };
    Ok((name.to_owned(), cursor.fields(Some('}'))?))
}

/// `3`, `3+`, `0-13`
fn versions(text: &str) -> anyhow::Result<Versions> {
    if let Some(first) = text.strip_suffix('+') {
        return Ok(Versions { first: first.parse()?, last: None });
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok(Versions { first: first.parse()?, last: Some(last.parse()?) })
}

struct Cursor<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.position += if found { token.len() } else { 0 };
        found
    }

    fn until(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(end).unwrap_or(rest.len())];
        self.position += taken.len();
        taken
    }

    /// Fields separated by commas, up to and including `close`.
    fn fields(&mut self, close: Option<char>) -> anyhow::Result<Vec<Field>> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if self.eat(", ") {
                continue;
            }
            let closed = close.map_or(self.rest().is_empty(), |close| self.eat(&close.to_string()));
            ensure!(closed, "unexpected {:?}", self.rest());
            return Ok(fields);
        }
    }

    /// `Name:type?(10+) v3+ #tag1=null*`
    fn field(&mut self) -> anyhow::Result<Field> {
        let name = self.until(|c| c == ':').to_owned();
        ensure!(self.eat(":"), "colon after {name}");
        let ty = self.ty().with_context(|| name.clone())?;
        let mut field = Field { name, ty, versions: Versions::ALL, nullable: None, default: None, tag: None };
        if self.eat("?") {
            field.nullable = Some(Versions::ALL);
            if self.eat("(") {
                field.nullable = Some(versions(self.until(|c| c == ')'))?);
                ensure!(self.eat(")"), "closing parenthesis");
            }
        }
        if self.eat(" v") {
            field.versions = versions(self.word())?;
        }
        if self.eat(" #tag") {
            field.tag = Some(self.word().parse()?);
        }
        if self.eat("=") {
            field.default = Some(self.word().to_owned());
        }
        self.eat("*");
        Ok(field)
    }

    fn word(&mut self) -> &'a str {
        self.until(|c| " ,*}]=#".contains(c))
    }

    fn ty(&mut self) -> anyhow::Result<Type> {
        if self.eat("[") {
            let element = self.ty()?;
            ensure!(self.eat("]"), "closing bracket");
            return Ok(Type::Array(Box::new(element)));
        }
        if self.eat("{") {
            return Ok(Type::Inline(Fields(self.fields(Some('}'))?)));
        }
        if self.eat("<") {
            let name = self.until(|c| c == '>').to_owned();
            ensure!(self.eat(">"), "closing angle bracket");
            return Ok(Type::Named(name));
        }
        Ok(match self.until(|c| !c.is_ascii_alphanumeric()) {
            "bool" => Type::Bool,
            "i8" => Type::I8,
            "i16" => Type::I16,
            "u16" => Type::U16,
            "i32" => Type::I32,
            "u32" => Type::U32,
            "i64" => Type::I64,
            "f64" => Type::F64,
            "uuid" => Type::Uuid,
            "str" => Type::Str,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            other => bail!("unknown type {other:?}"),
        })
    }
}

/// Reads `error_codes.txt`: `3 UNKNOWN_TOPIC_OR_PARTITION* ExceptionName: description`.
pub fn error_codes(text: &str) -> anyhow::Result<Vec<ErrorCode>> {
    let lines = text.lines().filter(|line| !is_blank(line));
    lines.map(|line| error_code(line).with_context(|| line.to_owned())).collect()
}

fn error_code(line: &str) -> anyhow::Result<ErrorCode> {
    let (head, message) = line.split_once(": ").context("colon before the description")?;
    let [code, name, exception] = head.split(' ').collect::<Vec<_>>()[..] else {
        bail!("code, name and exception");
    };
    Ok(ErrorCode {
        code: code.parse()?,
        name: name.trim_end_matches('*').to_owned(),
        retriable: name.ends_with('*'),
        exception: exception.to_owned(),
        message: message.to_owned(),
    })
}
