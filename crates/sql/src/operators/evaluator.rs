//! Compiled expressions over rows.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use super::processing_log::{Failed, ProcessingLog, row_json};
use crate::expression::FailedPart;
use crate::types::SqlType;
use crate::value::Value;

/// What a compiled expression is made of: a function of a row, which may fail with a message.
pub type Evaluate = dyn Fn(&[Value]) -> Result<Value, Cow<'static, str>> + Send + Sync;

thread_local! {
    /// Parts of the expression computed last that have failed.
    static FAILED_PARTS: RefCell<Vec<FailedPart>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what has failed within the expression that is being computed until its log asks.
pub fn note_failed_parts(parts: Vec<FailedPart>) {
    if !parts.is_empty() {
        FAILED_PARTS.set(parts);
    }
}

/// A compiled expression. Cheap to clone.
#[derive(Clone)]
pub struct Evaluator {
    /// The type of its values; `None` for one that is always null.
    pub value_type: Option<SqlType>,
    text: Arc<str>,
    computation: Computation,
    reads: Option<Arc<[usize]>>,
    /// The types of the columns of rows.
    row: Option<Arc<[SqlType]>>,
    /// What the log says of failures; columns have none.
    failure: Option<Arc<Failure>>,
}

/// What the processing log says of an expression that has no value for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step of the query that computes it.
    pub step: &'static str,
    /// What failed.
    pub message: String,
}

#[derive(Clone)]
enum Computation {
    Column(usize),
    Function(Arc<Evaluate>),
}

impl Evaluator {
    /// Of a function; `text` is the expression as messages show it.
    pub fn new(value_type: Option<SqlType>, text: &str, evaluate: Arc<Evaluate>) -> Self {
        let computation = Computation::Function(evaluate);
        // Made once: operands that are null fail often, and mostly nobody reads of it.
        let failure = Failure { step: "Project", message: format!("Error computing expression {text}") };
        Evaluator {
            value_type,
            text: Arc::from(text),
            computation,
            reads: None,
            row: None,
            failure: Some(Arc::new(failure)),
        }
    }

    /// The same, of whose failures the log says this.
    pub fn failing(self, step: &'static str, message: String) -> Self {
        Evaluator { failure: Some(Arc::new(Failure { step, message })), ..self }
    }

    /// The same, of which is known that it looks at no other columns than these.
    pub fn reading(self, columns: impl IntoIterator<Item = usize>) -> Self {
        Evaluator { reads: Some(columns.into_iter().collect()), ..self }
    }

    /// The same over rows with columns of these types.
    pub fn over(self, row: Arc<[SqlType]>) -> Self {
        Evaluator { row: Some(row), ..self }
    }

    /// A row that it is computed of, as the log shows it.
    pub fn shown(&self, row: &[Value]) -> String {
        row_json(row, self.row.as_deref().unwrap_or_default())
    }

    /// The expression as messages show it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The positions of the columns that it looks at; `None` when it may be any.
    pub fn reads(&self) -> Option<&[usize]> {
        match &self.computation {
            Computation::Column(position) => Some(std::slice::from_ref(position)),
            Computation::Function(_) => self.reads.as_deref(),
        }
    }

    /// The column at `position` of rows.
    pub fn column(position: usize, value_type: SqlType, name: &str) -> Self {
        let computation = Computation::Column(position);
        Evaluator {
            value_type: Some(value_type),
            text: Arc::from(name),
            computation,
            reads: None,
            row: None,
            failure: None,
        }
    }

    /// The value for `row`; null when it cannot be computed, which is logged, as are parts of it that are null for that.
    pub fn value(&self, row: &[Value], log: &dyn ProcessingLog) -> Value {
        let computed = self.compute(row);
        for FailedPart { part, error } in FAILED_PARTS.take() {
            let step = self.failure.as_deref().map_or("Project", |failure| failure.step);
            let message = format!("Error processing {part}");
            log.failure(step, &Failed { message: &message, cause: Some(&error.0), row: &|| self.shown(row) });
        }
        match computed {
            Ok(value) => value,
            Err(cause) => {
                if let Some(Failure { step, message }) = self.failure.as_deref() {
                    log.failure(step, &Failed { message, cause: Some(&*cause), row: &|| self.shown(row) });
                }
                Value::Null
            }
        }
    }

    /// The value for `row`, or why there is none.
    ///
    /// # Errors
    /// What the expression fails with.
    pub fn try_value(&self, row: &[Value]) -> Result<Value, Cow<'static, str>> {
        let computed = self.compute(row);
        FAILED_PARTS.take();
        computed
    }

    fn compute(&self, row: &[Value]) -> Result<Value, Cow<'static, str>> {
        match &self.computation {
            Computation::Column(position) => Ok(row.get(*position).cloned().unwrap_or_default()),
            Computation::Function(evaluate) => evaluate(row),
        }
    }

    /// Whether `row` fulfils a predicate: null is no.
    pub fn holds(&self, row: &[Value], log: &dyn ProcessingLog) -> bool {
        matches!(self.value(row, log), Value::Boolean(true))
    }
}
