//! Functions that make rows.

use super::{Argument, Category, FunctionDefinition, FunctionKind, Overload, Registry, TableBody, Variants};
use crate::expression::EvalError;
use crate::types::SqlType;
use crate::value::Value;

/// Most columns that CUBE_EXPLODE takes, as each doubles its rows.
const MAX_CUBE: usize = 20;

pub(super) fn register(registry: &mut Registry) {
    registry.add(FunctionDefinition {
        name: "explode",
        category: Category::Table,
        description: "One row for each element of the array.",
        kind: FunctionKind::Table(Variants {
            overloads: vec![Overload::new("(list ARRAY<T>) T", false, |arguments| {
                Ok(arguments.first().and_then(Value::as_array).map(<[Value]>::to_vec).unwrap_or_default())
            })],
        }),
    });
    registry.add(FunctionDefinition {
        name: "cube_explode",
        category: Category::Table,
        description: "One row for each combination of the columns with and without each of them.",
        kind: FunctionKind::Table(Variants {
            overloads: vec![Overload::new("(columns ARRAY<T>) ARRAY<T>", false, |arguments| {
                cube(arguments.first().and_then(Value::as_array).unwrap_or_default())
            })],
        }),
    });
}

/// The combinations, beginning with the one that has nothing; a null column is always null, so it makes no difference.
fn cube(columns: &[Value]) -> Result<Vec<Value>, EvalError> {
    if columns.len() > MAX_CUBE {
        let count = columns.len();
        return Err(EvalError::new(format!("cube_explode: too many columns ({count}); max is {MAX_CUBE}")));
    }
    let present: Vec<usize> = (0..columns.len()).filter(|index| !columns[*index].is_null()).collect();
    let combinations = (0..1_u32 << present.len()).map(|bits| {
        let mut row = vec![Value::Null; columns.len()];
        for (position, index) in present.iter().enumerate() {
            if bits >> (present.len() - 1 - position) & 1 == 1 {
                row[*index] = columns[*index].clone();
            }
        }
        Value::array(row)
    });
    Ok(combinations.collect())
}

/// A table function that is ready for its arguments.
#[derive(Clone)]
pub struct ResolvedTableFunction {
    /// Type of the values that become rows.
    pub return_type: SqlType,
    body: TableBody,
}

impl ResolvedTableFunction {
    /// The values that become rows.
    pub fn call(&self, arguments: &[Value]) -> Result<Vec<Value>, EvalError> {
        (self.body)(arguments)
    }
}

impl Registry {
    /// The table function of this name for arguments of these types; the error is the message for the user.
    pub fn table_function(&self, name: &str, arguments: &[Option<SqlType>]) -> Result<ResolvedTableFunction, String> {
        let function = self.find(name).ok_or_else(|| format!("Can't find any functions with the name '{name}'"))?;
        let FunctionKind::Table(variants) = &function.kind else {
            return Err(format!("{name} is not a table function"));
        };
        let types: Vec<_> = arguments.iter().cloned().map(Argument::Value).collect();
        let resolved = function.resolve(&variants.overloads, &types)?;
        Ok(ResolvedTableFunction { return_type: resolved.return_type(arguments)?, body: resolved.overload.body })
    }
}
