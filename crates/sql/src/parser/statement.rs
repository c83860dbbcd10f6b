//! Statements that create, change and fill.

use indexmap::IndexMap;

use super::ParseError;
use super::cursor::Cursor;
use super::nearest::nearest;
use crate::ast::*;
use crate::lexer::TokenKind;

/// Words that statements begin with, for hints: of equally near ones the first is told.
pub(super) const STATEMENTS: &[&str] = &[
    "SELECT",
    "CREATE",
    "INSERT",
    "DESCRIBE",
    "PRINT",
    "EXPLAIN",
    "SHOW",
    "LIST",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "DROP",
    "SET",
    "DEFINE",
    "UNDEFINE",
    "UNSET",
    "ASSERT",
    "ALTER",
];

impl Cursor<'_> {
    /// One statement, up to its `;`.
    pub(super) fn statement(&mut self) -> Result<Statement, ParseError> {
        let TokenKind::Word(word) = self.kind(0) else { return Err(self.unknown_statement()) };
        match word.as_str() {
            "SELECT" => Ok(Statement::Query(self.query()?)),
            "CREATE" => self.create(),
            "INSERT" => self.insert(),
            "DROP" => self.drop_statement(),
            "ALTER" => self.alter(),
            "SHOW" | "LIST" => self.show(),
            "DESCRIBE" => self.describe(),
            "EXPLAIN" => self.explain(),
            "PRINT" => self.print(),
            "TERMINATE" | "PAUSE" | "RESUME" => self.query_control(word),
            "SET" => {
                self.skip();
                let (name, value) = self.property_assignment()?;
                Ok(Statement::Set { name, value })
            }
            "UNSET" => {
                self.skip();
                Ok(Statement::Unset { name: self.string()? })
            }
            "DEFINE" => self.define(),
            "UNDEFINE" => {
                self.skip();
                Ok(Statement::Undefine { name: Name::from(self.raw_identifier()?) })
            }
            "ASSERT" => self.assertion(),
            _ => Err(self.unknown_statement()),
        }
    }

    fn unknown_statement(&self) -> ParseError {
        let word = self.raw();
        let close = nearest(&word.to_uppercase(), STATEMENTS);
        self.failed(&format!("Unknown statement '{word}'\nDid you mean '{close}'?"))
    }

    fn create(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("CREATE")?;
        if self.accept_word("TYPE") {
            let if_not_exists = self.accept_words(&["IF", "NOT", "EXISTS"]);
            let name = self.identifier()?;
            self.expect_word("AS")?;
            return Ok(Statement::CreateType { name, definition: self.type_name()?, if_not_exists });
        }
        let or_replace = self.accept_words(&["OR", "REPLACE"]);
        if self.are_words(&["SOURCE", "CONNECTOR"]) || self.are_words(&["SINK", "CONNECTOR"]) {
            return self.create_connector();
        }
        let is_source = self.accept_word("SOURCE");
        let kind = self.source_kind()?;
        let if_not_exists = self.accept_words(&["IF", "NOT", "EXISTS"]);
        let location = self.location();
        let name = self.source_name()?;
        let elements = if self.is_symbol("(") { self.table_elements()? } else { Vec::new() };
        let properties = self.with_clause()?;
        if elements.is_empty() && !is_source && self.accept_word("AS") {
            let query = self.query()?;
            let create = CreateAsSelect { kind, name, properties, query, or_replace, if_not_exists, location };
            return Ok(Statement::CreateAsSelect(create));
        }
        if elements.is_empty() && !is_source && !self.is_symbol(";") {
            return Err(self.unexpected());
        }
        Ok(Statement::CreateSource(CreateSource {
            kind,
            name,
            elements,
            properties,
            or_replace,
            if_not_exists,
            is_source,
            location,
        }))
    }

    /// `STREAM` or `TABLE`.
    pub(super) fn source_kind(&mut self) -> Result<SourceKind, ParseError> {
        if self.accept_word("STREAM") {
            Ok(SourceKind::Stream)
        } else if self.accept_word("TABLE") {
            Ok(SourceKind::Table)
        } else {
            Err(self.unexpected())
        }
    }

    /// `(column type, ...)`.
    pub(super) fn table_elements(&mut self) -> Result<Vec<TableElement>, ParseError> {
        self.expect_symbol("(")?;
        let elements = self.separated(Self::table_element)?;
        self.expect_list_end(")")?;
        Ok(elements)
    }

    /// `column type [KEY | PRIMARY KEY | HEADERS | HEADER('name')]`.
    pub(super) fn table_element(&mut self) -> Result<TableElement, ParseError> {
        let location = self.location();
        let name = self.identifier()?;
        let column_type = self.type_name()?;
        let constraint = if self.accept_words(&["PRIMARY", "KEY"]) {
            ColumnConstraint::PrimaryKey
        } else if self.accept_word("KEY") {
            ColumnConstraint::Key
        } else if self.accept_word("HEADERS") {
            ColumnConstraint::Headers
        } else if self.accept_word("HEADER") {
            self.expect_symbol("(")?;
            let header = self.string()?.trim().to_owned();
            self.expect_symbol(")")?;
            if header.is_empty() {
                self.refuse(|| ParseError::prepare("Header column must have a non-empty header key name defined"))?;
            }
            ColumnConstraint::Header(header)
        } else {
            ColumnConstraint::None
        };
        Ok(TableElement { name, column_type, constraint, location })
    }

    /// `WITH (name = literal, ...)`, or nothing. Names are upper case here.
    pub(super) fn with_clause(&mut self) -> Result<Properties, ParseError> {
        let mut properties = Properties::new();
        if !self.accept_word("WITH") {
            return Ok(properties);
        }
        for (name, value) in self.property_list()? {
            let name = name.to_ascii_uppercase();
            if let Some(known) = properties.get(&name) {
                let twice = format!("Multiple entries with same key: {name}={known} and {name}={value}");
                self.refuse(|| ParseError::prepare(twice))?;
            }
            properties.insert(name, value);
        }
        Ok(properties)
    }

    fn property_list(&mut self) -> Result<Vec<(String, Literal)>, ParseError> {
        self.expect_symbol("(")?;
        if self.accept_symbol(")") {
            return Ok(Vec::new());
        }
        let list = self.separated(|cursor| {
            let name = match cursor.kind(0) {
                TokenKind::String(_) => cursor.string()?,
                _ => cursor.raw_identifier()?,
            };
            cursor.expect_symbol("=")?;
            Ok((name, cursor.literal()?))
        })?;
        self.expect_list_end(")")?;
        Ok(list)
    }

    /// A constant.
    pub(super) fn literal(&mut self) -> Result<Literal, ParseError> {
        let start = self.position();
        if let Expression::Literal(literal) = self.value_expression()? {
            return Ok(literal);
        }
        self.reset(start);
        Err(self.unexpected())
    }

    fn create_connector(&mut self) -> Result<Statement, ParseError> {
        let direction = if self.accept_word("SOURCE") { ConnectorDirection::Source } else { ConnectorDirection::Sink };
        if direction == ConnectorDirection::Sink {
            self.skip();
        }
        self.expect_word("CONNECTOR")?;
        let if_not_exists = self.accept_words(&["IF", "NOT", "EXISTS"]);
        let name = self.identifier()?;
        self.expect_word("WITH")?;
        let config: IndexMap<String, Literal> = self.property_list()?.into_iter().collect();
        Ok(Statement::CreateConnector(CreateConnector { name, direction, config, if_not_exists }))
    }

    fn insert(&mut self) -> Result<Statement, ParseError> {
        self.expect_words(&["INSERT", "INTO"])?;
        let location = self.location();
        let target = self.source_name()?;
        if self.is_word("VALUES") || self.is_symbol("(") {
            let (columns, values) = self.columns_and_values("VALUES")?;
            return Ok(Statement::InsertValues(InsertValues { target, columns, values, location }));
        }
        let properties = self.with_clause()?;
        let query = self.query()?;
        Ok(Statement::InsertInto(InsertInto { target, properties, query, location }))
    }

    /// `(columns) VALUES (values)`; the word is `KEY` in `ASSERT NULL VALUES`.
    pub(super) fn columns_and_values(&mut self, word: &str) -> Result<(Vec<Name>, Vec<Expression>), ParseError> {
        let columns = if self.accept_symbol("(") {
            let columns = self.separated(Self::identifier)?;
            self.expect_list_end(")")?;
            columns
        } else {
            Vec::new()
        };
        self.expect_word(word)?;
        self.expect_symbol("(")?;
        if self.accept_symbol(")") {
            self.refuse(|| ParseError::prepare("Expected some values for INSERT INTO statement."))?;
            return Ok((columns, Vec::new()));
        }
        let values = self.separated(Self::value_expression)?;
        self.expect_list_end(")")?;
        if !columns.is_empty() && columns.len() != values.len() {
            self.refuse(|| {
                let (columns, values) = (columns.len(), values.len());
                ParseError::prepare(format!("Expected number columns and values to match: {columns}, {values}"))
            })?;
        }
        Ok((columns, values))
    }

    fn drop_statement(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("DROP")?;
        if self.accept_word("TYPE") {
            let if_exists = self.accept_words(&["IF", "EXISTS"]);
            return Ok(Statement::DropType { name: self.identifier()?, if_exists });
        }
        if self.accept_word("CONNECTOR") {
            let if_exists = self.accept_words(&["IF", "EXISTS"]);
            return Ok(Statement::DropConnector { name: self.identifier()?, if_exists });
        }
        let kind = self.source_kind()?;
        let if_exists = self.accept_words(&["IF", "EXISTS"]);
        let location = self.location();
        let name = self.source_name()?;
        let delete_topic = self.accept_words(&["DELETE", "TOPIC"]);
        Ok(Statement::DropSource(DropSource { kind, name, if_exists, delete_topic, location }))
    }

    fn alter(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("ALTER")?;
        if self.accept_word("SYSTEM") {
            let (name, value) = self.property_assignment()?;
            return Ok(Statement::AlterSystem { name, value });
        }
        let kind = self.source_kind()?;
        let name = self.source_name()?;
        let additions = self.separated(|cursor| {
            cursor.expect_word("ADD")?;
            // COLUMN may be the name of the column, too.
            if cursor.is_word("COLUMN")
                && cursor.is_identifier(1)
                && (cursor.is_identifier(2) || cursor.is_word_ahead(2, "DECIMAL"))
            {
                cursor.skip();
            }
            Ok((cursor.identifier()?, cursor.type_name()?))
        })?;
        Ok(Statement::AlterSource(AlterSource { kind, name, additions }))
    }

    /// `'name' = 'value'`.
    fn property_assignment(&mut self) -> Result<(String, String), ParseError> {
        let name = self.string()?;
        self.expect_symbol("=")?;
        Ok((name, self.string()?))
    }

    fn define(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("DEFINE")?;
        let name = Name::from(self.raw_identifier()?);
        self.expect_symbol("=")?;
        Ok(Statement::Define { name, value: self.string()? })
    }
}
