//! Expressions.

use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::BigDecimal;

use super::ParseError;
use super::cursor::Cursor;
use crate::ast::*;
use crate::lexer::TokenKind;
use crate::value::parse_date_time;

impl Cursor<'_> {
    /// `a OR b`, the loosest of all.
    pub(super) fn expression(&mut self) -> Result<Expression, ParseError> {
        self.nested(|cursor| {
            let mut left = cursor.conjunction()?;
            let mut length = 0;
            while cursor.accept_word("OR") {
                length += 1;
                cursor.check_chain(length)?;
                let right = cursor.conjunction()?;
                left = logical(LogicalOperator::Or, left, right);
            }
            Ok(left)
        })
    }

    fn conjunction(&mut self) -> Result<Expression, ParseError> {
        let mut left = self.negation()?;
        let mut length = 0;
        while self.accept_word("AND") {
            length += 1;
            self.check_chain(length)?;
            let right = self.negation()?;
            left = logical(LogicalOperator::And, left, right);
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, ParseError> {
        if self.accept_word("NOT") {
            return Ok(Expression::Not(Box::new(self.nested(Self::negation)?)));
        }
        let value = self.value_expression()?;
        self.predicate(value)
    }

    /// What may follow a value to make a condition of it.
    fn predicate(&mut self, value: Expression) -> Result<Expression, ParseError> {
        if let Some(operator) = self.comparison_operator() {
            let right = self.value_expression()?;
            return Ok(comparison(operator, value, right));
        }
        if self.is_word("IS") {
            return self.is_predicate(value);
        }
        let negated = self.is_word("NOT") && ["BETWEEN", "IN", "LIKE"].iter().any(|word| self.is_word_ahead(1, word));
        if negated {
            self.skip();
        }
        let value = Box::new(value);
        let predicate = if self.accept_word("BETWEEN") {
            let min = Box::new(self.value_expression()?);
            self.expect_word("AND")?;
            let max = Box::new(self.value_expression()?);
            Expression::Between { value, min, max }
        } else if self.accept_word("IN") {
            self.expect_symbol("(")?;
            let list = self.separated(Self::expression)?;
            self.expect_symbol(")")?;
            Expression::In { value, list }
        } else if self.accept_word("LIKE") {
            let pattern = Box::new(self.value_expression()?);
            let escape = if self.accept_word("ESCAPE") { self.escape_character()? } else { None };
            Expression::Like { value, pattern, escape }
        } else {
            return Ok(*value);
        };
        Ok(if negated { Expression::Not(Box::new(predicate)) } else { predicate })
    }

    fn escape_character(&mut self) -> Result<Option<char>, ParseError> {
        let location = self.location();
        let text = self.string()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(escape), None) => Ok(Some(escape)),
            _ => {
                self.refuse(|| {
                    let Location { line, column } = location;
                    ParseError::prepare(format!(
                        "Optional[Line: {line}, Col: {column}]: Expected single character escape but got: {text}"
                    ))
                })?;
                Ok(None)
            }
        }
    }

    fn is_predicate(&mut self, value: Expression) -> Result<Expression, ParseError> {
        self.expect_word("IS")?;
        let negated = self.accept_word("NOT");
        if self.accept_word("NULL") {
            let value = Box::new(value);
            return Ok(if negated { Expression::IsNotNull(value) } else { Expression::IsNull(value) });
        }
        if !self.accept_words(&["DISTINCT", "FROM"]) {
            return Err(self.unexpected());
        }
        let right = self.value_expression()?;
        let operator = if negated { ComparisonOperator::IsNotDistinctFrom } else { ComparisonOperator::IsDistinctFrom };
        Ok(comparison(operator, value, right))
    }

    fn comparison_operator(&mut self) -> Option<ComparisonOperator> {
        let TokenKind::Symbol(symbol) = self.kind(0) else { return None };
        let operator = match *symbol {
            "=" => ComparisonOperator::Equal,
            "<>" | "!=" => ComparisonOperator::NotEqual,
            "<" => ComparisonOperator::LessThan,
            "<=" => ComparisonOperator::LessThanOrEqual,
            ">" => ComparisonOperator::GreaterThan,
            ">=" => ComparisonOperator::GreaterThanOrEqual,
            _ => return None,
        };
        self.skip();
        Some(operator)
    }

    /// Everything that is not a condition: `||`, which calls CONCAT, binds least, then `+ -`, then `* / %`, then signs.
    pub(super) fn value_expression(&mut self) -> Result<Expression, ParseError> {
        let mut left = self.sum()?;
        let mut length = 0;
        while self.is_symbol("||") {
            let location = self.location();
            self.skip();
            length += 1;
            self.check_chain(length)?;
            let arguments = vec![left, self.sum()?];
            left = Expression::Function(FunctionCall { name: Name::from("CONCAT"), arguments, location });
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression, ParseError> {
        self.chain(&[("+", ArithmeticOperator::Add), ("-", ArithmeticOperator::Subtract)], |cursor| {
            cursor.chain(
                &[
                    ("*", ArithmeticOperator::Multiply),
                    ("/", ArithmeticOperator::Divide),
                    ("%", ArithmeticOperator::Modulus),
                ],
                Self::signed,
            )
        })
    }

    fn chain(
        &mut self,
        operators: &[(&str, ArithmeticOperator)],
        operand: impl Fn(&mut Self) -> Result<Expression, ParseError>,
    ) -> Result<Expression, ParseError> {
        let mut left = operand(self)?;
        let mut length = 0;
        while let Some((_, operator)) = operators.iter().find(|(symbol, _)| self.is_symbol(symbol)) {
            self.skip();
            length += 1;
            self.check_chain(length)?;
            let right = operand(self)?;
            left = Expression::Arithmetic { operator: *operator, left: Box::new(left), right: Box::new(right) };
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expression, ParseError> {
        if self.is_symbol("+") {
            self.skip();
            let value = Box::new(self.nested(Self::signed)?);
            return Ok(Expression::Sign { negative: false, value });
        }
        if !self.is_symbol("-") {
            return self.zoned();
        }
        if matches!(self.kind(1), TokenKind::Integer(_) | TokenKind::Decimal(_) | TokenKind::Float(_)) {
            return self.zoned();
        }
        self.skip();
        let value = Box::new(self.nested(Self::signed)?);
        Ok(Expression::Sign { negative: true, value })
    }

    fn zoned(&mut self) -> Result<Expression, ParseError> {
        let value = self.postfix()?;
        if !self.is_word("AT") {
            return Ok(value);
        }
        self.expect_words(&["AT", "TIME", "ZONE"])?;
        self.string()?;
        self.refuse(|| ParseError::prepare("AT TIME ZONE is not supported. Use CONVERT_TZ instead."))?;
        Ok(value)
    }

    /// A primary with its subscripts and dereferences.
    pub(super) fn postfix(&mut self) -> Result<Expression, ParseError> {
        let mut base = self.primary()?;
        let mut length = 0;
        loop {
            if self.accept_symbol("[") {
                let index = Box::new(self.nested(Self::value_expression)?);
                self.expect_symbol("]")?;
                base = Expression::Subscript { base: Box::new(base), index };
            } else if self.is_symbol("->") && !self.is_symbol_ahead(1, "*") {
                self.skip();
                let field = self.identifier()?;
                base = Expression::Dereference { base: Box::new(base), field };
            } else {
                return Ok(base);
            }
            length += 1;
            self.check_chain(length)?;
        }
    }

    fn primary(&mut self) -> Result<Expression, ParseError> {
        // A number begins with its sign.
        let location = self.location();
        let negative = self.is_symbol("-");
        if negative {
            self.skip();
        }
        match self.kind(0) {
            TokenKind::Integer(digits) => self.integer(location, digits, negative),
            TokenKind::Decimal(digits) => self.decimal(location, digits, negative),
            TokenKind::Float(digits) => self.float(location, digits, negative),
            TokenKind::String(text) => {
                self.skip();
                Ok(Expression::Literal(Literal::String(Arc::from(text.as_str()))))
            }
            TokenKind::Symbol("(") => self.parenthesized(),
            TokenKind::Word(word) => self.word(word),
            TokenKind::Quoted(_) | TokenKind::DigitWord(_) => self.named(),
            _ => Err(self.unexpected()),
        }
    }

    fn integer(&mut self, location: Location, digits: &str, negative: bool) -> Result<Expression, ParseError> {
        self.skip();
        let text = if negative { format!("-{digits}") } else { digits.to_owned() };
        if let Ok(small) = text.parse::<i32>() {
            return Ok(Expression::Literal(Literal::Integer(small)));
        }
        if let Ok(big) = text.parse::<i64>() {
            return Ok(Expression::Literal(Literal::Bigint(big)));
        }
        self.refuse(|| ParseError::prepare_at(location, format!("Invalid numeric literal: {text}")))?;
        Ok(Expression::Literal(Literal::Null))
    }

    fn decimal(&mut self, location: Location, digits: &str, negative: bool) -> Result<Expression, ParseError> {
        self.skip();
        let sign = if negative { "-" } else { "" };
        match BigDecimal::from_str(&format!("{sign}{}", digits.strip_suffix('.').unwrap_or(digits))) {
            Ok(number) => Ok(Expression::Literal(Literal::Decimal(number))),
            Err(_) => Err(ParseError::prepare_at(location, format!("Invalid numeric literal: {sign}{digits}"))),
        }
    }

    fn float(&mut self, location: Location, digits: &str, negative: bool) -> Result<Expression, ParseError> {
        self.skip();
        let sign = if negative { "-" } else { "" };
        match format!("{sign}{digits}").parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Expression::Literal(Literal::Double(number))),
            _ => {
                self.refuse(|| ParseError::prepare_at(location, format!("Number overflows DOUBLE: {sign}{digits}")))?;
                Ok(Expression::Literal(Literal::Null))
            }
        }
    }

    /// `(expression)`, or the parameters of a lambda.
    fn parenthesized(&mut self) -> Result<Expression, ParseError> {
        if let Some(end) = self.lambda_parameters_end() {
            return self.lambda(end);
        }
        self.expect_symbol("(")?;
        let inner = self.expression()?;
        self.expect_symbol(")")?;
        Ok(inner)
    }

    /// Number of tokens of `(a, b)` if `=>` follows them.
    fn lambda_parameters_end(&self) -> Option<usize> {
        let mut ahead = 1;
        loop {
            if !self.is_identifier(ahead) {
                return None;
            }
            if self.is_symbol_ahead(ahead + 1, ")") {
                return self.is_symbol_ahead(ahead + 2, "=>").then_some(ahead + 2);
            }
            if !self.is_symbol_ahead(ahead + 1, ",") {
                return None;
            }
            ahead += 2;
        }
    }

    fn lambda(&mut self, parameter_tokens: usize) -> Result<Expression, ParseError> {
        let mut parameters = Vec::new();
        let end = self.position() + parameter_tokens;
        while self.position() < end {
            if self.is_identifier(0) {
                parameters.push(self.identifier()?);
            } else {
                self.skip();
            }
        }
        self.expect_symbol("=>")?;
        if parameters.iter().enumerate().any(|(position, name)| parameters[..position].contains(name)) {
            let list = parameters.join(", ");
            self.refuse(|| ParseError::prepare(format!("Lambda arguments have duplicates: [{list}]")))?;
        }
        let body = Box::new(self.expression()?);
        Ok(Expression::Lambda { parameters, body })
    }

    fn word(&mut self, word: &str) -> Result<Expression, ParseError> {
        match word {
            "NULL" => {
                self.skip();
                Ok(Expression::Literal(Literal::Null))
            }
            "TRUE" | "FALSE" => {
                self.skip();
                Ok(Expression::Literal(Literal::Boolean(word == "TRUE")))
            }
            "CASE" => self.case(),
            "CAST" => self.cast(),
            "ARRAY" if self.is_symbol_ahead(1, "[") => self.array(),
            "MAP" if self.is_symbol_ahead(1, "(") => self.map(),
            "STRUCT" if self.is_symbol_ahead(1, "(") => self.structure(),
            "DATE" | "TIME" | "TIMESTAMP" if matches!(self.kind(1), TokenKind::String(_)) => self.time_literal(word),
            _ => self.named(),
        }
    }

    fn time_literal(&mut self, word: &str) -> Result<Expression, ParseError> {
        self.skip();
        let location = self.location();
        let text = self.string()?;
        let parsed = match word {
            "DATE" => parse_date_time::date(&text).map(Literal::Date),
            "TIME" => parse_date_time::time(&text).map(Literal::Time),
            _ => parse_date_time::timestamp(&text).map(Literal::Timestamp),
        };
        match parsed {
            Ok(literal) => Ok(Expression::Literal(literal)),
            Err(error) => {
                self.refuse(|| {
                    ParseError::prepare_at(location, format!("Cannot parse {word} literal '{text}': {error}"))
                })?;
                Ok(Expression::Literal(Literal::Null))
            }
        }
    }

    /// A column, a call, or a lambda of one parameter.
    fn named(&mut self) -> Result<Expression, ParseError> {
        if !self.is_identifier(0) {
            return Err(self.unexpected());
        }
        if self.is_symbol_ahead(1, "=>") {
            let parameters = vec![self.identifier()?];
            self.skip();
            let body = Box::new(self.expression()?);
            return Ok(Expression::Lambda { parameters, body });
        }
        if self.is_symbol_ahead(1, "(") {
            return self.call();
        }
        let location = self.location();
        let first = self.identifier()?;
        if self.is_symbol(".") && self.is_identifier(1) {
            self.skip();
            let name = self.identifier()?;
            return Ok(Expression::Column(ColumnReference { source: Some(first), name, location }));
        }
        Ok(Expression::Column(ColumnReference { source: None, name: first, location }))
    }

    fn call(&mut self) -> Result<Expression, ParseError> {
        let location = self.location();
        let name = match self.kind(0) {
            TokenKind::Word(word) => Name::from(word.as_str()),
            _ => Name::from(self.raw_identifier()?.to_ascii_uppercase()),
        };
        if !self.is_symbol("(") {
            self.skip();
        }
        self.expect_symbol("(")?;
        let arguments = if self.is_symbol("*") && self.is_symbol_ahead(1, ")") {
            self.skip();
            Vec::new()
        } else if self.is_symbol(")") {
            Vec::new()
        } else {
            let takes_unit = name.ends_with("ADD") || name.ends_with("SUB");
            self.separated(|cursor| cursor.argument(takes_unit))?
        };
        self.expect_symbol(")")?;
        Ok(Expression::Function(FunctionCall { name, arguments, location }))
    }

    fn argument(&mut self, takes_unit: bool) -> Result<Expression, ParseError> {
        if let (true, TokenKind::Word(word)) = (takes_unit && self.is_symbol_ahead(1, ","), self.kind(0))
            && let Some(unit) = TimeUnit::parse(word)
        {
            self.skip();
            return Ok(Expression::IntervalUnit(unit));
        }
        self.expression()
    }

    fn case(&mut self) -> Result<Expression, ParseError> {
        self.expect_word("CASE")?;
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.expression()?)) };
        let mut branches = Vec::new();
        while self.accept_word("WHEN") {
            let when = self.expression()?;
            self.expect_word("THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.expected("'WHEN'"));
        }
        let default = if self.accept_word("ELSE") { Some(Box::new(self.expression()?)) } else { None };
        self.expect_word("END")?;
        Ok(match operand {
            Some(operand) => Expression::SimpleCase { operand, branches, default },
            None => Expression::SearchedCase { branches, default },
        })
    }

    fn cast(&mut self) -> Result<Expression, ParseError> {
        self.expect_word("CAST")?;
        self.expect_symbol("(")?;
        let value = Box::new(self.expression()?);
        self.expect_word("AS")?;
        let target = self.type_name()?;
        self.expect_symbol(")")?;
        Ok(Expression::Cast { value, target })
    }

    fn array(&mut self) -> Result<Expression, ParseError> {
        self.skip();
        self.expect_symbol("[")?;
        let elements = if self.is_symbol("]") { Vec::new() } else { self.separated(Self::expression)? };
        self.expect_symbol("]")?;
        Ok(Expression::Array(elements))
    }

    fn map(&mut self) -> Result<Expression, ParseError> {
        self.skip();
        self.expect_symbol("(")?;
        let entries = if self.is_symbol(")") {
            Vec::new()
        } else {
            self.separated(|cursor| {
                let key = cursor.expression()?;
                cursor.expect_symbol(":=")?;
                Ok((key, cursor.expression()?))
            })?
        };
        self.expect_symbol(")")?;
        Ok(Expression::Map(entries))
    }

    fn structure(&mut self) -> Result<Expression, ParseError> {
        self.skip();
        self.expect_symbol("(")?;
        let fields = if self.is_symbol(")") {
            Vec::new()
        } else {
            self.separated(|cursor| {
                let name = cursor.identifier()?;
                cursor.expect_symbol(":=")?;
                Ok((name, cursor.expression()?))
            })?
        };
        self.expect_symbol(")")?;
        Ok(Expression::Struct(fields))
    }
}

fn logical(operator: LogicalOperator, left: Expression, right: Expression) -> Expression {
    Expression::Logical { operator, left: Box::new(left), right: Box::new(right) }
}

fn comparison(operator: ComparisonOperator, left: Expression, right: Expression) -> Expression {
    Expression::Comparison { operator, left: Box::new(left), right: Box::new(right) }
}
