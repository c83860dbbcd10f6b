//! A text in its statements, and where each of them is executed.

use milena_sql::lexer::{Token, TokenKind, tokenize};

/// The statements at the head of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// Each with its `;`.
    pub statements: Vec<&'a str>,
    /// What follows the last `;`: the beginning of a statement, or nothing when there are only blanks and comments.
    pub rest: &'a str,
}

/// Splits `text` at each `;` that is not part of a string, a quoted name or a comment.
pub fn split(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    let mut first: Option<usize> = None;
    for token in tokenize(text) {
        match token.kind {
            TokenKind::End => break,
            TokenKind::Symbol(";") => {
                // A `;` without a statement is no statement.
                if let Some(start) = first.take() {
                    statements.push(&text[start..token.end]);
                }
            }
            _ => {
                first.get_or_insert(token.start);
            }
        }
    }
    let rest = first.map_or("", |start| &text[start..]);
    Split { statements, rest }
}

/// Who executes a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server, with one answer.
    Statement,
    /// The server, with rows.
    Query {
        /// Goes on until it is stopped.
        push: bool,
        /// Chooses among the rows.
        filtered: bool,
    },
    /// The server, with records of a topic.
    Print,
    /// The shell: `SET`, `UNSET`, `DEFINE`, `UNDEFINE`.
    Session,
}

impl Kind {
    /// Of a statement.
    pub fn of(statement: &str) -> Kind {
        let tokens = tokenize(statement);
        let word = |index: usize| tokens.get(index).and_then(word_of).unwrap_or_default();
        match word(0) {
            "SELECT" => {
                let emits = |pair: &[Token]| {
                    word_of(&pair[0]) == Some("EMIT") && matches!(word_of(&pair[1]), Some("CHANGES" | "FINAL"))
                };
                let filtered = tokens.iter().any(|token| word_of(token) == Some("WHERE"));
                Kind::Query { push: tokens.windows(2).any(emits), filtered }
            }
            "PRINT" => Kind::Print,
            "SET" | "UNSET" | "DEFINE" | "UNDEFINE" => Kind::Session,
            _ => Kind::Statement,
        }
    }
}

/// Whether the statement is a `SET`.
pub fn sets_property(statement: &str) -> bool {
    tokenize(statement).first().and_then(word_of) == Some("SET")
}

/// Whether the statement starts a query that writes a topic from then on.
pub fn starts_query(statement: &str) -> bool {
    let tokens = tokenize(statement);
    let has = |wanted: &str| tokens.iter().any(|token| word_of(token) == Some(wanted));
    match tokens.first().and_then(word_of) {
        Some("CREATE") => has("AS") && has("SELECT"),
        Some("INSERT") => has("SELECT"),
        _ => false,
    }
}

/// The names of the columns in a schema such as `` `K` STRING KEY, `V` ARRAY<INTEGER> ``, and whether they are keys.
pub fn columns(schema: &str) -> Vec<(String, bool)> {
    let mut columns: Vec<(String, bool)> = Vec::new();
    let (mut depth, mut expects_name) = (0_i32, true);
    for token in tokenize(schema) {
        match &token.kind {
            TokenKind::Symbol("<" | "(") => depth += 1,
            TokenKind::Symbol(">" | ")") => depth -= 1,
            TokenKind::Symbol(",") if depth == 0 => expects_name = true,
            TokenKind::Quoted(name) | TokenKind::Word(name) if expects_name => {
                columns.push((name.clone(), false));
                expects_name = false;
            }
            TokenKind::Word(word) if depth == 0 && word == "KEY" => {
                if let Some(last) = columns.last_mut() {
                    last.1 = true;
                }
            }
            _ => {}
        }
    }
    columns
}

fn word_of(token: &Token) -> Option<&str> {
    match &token.kind {
        TokenKind::Word(word) => Some(word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_strings_names_and_comments_do_not_split() {
        let text = "-- a; b\nCREATE STREAM `a;b` WITH (kafka_topic='x;''y'); /* ; */ SHOW STREAMS ;; SELECT 1 -- ;";
        let parts = split(text);
        assert_eq!(parts.statements, ["CREATE STREAM `a;b` WITH (kafka_topic='x;''y');", "SHOW STREAMS ;"]);
        assert_eq!(parts.rest, "SELECT 1 -- ;");
        assert_eq!(split("SHOW STREAMS; -- done").rest, "");
        assert_eq!(split("SELECT 'a;").statements, Vec::<&str>::new());
    }

    #[test]
    fn the_first_word_decides_who_executes() {
        assert_eq!(Kind::of("/* x */ select * from s emit changes;"), Kind::Query { push: true, filtered: false });
        assert_eq!(Kind::of("SELECT * FROM t WHERE k = 'EMIT';"), Kind::Query { push: false, filtered: true });
        assert_eq!(Kind::of("print 'topic' from beginning;"), Kind::Print);
        assert_eq!(Kind::of("set 'a'='b';"), Kind::Session);
        assert_eq!(Kind::of("EXPLAIN SELECT * FROM s;"), Kind::Statement);
        assert!(starts_query("create table t as select 1 from s;") && starts_query("INSERT INTO a SELECT * FROM b;"));
        assert!(!starts_query("INSERT INTO a VALUES (1);"));
    }

    #[test]
    fn names_of_columns_are_found_between_nested_types() {
        let schema = "`a b` STRING KEY, `S` STRUCT<`KEY` INTEGER, `Y` ARRAY<DECIMAL(4, 2)>>, `C` BIGINT";
        let expected = [("a b".to_owned(), true), ("S".to_owned(), false), ("C".to_owned(), false)];
        assert_eq!(columns(schema), expected);
    }
}
