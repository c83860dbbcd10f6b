//! `JOIN`: sources put together from the left, with repartitioning where keys are not what is joined on.

use std::fmt;

use crate::ast::{ColumnReference, ComparisonOperator, Expression, Join, JoinKind, Name, Relation, SourceKind};
use crate::catalog::{Settings, StatementError};
use crate::expression::Purpose;
use crate::formats::Format;
use crate::operators::evaluator::Evaluator;
use crate::planner::compile::compile_for;
use crate::planner::scope::{Scope, ScopeSource, free_columns, unresolved};
use crate::planner::step::{JoinWindow, KeyColumn, Step, StepColumn, StepKind, StepSchema};
use crate::types::SqlType;

const DAY_MS: i64 = 86_400_000;
/// Through which a table of the right gets keys of another format.
const RIGHT_TABLE_TOPIC: &str = "RightSourceKeyed-SelectKey-repartition";
/// Rows with windowed keys stay where they are.
pub(super) const WINDOWS_STAY: &str = "Implicit repartitioning of windowed sources is not supported. See \
    https://github.com/confluentinc/ksql/issues/4385.";

/// Why a column must be in the projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The source has it.
    Source,
    /// `GROUP BY` these expressions.
    Group(Vec<String>),
    /// `PARTITION BY` these expressions.
    Partition(Vec<String>),
    /// A join on these columns.
    Join(Vec<String>),
    /// A join whose key is no column of a source.
    Synthetic,
    /// A foreign key join with this left table.
    ForeignKey(Name),
}

/// The step of a source.
pub fn source_step(source: &ScopeSource, scope: &Scope) -> Step {
    let flat = |name: &Name| scope.flat_name(&source.alias, name);
    let row = source.row().into_iter().map(|column| StepColumn { name: flat(&column.name), ..column }).collect();
    let keys = source.source.schema.keys().iter();
    let key = keys.map(|column| KeyColumn::new(flat(&column.name), column.column_type.clone()));
    let schema = StepSchema {
        kind: source.source.kind,
        key: key.collect(),
        row,
        window: source.source.window,
        key_format: source.source.key_format.format,
    };
    Step { schema, kind: StepKind::Source(Box::new(source.source.clone())) }
}

/// The step of everything that a query reads, and where its key comes from.
///
/// # Errors
/// Joins that cannot be.
pub fn from_step(from: &Relation, scope: &Scope, settings: &Settings) -> Result<(Step, KeyOrigin), StatementError> {
    let first = &scope.sources[0];
    let mut step = source_step(first, scope);
    let mut origin = KeyOrigin::Source;
    let Relation::Join { joins, .. } = from else { return Ok((step, origin)) };
    scope.check_values("JOIN")?;
    let last = joins.len();
    for (position, join) in joins.iter().enumerate() {
        let right = &scope.sources[position + 1];
        let prefix = if position + 1 == last { "".to_owned() } else { "L_".repeat(last - position - 1) };
        let left = Left { step, sources: &scope.sources[..=position] };
        (step, origin) = Joiner { scope, join, right, prefix: &prefix, settings }.join(left)?;
    }
    Ok((step, origin))
}

struct Left<'a> {
    step: Step,
    sources: &'a [ScopeSource],
}

struct Joiner<'a> {
    scope: &'a Scope,
    join: &'a Join,
    right: &'a ScopeSource,
    prefix: &'a str,
    settings: &'a Settings,
}

/// The sides of `ON`.
struct Condition {
    left: Expression,
    right: Expression,
    /// The source on the left that it is over.
    source: Name,
    /// Whether the right side stands first.
    flipped: bool,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, other) = if self.flipped { (&self.right, &self.left) } else { (&self.left, &self.right) };
        write!(f, "{one} = {other}")
    }
}

/// The sides of an equation.
fn equality(condition: &Expression) -> Result<(&Expression, &Expression), StatementError> {
    let is_equality = |expression: &Expression| {
        matches!(expression, Expression::Comparison { operator: ComparisonOperator::Equal, .. })
    };
    Err(StatementError(match condition {
        Expression::Comparison { operator: ComparisonOperator::Equal, left, right } => return Ok((left, right)),
        Expression::Comparison { .. } => "Only equality join criteria is supported.".to_owned(),
        Expression::Logical { left, right, .. } if is_equality(left) && is_equality(right) => {
            format!("Invalid join condition: joins on multiple conditions are not yet supported. Got {condition}.")
        }
        _ => format!("Unsupported join expression: {condition}"),
    }))
}

impl Joiner<'_> {
    fn join(&self, left: Left<'_>) -> Result<(Step, KeyOrigin), StatementError> {
        let condition = self.condition(&left)?;
        let right = source_step(self.right, self.scope);
        self.check_kinds(left.step.schema.kind, &condition)?;
        let key = |side: &Expression, row: &[StepColumn]| {
            compile_for(Purpose::SelectKey, &self.scope.flatten(side), row, self.settings)
        };
        let left_on = key(&condition.left, &left.step.schema.row)?;
        let right_on = key(&condition.right, &right.schema.row)?;
        match (left.step.schema.kind, right.schema.kind) {
            (SourceKind::Table, SourceKind::Table) => self.tables(left, right, condition, left_on, right_on),
            _ => self.with_stream(left, right, condition, left_on, right_on),
        }
    }

    fn condition(&self, left: &Left<'_>) -> Result<Condition, StatementError> {
        let qualified = self.scope.qualify(&self.join.condition, "JOIN ON")?;
        let (one, other) = equality(&qualified)?;
        let is_left = |alias: &Name| left.sources.iter().any(|source| source.alias == *alias);
        let is_right = |alias: &Name| self.right.alias == *alias;
        let later = |column: &ColumnReference| column.source.as_ref().is_some_and(|it| !is_left(it) && !is_right(it));
        if let Some(column) = free_columns(&qualified).iter().find(|column| later(column)) {
            return Err(unresolved(column, "JOIN ON"));
        }
        let side = |expression: &Expression| match self.scope.mentioned(expression).as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(StatementError(format!(
                "Invalid comparison expression '{expression}' in join '{qualified}'. Each side of the join comparision \
                 must contain references from exactly one source."
            ))),
        };
        let (one_source, other_source) = (side(one)?, side(other)?);
        if one_source == other_source {
            return Err(StatementError(format!(
                "Each side of the join must reference exactly one source and not the same source. Left side references \
                 `{one_source}` and right references `{other_source}`"
            )));
        }
        self.check_windows(&one_source, &other_source)?;
        if !is_right(&one_source) && !is_right(&other_source) {
            return Err(StatementError(format!(
                "A join criteria is expected to reference the source (`{}`) in the FROM clause, instead the right source \
                 references `{other_source}` and the left source references `{one_source}`",
                self.right.alias
            )));
        }
        let flipped = is_right(&one_source);
        let (left, right, source) = if flipped { (other, one, other_source) } else { (one, other, one_source) };
        Ok(Condition { left: left.clone(), right: right.clone(), source, flipped })
    }

    /// The join as messages name it.
    fn shown(&self, condition: &Condition) -> String {
        let left = self.scope.source(&condition.source).map(|source| source.source.name.to_string());
        format!("{} {} {}", left.unwrap_or_default(), self.join.kind.shown(), self.right.source.name)
    }

    /// Which kinds of sources can be joined how.
    fn check_kinds(&self, left: SourceKind, condition: &Condition) -> Result<(), StatementError> {
        let what = || self.shown(condition);
        match ((left, self.right.source.kind), self.join.kind, self.join.within) {
            ((SourceKind::Table, SourceKind::Stream), _, _) => Err(StatementError(format!(
                "Invalid join order: table-stream joins are not supported; only stream-table joins. Got {}.",
                what()
            ))),
            ((SourceKind::Stream, SourceKind::Table), JoinKind::Full, _) => Err(StatementError(format!(
                "Invalid join type: full-outer join not supported for stream-table join. Got {}.",
                what()
            ))),
            ((SourceKind::Stream, SourceKind::Stream), _, None) => Err(StatementError::new(
                "Stream-Stream joins must have a WITHIN clause specified. None was provided. To learn about how to specify \
                 a WITHIN clause with a stream-stream join, please visit: \
                 https://docs.confluent.io/current/ksql/docs/syntax-reference.html#create-stream-as-select",
            )),
            ((SourceKind::Stream, SourceKind::Table), _, Some(_)) => Err(StatementError::new(
                "A window definition was provided for a Stream-Table join. These joins are not windowed. Please drop the \
                 window definition (ie. the WITHIN clause) and try to execute your join again.",
            )),
            ((SourceKind::Table, SourceKind::Table), _, Some(_)) => Err(StatementError::new(
                "A window definition was provided for a Table-Table join. These joins are not windowed. Please drop the \
                 window definition (i.e. the WITHIN clause) and try to execute your Table-Table join again.",
            )),
            ((SourceKind::Stream, SourceKind::Table), JoinKind::Right, _) => {
                Err(StatementError(format!("Invalid join type encountered: {}", self.join.kind.shown())))
            }
            _ => Ok(()),
        }
    }

    /// Windowed keys are only found by keys that are windowed alike.
    fn check_windows(&self, left: &Name, right: &Name) -> Result<(), StatementError> {
        let window = |alias: &Name| self.scope.source(alias).and_then(|source| source.source.window);
        let name = |alias: &Name| window(alias).map_or("not", |info| info.shape.name());
        let refused = match (window(left), window(right)) {
            (Some(one), Some(other)) if one.is_session() != other.is_session() => format!(
                "Incompatible windowed sources.\nLeft source: {}\nRight source: {}\nSession windowed sources can only be \
                 joined to other session windowed sources, and may still not result in expected behaviour as session \
                 bounds must be an exact match for the join to work\nHopping and tumbling windowed sources can only be \
                 joined to other hopping and tumbling windowed sources",
                name(left),
                name(right)
            ),
            (Some(_), None) | (None, Some(_)) => format!(
                "Can not join windowed source to non-windowed source.\n`{left}` is {} windowed\n`{right}` is {} windowed",
                name(left),
                name(right)
            ),
            _ => return Ok(()),
        };
        Err(StatementError(refused))
    }

    /// Keys of two topics are only found in the same partitions when there are equally many; rows with another key stay
    /// in as many.
    fn check_partitions(&self, left: &[ScopeSource]) -> Result<(), StatementError> {
        let [first, ..] = left else { return Ok(()) };
        let (one, other) = (left.last().and_then(|source| source.source.partitions), self.right.source.partitions);
        match (one, other) {
            (Some(one), Some(other)) if one != other => Err(StatementError(format!(
                "Can't join `{0}` with `{1}` since the number of partitions don't match. `{0}` partitions = {one}; `{1}` \
                 partitions = {other}. Please repartition either one so that the number of partitions match.",
                first.alias, self.right.alias
            ))),
            _ => Ok(()),
        }
    }

    /// Keys of tables are compared with what is written: that must be of the same type.
    fn check_types(&self, condition: &Condition, left: &Evaluator, right: &Evaluator) -> Result<(), StatementError> {
        if left.value_type == right.value_type {
            return Ok(());
        }
        let left = format!("{}{{{}}}", condition.left, type_name(left));
        let right = format!("{}{{{}}}", condition.right, type_name(right));
        let (one, other) = if condition.flipped { (right, left) } else { (left, right) };
        Err(StatementError(format!("Invalid join condition: types don't match. Got {one} = {other}.")))
    }

    /// Rows stay without a partner on the left, on the right.
    fn outer(&self) -> [bool; 2] {
        match self.join.kind {
            JoinKind::Inner => [false, false],
            JoinKind::Left => [true, false],
            JoinKind::Right => [false, true],
            JoinKind::Full => [true, true],
        }
    }

    fn with_stream(
        &self,
        left: Left<'_>,
        right: Step,
        condition: Condition,
        left_on: Evaluator,
        right_on: Evaluator,
    ) -> Result<(Step, KeyOrigin), StatementError> {
        let Left { step: left, sources } = left;
        let flat_left = self.scope.flatten(&condition.left);
        let flat_right = self.scope.flatten(&condition.right);
        let keys = [equivalent(&left, &flat_left), equivalent(&right, &flat_right)];
        let streams = right.schema.kind == SourceKind::Stream;
        if !streams && !is_key(&right, &flat_right) {
            return Err(StatementError(format!(
                "Invalid join condition: stream-table joins require to join on the table's primary key. Got {condition}."
            )));
        }
        if left_on.value_type != right_on.value_type {
            return Err(StatementError(format!(
                "Invalid join. Key types differ: {} vs {}",
                type_name(&left_on),
                type_name(&right_on)
            )));
        }
        let moved = [!is_key(&left, &flat_left), !is_key(&right, &flat_right)];
        let left = self.rekeyed(left, &flat_left, left_on, if streams { "Join-left" } else { "Join" })?;
        let right = if streams { self.rekeyed(right, &flat_right, right_on, "Join-right")? } else { right };
        self.check_partitions(sources)?;
        let (left, right) = self.same_format(left, right, moved)?;
        let schema = self.schema(&left, &right, SourceKind::Stream, keys)?;
        let inputs = [Box::new(left), Box::new(right)];
        let kind = if streams {
            StepKind::StreamJoin { inputs, outer: self.outer(), window: self.window()? }
        } else {
            StepKind::StreamTableJoin { inputs, left: self.join.kind == JoinKind::Left }
        };
        Ok(self.finished(Step { schema, kind }))
    }

    fn tables(
        &self,
        left: Left<'_>,
        right: Step,
        condition: Condition,
        left_on: Evaluator,
        right_on: Evaluator,
    ) -> Result<(Step, KeyOrigin), StatementError> {
        let flat_left = self.scope.flatten(&condition.left);
        let flat_right = self.scope.flatten(&condition.right);
        if !is_key(&right, &flat_right) {
            return Err(StatementError(format!(
                "Invalid join condition: table-table joins require to join on the primary key of the right input table. \
                 Got {condition}."
            )));
        }
        if is_key(&left.step, &flat_left) {
            let keys = [equivalent(&left.step, &flat_left), equivalent(&right, &flat_right)];
            self.check_types(&condition, &left_on, &right_on)?;
            self.check_partitions(left.sources)?;
            let (left, right) = self.same_format(left.step, right, [false, false])?;
            let schema = self.schema(&left, &right, SourceKind::Table, keys)?;
            let inputs = [Box::new(left), Box::new(right)];
            let kind = StepKind::TableJoin { inputs, outer: self.outer() };
            return Ok(self.finished(Step { schema, kind }));
        }
        self.check_foreign_key(&left, &condition)?;
        self.check_types(&condition, &left_on, &right_on)?;
        if left.step.schema.window.is_some() {
            return Err(StatementError::new("Foreign-key table-table joins are not supported on windowed tables."));
        }
        if self.join.kind == JoinKind::Right {
            return Err(StatementError::new("RIGHT OUTER JOIN on a foreign key is not supported"));
        }
        // Structs of registered schemas may have been written with another schema than the foreign key will be.
        let is_struct = right.schema.key.iter().any(|key| matches!(key.column_type, SqlType::Struct(_)));
        let right = match is_struct && right.schema.key_format.has_registry() {
            true => self.rewritten(right, left.step.schema.key_format, RIGHT_TABLE_TOPIC),
            false => right,
        };
        let mut row = left.step.schema.row.clone();
        row.extend(right.schema.row.iter().cloned());
        let schema = StepSchema { row, ..left.step.schema.clone() };
        let name = left.sources.first().map(|source| source.alias.clone()).unwrap_or_else(|| "".into());
        let kind = StepKind::ForeignKeyJoin {
            inputs: [Box::new(left.step), Box::new(right)],
            foreign_key: left_on,
            outer: self.join.kind == JoinKind::Left,
        };
        Ok((Step { schema, kind }, KeyOrigin::ForeignKey(name)))
    }

    /// Joins of tables on what is not the key of the left.
    fn check_foreign_key(&self, left: &Left<'_>, condition: &Condition) -> Result<(), StatementError> {
        if self.join.kind == JoinKind::Full {
            return Err(StatementError(format!(
                "Invalid join type: full-outer join not supported for foreign-key table-table join. Got {}.",
                self.shown(condition)
            )));
        }
        if let (Expression::Column(column), [key]) = (&condition.left, left.step.schema.key.as_slice())
            && left.sources.len() > 1
            && let Some(source) = self.scope.source(&condition.source)
            && let [own] = source.source.schema.keys()
            && own.name == column.name
        {
            return Err(StatementError(format!(
                "Cannot repartition a TABLE source. If this is a join, make sure that the criteria uses the TABLE's key \
                 column {} instead of [{}]",
                key.names.first().map(ToString::to_string).unwrap_or_default(),
                self.scope.flatten(&condition.left)
            )));
        }
        if left.sources.len() > 1 {
            return Err(StatementError(format!(
                "Invalid join condition: foreign-key table-table joins are not supported as part of n-way joins. Got \
                 {condition}."
            )));
        }
        Ok(())
    }

    /// Both sides with keys of the same bytes: of the left's format, unless the left goes through a topic anyway. Keys
    /// that name their schema are never the same bytes.
    fn same_format(&self, mut left: Step, mut right: Step, moved: [bool; 2]) -> Result<(Step, Step), StatementError> {
        let deciding = if moved[0] && (!moved[1] || left.schema.key_format == Format::None) { &right } else { &left };
        let (mut format, window) = (deciding.schema.key_format, deciding.schema.window);
        if format == Format::None {
            format = self.settings.default_key_format().parse()?;
        }
        if moved[0] {
            left.schema.key_format = format;
        }
        let is_stream = |step: &Step| step.schema.kind == SourceKind::Stream;
        let both = is_stream(&left) && is_stream(&right);
        let is_other = |step: &Step| step.schema.key_format != format || step.schema.window != window;
        for (step, moved) in [(&left, moved[0]), (&right, moved[1])] {
            if !moved && step.schema.window.is_some() && (format.has_registry() || is_other(step)) {
                check_windowed_keys(step, format)?;
            }
        }
        if !moved[0] && format.has_registry() && is_stream(&left) {
            let topic = if both { "Join-left-repartition" } else { "Join-repartition" };
            left = self.rewritten(left, format, topic);
        }
        if !moved[1] && (format.has_registry() || is_other(&right)) {
            let topic = if both { "Join-right-repartition" } else { RIGHT_TABLE_TOPIC };
            right = self.rewritten(right, format, topic);
        } else {
            right.schema.key_format = format;
        }
        Ok((left, right))
    }

    /// The same rows with keys of another format.
    fn rewritten(&self, step: Step, format: Format, topic: &str) -> Step {
        let schema = StepSchema { key_format: format, ..step.schema.clone() };
        Step { schema, kind: StepKind::Rewrite { input: Box::new(step), topic: format!("{}{topic}", self.prefix) } }
    }

    /// The stream with the join expression as its key.
    fn rekeyed(&self, step: Step, on: &Expression, evaluator: Evaluator, topic: &str) -> Result<Step, StatementError> {
        if is_key(&step, on) {
            return Ok(step);
        }
        if step.schema.window.is_some() {
            return Err(StatementError::new(WINDOWS_STAY));
        }
        let column_type = evaluator.value_type.clone().ok_or_else(|| StatementError::new("A key cannot be null."))?;
        if column_type.contains_map() {
            let name = match on {
                Expression::Column(column) => column.name.to_string(),
                _ => "ROWKEY".to_owned(),
            };
            return Err(StatementError(format!(
                "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior \
                 due to inconsistent serialization. Key column name: `{name}`. Column type: {column_type}. See \
                 https://github.com/confluentinc/ksql/issues/6621 for more."
            )));
        }
        let key = vec![KeyColumn { column_type, ..equivalent(&step, on) }];
        let schema = StepSchema { key, window: None, ..step.schema.clone() };
        let topic = Some(format!("{}{topic}-repartition", self.prefix));
        let kind = StepKind::Repartition { input: Box::new(step), key: vec![evaluator], append: vec![false], topic };
        Ok(Step { schema, kind })
    }

    fn schema(
        &self,
        left: &Step,
        right: &Step,
        kind: SourceKind,
        [mut both, other]: [KeyColumn; 2],
    ) -> Result<StepSchema, StatementError> {
        let mut row = left.schema.row.clone();
        row.extend(right.schema.row.iter().cloned());
        both.names.extend(other.names);
        both.equals.extend(other.equals);
        if self.join.kind == JoinKind::Full {
            // Either side may be null.
            (both.names, both.equals) = (Vec::new(), Vec::new());
        }
        let column_type = left.schema.single_key().or(right.schema.single_key()).map(|key| key.column_type.clone());
        let column_type = column_type.ok_or_else(|| {
            StatementError::new("Joins are only possible on a single key column; the sources have several.")
        })?;
        let key = vec![KeyColumn { column_type, ..both }];
        Ok(StepSchema { kind, key, row, window: left.schema.window, key_format: left.schema.key_format })
    }

    /// Adds the synthetic key where no column holds the key. Its name is none of a source's; the key of an earlier join may
    /// have it, and is replaced.
    fn finished(&self, mut step: Step) -> (Step, KeyOrigin) {
        let [key] = step.schema.key.as_mut_slice() else { return (step, KeyOrigin::Synthetic) };
        if !key.names.is_empty() {
            let shown: Vec<String> = key.names.iter().map(|name| self.qualified(name)).collect();
            return (step, KeyOrigin::Join(shown));
        }
        let (name, column_type) = (self.synthetic_key(), key.column_type.clone());
        key.names.push(name.clone());
        let mut schema = step.schema.clone();
        // An earlier join has left its own there.
        let at = schema.position(&name);
        if at.is_none() {
            schema.row.push(StepColumn { name, column_type });
        }
        (Step { schema, kind: StepKind::AppendKey { input: Box::new(step), at } }, KeyOrigin::Synthetic)
    }

    fn synthetic_key(&self) -> Name {
        let is_taken = |name: &Name| self.scope.sources.iter().any(|source| source.source.schema.find(name).is_some());
        let mut name: Name = "ROWKEY".into();
        let mut number = 0;
        while is_taken(&name) {
            number += 1;
            name = format!("ROWKEY_{number}").into();
        }
        name
    }

    /// A column of a row as messages show it: with its source.
    fn qualified(&self, flat: &Name) -> String {
        for source in &self.scope.sources {
            if let Some(name) = flat.strip_prefix(&*source.alias).and_then(|rest| rest.strip_prefix('_'))
                && source.has(name)
            {
                return format!("{}.{name}", source.alias);
            }
        }
        flat.to_string()
    }

    fn window(&self) -> Result<JoinWindow, StatementError> {
        let within = self
            .join
            .within
            .ok_or_else(|| StatementError::new("Stream-Stream joins must have a WITHIN clause specified."))?;
        let ms = |duration: crate::ast::Duration| {
            duration.milliseconds().ok_or_else(|| StatementError(format!("Invalid duration: {duration}")))
        };
        let (mut before_ms, mut after_ms) = (ms(within.before)?, ms(within.after)?);
        let grace_ms = match within.grace {
            Some(grace) => ms(grace)?,
            None => DAY_MS.saturating_sub(before_ms.saturating_mul(2)).max(0),
        };
        if self.join.kind == JoinKind::Right {
            // The sides change places, and the window with them.
            (before_ms, after_ms) = (after_ms, before_ms);
        }
        Ok(JoinWindow { before_ms, after_ms, grace_ms, wait: within.grace.is_some() })
    }
}

/// Windowed keys of streams may be written anew only to name their schema, those of tables never.
fn check_windowed_keys(step: &Step, format: Format) -> Result<(), StatementError> {
    match (step.schema.kind, format.has_registry()) {
        (SourceKind::Stream, true) => Ok(()),
        (SourceKind::Table, true) => Err(StatementError(format!(
            "{WINDOWS_STAY} As a result, ksqlDB does not support joins on windowed sources with Schema-Registry-enabled \
             key formats (AVRO, JSON_SR, PROTOBUF) at this time. Please repartition your sources to use a different key \
             format before performing the join."
        ))),
        (_, false) => Err(StatementError::new(WINDOWS_STAY)),
    }
}

fn type_name(evaluator: &Evaluator) -> String {
    evaluator.value_type.as_ref().map_or("null".to_owned(), ToString::to_string)
}

/// Whether `on` is the whole key of a step.
fn is_key(step: &Step, on: &Expression) -> bool {
    match (on, step.schema.single_key()) {
        (Expression::Column(column), Some(key)) => key.names.contains(&column.name),
        (_, Some(key)) => key.equals.contains(&on.to_string()),
        _ => false,
    }
}

/// What is the same as what is joined on, after the join: everything that the key is, if it is the key. The type of anything
/// else is the caller's to say.
fn equivalent(step: &Step, on: &Expression) -> KeyColumn {
    let none = KeyColumn { names: Vec::new(), equals: Vec::new(), column_type: SqlType::String };
    match (on, step.schema.single_key()) {
        (_, Some(key)) if is_key(step, on) => key.clone(),
        (Expression::Column(column), _) => KeyColumn { names: vec![column.name.clone()], ..none },
        _ => KeyColumn { equals: vec![on.to_string()], ..none },
    }
}
