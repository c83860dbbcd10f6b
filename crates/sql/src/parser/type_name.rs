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
        for (position, (name, _)) in fields.iter().enumerate() {
            if fields[..position].iter().any(|(earlier, _)| earlier == name) {
                self.refuse(|| ParseError::prepare(format!("Duplicate field names found in STRUCT: `{name}`")))?;
            }
        }
        Ok(SqlType::structure(fields))
    }

    fn decimal_type(&mut self) -> Result<SqlType, ParseError> {
        self.expect_symbol("(")?;
        let precision = self.type_parameter()?;
        self.expect_symbol(",")?;
        let scale = self.type_parameter()?;
        self.expect_symbol(")")?;
        match SqlType::decimal(precision, scale) {
            Ok(decimal) => Ok(decimal),
            Err(error) => {
                self.refuse(|| ParseError::prepare(error.to_string()))?;
                Ok(SqlType::String)
            }
        }
    }

    fn type_parameter(&mut self) -> Result<u32, ParseError> {
        let TokenKind::Integer(digits) = self.kind(0) else { return Err(self.expected("a whole number")) };
        let parsed = digits.parse().map_err(|_| self.expected("a small whole number"))?;
        self.skip();
        Ok(parsed)
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
        let quoted = matches!(self.kind(0), TokenKind::Quoted(_));
        if !self.is_identifier(0) {
            return Err(self.expected("a type"));
        }
        let name = self.identifier()?;
        let primitive = if quoted { None } else { SqlType::primitive(&name) };
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
