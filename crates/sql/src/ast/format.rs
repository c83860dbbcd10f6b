//! Expressions and statements as text: in messages, in SHOW QUERIES and in EXPLAIN.

use std::fmt::{self, Display, Write};

use super::*;
use crate::value::{date_text, decimal_text, time_text, timestamp_text};

/// Which names are quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatOptions {
    /// None, as messages show them.
    Plain,
    /// Those that the parser would read otherwise: reserved words, lower case, unusual characters.
    Quoted,
}

/// Words that are names only in quotes.
const RESERVED: &[&str] = &[
    "ALL",
    "AND",
    "AS",
    "AT",
    "BEGINNING",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CONNECTOR",
    "CREATE",
    "DECIMAL",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "EXTENDED",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "OUTER",
    "PRINT",
    "RENAME",
    "RIGHT",
    "RUN",
    "SAMPLE",
    "SCRIPT",
    "SELECT",
    "STREAM",
    "TABLE",
    "TERMINATE",
    "THEN",
    "TO",
    "TRUE",
    "UNSET",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// Words that the parser takes as names where nothing else can be meant. ksqlDB does not, so that texts quote them.
const QUOTED: &[&str] = &[
    "ADVANCE",
    "CATALOG",
    "CONNECTORS",
    "DAYS",
    "EXPORT",
    "HOPPING",
    "HOURS",
    "LOAD",
    "MATERIALIZED",
    "MILLISECOND",
    "MILLISECONDS",
    "MINUTES",
    "MONTHS",
    "NAMESPACE",
    "PAUSE",
    "PROPERTIES",
    "QUERIES",
    "QUERY",
    "RESUME",
    "RETENTION",
    "SECONDS",
    "SIZE",
    "STREAMS",
    "TOPIC",
    "TOPICS",
    "TUMBLING",
    "VIEW",
    "YEARS",
];

/// Whether an upper-case word is a name only in quotes.
pub fn is_reserved_word(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// The words that are no names unless they stand in back-ticks, in order.
pub fn reserved_words() -> &'static [&'static str] {
    RESERVED
}

/// Words that are names, and that are shown in back-ticks all the same, in order.
pub fn quoted_words() -> &'static [&'static str] {
    QUOTED
}

/// The name as the parser reads it back: in back-ticks where needed.
pub fn quote_identifier(name: &str) -> String {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '@';
    let is_word = match name.chars().next() {
        Some('@') | None => false,
        // Digits alone, or with an exponent, are a number.
        Some(first) if first.is_ascii_digit() => !name.chars().all(|c| c.is_ascii_digit() || c == 'E'),
        Some(_) => true,
    };
    if is_word && name.chars().all(is_part) && !is_reserved_word(name) && !QUOTED.contains(&name) {
        return name.to_owned();
    }
    format!("`{}`", name.replace('`', "``"))
}

impl FormatOptions {
    fn name(self, name: &str) -> String {
        match self {
            FormatOptions::Plain => name.to_owned(),
            FormatOptions::Quoted => quote_identifier(name),
        }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expression(f, self, FormatOptions::Plain)
    }
}

impl Expression {
    /// The expression as text with names quoted as asked.
    pub fn format(&self, options: FormatOptions) -> String {
        let mut output = String::new();
        // Writing into a String cannot fail.
        let _ = write_expression(&mut output, self, options);
        output
    }
}

impl Display for ColumnReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Boolean(truth) => write!(f, "{truth}"),
            Literal::Integer(number) => write!(f, "{number}"),
            Literal::Bigint(number) => write!(f, "{number}"),
            Literal::Double(number) => f.write_str(&scientific(*number)),
            Literal::Decimal(number) => f.write_str(&decimal_text(number)),
            Literal::String(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Literal::Date(days) => write!(f, "DATE '{}'", date_text(*days)),
            Literal::Time(ms) => write!(f, "TIME '{}'", time_text(*ms)),
            Literal::Timestamp(ms) => write!(f, "TIMESTAMP '{}'", timestamp_text(*ms)),
        }
    }
}

/// A double literal with its exponent, so that it is read back as a double.
fn scientific(number: f64) -> String {
    let text = format!("{number:E}");
    if text.contains('E') { text } else { format!("{text}E0") }
}

fn write_expression(f: &mut dyn Write, expression: &Expression, options: FormatOptions) -> fmt::Result {
    let show = |expression: &Expression| expression.format(options);
    match expression {
        Expression::Literal(literal) => write!(f, "{literal}"),
        Expression::Column(column) => match &column.source {
            Some(source) => write!(f, "{}.{}", options.name(source), options.name(&column.name)),
            None => f.write_str(&options.name(&column.name)),
        },
        Expression::Not(value) => write!(f, "(NOT {})", show(value)),
        Expression::IsNull(value) => write!(f, "({} IS NULL)", show(value)),
        Expression::IsNotNull(value) => write!(f, "({} IS NOT NULL)", show(value)),
        Expression::Arithmetic { operator, left, right } => {
            write!(f, "({} {} {})", show(left), operator.symbol(), show(right))
        }
        Expression::Sign { negative, value } => {
            let value = show(value);
            let sign = if *negative { '-' } else { '+' };
            // `--` would begin a comment.
            let space = if value.starts_with(sign) { " " } else { "" };
            write!(f, "{sign}{space}{value}")
        }
        Expression::Comparison { operator, left, right } => {
            write!(f, "({} {} {})", show(left), operator.symbol(), show(right))
        }
        Expression::Logical { operator, left, right } => {
            let word = if *operator == LogicalOperator::And { "AND" } else { "OR" };
            write!(f, "({} {word} {})", show(left), show(right))
        }
        Expression::Between { value, min, max } => {
            write!(f, "({} BETWEEN {} AND {})", show(value), show(min), show(max))
        }
        Expression::In { value, list } => write!(f, "({} IN ({}))", show(value), joined(list, options)),
        Expression::Like { value, pattern, escape } => {
            write!(f, "({} LIKE {}", show(value), show(pattern))?;
            if let Some(escape) = escape {
                write!(f, " ESCAPE '{escape}'")?;
            }
            f.write_char(')')
        }
        Expression::SearchedCase { branches, default } => {
            f.write_str("(CASE")?;
            write_branches(f, branches, default.as_deref(), options)
        }
        Expression::SimpleCase { operand, branches, default } => {
            write!(f, "(CASE {}", show(operand))?;
            write_branches(f, branches, default.as_deref(), options)
        }
        Expression::Cast { value, target } => write!(f, "CAST({} AS {target})", show(value)),
        Expression::Subscript { base, index } => write!(f, "{}[{}]", show(base), show(index)),
        Expression::Dereference { base, field } => write!(f, "{}->{}", show(base), options.name(field)),
        Expression::Function(call) if call.arguments.is_empty() && &*call.name == "COUNT" => f.write_str("COUNT(*)"),
        Expression::Function(call) => write!(f, "{}({})", call.name, joined(&call.arguments, options)),
        Expression::Array(elements) => write!(f, "ARRAY[{}]", joined(elements, options)),
        Expression::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{}:={}", show(key), show(value))).collect();
            write!(f, "MAP({})", entries.join(", "))
        }
        Expression::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{}:={}", options.name(name), show(value))).collect();
            write!(f, "STRUCT({})", fields.join(", "))
        }
        Expression::Lambda { parameters, body } => {
            let parameters: Vec<&str> = parameters.iter().map(|name| &**name).collect();
            write!(f, "({}) => {}", parameters.join(", "), show(body))
        }
        Expression::IntervalUnit(unit) => f.write_str(unit.name()),
    }
}

fn write_branches(
    f: &mut dyn Write,
    branches: &[(Expression, Expression)],
    default: Option<&Expression>,
    options: FormatOptions,
) -> fmt::Result {
    for (when, then) in branches {
        write!(f, " WHEN {} THEN {}", when.format(options), then.format(options))?;
    }
    if let Some(default) = default {
        write!(f, " ELSE {}", default.format(options))?;
    }
    f.write_str(" END)")
}

fn joined(expressions: &[Expression], options: FormatOptions) -> String {
    let texts: Vec<_> = expressions.iter().map(|expression| expression.format(options)).collect();
    texts.join(", ")
}

/// A statement in its normal form, without the final `;`; `None` for statements that have none but their own text.
pub fn format_statement(statement: &Statement) -> Option<String> {
    Some(match statement {
        Statement::Query(query) => query.to_string(),
        Statement::CreateAsSelect(create) => {
            let head = create_head(create.or_replace, false, create.kind, create.if_not_exists, &create.name);
            format!("{head}{} AS {}", with_clause(&create.properties), create.query)
        }
        Statement::InsertInto(insert) => {
            let target = quote_identifier(&insert.target);
            format!("INSERT INTO {target}{} {}", with_clause(&insert.properties), insert.query)
        }
        Statement::CreateSource(create) => {
            let head =
                create_head(create.or_replace, create.is_source, create.kind, create.if_not_exists, &create.name);
            let elements: Vec<_> = create.elements.iter().map(ToString::to_string).collect();
            let elements = if elements.is_empty() { String::new() } else { format!(" ({})", elements.join(", ")) };
            format!("{head}{elements}{}", with_clause(&create.properties))
        }
        Statement::InsertValues(insert) => {
            let columns: Vec<_> = insert.columns.iter().map(|name| quote_identifier(name)).collect();
            let columns = if columns.is_empty() { String::new() } else { format!("({}) ", columns.join(", ")) };
            let values = joined(&insert.values, FormatOptions::Quoted);
            format!("INSERT INTO {} {columns}VALUES ({values})", quote_identifier(&insert.target))
        }
        Statement::DropSource(drop) => {
            let if_exists = if drop.if_exists { "IF EXISTS " } else { "" };
            let delete = if drop.delete_topic { " DELETE TOPIC" } else { "" };
            format!("DROP {} {if_exists}{}{delete}", drop.kind.text(), quote_identifier(&drop.name))
        }
        _ => return None,
    })
}

fn create_head(or_replace: bool, is_source: bool, kind: SourceKind, if_not_exists: bool, name: &str) -> String {
    let or_replace = if or_replace { "OR REPLACE " } else { "" };
    let source = if is_source { "SOURCE " } else { "" };
    let if_not_exists = if if_not_exists { "IF NOT EXISTS " } else { "" };
    format!("CREATE {or_replace}{source}{} {if_not_exists}{}", kind.text(), quote_identifier(name))
}

fn with_clause(properties: &Properties) -> String {
    if properties.is_empty() {
        return String::new();
    }
    let mut properties: Vec<_> = properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    properties.sort();
    format!(" WITH ({})", properties.join(", "))
}

impl Display for TableElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quote_identifier(&self.name), self.column_type)?;
        match &self.constraint {
            ColumnConstraint::None => Ok(()),
            ColumnConstraint::Key => f.write_str(" KEY"),
            ColumnConstraint::PrimaryKey => f.write_str(" PRIMARY KEY"),
            ColumnConstraint::Headers => f.write_str(" HEADERS"),
            ColumnConstraint::Header(name) => write!(f, " HEADER('{}')", name.replace('\'', "''")),
        }
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.select.as_slice() {
            [one] => write!(f, "SELECT {one}")?,
            items => {
                let items: Vec<_> = items.iter().map(|item| format!("\n  {item}")).collect();
                write!(f, "SELECT{}", items.join(","))?;
            }
        }
        write!(f, "\nFROM {}", self.from)?;
        if let Some(window) = &self.window {
            write!(f, "\nWINDOW {window} ")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, "\nWHERE {}", filter.format(FormatOptions::Quoted))?;
        }
        if let Some(group_by) = &self.group_by {
            write!(f, "\nGROUP BY {}", joined(&group_by.expressions, FormatOptions::Quoted))?;
        }
        if let Some(partition_by) = &self.partition_by {
            write!(f, "\nPARTITION BY {}", joined(&partition_by.expressions, FormatOptions::Quoted))?;
        }
        if let Some(having) = &self.having {
            write!(f, "\nHAVING {}", having.format(FormatOptions::Quoted))?;
        }
        match self.emit {
            Some(Emit::Changes) => f.write_str("\nEMIT CHANGES")?,
            Some(Emit::Final) => f.write_str("\nEMIT FINAL")?,
            None => {}
        }
        match self.limit {
            Some(limit) => write!(f, "\nLIMIT {limit}"),
            None => Ok(()),
        }
    }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectItem::Expression { expression, alias, .. } => {
                f.write_str(&expression.format(FormatOptions::Quoted))?;
                match alias {
                    Some(alias) => write!(f, " {}", quote_identifier(alias)),
                    None => Ok(()),
                }
            }
            SelectItem::All { source: Some(source), .. } => write!(f, "{}.*", quote_identifier(source)),
            SelectItem::All { source: None, .. } => f.write_char('*'),
            SelectItem::StructAll { base, .. } => write!(f, "{}->*", base.format(FormatOptions::Quoted)),
        }
    }
}

impl Display for AliasedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quote_identifier(&self.name), quote_identifier(&self.alias))
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Source(source) => write!(f, "{source}"),
            Relation::Join { first, joins } => {
                write!(f, "{first}")?;
                joins.iter().try_for_each(|join| write!(f, "\n{join}"))
            }
        }
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.text();
        write!(f, "{kind} JOIN {}", self.right)?;
        if let Some(within) = &self.within {
            if within.asymmetric {
                write!(f, " WITHIN ({}, {})", within.before, within.after)?;
            } else {
                write!(f, " WITHIN {}", within.before)?;
            }
            if let Some(grace) = &within.grace {
                write!(f, " GRACE PERIOD {grace}")?;
            }
        }
        write!(f, " ON ({})", self.condition.format(FormatOptions::Quoted))
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            WindowKind::Tumbling { size } => write!(f, "TUMBLING ( SIZE {size} ")?,
            WindowKind::Hopping { size, advance } => write!(f, "HOPPING ( SIZE {size} , ADVANCE BY {advance} ")?,
            WindowKind::Session { gap } => write!(f, "SESSION ( {gap} ")?,
        }
        if let Some(retention) = &self.retention {
            write!(f, ", RETENTION {retention} ")?;
        }
        if let Some(grace) = &self.grace {
            write!(f, ", GRACE PERIOD {grace} ")?;
        }
        f.write_char(')')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
        assert!(is_reserved_word("SELECT"));
        assert!(!is_reserved_word("EMIT"));
    }

    #[test]
    fn names_are_quoted_only_where_needed() {
        assert_eq!(quote_identifier("FOO_1"), "FOO_1");
        assert_eq!(quote_identifier("foo"), "`foo`");
        assert_eq!(quote_identifier("SELECT"), "`SELECT`");
        assert_eq!(quote_identifier("a`b"), "`a``b`");
    }
}
