//! The functions as a page for users.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{FunctionDefinition, FunctionKind, registry};

const HEAD: &str = "# Functions of streaming SQL

Names are found in any case. In signatures `T`, `K`, `V` and the like stand for any one type, `ANY` for any type, `...` for any number of
arguments, `(T) => U` for a lambda. Unless the text says something else, a null argument makes the result null, and an error makes it null
and leaves an entry in the processing log. A call means the signature that takes its arguments as they are. If there is none, numbers
widen by themselves (INT to BIGINT to DECIMAL to DOUBLE) and texts become times and bytes, which aggregate functions do not do; where
several signatures then fit, the call is ambiguous and needs a CAST. Arguments of the same variable type must be of one type.

This page is made from the table of functions; a test keeps it so.
";

/// All functions as Markdown, by category.
pub fn reference() -> String {
    let mut categories: BTreeMap<_, Vec<&FunctionDefinition>> = BTreeMap::new();
    for function in registry().iter() {
        categories.entry(function.category).or_default().push(function);
    }
    let mut page = HEAD.to_owned();
    for (category, functions) in categories {
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## {}\n", title(category.name()));
        for function in functions {
            describe(function, &mut page);
        }
    }
    page
}

/// `DATE / TIME` as `Date / time`.
fn title(name: &str) -> String {
    if name.len() <= 4 && name != "MAP" {
        return name.to_owned();
    }
    let lower = name.to_lowercase();
    let (first, rest) = lower.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn describe(function: &FunctionDefinition, page: &mut String) {
    let name = function.name.to_uppercase();
    let _ = write!(page, "\n### {name}\n\n{}\n\n", function.description);
    if let FunctionKind::Aggregate(_) = function.kind {
        page.push_str(if supports_tables(&name) { "On streams and tables.\n\n" } else { "On streams only.\n\n" });
    }
    page.push_str("```text\n");
    for (signature, returns) in function.signatures() {
        let arguments = signature.strip_prefix(function.name).unwrap_or(&signature);
        let _ = writeln!(page, "{name}{arguments} -> {returns}");
    }
    page.push_str("```\n");
}

/// Aggregates that can take back the rows that a table replaces.
fn supports_tables(name: &str) -> bool {
    const TABLES: [&str; 10] = [
        "ATTR",
        "AVG",
        "COLLECT_LIST",
        "CORRELATION",
        "COUNT",
        "HISTOGRAM",
        "STDDEV_SAMP",
        "STDDEV_SAMPLE",
        "SUM",
        "SUM_LIST",
    ];
    TABLES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::FunctionSettings;
    use crate::functions::AggregateArgument;
    use crate::types::SqlType;
    use crate::value::Value;

    #[test]
    fn the_page_is_as_the_table_makes_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql-functions.md");
        let page = reference();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page, "run this test with UPDATE_DOCS=1");
    }

    #[test]
    fn the_page_says_rightly_what_works_on_tables() {
        let arguments = [
            vec![],
            vec![AggregateArgument::column(SqlType::Integer)],
            vec![AggregateArgument::column(SqlType::String)],
            vec![AggregateArgument::column(SqlType::array(SqlType::Integer))],
            vec![AggregateArgument::column(SqlType::Integer); 2],
            vec![
                AggregateArgument::column(SqlType::Integer),
                AggregateArgument::constant(SqlType::Integer, Value::Int(1)),
            ],
        ];
        for function in registry().iter().filter(|function| matches!(function.kind, FunctionKind::Aggregate(_))) {
            let built = arguments
                .iter()
                .find_map(|arguments| {
                    registry().aggregator(function.name, arguments, &FunctionSettings::default()).ok()
                })
                .unwrap_or_else(|| panic!("{} takes none of the arguments", function.name));
            assert_eq!(built.supports_undo(), supports_tables(&function.name.to_uppercase()), "{}", function.name);
        }
    }
}
