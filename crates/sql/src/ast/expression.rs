//! Expressions as written.

use std::sync::Arc;

use bigdecimal::BigDecimal;

use super::{Location, Name};
use crate::types::SqlType;

/// An expression. Equal if it says the same, wherever it stands; so GROUP BY can find its expressions in a projection.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A constant.
    Literal(Literal),
    /// A column, or a lambda's parameter before analysis.
    Column(ColumnReference),
    /// `NOT value`.
    Not(Box<Expression>),
    /// `value IS NULL`.
    IsNull(Box<Expression>),
    /// `value IS NOT NULL`.
    IsNotNull(Box<Expression>),
    /// `left + right` and the like.
    Arithmetic {
        /// What to compute.
        operator: ArithmeticOperator,
        /// Left operand.
        left: Box<Expression>,
        /// Right operand.
        right: Box<Expression>,
    },
    /// `-value` or `+value`; literals take their sign at once.
    Sign {
        /// Whether the sign is `-`.
        negative: bool,
        /// The operand.
        value: Box<Expression>,
    },
    /// `left = right` and the like.
    Comparison {
        /// What to compare for.
        operator: ComparisonOperator,
        /// Left operand.
        left: Box<Expression>,
        /// Right operand.
        right: Box<Expression>,
    },
    /// `left AND right`, `left OR right`.
    Logical {
        /// AND or OR.
        operator: LogicalOperator,
        /// Left operand.
        left: Box<Expression>,
        /// Right operand.
        right: Box<Expression>,
    },
    /// `value BETWEEN min AND max`; `NOT BETWEEN` is a [`Expression::Not`] around it.
    Between {
        /// What is tested.
        value: Box<Expression>,
        /// Lower bound, inclusive.
        min: Box<Expression>,
        /// Upper bound, inclusive.
        max: Box<Expression>,
    },
    /// `value IN (list)`; `NOT IN` is a [`Expression::Not`] around it.
    In {
        /// What is looked for.
        value: Box<Expression>,
        /// Where it is looked for.
        list: Vec<Expression>,
    },
    /// `value LIKE pattern ESCAPE 'c'`; `NOT LIKE` is a [`Expression::Not`] around it.
    Like {
        /// The text.
        value: Box<Expression>,
        /// The pattern with `%` and `_`.
        pattern: Box<Expression>,
        /// Character that makes the next one literal.
        escape: Option<char>,
    },
    /// `CASE WHEN condition THEN result ... ELSE default END`.
    SearchedCase {
        /// Conditions with their results.
        branches: Vec<(Expression, Expression)>,
        /// Result where no condition holds.
        default: Option<Box<Expression>>,
    },
    /// `CASE operand WHEN value THEN result ... ELSE default END`.
    SimpleCase {
        /// What the values are compared with.
        operand: Box<Expression>,
        /// Values with their results.
        branches: Vec<(Expression, Expression)>,
        /// Result where no value equals.
        default: Option<Box<Expression>>,
    },
    /// `CAST(value AS type)`.
    Cast {
        /// What is cast.
        value: Box<Expression>,
        /// To what.
        target: SqlType,
    },
    /// `base[index]`.
    Subscript {
        /// An array or a map.
        base: Box<Expression>,
        /// Position from 1, or key.
        index: Box<Expression>,
    },
    /// `base->field`.
    Dereference {
        /// A struct.
        base: Box<Expression>,
        /// Name of its field.
        field: Name,
    },
    /// `name(arguments)`. `COUNT(*)` has no arguments.
    Function(FunctionCall),
    /// `ARRAY[elements]`.
    Array(Vec<Expression>),
    /// `MAP(key := value, ...)`.
    Map(Vec<(Expression, Expression)>),
    /// `STRUCT(name := value, ...)`.
    Struct(Vec<(Name, Expression)>),
    /// `(parameters) => body`.
    Lambda {
        /// Names of the parameters.
        parameters: Vec<Name>,
        /// What is computed of them.
        body: Box<Expression>,
    },
    /// A unit of time as an argument: `DATEADD(DAYS, 1, d)`.
    IntervalUnit(TimeUnit),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `NULL`.
    Null,
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
    /// A whole number of more than 32 bits.
    Bigint(i64),
    /// A number with an exponent.
    Double(f64),
    /// A number with a point, with the digits as written.
    Decimal(BigDecimal),
    /// `'text'`.
    String(Arc<str>),
    /// `DATE 'yyyy-MM-dd'`, as days.
    Date(i32),
    /// `TIME 'HH:mm:ss'`, as milliseconds.
    Time(i32),
    /// `TIMESTAMP '...'`, as milliseconds.
    Timestamp(i64),
}

/// A column by name, with the source where given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnReference {
    /// Name or alias of the source: `a` of `a.b`.
    pub source: Option<Name>,
    /// Name of the column.
    pub name: Name,
    /// Where it stands.
    pub location: Location,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionCall {
    /// Name in upper case.
    pub name: Name,
    /// Arguments in order.
    pub arguments: Vec<Expression>,
    /// Where it stands.
    pub location: Location,
}

/// `+ - * / %`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOperator {
    /// `+`, also of texts.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulus,
}

/// `= <> < <= > >=` and the two that know nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComparisonOperator {
    /// `=`.
    Equal,
    /// `<>` or `!=`.
    NotEqual,
    /// `<`.
    LessThan,
    /// `<=`.
    LessThanOrEqual,
    /// `>`.
    GreaterThan,
    /// `>=`.
    GreaterThanOrEqual,
    /// `IS DISTINCT FROM`.
    IsDistinctFrom,
    /// `IS NOT DISTINCT FROM`.
    IsNotDistinctFrom,
}

/// `AND`, `OR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogicalOperator {
    /// `AND`.
    And,
    /// `OR`.
    Or,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// 1 ms.
    Milliseconds,
    /// 1000 ms.
    Seconds,
    /// 60 s.
    Minutes,
    /// 60 min.
    Hours,
    /// 24 h.
    Days,
}

impl ArithmeticOperator {
    /// The sign of the operator.
    pub fn symbol(self) -> &'static str {
        match self {
            ArithmeticOperator::Add => "+",
            ArithmeticOperator::Subtract => "-",
            ArithmeticOperator::Multiply => "*",
            ArithmeticOperator::Divide => "/",
            ArithmeticOperator::Modulus => "%",
        }
    }
}

impl ComparisonOperator {
    /// The sign of the operator.
    pub fn symbol(self) -> &'static str {
        match self {
            ComparisonOperator::Equal => "=",
            ComparisonOperator::NotEqual => "<>",
            ComparisonOperator::LessThan => "<",
            ComparisonOperator::LessThanOrEqual => "<=",
            ComparisonOperator::GreaterThan => ">",
            ComparisonOperator::GreaterThanOrEqual => ">=",
            ComparisonOperator::IsDistinctFrom => "IS DISTINCT FROM",
            ComparisonOperator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        }
    }

    /// The name that messages use: `GREATER_THAN_OR_EQUAL`.
    pub fn name(self) -> &'static str {
        match self {
            ComparisonOperator::Equal => "EQUAL",
            ComparisonOperator::NotEqual => "NOT_EQUAL",
            ComparisonOperator::LessThan => "LESS_THAN",
            ComparisonOperator::LessThanOrEqual => "LESS_THAN_OR_EQUAL",
            ComparisonOperator::GreaterThan => "GREATER_THAN",
            ComparisonOperator::GreaterThanOrEqual => "GREATER_THAN_OR_EQUAL",
            ComparisonOperator::IsDistinctFrom => "IS_DISTINCT_FROM",
            ComparisonOperator::IsNotDistinctFrom => "IS_NOT_DISTINCT_FROM",
        }
    }
}

impl TimeUnit {
    /// A unit by its name, singular or plural, in any case.
    pub fn parse(name: &str) -> Option<TimeUnit> {
        let name = name.to_ascii_uppercase();
        Some(match name.strip_suffix('S').unwrap_or(&name) {
            "MILLISECOND" => TimeUnit::Milliseconds,
            "SECOND" => TimeUnit::Seconds,
            "MINUTE" => TimeUnit::Minutes,
            "HOUR" => TimeUnit::Hours,
            "DAY" => TimeUnit::Days,
            _ => return None,
        })
    }

    /// The plural name in upper case.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Milliseconds => "MILLISECONDS",
            TimeUnit::Seconds => "SECONDS",
            TimeUnit::Minutes => "MINUTES",
            TimeUnit::Hours => "HOURS",
            TimeUnit::Days => "DAYS",
        }
    }

    /// Milliseconds of one unit.
    pub fn milliseconds(self) -> i64 {
        match self {
            TimeUnit::Milliseconds => 1,
            TimeUnit::Seconds => 1000,
            TimeUnit::Minutes => 60_000,
            TimeUnit::Hours => 3_600_000,
            TimeUnit::Days => 86_400_000,
        }
    }
}

impl Expression {
    /// An unqualified column.
    pub fn column(name: impl Into<Name>) -> Expression {
        Expression::Column(ColumnReference { source: None, name: name.into(), location: Location::default() })
    }

    /// A column of a source.
    pub fn column_of(source: impl Into<Name>, name: impl Into<Name>) -> Expression {
        Expression::Column(ColumnReference {
            source: Some(source.into()),
            name: name.into(),
            location: Location::default(),
        })
    }

    /// A call of a function by its name in upper case.
    pub fn function(name: impl Into<Name>, arguments: Vec<Expression>) -> Expression {
        Expression::Function(FunctionCall { name: name.into(), arguments, location: Location::default() })
    }

    /// The literal, if it is one.
    pub fn as_literal(&self) -> Option<&Literal> {
        match self {
            Expression::Literal(literal) => Some(literal),
            _ => None,
        }
    }

    /// The column, if it is one.
    pub fn as_column(&self) -> Option<&ColumnReference> {
        match self {
            Expression::Column(column) => Some(column),
            _ => None,
        }
    }

    /// Whether it is the literal `NULL`.
    pub fn is_null_literal(&self) -> bool {
        matches!(self, Expression::Literal(Literal::Null))
    }
}

impl Literal {
    /// The text of a string literal.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Literal::String(text) => Some(text),
            _ => None,
        }
    }
}
