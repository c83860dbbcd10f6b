//! Tests of the parser: what statements mean, and what is said of those that mean nothing.

use std::collections::HashMap;

use super::*;
use crate::ast::*;

fn no_types(_: &str) -> Option<SqlType> {
    None
}

fn statement(sql: &str) -> Statement {
    let parsed = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(parsed.len(), 1, "{sql}");
    parsed[0].prepare(&no_types).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn query(sql: &str) -> Query {
    match statement(sql) {
        Statement::Query(query) => query,
        other => panic!("{other:?}"),
    }
}

fn syntax_error(sql: &str) -> String {
    let error = parse(sql).expect_err(sql);
    assert_eq!(error.kind, ParseErrorKind::Syntax);
    error.to_string()
}

fn prepare_error(sql: &str) -> String {
    let error = parse(sql).unwrap()[0].prepare(&no_types).expect_err(sql);
    assert_eq!(error.kind, ParseErrorKind::Prepare);
    error.to_string()
}

fn expression(text: &str) -> String {
    parse_expression(text, &no_types).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn operators_bind_as_strongly_as_they_should() {
    assert_eq!(expression("a or not b and c = 1 + 2 * -d"), "(A OR ((NOT B) AND (C = (1 + (2 * -D)))))");
    assert_eq!(expression("1 - 2 - 3"), "((1 - 2) - 3)");
    assert_eq!(expression("a not between 1 and 2 and b"), "((NOT (A BETWEEN 1 AND 2)) AND B)");
    assert_eq!(expression("a || 'it''s' + b"), "CONCAT(A, ('it''s' + B))");
    assert_eq!(expression("x is not distinct from y"), "(X IS NOT DISTINCT FROM Y)");
    assert_eq!(expression("a like '!%' escape '!'"), "(A LIKE '!%' ESCAPE '!')");
}

#[test]
fn constructors_lambdas_and_paths_are_read() {
    assert_eq!(expression("transform(m, (k, v) => k + 1, (k,v)=>v)"), "TRANSFORM(M, (K, V) => (K + 1), (K, V) => V)");
    assert_eq!(expression("filter(a, x => x > 1)"), "FILTER(A, (X) => (X > 1))");
    assert_eq!(
        expression("struct(a := 1, `b` := map('k' := array[1, 2]))->`b`['k'][1]"),
        "STRUCT(A:=1, b:=MAP('k':=ARRAY[1, 2]))->b['k'][1]"
    );
    assert_eq!(
        expression("cast(s.x as array<struct<a decimal(3, 1)>>)"),
        "CAST(S.X AS ARRAY<STRUCT<`A` DECIMAL(3, 1)>>)"
    );
    assert_eq!(expression("case a when 1 then 'x' else 'y' end"), "(CASE A WHEN 1 THEN 'x' ELSE 'y' END)");
    assert_eq!(expression("dateadd(days, 5, date)"), "DATEADD(DAYS, 5, DATE)");
    assert_eq!(expression("count(*)"), "COUNT(*)");
    assert_eq!(expression("date '2020-01-02'"), "DATE '2020-01-02'");
}

#[test]
fn numbers_take_the_smallest_type() {
    let literal = |text| parse_expression(text, &no_types).unwrap().as_literal().cloned().unwrap();
    assert_eq!(literal("2147483647"), Literal::Integer(i32::MAX));
    assert_eq!(literal("-2147483648"), Literal::Integer(i32::MIN));
    assert_eq!(literal("2147483648"), Literal::Bigint(2_147_483_648));
    assert_eq!(literal("1e3"), Literal::Double(1000.0));
    assert_eq!(literal("1.50").to_string(), "1.50");
    assert!(
        prepare_error("SELECT 9223372036854775808 FROM s;")
            .contains("line 1:9: Invalid numeric literal: 9223372036854775808")
    );
    assert!(
        prepare_error("SELECT -9223372036854775809 FROM s;")
            .contains("line 1:9: Invalid numeric literal: -9223372036854775809")
    );
}

#[test]
fn queries_keep_all_their_clauses() {
    let query = query(
        "SELECT l.id, r.*, s->* , count(1) c FROM left_s l LEFT JOIN right_s AS r WITHIN (1 HOUR, 2 MINUTES) GRACE PERIOD 3 DAYS ON l.id = r.id \
         WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 10 MINUTES, RETENTION 2 DAYS, GRACE PERIOD 0 SECONDS) WHERE l.x > 1 GROUP BY (l.id, r.y) HAVING count(1) > 1 EMIT FINAL LIMIT 3;",
    );
    assert_eq!(query.select.len(), 4);
    let Relation::Join { first, joins } = &query.from else { panic!() };
    assert_eq!((&*first.name, &*first.alias), ("LEFT_S", "L"));
    let within = joins[0].within.unwrap();
    assert_eq!(within.before.milliseconds(), Some(3_600_000));
    assert_eq!(within.grace.unwrap().milliseconds(), Some(259_200_000));
    let window = query.window.clone().unwrap();
    assert!(matches!(window.kind, WindowKind::Hopping { .. }));
    assert_eq!(query.group_by.as_ref().unwrap().expressions.len(), 2);
    assert_eq!((query.emit, query.limit), (Some(Emit::Final), Some(3)));
}

#[test]
fn parentheses_after_group_by_may_belong_to_the_first_expression() {
    let grouped = |sql: &str| query(sql).group_by.unwrap().expressions.len();
    assert_eq!(grouped("SELECT 1 FROM s GROUP BY (a + 1) * 2, b;"), 2);
    assert_eq!(grouped("SELECT 1 FROM s GROUP BY (a IS NULL);"), 1);
    assert!(
        prepare_error("SELECT 1 FROM s PARTITION BY ();").contains("PARTITION BY requires at least one expression")
    );
}

#[test]
fn sources_are_created_with_their_columns() {
    let Statement::CreateSource(create) = statement(
        "create or replace source table if not exists t (id int primary key, `n` varchar, h array<struct<key string, value bytes>> headers) with (kafka_topic='x', 'value_format'='JSON', partitions=1);",
    ) else {
        panic!()
    };
    assert!(create.or_replace && create.is_source && create.if_not_exists);
    assert_eq!(create.elements[1].name.as_ref(), "n");
    assert_eq!(create.elements[0].constraint, ColumnConstraint::PrimaryKey);
    assert_eq!(create.elements[2].constraint, ColumnConstraint::Headers);
    assert_eq!(create.properties["PARTITIONS"], Literal::Integer(1));
    assert_eq!(create.properties["VALUE_FORMAT"].as_str(), Some("JSON"));
}

#[test]
fn every_kind_of_statement_is_read() {
    for sql in [
        "CREATE STREAM s WITH (kafka_topic='t') AS SELECT * FROM x PARTITION BY NULL EMIT CHANGES;",
        "INSERT INTO s WITH (query_id='q') SELECT * FROM x;",
        "INSERT INTO s (a, b) VALUES (1, ARRAY[1]);",
        "DROP STREAM IF EXISTS s DELETE TOPIC;",
        "ALTER TABLE t ADD COLUMN a INT, ADD b DECIMAL(2, 1);",
        "CREATE TYPE IF NOT EXISTS addr AS STRUCT<a INT>;",
        "DROP TYPE addr;",
        "CREATE SINK CONNECTOR IF NOT EXISTS c WITH ('connector.class'='x', \"tasks.max\"=1);",
        "DROP CONNECTOR IF EXISTS c;",
        "DESCRIBE CONNECTOR c;",
        "LIST ALL TOPICS EXTENDED;",
        "SHOW SINK CONNECTORS;",
        "SHOW CONNECTOR PLUGINS;",
        "DESCRIBE FUNCTION substring;",
        "DESCRIBE TABLES EXTENDED;",
        "DESCRIBE `s` EXTENDED;",
        "EXPLAIN CSAS_X_1;",
        "EXPLAIN SELECT * FROM x EMIT CHANGES;",
        "PRINT my-topic.v1 FROM BEGINNING INTERVAL 5 LIMIT 1;",
        "TERMINATE ALL;",
        "PAUSE q_1;",
        "RESUME ALL;",
        "SET 'a' = 'b';",
        "UNSET 'a';",
        "ALTER SYSTEM 'a'='b';",
        "DEFINE fOo = 'b';",
        "UNDEFINE fOo;",
        "ASSERT NOT EXISTS TOPIC t WITH (PARTITIONS=2) TIMEOUT 3 SECONDS;",
        "ASSERT SCHEMA SUBJECT 'a-value' ID 3;",
        "ASSERT VALUES s (a) VALUES (1);",
        "ASSERT NULL VALUES s (id) KEY (1);",
        "ASSERT STREAM s (a INT) WITH (kafka_topic='t');",
    ] {
        statement(sql);
    }
    let Statement::Print(print) = statement("PRINT my-topic.v1 FROM BEGINNING;") else { panic!() };
    assert_eq!(print.topic, "my-topic.v1");
    let Statement::Define { name, .. } = statement("DEFINE fOo = 'b';") else { panic!() };
    assert_eq!(&*name, "fOo");
}

#[test]
fn several_statements_keep_their_texts() {
    let parsed = parse("SHOW STREAMS; -- first\n SELECT * FROM a ;").unwrap();
    let texts: Vec<_> = parsed.iter().map(|statement| statement.text.as_str()).collect();
    assert_eq!(texts, ["SHOW STREAMS;", "SELECT * FROM a ;"]);
    assert_eq!(parsed[1].location.line, 2);
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    assert_eq!(
        syntax_error("RUN SCRIPT 'x';"),
        "line 1:1: Syntax Error\nUnknown statement 'RUN'\nDid you mean 'PRINT'?\nStatement: RUN SCRIPT 'x';"
    );
    assert!(syntax_error("SELCT * FROM a;").contains("Unknown statement 'SELCT'\nDid you mean 'SELECT'?"));
    assert_eq!(syntax_error("SHOW\nSTREAMS"), "line 2:8: Syntax Error\nmissing ';' at '<EOF>'\nStatement: STREAMS");
    assert!(syntax_error("SHOW STREAMS; CREATE STREAM s (a INT (b));").contains(
        "line 1:39: Syntax Error\nExpecting {'STRING', INTEGER_VALUE}\nStatement: SHOW STREAMS; CREATE STREAM s (a INT (b));"
    ));
    for (sql, expected) in [
        (
            "CREATE STREAM s (from INT);",
            "1:18: Syntax Error\n\"from\" is a reserved keyword and it can't be used as an identifier. You can use it as an \
             identifier by escaping it as 'from' \n",
        ),
        ("CREATE STREAM table (a INT);", "1:15: Syntax Error\nSyntax error at or near 'table' at line 1:15\n"),
        ("CREATE STREAM s (a INT b INT);", "1:24: Syntax Error\nExpecting {',', ')'}\n"),
        ("CREATE STREAM s (a NULL);", "1:20: Syntax Error\nSyntax error at or near 'NULL' at line 1:20\n"),
        ("CREATE STREAM s WITH (a='b') x;", "1:30: Syntax Error\nSyntax error at or near 'x' at line 1:30\n"),
        ("SELECT a b c FROM s;", "1:12: Syntax Error\nExpecting {',', 'FROM'}\n"),
        ("SELECT FROM s;", "1:8: Syntax Error\nSyntax error at or near 'FROM' at line 1:8\n"),
        ("SELECT a FROM s WHERE (b = 1;", "1:29: Syntax Error\nmissing ')' at ';'\n"),
        ("SELECT a FROM s WHERE CAST(b INT) = 1;", "1:30: Syntax Error\nmissing 'AS' at 'INT'\n"),
        ("SELECT CAST(a INT) FROM s;", "1:15: Syntax Error\nSyntax error at or near 'INT' at line 1:15\n"),
        ("SELECT b + CAST(a INT) FROM s;", "1:19: Syntax Error\nmissing 'AS' at 'INT'\n"),
        ("SELECT a FROM s GROUP a;", "1:23: Syntax Error\nmissing 'BY' at 'a'\n"),
        ("CREATE STREAM s (a INT) WITH b='c');", "1:30: Syntax Error\nmissing '(' at 'b'\n"),
    ] {
        let message = syntax_error(sql);
        assert!(message.contains(expected), "{message}");
    }
    assert!(syntax_error("SELECT 'a FROM b;").contains("has no end"));
    assert_eq!(&*query("SELECT 1abc.a FROM 1abc;").from.sources()[0].name, "1ABC");
    assert!(syntax_error("SELECT * FROM explode(a);").starts_with("line 1:22: Syntax Error"));
    assert!(prepare_error("SELECT z.a FROM b;").contains("'Z' is not a valid stream/table name or alias."));
    assert!(prepare_error("SELECT * FROM b LIMIT 2.5;").ends_with("Value must be integer for command: LIMIT"));
    assert!(prepare_error("CREATE STREAM s (a foo);").contains("Cannot resolve unknown type: FOO"));
}

#[test]
fn custom_types_are_looked_up_when_the_statement_is_prepared() {
    let parsed = parse("CREATE STREAM s (a ARRAY<addr>);").unwrap();
    let types = |name: &str| (name == "ADDR").then_some(SqlType::Integer);
    let Statement::CreateSource(create) = parsed[0].prepare(&types).unwrap() else { panic!() };
    assert_eq!(create.elements[0].column_type, SqlType::array(SqlType::Integer));
}

#[test]
fn statements_have_a_normal_form() {
    let statement = statement(
        "create table o as select a.f2 as `key`, count(*) total from t a where a.x=1 group by a.f2, b emit changes;",
    );
    let expected = "CREATE TABLE O AS SELECT\n  A.F2 `key`,\n  COUNT(*) TOTAL\nFROM T A\nWHERE (A.X = 1)\nGROUP BY A.F2, B\nEMIT CHANGES";
    assert_eq!(format_statement(&statement).unwrap(), expected);
}

#[test]
fn depth_is_bounded() {
    let deep = format!("SELECT {}1{} FROM s;", "(".repeat(100_000), ")".repeat(100_000));
    assert!(syntax_error(&deep).contains("Nested deeper"));
    let long = format!("SELECT 1{} FROM s;", " + 1".repeat(100_000));
    assert!(syntax_error(&long).contains("operators in a row"));
    let signs = format!("SELECT {}1 FROM s;", "- ".repeat(100_000));
    assert!(syntax_error(&signs).contains("Nested deeper"));
}

#[test]
fn variables_are_replaced_in_texts_and_names_but_break_nothing() {
    let variables: HashMap<String, String> =
        [("t", "it's"), ("name", "FOO"), ("bad", "a; DROP")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let replaced = substitute_variables("SELECT '${t}' FROM ${name}; -- ${none}", &variables).unwrap();
    assert_eq!(replaced, "SELECT 'it''s' FROM FOO; -- ${none}");
    assert!(substitute_variables("SELECT ${bad};", &variables).is_err());
    assert_eq!(substitute_variables("SELECT '${none}';", &variables).unwrap(), "SELECT '${none}';");
    assert_eq!(substitute_variables("SELECT '$${t} ${t}';", &variables).unwrap(), "SELECT '${t} it''s';");
    assert_eq!(substitute_variables("SELECT '$${t}';", &HashMap::new()).unwrap(), "SELECT '$${t}';");
    assert_eq!(
        substitute_variables("SELECT 1\nFROM ${none};", &variables).unwrap_err().to_string(),
        "Illegal argument at Line: 2, Col: 6. Identifier names cannot start with '@' and may only contain alphanumeric \
         values and '_'. Got: '${none}'"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "([a-zA-Z_'`\"(),;.<>=\\[\\]*+0-9 -]|SELECT |FROM |CASE |WHEN |GROUP BY ){0,60}") {
        let _ = parse(&text);
        let _ = parse_one(&text, &no_types);
    }
}
