//! The built-in functions: what they are called, what they take, what they do.
//!
//! Each function's documentation stands beside its code; DESCRIBE FUNCTION and the language reference are made of it.
//! A signature is written as users read it: `(value STRING, pos INT, len INT) STRING`; single capital letters are type
//! variables, `T...` takes any number, `ANY` takes everything.

pub mod aggregate;
mod array;
pub(crate) mod bytes;
mod cache;
mod conditional;
pub mod date_format;
mod date_time;
pub mod document;
mod java_regex;
mod json;
mod lambda;
mod map;
mod mask;
mod math;
mod regex;
mod resolve;
mod signature;
mod string;
mod table;
pub(crate) mod trial;
mod url;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bigdecimal::BigDecimal;

pub use aggregate::{AggregateArgument, Aggregator};
pub use resolve::{Argument, BindError, Resolved};
pub use signature::{Parameter, ParameterType};
pub use table::ResolvedTableFunction;

use crate::expression::{EvalContext, EvalError, FunctionSettings};
use crate::types::SqlType;
use crate::value::{MapValue, Value};

/// A function of the language.
#[derive(Debug)]
pub struct FunctionDefinition {
    /// Name as messages show it; calls find it in any case.
    pub name: &'static str,
    /// Group in SHOW FUNCTIONS.
    pub category: Category,
    /// What it does, for users.
    pub description: &'static str,
    /// Its variants.
    pub kind: FunctionKind,
}

/// What a function makes of what.
#[derive(Debug)]
pub enum FunctionKind {
    /// One value of one row.
    Scalar(Variants<ScalarBody>),
    /// One value of many rows.
    Aggregate(Variants<AggregateBody>),
    /// Many rows of one.
    Table(Variants<TableBody>),
}

/// The overloads of a function.
#[derive(Debug)]
pub struct Variants<B> {
    /// The overloads.
    pub overloads: Vec<Overload<B>>,
}

/// One way to call a function.
#[derive(Debug)]
pub struct Overload<B> {
    /// What it takes.
    pub parameters: Vec<Parameter>,
    /// Position of the parameter that takes any number of arguments.
    pub variadic: Option<usize>,
    /// What it gives.
    pub returns: ParameterType,
    /// What it gives where the signature cannot say it: the type for the types of the arguments.
    pub return_rule: Option<ReturnRule>,
    /// Whether a null among the arguments makes the result null.
    pub strict: bool,
    /// What it does.
    pub body: B,
}

/// Finds the type of a result.
pub type ReturnRule = fn(&[Option<SqlType>]) -> Result<SqlType, String>;
/// Computes a scalar function.
pub type ScalarBody = fn(&mut Call<'_>) -> Result<Value, EvalError>;
/// Makes an aggregate function ready for its arguments.
pub type AggregateBody = fn(&[AggregateArgument], &FunctionSettings) -> Result<Box<dyn Aggregator>, String>;
/// Computes a table function: the values that become rows.
pub type TableBody = fn(&[Value]) -> Result<Vec<Value>, EvalError>;

/// The group of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Of many rows.
    Aggregate,
    /// On arrays.
    Array,
    /// From one representation to another.
    Conversions,
    /// That choose.
    Conditional,
    /// On dates and times.
    DateTime,
    /// On JSON texts.
    Json,
    /// That take lambdas.
    Lambda,
    /// On maps.
    Map,
    /// On numbers.
    Mathematical,
    /// The rest.
    Other,
    /// With regular expressions.
    RegularExpression,
    /// On texts.
    String,
    /// That make rows.
    Table,
    /// On URLs.
    Url,
}

impl Category {
    /// The name in SHOW FUNCTIONS.
    pub fn name(self) -> &'static str {
        match self {
            Category::Aggregate => "AGGREGATE",
            Category::Array => "ARRAY",
            Category::Conversions => "CONVERSIONS",
            Category::Conditional => "CONDITIONAL",
            Category::DateTime => "DATE / TIME",
            Category::Json => "JSON",
            Category::Lambda => "LAMBDA",
            Category::Map => "MAP",
            Category::Mathematical => "MATHEMATICAL",
            Category::Other => "OTHER",
            Category::RegularExpression => "REGULAR EXPRESSION",
            Category::String => "STRING",
            Category::Table => "TABLE",
            Category::Url => "URL",
        }
    }
}

/// All functions by their names in upper case.
#[derive(Debug, Default)]
pub struct Registry {
    functions: BTreeMap<String, FunctionDefinition>,
}

/// The built-in functions.
pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        let mut registry = Registry::default();
        aggregate::register(&mut registry);
        array::register(&mut registry);
        bytes::register(&mut registry);
        conditional::register(&mut registry);
        date_time::register(&mut registry);
        json::register(&mut registry);
        lambda::register(&mut registry);
        map::register(&mut registry);
        mask::register(&mut registry);
        math::register(&mut registry);
        regex::register(&mut registry);
        string::register(&mut registry);
        table::register(&mut registry);
        url::register(&mut registry);
        registry
    });
    &REGISTRY
}

impl Registry {
    /// A function by its name in any case.
    pub fn find(&self, name: &str) -> Option<&FunctionDefinition> {
        let known = |name: &str| self.functions.get(name);
        known(name).or_else(|| {
            let upper = name.to_ascii_uppercase();
            known(&upper).or_else(|| trial::find(&upper))
        })
    }

    /// All functions in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &FunctionDefinition> {
        self.functions.values()
    }

    /// Whether the name is that of an aggregate function.
    pub fn is_aggregate(&self, name: &str) -> bool {
        matches!(self.find(name), Some(FunctionDefinition { kind: FunctionKind::Aggregate(_), .. }))
    }

    /// Whether the name is that of a table function.
    pub fn is_table_function(&self, name: &str) -> bool {
        matches!(self.find(name), Some(FunctionDefinition { kind: FunctionKind::Table(_), .. }))
    }

    fn add(&mut self, function: FunctionDefinition) {
        self.functions.insert(function.name.to_ascii_uppercase(), function);
    }

    /// Begins a scalar function; its overloads follow.
    fn scalar(&mut self, category: Category, name: &'static str, description: &'static str) -> ScalarBuilder<'_> {
        ScalarBuilder { registry: self, name, category, description, overloads: Vec::new() }
    }
}

impl FunctionDefinition {
    /// Each overload as `NAME(value STRING, pos INT)` and what it gives.
    pub fn signatures(&self) -> Vec<(String, String)> {
        match &self.kind {
            FunctionKind::Scalar(variants) => self.texts(&variants.overloads),
            FunctionKind::Aggregate(variants) => self.texts(&variants.overloads),
            FunctionKind::Table(variants) => self.texts(&variants.overloads),
        }
    }

    /// The parameters of each overload, with the position of the one that takes any number, and what it gives.
    pub fn parameters(&self) -> Vec<(&[Parameter], Option<usize>, &ParameterType)> {
        fn of<B>(variants: &Variants<B>) -> Vec<(&[Parameter], Option<usize>, &ParameterType)> {
            variants.overloads.iter().map(|o| (o.parameters.as_slice(), o.variadic, &o.returns)).collect()
        }
        match &self.kind {
            FunctionKind::Scalar(variants) => of(variants),
            FunctionKind::Aggregate(variants) => of(variants),
            FunctionKind::Table(variants) => of(variants),
        }
    }

    fn texts<B>(&self, overloads: &[Overload<B>]) -> Vec<(String, String)> {
        overloads.iter().map(|overload| (overload.text(self.name), overload.returns.to_string())).collect()
    }
}

/// Collects the overloads of a scalar function; it is registered when this is dropped.
struct ScalarBuilder<'a> {
    registry: &'a mut Registry,
    name: &'static str,
    category: Category,
    description: &'static str,
    overloads: Vec<Overload<ScalarBody>>,
}

impl ScalarBuilder<'_> {
    /// An overload that gives null where an argument is null.
    fn strict(mut self, signature: &str, body: ScalarBody) -> Self {
        self.overloads.push(Overload::new(signature, true, body));
        self
    }

    /// An overload that looks at nulls itself.
    fn nullable(mut self, signature: &str, body: ScalarBody) -> Self {
        self.overloads.push(Overload::new(signature, false, body));
        self
    }

    /// How the last overload finds the type of its result.
    fn returning(mut self, rule: ReturnRule) -> Self {
        if let Some(last) = self.overloads.last_mut() {
            last.return_rule = Some(rule);
        }
        self
    }
}

impl Drop for ScalarBuilder<'_> {
    fn drop(&mut self) {
        let kind = FunctionKind::Scalar(Variants { overloads: std::mem::take(&mut self.overloads) });
        let ScalarBuilder { name, category, description, .. } = *self;
        self.registry.add(FunctionDefinition { name, category, description, kind });
    }
}

/// What is known of a call before any row comes.
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// Types of the arguments that are no lambdas.
    pub argument_types: Vec<Option<SqlType>>,
    /// Type of the result.
    pub return_type: SqlType,
    /// How functions behave.
    pub settings: FunctionSettings,
}

/// One computation of a scalar function.
pub struct Call<'a> {
    /// The arguments that are no lambdas.
    pub arguments: &'a [Value],
    /// What was known before.
    pub info: &'a CallInfo,
    /// The arguments that are lambdas.
    pub lambdas: &'a [crate::expression::CompiledLambda],
    /// The row, which lambdas see.
    pub row: &'a [Value],
    /// Where lambdas find their parameters.
    pub context: &'a mut EvalContext,
}

impl<'a> Call<'a> {
    fn len(&self) -> usize {
        self.arguments.len()
    }

    fn value(&self, index: usize) -> &'a Value {
        self.arguments.get(index).unwrap_or(&Value::Null)
    }

    fn is_null(&self, index: usize) -> bool {
        self.value(index).is_null()
    }

    fn str(&self, index: usize) -> &'a str {
        self.value(index).as_str().unwrap_or_default()
    }

    fn bytes(&self, index: usize) -> &'a [u8] {
        self.value(index).as_bytes().unwrap_or_default()
    }

    fn int(&self, index: usize) -> i32 {
        self.long(index) as i32
    }

    fn long(&self, index: usize) -> i64 {
        self.value(index).as_i64().unwrap_or_default()
    }

    fn double(&self, index: usize) -> f64 {
        self.value(index).as_f64().unwrap_or_default()
    }

    fn decimal(&self, index: usize) -> BigDecimal {
        self.value(index).as_decimal().unwrap_or_default()
    }

    fn array(&self, index: usize) -> &'a [Value] {
        self.value(index).as_array().unwrap_or_default()
    }

    fn map(&self, index: usize) -> &'a MapValue {
        static EMPTY: LazyLock<MapValue> = LazyLock::new(MapValue::new);
        self.value(index).as_map().unwrap_or(&EMPTY)
    }

    /// Type of an argument; text where it is nothing but null.
    fn argument_type(&self, index: usize) -> &'a SqlType {
        self.info.argument_types.get(index).and_then(Option::as_ref).unwrap_or(&SqlType::String)
    }

    /// The value of a lambda.
    fn lambda(&mut self, index: usize, arguments: &[Value]) -> Result<Value, EvalError> {
        match self.lambdas.get(index) {
            Some(lambda) => lambda.call(self.row, arguments, self.context),
            None => Ok(Value::Null),
        }
    }
}

/// A text as a value, nothing as null.
fn optional<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, Into::into)
}

#[cfg(test)]
mod compatibility_tests;
#[cfg(test)]
mod tests;
