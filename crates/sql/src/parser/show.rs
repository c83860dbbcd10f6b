//! Statements that show, stop and check.

use super::ParseError;
use super::cursor::Cursor;
use crate::ast::*;
use crate::lexer::TokenKind;

impl Cursor<'_> {
    /// `SHOW|LIST ...`.
    pub(super) fn show(&mut self) -> Result<Statement, ParseError> {
        self.skip();
        let show = if self.accept_word("STREAMS") {
            Show::Streams { extended: self.accept_word("EXTENDED") }
        } else if self.accept_word("TABLES") {
            Show::Tables { extended: self.accept_word("EXTENDED") }
        } else if self.is_word("TOPICS") || self.are_words(&["ALL", "TOPICS"]) {
            let all = self.accept_word("ALL");
            self.skip();
            Show::Topics { all, extended: self.accept_word("EXTENDED") }
        } else if self.accept_word("QUERIES") {
            Show::Queries { extended: self.accept_word("EXTENDED") }
        } else if self.accept_word("PROPERTIES") {
            Show::Properties
        } else if self.accept_word("FUNCTIONS") {
            Show::Functions
        } else if self.accept_word("TYPES") {
            Show::Types
        } else if self.accept_word("VARIABLES") {
            Show::Variables
        } else if self.accept_words(&["CONNECTOR", "PLUGINS"]) {
            Show::ConnectorPlugins
        } else if self.accept_word("CONNECTORS") {
            Show::Connectors(None)
        } else if self.accept_words(&["SOURCE", "CONNECTORS"]) {
            Show::Connectors(Some(ConnectorDirection::Source))
        } else if self.accept_words(&["SINK", "CONNECTORS"]) {
            Show::Connectors(Some(ConnectorDirection::Sink))
        } else {
            return Err(self.unexpected());
        };
        Ok(Statement::Show(show))
    }

    /// `DESCRIBE ...`.
    pub(super) fn describe(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("DESCRIBE")?;
        let names_follow = self.is_identifier(1) || matches!(self.kind(1), TokenKind::DigitWord(_));
        if self.is_word("FUNCTION") && names_follow {
            self.skip();
            let name = self.raw_identifier()?;
            return Ok(Statement::DescribeFunction { name: Name::from(name.to_ascii_uppercase()) });
        }
        if self.accept_word("CONNECTOR") {
            return Ok(Statement::DescribeConnector { name: self.identifier()? });
        }
        for (word, kind) in [("STREAMS", SourceKind::Stream), ("TABLES", SourceKind::Table)] {
            if self.accept_word(word) {
                return Ok(Statement::DescribeSources { kind, extended: self.accept_word("EXTENDED") });
            }
        }
        let location = self.location();
        let source = self.source_name()?;
        Ok(Statement::Describe { source, extended: self.accept_word("EXTENDED"), location })
    }

    /// `EXPLAIN query_id`, `EXPLAIN statement`.
    pub(super) fn explain(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("EXPLAIN")?;
        let is_statement = match self.kind(0) {
            TokenKind::Word(word) => {
                super::statement::STATEMENTS.contains(&word.as_str()) && !self.is_symbol_ahead(1, ";")
            }
            _ => false,
        };
        if is_statement {
            return Ok(Statement::ExplainStatement(Box::new(self.nested(Self::statement)?)));
        }
        Ok(Statement::ExplainQuery { id: self.identifier()? })
    }

    /// `PRINT topic ...`.
    pub(super) fn print(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("PRINT")?;
        let topic = match self.kind(0) {
            TokenKind::String(_) => self.string()?,
            _ => self.topic_name()?,
        };
        let from_beginning = self.accept_words(&["FROM", "BEGINNING"]);
        let interval = if self.accept_word("INTERVAL") || self.accept_word("SAMPLE") {
            Some(self.whole_number("INTERVAL")?)
        } else {
            None
        };
        let limit = if self.accept_word("LIMIT") { Some(self.whole_number("LIMIT")?) } else { None };
        Ok(Statement::Print(Print { topic, from_beginning, interval, limit }))
    }

    /// A topic without quotes, which may hold `-` and `.`: everything up to the next blank.
    fn topic_name(&mut self) -> Result<String, ParseError> {
        let mut name = String::new();
        let mut end = None;
        loop {
            let (start, behind) = self.bounds();
            let adjacent = end.is_none_or(|end| end == start);
            let part = match self.kind(0) {
                TokenKind::Word(_) | TokenKind::DigitWord(_) | TokenKind::Quoted(_) if adjacent => {
                    self.raw_identifier()?
                }
                TokenKind::Integer(_) | TokenKind::Decimal(_) | TokenKind::Symbol("-" | "." | "->")
                    if adjacent && end.is_some() =>
                {
                    let raw = self.raw().to_owned();
                    self.skip();
                    raw
                }
                _ if end.is_some() => return Ok(name),
                _ => return Err(self.unexpected()),
            };
            name.push_str(&part);
            end = Some(behind);
        }
    }

    /// `TERMINATE|PAUSE|RESUME id|ALL`.
    pub(super) fn query_control(&mut self, word: &str) -> Result<Statement, ParseError> {
        self.skip();
        let id = if self.accept_word("ALL") { None } else { Some(self.identifier()?) };
        Ok(match word {
            "TERMINATE" => Statement::Terminate(id),
            "PAUSE" => Statement::Pause(id),
            _ => Statement::Resume(id),
        })
    }

    /// `ASSERT ...`.
    pub(super) fn assertion(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("ASSERT")?;
        if self.is_word("STREAM") || self.is_word("TABLE") {
            return self.assert_source();
        }
        if self.accept_word("VALUES") {
            let location = self.location();
            let target = self.source_name()?;
            let (columns, values) = self.columns_and_values("VALUES")?;
            return Ok(Statement::AssertValues(InsertValues { target, columns, values, location }));
        }
        if self.accept_words(&["NULL", "VALUES"]) {
            let location = self.location();
            let target = self.source_name()?;
            let (columns, values) = self.columns_and_values("KEY")?;
            return Ok(Statement::AssertTombstone(InsertValues { target, columns, values, location }));
        }
        let exists = !self.accept_words(&["NOT", "EXISTS"]);
        if self.accept_word("TOPIC") {
            let topic = self.topic_name()?;
            let properties = self.with_clause()?;
            let timeout = self.timeout()?;
            return Ok(Statement::AssertTopic(AssertTopic { topic, properties, timeout, exists }));
        }
        if self.accept_word("SCHEMA") {
            return self.assert_schema(exists);
        }
        Err(self.unexpected())
    }

    fn assert_source(&mut self) -> Result<Statement, ParseError> {
        let kind = self.source_kind()?;
        let location = self.location();
        let name = self.source_name()?;
        let elements = if self.is_symbol("(") { self.table_elements()? } else { Vec::new() };
        let properties = self.with_clause()?;
        Ok(Statement::AssertSource(CreateSource {
            kind,
            name,
            elements,
            properties,
            or_replace: false,
            if_not_exists: false,
            is_source: false,
            location,
        }))
    }

    fn assert_schema(&mut self, exists: bool) -> Result<Statement, ParseError> {
        let subject = if self.accept_word("SUBJECT") {
            Some(match self.kind(0) {
                TokenKind::String(_) => self.string()?,
                _ => self.topic_name()?,
            })
        } else {
            None
        };
        let id = if self.accept_word("ID") { Some(self.schema_id()?) } else { None };
        if subject.is_none() && id.is_none() {
            let message = "ASSERT SCHEMA statements much include a subject name or an id";
            self.refuse(|| ParseError::prepare(message))?;
        }
        Ok(Statement::AssertSchema(AssertSchema { subject, id, timeout: self.timeout()?, exists }))
    }

    fn schema_id(&mut self) -> Result<i32, ParseError> {
        match self.literal()? {
            Literal::Integer(id) => Ok(id),
            _ => self.refuse(|| ParseError::prepare("ID must be an integer")).map(|()| 0),
        }
    }

    fn timeout(&mut self) -> Result<Option<Duration>, ParseError> {
        if self.accept_word("TIMEOUT") { Ok(Some(self.duration()?)) } else { Ok(None) }
    }
}
