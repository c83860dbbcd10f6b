//! Which sources a query reads, and which column a name means.
//!
//! Names go through two forms: *qualified*, with the source always given (what messages show), and *flat*, the column of a
//! row (what is compiled). In a join the flat name of `L.ID` is `L_ID`.

use crate::ast::{ColumnReference, Expression, Name, Relation, SourceKind};
use crate::catalog::define::{PSEUDO_COLUMNS, WINDOW_BOUNDS};
use crate::catalog::{Catalog, Source, StatementError};
use crate::formats::Format;
use crate::planner::step::StepColumn;
use crate::types::SqlType;

/// What can be done with values in the format KAFKA.
const KAFKA_VALUES: &str = "The KAFKA format is primarily intended for use as a key format. It can be used as a value format, \
    but can not be used in any operation that requires a repartition or changelog topic.\nRemoving this limitation requires \
    enhancements to the core of KSQL. This will come in a future release. Until then, avoid using the KAFKA format for \
    values.\nIf you have an existing topic with KAFKA formatted values you can duplicate the data and serialize using Avro \
    or JSON with a statement such as: \n\n'CREATE STREAM <new-stream-name> WITH(VALUE_FORMAT='Avro') AS SELECT * FROM \
    <existing-kafka-formated-stream-name>;'\nFor more info see https://github.com/confluentinc/ksql/issues/3060";

/// A source with the name it has in the query.
#[derive(Debug, Clone)]
pub struct ScopeSource {
    /// The alias, or the name again.
    pub alias: Name,
    /// The source.
    pub source: Source,
}

impl ScopeSource {
    /// The columns of its rows: values and headers, pseudo columns, keys, window bounds.
    pub fn row(&self) -> Vec<StepColumn> {
        let schema = &self.source.schema;
        let column =
            |column: &crate::catalog::schema::Column| StepColumn::new(column.name.clone(), column.column_type.clone());
        let mut row: Vec<StepColumn> = schema.others().map(column).collect();
        row.push(StepColumn::new(PSEUDO_COLUMNS[0], SqlType::Bigint));
        row.push(StepColumn::new(PSEUDO_COLUMNS[1], SqlType::Integer));
        row.push(StepColumn::new(PSEUDO_COLUMNS[2], SqlType::Bigint));
        row.extend(schema.keys().iter().map(column));
        if self.source.window.is_some() {
            row.extend(WINDOW_BOUNDS.map(|name| StepColumn::new(name, SqlType::Bigint)));
        }
        row
    }

    /// Whether rows have a column called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.source.schema.find(name).is_some()
            || PSEUDO_COLUMNS.contains(&name)
            || (self.source.window.is_some() && WINDOW_BOUNDS.contains(&name))
    }

    /// What `*` means: keys first, then, `with_bounds`, the bounds of windows, then values, then headers.
    pub fn star(&self, with_bounds: bool) -> Vec<Name> {
        let schema = &self.source.schema;
        let mut names: Vec<Name> = schema.keys().iter().map(|column| column.name.clone()).collect();
        if with_bounds && self.source.window.is_some() {
            names.extend(WINDOW_BOUNDS.map(Name::from));
        }
        names.extend(schema.values().chain(schema.headers()).map(|column| column.name.clone()));
        names
    }
}

/// The sources of a query.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The sources from the left.
    pub sources: Vec<ScopeSource>,
}

impl Scope {
    /// Looks the sources of `from` up.
    ///
    /// # Errors
    /// Sources that do not exist, or that a join mentions twice.
    pub fn new(from: &Relation, catalog: &Catalog) -> Result<Scope, StatementError> {
        let mut sources: Vec<ScopeSource> = Vec::new();
        let mentioned = from.sources();
        for aliased in &mentioned {
            let source = catalog.source(&aliased.name).ok_or_else(|| {
                unprepared(format_args!("{} does not exist.{}", aliased.name, hint(&aliased.name, catalog)))
            })?;
            let twice = sources.iter().any(|known| known.source.name == source.name);
            if twice && mentioned.len() == 2 {
                return Err(StatementError(format!(
                    "Can not join '{0}' to '{0}': self joins are not yet supported.",
                    aliased.name
                )));
            }
            if twice {
                return Err(StatementError(format!(
                    "N-way joins do not support multiple occurrences of the same source. Source: '{}'.",
                    aliased.name
                )));
            }
            sources.push(ScopeSource { alias: aliased.alias.clone(), source: source.clone() });
        }
        Ok(Scope { sources })
    }

    /// Whether there is more than one source.
    pub fn is_join(&self) -> bool {
        self.sources.len() > 1
    }

    /// The source called `alias`.
    pub fn source(&self, alias: &str) -> Option<&ScopeSource> {
        self.sources.iter().find(|source| &*source.alias == alias)
    }

    /// Whether several sources have a column called `name`, other than as the bound of a window.
    pub fn is_clashing(&self, name: &str) -> bool {
        let has = |source: &&ScopeSource| source.source.schema.find(name).is_some() || PSEUDO_COLUMNS.contains(&name);
        self.sources.iter().filter(has).count() > 1
    }

    /// The column of rows that `alias.name` is.
    pub fn flat_name(&self, alias: &str, name: &str) -> Name {
        if self.is_join() { format!("{alias}_{name}").into() } else { name.into() }
    }

    /// Values in the format KAFKA go through no topic of a query: it has no columns by name.
    ///
    /// # Errors
    /// Sources with such values, in the words of the clause that needs a topic.
    pub fn check_values(&self, clause: &str) -> Result<(), StatementError> {
        let of_kafka = self.sources.iter().filter(|source| source.source.value_format.format == Format::Kafka);
        let names: Vec<_> = of_kafka.map(|source| source.alias.to_string()).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(StatementError(format!(
            "Source(s) {} are using the 'KAFKA' value format. This format does not yet support {clause}.\n{KAFKA_VALUES}",
            names.join(", ")
        )))
    }

    /// The expression with the source of every column.
    ///
    /// # Errors
    /// Columns that no source has, or several; `clause` is where the expression stands.
    pub fn qualify(&self, expression: &Expression, clause: &str) -> Result<Expression, StatementError> {
        self.qualify_with(expression, clause, &mut Vec::new())
    }

    fn qualify_with(
        &self,
        expression: &Expression,
        clause: &str,
        bound: &mut Vec<Name>,
    ) -> Result<Expression, StatementError> {
        let mut failure = None;
        let qualified = expression.rewrite(&mut |part| match part {
            Expression::Lambda { parameters, body } => {
                let depth = bound.len();
                let checked = self.check_parameters(parameters, bound);
                bound.extend(parameters.iter().cloned());
                let body = checked.and_then(|()| self.qualify_with(body, clause, bound));
                bound.truncate(depth);
                match body {
                    Ok(body) => Some(Expression::Lambda { parameters: parameters.clone(), body: Box::new(body) }),
                    Err(error) => {
                        failure.get_or_insert(error);
                        Some(part.clone())
                    }
                }
            }
            Expression::Column(column) if column.source.is_none() && bound.contains(&column.name) => Some(part.clone()),
            Expression::Column(column) => match self.qualify_column(column, clause) {
                Ok(column) => Some(Expression::Column(column)),
                Err(error) => {
                    failure.get_or_insert(error);
                    Some(part.clone())
                }
            },
            _ => None,
        });
        failure.map_or(Ok(qualified), Err)
    }

    /// Parameters of a lambda are neither columns nor those of a lambda around it.
    fn check_parameters(&self, parameters: &[Name], bound: &[Name]) -> Result<(), StatementError> {
        let is_column = |name: &&Name| self.sources.iter().any(|source| source.source.schema.find(name).is_some());
        if let Some(column) = parameters.iter().find(is_column) {
            return Err(unprepared(format_args!("Lambda function argument can't be a column name: {column}")));
        }
        if parameters.iter().any(|parameter| bound.contains(parameter)) {
            return Err(unprepared(format_args!("Reusing lambda arguments in nested lambda is not allowed")));
        }
        Ok(())
    }

    fn qualify_column(&self, column: &ColumnReference, clause: &str) -> Result<ColumnReference, StatementError> {
        let unresolved = || Err(unresolved(column, clause));
        if let Some(alias) = &column.source {
            let Some(source) = self.source(alias) else {
                return Err(StatementError(format!(
                    "Failed to prepare statement: {}'{alias}' is not a valid stream/table name or alias.",
                    column.location.prefix()
                )));
            };
            return if source.has(&column.name) { Ok(column.clone()) } else { unresolved() };
        }
        let mut having = self.sources.iter().filter(|source| source.has(&column.name));
        match (having.next(), having.next()) {
            (Some(only), None) => Ok(ColumnReference { source: Some(only.alias.clone()), ..column.clone() }),
            (None, _) if self.may_come_later(&column.name, clause) => Ok(column.clone()),
            (None, _) => unresolved(),
            (Some(_), Some(_)) => {
                let candidates = self.sources.iter().filter(|source| source.has(&column.name));
                let mut candidates: Vec<_> = candidates
                    .map(|source| ColumnReference { source: Some(source.alias.clone()), ..column.clone() }.to_string())
                    .collect();
                candidates.sort();
                Err(unprepared(format_args!(
                    "{}Column '{column}' is ambiguous. Could be {}.",
                    column.location.prefix(),
                    enumerated(&candidates, "or")
                )))
            }
        }
    }

    /// Names that no source has but a later step may: the key of a join, which can be selected, and the bounds of windows.
    fn may_come_later(&self, name: &str, clause: &str) -> bool {
        (self.is_join() && name.starts_with("ROWKEY") && clause == "SELECT")
            || (!self.is_join() && WINDOW_BOUNDS.contains(&name))
    }

    /// The expression over columns of rows.
    pub fn flatten(&self, qualified: &Expression) -> Expression {
        qualified.rewrite(&mut |part| match part {
            Expression::Column(ColumnReference { source: Some(alias), name, location }) => {
                let name = self.flat_name(alias, name);
                Some(Expression::Column(ColumnReference { source: None, name, location: *location }))
            }
            _ => None,
        })
    }

    /// The sources that a qualified expression mentions.
    pub fn mentioned(&self, qualified: &Expression) -> Vec<Name> {
        let mut aliases: Vec<Name> = Vec::new();
        qualified.walk(&mut |part| {
            if let Expression::Column(ColumnReference { source: Some(alias), .. }) = part
                && !aliases.contains(alias)
            {
                aliases.push(alias.clone());
            }
        });
        aliases
    }
}

/// `a, b and c`.
pub(super) fn enumerated(parts: &[String], joiner: &str) -> String {
    match parts {
        [init @ .., last] if !init.is_empty() => format!("{} {joiner} {last}", init.join(", ")),
        other => other.concat(),
    }
}

/// A column that no source has.
pub(super) fn unresolved(column: &ColumnReference, clause: &str) -> StatementError {
    let addition = match clause {
        "PARTITION BY" => {
            format!(" '{column}' must be a column in the source schema since PARTITION BY is applied on the input.")
        }
        _ => String::new(),
    };
    StatementError(format!("{}{clause} column '{column}' cannot be resolved.{addition}", column.location.prefix()))
}

/// What the user may have meant: sources whose names differ only in case.
pub fn hint(name: &str, catalog: &Catalog) -> String {
    hint_among(name, catalog.sources())
}

/// The refusal of a statement that does not fit to what there is, unlike that of one which says what no statement can.
pub fn unprepared(reason: std::fmt::Arguments<'_>) -> StatementError {
    StatementError(format!("Exception while preparing statement: {reason}"))
}

/// [`hint`] of streams alone, or of tables.
pub fn hint_of_kind(name: &str, kind: SourceKind, catalog: &Catalog) -> String {
    hint_among(name, catalog.sources().filter(|source| source.kind == kind))
}

fn hint_among<'a>(name: &str, sources: impl Iterator<Item = &'a Source>) -> String {
    let mut similar: Vec<&Source> = sources.filter(|source| source.name.eq_ignore_ascii_case(name)).collect();
    similar.sort_by(|one, other| one.name.cmp(&other.name));
    match similar.as_slice() {
        [] => String::new(),
        [only] if only.name.chars().any(char::is_lowercase) => format!(
            "\nDid you mean \"{}\"? Hint: wrap the source name in double quotes to make it case-sensitive.",
            only.name
        ),
        [only] => {
            format!("\nDid you mean {}? Hint: try removing double quotes from the source name.", only.name)
        }
        [others @ .., last] => {
            let shown = |source: &&Source| format!("\"{}\" ({})", source.name, source.kind.text());
            let others: Vec<_> = others.iter().map(shown).collect();
            let or = if others.len() == 1 { " or " } else { ", or " };
            format!(
                "\nDid you mean {}{or}{}? Hint: wrap the source name in double quotes to make it case-sensitive.",
                others.join(", "),
                shown(last)
            )
        }
    }
}

/// The columns that an expression mentions, without the parameters of its lambdas.
pub fn free_columns(expression: &Expression) -> Vec<ColumnReference> {
    fn collect(expression: &Expression, bound: &mut Vec<Name>, found: &mut Vec<ColumnReference>) {
        match expression {
            Expression::Column(column) if column.source.is_some() || !bound.contains(&column.name) => {
                found.push(column.clone());
            }
            Expression::Column(_) => {}
            Expression::Lambda { parameters, body } => {
                let depth = bound.len();
                bound.extend(parameters.iter().cloned());
                collect(body, bound, found);
                bound.truncate(depth);
            }
            other => other.children().into_iter().for_each(|child| collect(child, bound, found)),
        }
    }
    let mut found = Vec::new();
    collect(expression, &mut Vec::new(), &mut found);
    found
}
