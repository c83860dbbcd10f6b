//! Queries.

use std::collections::HashSet;

use super::ParseError;
use super::cursor::Cursor;
use crate::ast::*;
use crate::lexer::TokenKind;

const NEGATIVE_GRACE: &str = "Grace period must not be negative.";

impl Cursor<'_> {
    /// `SELECT ... FROM ...` with its clauses in their order.
    pub(super) fn query(&mut self) -> Result<Query, ParseError> {
        let location = self.location();
        self.expect_word("SELECT")?;
        let select = self.separated(Self::select_item)?;
        if !self.accept_word("FROM") {
            return Err(self.expected("{',', 'FROM'}"));
        }
        let from = self.relation()?;
        let window = if self.accept_word("WINDOW") { Some(self.window()?) } else { None };
        let filter = if self.accept_word("WHERE") { Some(self.expression()?) } else { None };
        let group_by = self.group_by()?;
        let partition_by = self.partition_by()?;
        let having = if self.accept_word("HAVING") { Some(self.expression()?) } else { None };
        let emit = self.emit()?;
        let limit = if self.accept_word("LIMIT") { Some(self.whole_number("LIMIT")?) } else { None };
        let query = Query { select, from, window, filter, group_by, partition_by, having, emit, limit, location };
        self.check_qualifiers(&query)?;
        self.check_keys(&query)?;
        Ok(query)
    }

    /// What is wrong with an item: within its first operand it could still become a struct of which all fields are wanted,
    /// so that several things may come.
    fn first_operand(&mut self, error: ParseError, start: usize) -> ParseError {
        let Some(at) = self.wanted.as_ref().map(|(at, _)| *at).filter(|at| *at == self.position()) else {
            return error;
        };
        self.reset(start);
        match self.postfix() {
            Err(_) if self.position() == at => {
                self.wanted = None;
                self.unexpected()
            }
            _ => {
                self.reset(at);
                error
            }
        }
    }

    fn select_item(&mut self) -> Result<SelectItem, ParseError> {
        let (location, start) = (self.location(), self.position());
        if self.accept_symbol("*") {
            return Ok(SelectItem::All { source: None, location });
        }
        if self.is_identifier(0) && self.is_symbol_ahead(1, ".") && self.is_symbol_ahead(2, "*") {
            let source = Some(self.identifier()?);
            self.skip();
            self.skip();
            return Ok(SelectItem::All { source, location });
        }
        let expression = self.expression().map_err(|error| self.first_operand(error, start))?;
        if self.is_symbol("->") && self.is_symbol_ahead(1, "*") {
            self.skip();
            self.skip();
            return Ok(SelectItem::StructAll { base: expression, location });
        }
        let alias = if self.accept_word("AS") || self.is_identifier(0) { Some(self.identifier()?) } else { None };
        Ok(SelectItem::Expression { expression, alias, location })
    }

    fn relation(&mut self) -> Result<Relation, ParseError> {
        let first = self.aliased_source()?;
        let mut joins = Vec::new();
        while let Some((kind, location)) = self.join_kind()? {
            let right = self.aliased_source()?;
            let within = if self.accept_word("WITHIN") { Some(self.within()?) } else { None };
            self.expect_word("ON")?;
            let condition = self.expression()?;
            joins.push(Join { kind, right, within, condition, location });
            self.check_chain(joins.len())?;
        }
        Ok(if joins.is_empty() { Relation::Source(first) } else { Relation::Join { first, joins } })
    }

    fn aliased_source(&mut self) -> Result<AliasedSource, ParseError> {
        if self.accept_symbol("(") {
            let inner = self.nested(Self::aliased_source)?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        let location = self.location();
        let name = self.source_name()?;
        let ends = self.are_words(&["EMIT", "CHANGES"])
            || self.are_words(&["EMIT", "FINAL"])
            || self.are_words(&["PARTITION", "BY"]);
        let alias =
            if self.accept_word("AS") || (!ends && self.is_identifier(0)) { self.source_name()? } else { name.clone() };
        Ok(AliasedSource { name, alias, location })
    }

    fn join_kind(&mut self) -> Result<Option<(JoinKind, Location)>, ParseError> {
        let location = self.location();
        let kind = match self.kind(0) {
            TokenKind::Word(word) => match word.as_str() {
                "JOIN" => JoinKind::Inner,
                "INNER" => JoinKind::Inner,
                "LEFT" => JoinKind::Left,
                "RIGHT" => JoinKind::Right,
                "FULL" => JoinKind::Full,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !self.is_word("JOIN") {
            let inner = self.is_word("INNER");
            self.skip();
            if !inner {
                self.accept_word("OUTER");
            }
        }
        self.expect_word("JOIN")?;
        Ok(Some((kind, location)))
    }

    fn within(&mut self) -> Result<Within, ParseError> {
        let (before, after, asymmetric) = if self.accept_symbol("(") {
            let before = self.duration()?;
            self.expect_symbol(",")?;
            let after = self.duration()?;
            self.expect_symbol(")")?;
            (before, after, true)
        } else {
            let both = self.duration()?;
            (both, both, false)
        };
        let grace = if self.accept_words(&["GRACE", "PERIOD"]) { Some(self.duration()?) } else { None };
        let ms = |duration: Duration| duration.milliseconds().unwrap_or_default();
        if ms(before) < 0 || ms(before).saturating_add(ms(after)) < 0 {
            let message = "Window interval (ie, beforeMs+afterMs) must not be negative.";
            self.refuse(|| ParseError::prepare(message))?;
        }
        if grace.is_some_and(|grace| grace.count < 0) {
            self.refuse(|| ParseError::prepare(NEGATIVE_GRACE))?;
        }
        Ok(Within { before, after, grace, asymmetric })
    }

    /// `10 SECONDS`.
    pub(super) fn duration(&mut self) -> Result<Duration, ParseError> {
        let sign = if self.accept_symbol("-") { "-" } else { "" };
        let count = match self.kind(0) {
            TokenKind::Integer(digits) | TokenKind::Decimal(digits) | TokenKind::Float(digits) => {
                let number = format!("{sign}{digits}");
                let count = number.parse().ok();
                if count.is_none() {
                    self.refuse(|| ParseError::prepare(format!("For input string: \"{number}\"")))?;
                }
                count.unwrap_or_default()
            }
            _ => return Err(self.unexpected()),
        };
        self.skip();
        let unit = match self.kind(0) {
            TokenKind::Word(word) => TimeUnit::parse(word),
            _ => None,
        };
        match unit {
            Some(unit) => {
                self.skip();
                Ok(Duration { count, unit })
            }
            None => Err(self.unexpected()),
        }
    }

    fn window(&mut self) -> Result<Window, ParseError> {
        let is_shape = |cursor: &Self| {
            ["TUMBLING", "HOPPING", "SESSION"].iter().any(|shape| cursor.is_word(shape))
                && cursor.is_symbol_ahead(1, "(")
        };
        let name = if !is_shape(self) && self.is_identifier(0) { Some(self.identifier()?) } else { None };
        let location = self.location();
        let shape = match self.kind(0) {
            TokenKind::Word(word) if is_shape(self) => word.as_str(),
            _ => return Err(self.unexpected()),
        };
        self.skip();
        self.expect_symbol("(")?;
        let kind = match shape {
            "TUMBLING" => {
                self.expect_word("SIZE")?;
                WindowKind::Tumbling { size: self.duration()? }
            }
            "HOPPING" => {
                self.expect_word("SIZE")?;
                let size = self.duration()?;
                self.expect_symbol(",")?;
                self.expect_words(&["ADVANCE", "BY"])?;
                WindowKind::Hopping { size, advance: self.duration()? }
            }
            _ => WindowKind::Session { gap: self.duration()? },
        };
        let (mut retention, mut grace) = (None, None);
        while self.accept_symbol(",") {
            if retention.is_none() && grace.is_none() && self.accept_word("RETENTION") {
                retention = Some(self.duration()?);
            } else if grace.is_none() && self.accept_words(&["GRACE", "PERIOD"]) {
                grace = Some(self.duration()?);
            } else {
                return Err(self.unexpected());
            }
        }
        self.expect_symbol(")")?;
        Ok(Window { name, kind, retention, grace, location })
    }

    fn group_by(&mut self) -> Result<Option<GroupBy>, ParseError> {
        let location = self.location();
        if !self.accept_word("GROUP") {
            return Ok(None);
        }
        self.expect_word("BY")?;
        let expressions = self.key_expressions("GROUP BY")?;
        Ok(Some(GroupBy { expressions, location }))
    }

    fn partition_by(&mut self) -> Result<Option<PartitionBy>, ParseError> {
        let location = self.location();
        if !self.accept_words(&["PARTITION", "BY"]) {
            return Ok(None);
        }
        let expressions = self.key_expressions("PARTITION BY")?;
        Ok(Some(PartitionBy { expressions, location }))
    }

    /// `a, b` or `(a, b)`; a `(` may also begin the first expression.
    fn key_expressions(&mut self, clause: &str) -> Result<Vec<Expression>, ParseError> {
        if self.is_symbol("(") && self.is_symbol_ahead(1, ")") {
            self.skip();
            self.skip();
            self.refuse(|| ParseError::prepare(format!("{clause} requires at least one expression")))?;
            return Ok(Vec::new());
        }
        let start = self.position();
        if self.accept_symbol("(")
            && let Ok(expressions) = self.separated(Self::expression)
            && self.accept_symbol(")")
            && self.clause_ends()
        {
            return Ok(expressions);
        }
        self.reset(start);
        self.separated(Self::expression)
    }

    /// Whether what follows belongs to no expression.
    fn clause_ends(&self) -> bool {
        match self.kind(0) {
            TokenKind::Symbol(symbol) => *symbol == ";",
            TokenKind::Word(word) => matches!(word.as_str(), "PARTITION" | "HAVING" | "EMIT" | "LIMIT"),
            kind => *kind == TokenKind::End,
        }
    }

    fn emit(&mut self) -> Result<Option<Emit>, ParseError> {
        if !self.accept_word("EMIT") {
            return Ok(None);
        }
        if self.accept_word("CHANGES") {
            return Ok(Some(Emit::Changes));
        }
        if self.accept_word("FINAL") {
            return Ok(Some(Emit::Final));
        }
        Err(self.expected("{'CHANGES', 'FINAL'}"))
    }

    /// The number of a clause such as LIMIT; it may be negative.
    pub(super) fn whole_number(&mut self, command: &str) -> Result<i32, ParseError> {
        let not_whole = || ParseError::prepare(format!("Value must be integer for command: {command}"));
        let sign = if self.accept_symbol("-") { "-" } else { "" };
        match self.kind(0) {
            TokenKind::Integer(digits) => {
                self.skip();
                match format!("{sign}{digits}").parse() {
                    Ok(number) => Ok(number),
                    Err(_) => self.refuse(not_whole).map(|()| 0),
                }
            }
            TokenKind::Decimal(_) | TokenKind::Float(_) => {
                self.skip();
                self.refuse(not_whole).map(|()| 0)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Rows are grouped or get another key, by different expressions.
    fn check_keys(&self, query: &Query) -> Result<(), ParseError> {
        let grouped = query.group_by.as_ref().map(|by| ("GROUP BY", &by.expressions));
        let partitioned = query.partition_by.as_ref().map(|by| ("PARTITION BY", &by.expressions));
        for (clause, expressions) in [&grouped, &partitioned].into_iter().flatten() {
            let mut seen = HashSet::new();
            if let Some(twice) = expressions.iter().find(|part| !seen.insert(part.to_string())) {
                self.refuse(|| ParseError::prepare(format!("Duplicate {clause} expression: {twice}")))?;
            }
        }
        if grouped.is_some() && partitioned.is_some() {
            self.refuse(|| ParseError::prepare("Queries only support one of PARTITION BY and GROUP BY"))?;
        }
        Ok(())
    }

    /// Every `a.b` and `a.*` must name a source of the query.
    fn check_qualifiers(&self, query: &Query) -> Result<(), ParseError> {
        let sources = query.from.sources();
        let mut unknown: Option<Name> = None;
        let mut check = |source: &Option<Name>| {
            if let Some(source) = source
                && unknown.is_none()
                && !sources.iter().any(|known| known.alias == *source || known.name == *source)
            {
                unknown = Some(source.clone());
            }
        };
        for item in &query.select {
            match item {
                SelectItem::All { source, .. } => check(source),
                SelectItem::Expression { expression: base, .. } | SelectItem::StructAll { base, .. } => {
                    columns(base, &mut check);
                }
            }
        }
        if let Relation::Join { joins, .. } = &query.from {
            joins.iter().for_each(|join| columns(&join.condition, &mut check));
        }
        let lists = query.group_by.iter().map(|group| &group.expressions);
        let lists = lists.chain(query.partition_by.iter().map(|partition| &partition.expressions));
        lists.flatten().chain(&query.filter).chain(&query.having).for_each(|part| columns(part, &mut check));
        match unknown {
            Some(name) => {
                self.refuse(|| ParseError::prepare(format!("'{name}' is not a valid stream/table name or alias.")))
            }
            None => Ok(()),
        }
    }
}

fn columns(expression: &Expression, check: &mut impl FnMut(&Option<Name>)) {
    expression.walk(&mut |part| {
        if let Expression::Column(column) = part {
            check(&column.source);
        }
    });
}
