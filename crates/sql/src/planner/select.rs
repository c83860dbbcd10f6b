//! The items of a projection with their names.

use crate::ast::{Expression, Name, Query, SelectItem};
use crate::catalog::StatementError;
use crate::catalog::define::is_reserved;
use crate::planner::scope::Scope;
use crate::types::SqlType;

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
    /// As written.
    pub text: String,
}

/// Gives names to what has none.
#[derive(Debug, Clone)]
pub struct NameGenerator {
    used: Vec<Name>,
    next: usize,
}

impl NameGenerator {
    /// Names that no source has.
    pub fn new(scope: &Scope) -> Self {
        let columns = scope.sources.iter().flat_map(|source| source.source.schema.columns().to_vec());
        NameGenerator { used: columns.map(|column| column.name).collect(), next: 0 }
    }

    /// The next `KSQL_COL_n`.
    pub fn column(&mut self) -> Name {
        loop {
            let name: Name = format!("KSQL_COL_{}", self.next).into();
            self.next += 1;
            if !self.used.contains(&name) {
                return name;
            }
        }
    }

    /// The name of a field, with a number if it is taken.
    pub fn field(&mut self, field: &Name) -> Name {
        let mut name = field.clone();
        let mut number = 0;
        while self.used.contains(&name) {
            number += 1;
            name = format!("{field}_{number}").into();
        }
        self.used.push(name.clone());
        name
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

/// Names the items of a query.
///
/// # Errors
/// Columns that cannot be resolved; aliases that are reserved.
pub fn items(
    query: &Query,
    scope: &Scope,
    names: &mut NameGenerator,
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
                let Some(SqlType::Struct(structure)) = type_of(&scope.flatten(&base))? else {
                    return Err(StatementError(format!("Cannot select all fields of {base}: it is not a STRUCT.")));
                };
                for field in &structure.fields {
                    let expression =
                        Expression::Dereference { base: Box::new(base.clone()), field: field.name.clone() };
                    let name = names.field(&field.name);
                    items.push(Item::Column(ItemColumn { text: expression.to_string(), name, expression }));
                }
            }
            SelectItem::Expression { expression, alias, location } => {
                let text = expression.to_string();
                let qualified = scope.qualify(expression, "SELECT")?;
                let name = match alias {
                    Some(alias) => {
                        check_alias(alias, &qualified, &location.prefix())?;
                        alias.clone()
                    }
                    None => item_name(&qualified, scope, names),
                };
                items.push(Item::Column(ItemColumn { name, expression: qualified, text }));
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

/// A reserved name may only be the alias of the column that has it, which is refused later and in other words.
fn check_alias(alias: &Name, expression: &Expression, place: &str) -> Result<(), StatementError> {
    let own = matches!(expression, Expression::Column(column) if column.name == *alias);
    if is_reserved(alias) && !own {
        return Err(StatementError(format!(
            "{place}`{alias}` is a reserved column name. You cannot use it as an alias for a column."
        )));
    }
    Ok(())
}
