//! The items of a projection with their names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::ast::{Expression, Name, Query, SelectItem};
use crate::catalog::StatementError;
use crate::catalog::define::{PSEUDO_COLUMNS, WINDOW_BOUNDS};
use crate::planner::scope::Scope;
use crate::types::{SqlType, StructType};

/// One column of a projection, or a star that is not yet expanded.
#[derive(Debug, Clone)]
pub enum Item {
    /// An expression.
    Column(ItemColumn),
    /// `*` or `alias.*`.
    Star(Option<Name>),
}

/// A column of a projection.
#[derive(Debug, Clone)]
pub struct ItemColumn {
    /// Its name.
    pub name: Name,
    /// What it is, qualified.
    pub expression: Expression,
}

/// Gives names to what has none: numbered ones, of which none is a column's.
#[derive(Debug, Clone)]
pub struct NameGenerator {
    /// Of every name without its number: the numbers that are taken, and the next.
    numbers: HashMap<String, (HashSet<u32>, u32)>,
}

/// What names of expressions begin with.
const EXPRESSION_NAME: &str = "KSQL_COL";

impl NameGenerator {
    /// Names that no source has.
    pub fn new(scope: &Scope) -> Self {
        let columns = scope.sources.iter().flat_map(|source| source.source.schema.columns());
        NameGenerator::beside(columns.map(|column| &column.name))
    }

    /// Names that none of `taken` is.
    pub fn beside<'a>(taken: impl Iterator<Item = &'a Name>) -> Self {
        let mut numbers: HashMap<String, (HashSet<u32>, u32)> = HashMap::new();
        for name in taken {
            let (name, number) = without_number(name);
            numbers.entry(name.to_owned()).or_default().0.insert(number);
        }
        NameGenerator { numbers }
    }

    /// The next `KSQL_COL_n`.
    pub fn column(&mut self) -> Name {
        self.next(EXPRESSION_NAME)
    }

    /// The name of a field without the number at its end, with another one if that is taken.
    pub fn field(&mut self, field: &Name) -> Name {
        self.next(without_number(field).0)
    }

    fn next(&mut self, name: &str) -> Name {
        let (taken, next) = self.numbers.entry(name.to_owned()).or_default();
        while taken.contains(next) {
            *next += 1;
        }
        let number = *next;
        *next += 1;
        match number {
            0 if name != EXPRESSION_NAME => name.into(),
            number => format!("{name}_{number}").into(),
        }
    }

    /// The name of an expression of a key: of a column its own, of a field the field's.
    pub fn expression(&mut self, expression: &Expression, scope: &Scope) -> Name {
        match expression {
            Expression::Column(column) => match &column.source {
                Some(alias) => scope.flat_name(alias, &column.name),
                None => column.name.clone(),
            },
            Expression::Dereference { field, .. } => self.field(field),
            _ => self.column(),
        }
    }
}

/// `NAME_3` as `NAME` and 3; names without a number have 0.
fn without_number(name: &str) -> (&str, u32) {
    let split = name.rsplit_once('_').filter(|(_, digits)| digits.bytes().all(|digit| digit.is_ascii_digit()));
    split.and_then(|(name, digits)| Some((name, digits.parse().ok()?))).unwrap_or((name, 0))
}

/// Names the items of a query.
///
/// # Errors
/// Columns that cannot be resolved; aliases that are reserved.
pub fn items(
    query: &Query,
    scope: &Scope,
    names: &mut NameGenerator,
    is_written: bool,
    type_of: &dyn Fn(&Expression) -> Result<Option<SqlType>, StatementError>,
) -> Result<Vec<Item>, StatementError> {
    let mut items = Vec::new();
    for item in &query.select {
        match item {
            SelectItem::All { source, location } => {
                if let Some(alias) = source
                    && scope.source(alias).is_none()
                {
                    return Err(StatementError(format!(
                        "Failed to prepare statement: {}'{alias}' is not a valid stream/table name or alias.",
                        location.prefix()
                    )));
                }
                items.push(Item::Star(source.clone().filter(|_| scope.is_join())));
            }
            SelectItem::StructAll { base, .. } => {
                let base = scope.qualify(base, "SELECT")?;
                for field in &structure(&base, &|base| type_of(&scope.flatten(base)))?.fields {
                    let (base, name) = (Box::new(base.clone()), field.name.clone());
                    let expression = Expression::Dereference { base, field: name.clone() };
                    items.push(Item::Column(ItemColumn { name, expression }));
                }
            }
            SelectItem::Expression { expression, alias, .. } => {
                let expression = scope.qualify(expression, "SELECT")?;
                let name = alias.clone().unwrap_or_else(|| item_name(&expression, scope, names));
                check_reserved(&name, &expression, is_written)?;
                items.push(Item::Column(ItemColumn { name, expression }));
            }
        }
    }
    Ok(items)
}

/// The name of an item that has none of its own.
pub(super) fn item_name(expression: &Expression, scope: &Scope, names: &mut NameGenerator) -> Name {
    match expression {
        Expression::Column(column) => match &column.source {
            Some(alias) if scope.is_join() && scope.is_clashing(&column.name) => scope.flat_name(alias, &column.name),
            _ => column.name.clone(),
        },
        Expression::Dereference { field, .. } => names.field(field),
        _ => names.column(),
    }
}

/// A reserved name may only be that of the column that has it, and not where it would be written.
fn check_reserved(name: &Name, expression: &Expression, is_written: bool) -> Result<(), StatementError> {
    let is_name = |reserved: &&str| reserved.eq_ignore_ascii_case(name);
    let Some(reserved) = PSEUDO_COLUMNS.into_iter().chain(WINDOW_BOUNDS).find(is_name) else { return Ok(()) };
    let is_own = matches!(expression, Expression::Column(column) if column.name.eq_ignore_ascii_case(name));
    match (is_own, is_written) {
        (false, _) => Err(StatementError(format!(
            "`{reserved}` is a reserved column name. You cannot use it as an alias for a column."
        ))),
        (true, true) => Err(StatementError(format!(
            "Reserved column name in select: `{reserved}`. Please remove or alias the column."
        ))),
        (true, false) => Ok(()),
    }
}

/// The struct that a column or a field is.
fn structure(
    base: &Expression,
    type_of: &dyn Fn(&Expression) -> Result<Option<SqlType>, StatementError>,
) -> Result<Arc<StructType>, StatementError> {
    let (found, missing) = match base {
        Expression::Column(column) => (type_of(base)?, format!("Column `{}` is not a STRUCT type.", column.name)),
        Expression::Dereference { base, field } => {
            let parent = structure(base, type_of)?;
            let found = parent.fields.iter().find(|known| known.name == *field);
            let found = found.ok_or_else(|| StatementError(format!("Field {field} was not found on STRUCT.")))?;
            (Some(found.field_type.clone()), format!("Field {field} is not a STRUCT type."))
        }
        _ => return Err(StatementError(format!("Unsupported struct column expression: {base}"))),
    };
    match found {
        Some(SqlType::Struct(structure)) => Ok(structure),
        _ => Err(StatementError(missing)),
    }
}
