//! Queries as written.

use super::{Expression, Location, Name, TimeUnit};

/// `SELECT ... FROM ...` with all its clauses.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What is selected.
    pub select: Vec<SelectItem>,
    /// Whence.
    pub from: Relation,
    /// `WINDOW`.
    pub window: Option<Window>,
    /// `WHERE`.
    pub filter: Option<Expression>,
    /// `GROUP BY`; `None` without the clause.
    pub group_by: Option<GroupBy>,
    /// `PARTITION BY`; `None` without the clause.
    pub partition_by: Option<PartitionBy>,
    /// `HAVING`.
    pub having: Option<Expression>,
    /// `EMIT`; `None` makes a pull query where no sink follows.
    pub emit: Option<Emit>,
    /// `LIMIT`.
    pub limit: Option<i32>,
    /// Where `SELECT` stands.
    pub location: Location,
}

/// One entry of the projection.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItem {
    /// `expression AS alias`.
    Expression {
        /// What is computed.
        expression: Expression,
        /// Name, where one is given.
        alias: Option<Name>,
        /// Where it stands.
        location: Location,
    },
    /// `*`, or `source.*`.
    All {
        /// The source, where given.
        source: Option<Name>,
        /// Where it stands.
        location: Location,
    },
    /// `struct->*`.
    StructAll {
        /// The struct.
        base: Expression,
        /// Where it stands.
        location: Location,
    },
}

/// What a query reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Relation {
    /// One source.
    Source(AliasedSource),
    /// Sources joined from the left: `first JOIN right ON ... JOIN right ON ...`.
    Join {
        /// The left-most source.
        first: AliasedSource,
        /// The joins in the order written.
        joins: Vec<Join>,
    },
}

/// A stream or table with the name it has in the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasedSource {
    /// Name in the catalog.
    pub name: Name,
    /// Name in the query: the alias, or the name again.
    pub alias: Name,
    /// Where it stands.
    pub location: Location,
}

/// One `JOIN`.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which rows stay.
    pub kind: JoinKind,
    /// The right side.
    pub right: AliasedSource,
    /// `WITHIN`.
    pub within: Option<Within>,
    /// `ON`.
    pub condition: Expression,
    /// Where `JOIN` stands.
    pub location: Location,
}

/// Which rows of which side stay without a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left.
    Left,
    /// Those of the right.
    Right,
    /// All.
    Full,
}

/// `WITHIN before`, `WITHIN (before, after)`, with a grace period or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// How much earlier the right record may be.
    pub before: Duration,
    /// How much later the right record may be.
    pub after: Duration,
    /// `GRACE PERIOD`.
    pub grace: Option<Duration>,
    /// Whether both bounds are written: `WITHIN (a, b)`.
    pub asymmetric: bool,
}

/// A number of units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// How many.
    pub count: i64,
    /// Of what.
    pub unit: TimeUnit,
}

/// `WINDOW ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Name, where one is given: `WINDOW name TUMBLING (...)`.
    pub name: Option<Name>,
    /// Shape of the windows.
    pub kind: WindowKind,
    /// `RETENTION`.
    pub retention: Option<Duration>,
    /// `GRACE PERIOD`.
    pub grace: Option<Duration>,
    /// Where its shape stands.
    pub location: Location,
}

/// The shape of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// `TUMBLING (SIZE ...)`.
    Tumbling {
        /// Length of each.
        size: Duration,
    },
    /// `HOPPING (SIZE ..., ADVANCE BY ...)`.
    Hopping {
        /// Length of each.
        size: Duration,
        /// From the start of one to the start of the next.
        advance: Duration,
    },
    /// `SESSION (gap)`.
    Session {
        /// Idle time that ends a session.
        gap: Duration,
    },
}

/// `GROUP BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupBy {
    /// The grouping expressions.
    pub expressions: Vec<Expression>,
    /// Where it stands.
    pub location: Location,
}

/// `PARTITION BY`; no expression but `NULL` removes the key.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionBy {
    /// The expressions of the new key.
    pub expressions: Vec<Expression>,
    /// Where it stands.
    pub location: Location,
}

/// When results come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Emit {
    /// `EMIT CHANGES`.
    Changes,
    /// `EMIT FINAL`.
    Final,
}

impl Duration {
    /// Length in milliseconds; `None` where it overflows.
    pub fn milliseconds(self) -> Option<i64> {
        self.unit.milliseconds().checked_mul(self.count)
    }
}

impl Relation {
    /// All sources from the left.
    pub fn sources(&self) -> Vec<&AliasedSource> {
        match self {
            Relation::Source(source) => vec![source],
            Relation::Join { first, joins } => {
                std::iter::once(first).chain(joins.iter().map(|join| &join.right)).collect()
            }
        }
    }
}

impl JoinKind {
    /// `INNER`, `LEFT OUTER`, ... before `JOIN`.
    pub fn text(self) -> &'static str {
        match self {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT OUTER",
            JoinKind::Right => "RIGHT OUTER",
            JoinKind::Full => "FULL OUTER",
        }
    }

    /// As messages name it, with the words in brackets that may be left out.
    pub fn shown(self) -> &'static str {
        match self {
            JoinKind::Inner => "[INNER] JOIN",
            JoinKind::Left => "LEFT [OUTER] JOIN",
            JoinKind::Right => "RIGHT [OUTER] JOIN",
            JoinKind::Full => "[FULL] OUTER JOIN",
        }
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.count, self.unit.name())
    }
}
