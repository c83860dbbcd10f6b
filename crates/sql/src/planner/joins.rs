//! `JOIN`: sources put together from the left, with repartitioning where keys are not what is joined on.

use crate::ast::{ComparisonOperator, Expression, Join, JoinKind, LogicalOperator, Name, Relation, SourceKind};
use crate::catalog::{Settings, StatementError, WindowInfo};
use crate::formats::Format;
use crate::operators::evaluator::Evaluator;
use crate::planner::compile::compile;
use crate::planner::scope::{Scope, ScopeSource};
use crate::planner::step::{JoinWindow, KeyColumn, Step, StepColumn, StepKind, StepSchema};

const DAY_MS: i64 = 86_400_000;

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
    let key = keys.map(|column| KeyColumn { names: vec![flat(&column.name)], column_type: column.column_type.clone() });
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
    let kafka: Vec<_> = scope
        .sources
        .iter()
        .filter(|source| source.source.value_format.format == Format::Kafka)
        .map(|source| source.source.name.to_string())
        .collect();
    if !kafka.is_empty() {
        return Err(StatementError(format!(
            "Source(s) {} are using the 'KAFKA' value format. This format does not yet support JOIN.",
            kafka.join(", ")
        )));
    }
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

/// The sides of `ON`, each with the sources it is over.
struct Condition {
    left: Expression,
    right: Expression,
    text: String,
}

impl Joiner<'_> {
    fn join(&self, left: Left<'_>) -> Result<(Step, KeyOrigin), StatementError> {
        let condition = self.condition(&left)?;
        let right = source_step(self.right, self.scope);
        self.check_kinds(&left)?;
        self.check_windows(left.step.schema.window, right.schema.window)?;
        let left_on = compile(&self.scope.flatten(&condition.left), &left.step.schema.row, self.settings)?;
        let right_on = compile(&self.scope.flatten(&condition.right), &right.schema.row, self.settings)?;
        self.check_types(&condition, &left_on, &right_on)?;
        match (left.step.schema.kind, right.schema.kind) {
            (SourceKind::Table, SourceKind::Table) => self.tables(left, right, condition, left_on),
            _ => self.with_stream(left.step, right, condition, left_on, right_on),
        }
    }

    fn condition(&self, left: &Left<'_>) -> Result<Condition, StatementError> {
        let qualified = self.scope.qualify(&self.join.condition, "JOIN ON")?;
        let Expression::Comparison { operator, left: one, right: other } = &qualified else {
            if let Expression::Logical { operator: LogicalOperator::And, .. } = &qualified {
                return Err(StatementError(format!(
                    "{}Invalid join condition: joins on multiple conditions are not yet supported. Got {qualified}.",
                    self.join.location.prefix()
                )));
            }
            return Err(StatementError(format!(
                "{}Unsupported join expression: {qualified}",
                self.join.location.prefix()
            )));
        };
        if *operator != ComparisonOperator::Equal {
            return Err(StatementError(format!(
                "{}Only equality join criteria is supported. Got {qualified}.",
                self.join.location.prefix()
            )));
        }
        let side = |expression: &Expression| match self.scope.mentioned(expression).as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(StatementError(format!(
                "Invalid comparison expression '{expression}' in join '{qualified}'. Each side of the join comparision \
                 must contain references from exactly one source."
            ))),
        };
        let (one_source, other_source) = (side(one)?, side(other)?);
        let on_left = |alias: &Name| left.sources.iter().any(|source| source.alias == *alias);
        let text = format!("{one} = {other}");
        if on_left(&one_source) && other_source == self.right.alias {
            Ok(Condition { left: (**one).clone(), right: (**other).clone(), text })
        } else if on_left(&other_source) && one_source == self.right.alias {
            Ok(Condition { left: (**other).clone(), right: (**one).clone(), text })
        } else {
            Err(StatementError(format!(
                "Each side of the join must reference exactly one source and not the same source. Left side references \
                 `{one_source}` and right references `{other_source}`"
            )))
        }
    }

    fn check_kinds(&self, left: &Left<'_>) -> Result<(), StatementError> {
        let kinds = (left.step.schema.kind, self.right.source.kind);
        let left_name = left.sources.last().map(|source| source.source.name.to_string()).unwrap_or_default();
        let what = format!("{left_name} {} JOIN {}", self.join.kind.text(), self.right.source.name);
        match (kinds, self.join.kind, self.join.within) {
            ((SourceKind::Table, SourceKind::Stream), _, _) => Err(StatementError(format!(
                "Invalid join order: table-stream joins are not supported; only stream-table joins. Got {what}."
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
            ((SourceKind::Stream, SourceKind::Table), JoinKind::Full, _) => {
                Err(StatementError::new("Full outer joins between streams and tables are not supported."))
            }
            ((SourceKind::Stream, SourceKind::Table), JoinKind::Right, _) => {
                Err(StatementError::new("Right outer joins between streams and tables are not supported."))
            }
            _ => Ok(()),
        }
    }

    fn check_windows(&self, left: Option<WindowInfo>, right: Option<WindowInfo>) -> Result<(), StatementError> {
        let refused = |left: String, right: String| {
            Err(StatementError(format!(
                "Incompatible windowed sources.\nLeft source: {left}\nRight source: {right}\nSession windowed sources can \
                 only be joined to other session windowed sources, and may still not result in expected behaviour as \
                 session bounds must be an exact match for the join to work\nHopping and tumbling windowed sources can \
                 only be joined to other hopping and tumbling windowed sources"
            )))
        };
        let name =
            |info: Option<WindowInfo>| info.map_or("not windowed".to_owned(), |info| info.shape.name().to_owned());
        match (left, right) {
            (Some(one), Some(other)) if one.is_session() != other.is_session() => refused(name(left), name(right)),
            (Some(_), None) | (None, Some(_)) => refused(name(left), name(right)),
            _ => Ok(()),
        }
    }

    /// Keys of two topics are only found in the same partitions when there are equally many.
    fn check_partitions(&self) -> Result<(), StatementError> {
        let left = &self.scope.sources[0].source;
        let right = &self.right.source;
        match (left.partitions, right.partitions) {
            (Some(one), Some(other)) if one != other => Err(StatementError(format!(
                "Can't join `{0}` with `{1}` since the number of partitions don't match. `{0}` partitions = {one}; `{1}` \
                 partitions = {other}. Please repartition either one so that the number of partitions match.",
                left.name, right.name
            ))),
            _ => Ok(()),
        }
    }

    fn check_types(&self, condition: &Condition, left: &Evaluator, right: &Evaluator) -> Result<(), StatementError> {
        if left.value_type == right.value_type {
            return Ok(());
        }
        let name = |evaluator: &Evaluator| {
            evaluator.value_type.as_ref().map_or("null".to_owned(), |value_type| value_type.to_string())
        };
        Err(StatementError(format!(
            "Invalid join condition: types don't match. Got {}{{{}}} = {}{{{}}}.",
            condition.left,
            name(left),
            condition.right,
            name(right)
        )))
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
        left: Step,
        right: Step,
        condition: Condition,
        left_on: Evaluator,
        right_on: Evaluator,
    ) -> Result<(Step, KeyOrigin), StatementError> {
        let flat_left = self.scope.flatten(&condition.left);
        let flat_right = self.scope.flatten(&condition.right);
        let left_names = key_names(&left, &flat_left);
        let right_names = key_names(&right, &flat_right);
        let streams = right.schema.kind == SourceKind::Stream;
        if !streams && !is_key(&right, &flat_right) {
            return Err(StatementError(format!(
                "Invalid join condition: stream-table joins require to join on the table's primary key. Got {}.",
                condition.text
            )));
        }
        let moved = [!is_key(&left, &flat_left), !is_key(&right, &flat_right)];
        let left = self.rekeyed(left, &flat_left, left_on, if streams { "Join-left" } else { "Join" })?;
        let right = if streams { self.rekeyed(right, &flat_right, right_on, "Join-right")? } else { right };
        if moved == [false, false] {
            self.check_partitions()?;
        }
        let (left, right) = self.same_format(left, right, moved);
        let schema = self.schema(&left, &right, SourceKind::Stream, (left_names, right_names))?;
        let inputs = [Box::new(left), Box::new(right)];
        let kind = if streams {
            StepKind::StreamJoin { inputs, outer: self.outer(), window: self.window()? }
        } else {
            StepKind::StreamTableJoin { inputs, left: self.join.kind == JoinKind::Left }
        };
        Ok(self.finished(Step { schema, kind }, &condition))
    }

    fn tables(
        &self,
        left: Left<'_>,
        right: Step,
        condition: Condition,
        left_on: Evaluator,
    ) -> Result<(Step, KeyOrigin), StatementError> {
        let flat_left = self.scope.flatten(&condition.left);
        let flat_right = self.scope.flatten(&condition.right);
        if !is_key(&right, &flat_right) {
            return Err(StatementError(format!(
                "Invalid join condition: table-table joins require to join on the primary key of the right input table. \
                 Got {}.",
                condition.text
            )));
        }
        if is_key(&left.step, &flat_left) {
            let names = (key_names(&left.step, &flat_left), key_names(&right, &flat_right));
            self.check_partitions()?;
            let (left, right) = self.same_format(left.step, right, [false, false]);
            let schema = self.schema(&left, &right, SourceKind::Table, names)?;
            let inputs = [Box::new(left), Box::new(right)];
            let kind = StepKind::TableJoin { inputs, outer: self.outer() };
            return Ok(self.finished(Step { schema, kind }, &condition));
        }
        if left.sources.len() > 1 {
            return Err(StatementError(format!(
                "Invalid join condition: foreign-key table-table joins are not supported as part of n-way joins. Got {}.",
                condition.text
            )));
        }
        if matches!(self.join.kind, JoinKind::Right | JoinKind::Full) {
            return Err(StatementError(format!("{} JOIN on a foreign key is not supported", self.join.kind.text())));
        }
        if left.step.schema.window.is_some() {
            return Err(StatementError::new("Foreign-key table-table joins are not supported on windowed tables."));
        }
        let (_, right) = self.same_format(left.step.clone(), right, [true, false]);
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

    /// Both sides with keys of the same bytes: of the left's format, unless the left goes through a topic anyway. Keys
    /// that name their schema are never the same bytes.
    fn same_format(&self, mut left: Step, mut right: Step, moved: [bool; 2]) -> (Step, Step) {
        let named = |step: &Step| matches!(step.schema.key_format, Format::Avro | Format::JsonSr);
        let rewritten = |step: Step, format: Format, topic: String| {
            let schema = StepSchema { key_format: format, ..step.schema.clone() };
            Step { schema, kind: StepKind::Rewrite { input: Box::new(step), topic } }
        };
        if moved[0] && !moved[1] {
            left.schema.key_format = right.schema.key_format;
        }
        let format = left.schema.key_format;
        let named = named(&left) || named(&right);
        let is_stream = |step: &Step| step.schema.kind == SourceKind::Stream;
        let both = is_stream(&left) && is_stream(&right);
        if !moved[0] && named && is_stream(&left) {
            let topic = if both { "Join-left-repartition" } else { "Join-repartition" };
            left = rewritten(left, format, format!("{}{topic}", self.prefix));
        }
        if !moved[1] && (named || right.schema.key_format != format) {
            let topic = if both { "Join-right-repartition" } else { "RightSourceKeyed-SelectKey-repartition" };
            right = rewritten(right, format, format!("{}{topic}", self.prefix));
        } else {
            right.schema.key_format = format;
        }
        (left, right)
    }

    /// The stream with the join expression as its key.
    fn rekeyed(&self, step: Step, on: &Expression, evaluator: Evaluator, topic: &str) -> Result<Step, StatementError> {
        if is_key(&step, on) {
            return Ok(step);
        }
        if step.schema.window.is_some() {
            return Err(StatementError::new(
                "Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385.",
            ));
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
        let key = vec![KeyColumn { names: key_names(&step, on), column_type }];
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
        (left_names, right_names): (Vec<Name>, Vec<Name>),
    ) -> Result<StepSchema, StatementError> {
        let mut row = left.schema.row.clone();
        row.extend(right.schema.row.iter().cloned());
        let mut names = left_names;
        names.extend(right_names);
        if self.join.kind == JoinKind::Full {
            names.clear();
        }
        let column_type = left.schema.single_key().or(right.schema.single_key()).map(|key| key.column_type.clone());
        let column_type = column_type.ok_or_else(|| {
            StatementError::new("Joins are only possible on a single key column; the sources have several.")
        })?;
        let key = vec![KeyColumn { names, column_type }];
        Ok(StepSchema { kind, key, row, window: left.schema.window, key_format: left.schema.key_format })
    }

    /// Adds the synthetic key where no column holds the key.
    fn finished(&self, mut step: Step, condition: &Condition) -> (Step, KeyOrigin) {
        let [key] = step.schema.key.as_mut_slice() else { return (step, KeyOrigin::Synthetic) };
        if !key.names.is_empty() {
            let shown: Vec<String> = key.names.iter().map(|name| self.qualified(name)).collect();
            return (step, KeyOrigin::Join(shown));
        }
        let _ = condition;
        let mut name: Name = "ROWKEY".into();
        let mut number = 0;
        let taken = |name: &Name, row: &[StepColumn]| {
            let in_source = self.scope.sources.iter().any(|source| source.has(name));
            in_source || row.iter().any(|column| column.name == *name)
        };
        while taken(&name, &step.schema.row) {
            number += 1;
            name = format!("ROWKEY_{number}").into();
        }
        key.names.push(name.clone());
        let mut schema = step.schema.clone();
        let column_type = schema.key[0].column_type.clone();
        schema.row.push(StepColumn { name, column_type });
        (Step { schema, kind: StepKind::AppendKey { input: Box::new(step) } }, KeyOrigin::Synthetic)
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
        let (before_ms, after_ms) = (ms(within.before)?, ms(within.after)?);
        let grace_ms = match within.grace {
            Some(grace) => ms(grace)?,
            None => (DAY_MS - (before_ms + after_ms)).max(0),
        };
        Ok(JoinWindow { before_ms, after_ms, grace_ms, wait: within.grace.is_some() })
    }
}

/// Whether `on` is the whole key of a step.
fn is_key(step: &Step, on: &Expression) -> bool {
    match (on, step.schema.single_key()) {
        (Expression::Column(column), Some(key)) => key.names.contains(&column.name),
        _ => false,
    }
}

/// The columns that hold what is joined on: all names of the key, if it is the key.
fn key_names(step: &Step, on: &Expression) -> Vec<Name> {
    match (on, step.schema.single_key()) {
        (Expression::Column(column), Some(key)) if key.names.contains(&column.name) => key.names.clone(),
        (Expression::Column(column), _) => vec![column.name.clone()],
        _ => Vec::new(),
    }
}
