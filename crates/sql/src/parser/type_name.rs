//! Types as written.

use super::ParseError;
use super::cursor::Cursor;
use crate::lexer::TokenKind;
use crate::types::SqlType;

impl Cursor<'_> {
    /// A type: `INT`, `DECIMAL(4, 2)`, `ARRAY<T>`, `T ARRAY`, `MAP<K, V>`, `STRUCT<F T, ...>` or the name of a custom one.
    pub(super) fn type_name(&mut self) -> Result<SqlType, ParseError> {
        let mut parsed = self.nested(Self::base_type)?;
        let mut length = 0;
        while self.accept_word("ARRAY") {
            length += 1;
            self.check_chain(length)?;
            parsed = SqlType::array(parsed);
        }
        Ok(parsed)
    }

    fn base_type(&mut self) -> Result<SqlType, ParseError> {
        if self.is_symbol_ahead(1, "<") || self.is_symbol_ahead(1, "<>") {
            if self.accept_word("ARRAY") {
                self.expect_symbol("<")?;
                let element = self.type_name()?;
                self.expect_symbol(">")?;
                return Ok(SqlType::array(element));
            }
            if self.accept_word("MAP") {
                self.expect_symbol("<")?;
                let key = self.type_name()?;
                self.expect_symbol(",")?;
                let value = self.type_name()?;
                self.expect_symbol(">")?;
                return Ok(SqlType::map(key, value));
            }
            if self.accept_word("STRUCT") {
                return self.struct_type();
            }
        }
        if self.is_word("DECIMAL") || (self.is_word("DEC") && self.is_symbol_ahead(1, "(")) {
            self.skip();
            return self.decimal_type();
        }
        self.named_type()
    }

    fn struct_type(&mut self) -> Result<SqlType, ParseError> {
        if self.accept_symbol("<>") {
            return Ok(SqlType::structure(Vec::<(crate::ast::Name, SqlType)>::new()));
        }
        self.expect_symbol("<")?;
        if self.accept_symbol(">") {
            return Ok(SqlType::structure(Vec::<(crate::ast::Name, SqlType)>::new()));
        }
        let fields = self.separated(|cursor| Ok((cursor.identifier()?, cursor.type_name()?)))?;
        self.expect_symbol(">")?;
        for (position, (name, field_type)) in fields.iter().enumerate() {
            if let Some((_, earlier)) = fields[..position].iter().find(|(earlier, _)| earlier == name) {
                self.refuse(|| {
                    ParseError::prepare(format!(
                        "Duplicate field names found in STRUCT: '`{name}` {earlier}' and '`{name}` {field_type}'"
                    ))
                })?;
            }
        }
        Ok(SqlType::structure(fields))
    }

    fn decimal_type(&mut self) -> Result<SqlType, ParseError> {
        self.expect_symbol("(")?;
        let precision = self.whole_number("DECIMAL(PRECISION)")?;
        self.expect_symbol(",")?;
        let scale = self.whole_number("DECIMAL(SCALE)")?;
        self.expect_symbol(")")?;
        let refused = |what: &str| ParseError::prepare(format!("DECIMAL {what}: DECIMAL({precision},{scale})"));
        let decimal = match (u32::try_from(precision), u32::try_from(scale)) {
            (Err(_) | Ok(0), _) => Err(refused("precision must be >= 1")),
            (_, Err(_)) => Err(refused("scale must be >= 0")),
            (Ok(precision), Ok(scale)) => {
                SqlType::decimal(precision, scale).map_err(|error| ParseError::prepare(error.to_string()))
            }
        };
        decimal.or_else(|error| self.refuse(|| error).map(|()| SqlType::String))
    }

    /// A length or a kind of text, as in `VARCHAR(10)` and `VARCHAR(STRING)`.
    fn unused_parameter(&mut self) -> Result<(), ParseError> {
        if matches!(self.kind(0), TokenKind::Integer(_)) || self.is_word("STRING") {
            self.skip();
            return Ok(());
        }
        Err(self.expected("{'STRING', INTEGER_VALUE}"))
    }

    /// A built-in type without parameters (a length, as of `VARCHAR(10)`, is read and has no effect) or a custom one.
    fn named_type(&mut self) -> Result<SqlType, ParseError> {
        if !self.is_identifier(0) {
            return Err(self.unexpected());
        }
        let name = self.identifier()?;
        let primitive = SqlType::primitive(&name);
        if self.accept_symbol("(") {
            self.separated(Self::unused_parameter)?;
            self.expect_symbol(")")?;
        }
        match (primitive, self.types) {
            (Some(primitive), _) => Ok(primitive),
            (None, Some(types)) => {
                types(&name).ok_or_else(|| ParseError::prepare(format!("Cannot resolve unknown type: {name}")))
            }
            // Only the syntax counts now: any type will do.
            (None, None) => Ok(SqlType::String),
        }
    }
}
