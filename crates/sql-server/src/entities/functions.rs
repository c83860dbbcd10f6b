//! Functions as JSON.

use milena_sql::functions::{FunctionDefinition, FunctionKind, ParameterType, registry};
use serde_json::{Value, json};

fn kind(function: &FunctionDefinition) -> &'static str {
    match function.kind {
        FunctionKind::Scalar(_) => "SCALAR",
        FunctionKind::Aggregate(_) => "AGGREGATE",
        FunctionKind::Table(_) => "TABLE",
    }
}

/// `SHOW FUNCTIONS`.
pub fn listed() -> Value {
    let entry = |function: &FunctionDefinition| json!({ "name": function.name.to_uppercase(), "type": kind(function), "category": function.category.name() });
    registry().iter().map(entry).collect()
}

/// `DESCRIBE FUNCTION`; `None` when there is no such function.
pub fn described(name: &str) -> Option<Value> {
    let function = registry().find(name)?;
    let overload =
        |(parameters, variadic, returns): (&[milena_sql::functions::Parameter], Option<usize>, &ParameterType)| {
            let argument = |(position, parameter): (usize, &milena_sql::functions::Parameter)| {
                json!({
                    "name": parameter.name,
                    "type": parameter.kind.to_string(),
                    "description": "",
                    "isVariadic": variadic == Some(position),
                })
            };
            json!({
                "argumentTypes": parameters.iter().map(|parameter| parameter.kind.to_string()).collect::<Vec<_>>(),
                "arguments": parameters.iter().enumerate().map(argument).collect::<Vec<_>>(),
                "returnType": returns.to_string(),
                "description": function.description,
            })
        };
    Some(json!({
        "name": function.name.to_uppercase(),
        "description": function.description,
        "author": "",
        "version": "",
        "path": "internal",
        "functions": function.parameters().into_iter().map(overload).collect::<Vec<_>>(),
        "type": kind(function),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_in_any_case() {
        let described = described("count").unwrap();
        assert_eq!((described["name"].as_str(), described["type"].as_str()), (Some("COUNT"), Some("AGGREGATE")));
        assert!(!described["functions"].as_array().unwrap().is_empty());
        assert!(super::described("NO_SUCH").is_none());
        assert!(listed().as_array().unwrap().len() > 100);
    }
}
