//! What queries give for records, record by record: windows, joins, tables and what goes wrong.

use crate::catalog::Settings;
use crate::formats::json_text::Json;
use crate::harness::engine::MemoryEngine;
use crate::runtime::RawRecord;

/// An engine with what is written to its topics.
struct Scenario {
    engine: MemoryEngine,
    inputs: Vec<(String, RawRecord)>,
}

impl Scenario {
    fn new(statements: &str) -> Scenario {
        let mut engine = MemoryEngine::new(Settings::default());
        engine.execute(statements).unwrap();
        Scenario { engine, inputs: Vec::new() }
    }

    /// A record with a text as key and JSON as value.
    fn with(mut self, topic: &str, key: &str, value: Option<&str>, timestamp: i64) -> Scenario {
        let record = RawRecord {
            key: Some(key.to_owned().into()),
            value: value.map(|value| value.to_owned().into()),
            timestamp,
            headers: [].into(),
            partition: 0,
            offset: 0,
        };
        self.inputs.push((topic.to_owned(), record));
        self
    }

    /// What a topic holds in the end: the text of the key without its window, the value, the time.
    fn gives(mut self, topic: &str) -> Vec<String> {
        self.engine.run(&self.inputs).unwrap();
        let shown = |record: &RawRecord| {
            let key: String =
                record.key.iter().flatten().take_while(|byte| **byte != 0).map(|b| char::from(*b)).collect();
            let value =
                record.value.as_deref().map(|value| Json::read(std::str::from_utf8(value).unwrap()).unwrap().text());
            format!("{key} {} @{}", value.as_deref().unwrap_or("gone"), record.timestamp)
        };
        self.engine.topics[topic].records.iter().map(shown).collect()
    }
}

const PAGES: &str = "CREATE STREAM pages (k STRING KEY, n INT) WITH (kafka_topic='pages', value_format='JSON');";

#[test]
fn a_filter_drops_rows_of_streams_and_takes_back_rows_of_tables() {
    let rows = |kind: &str, key: &str| {
        let statements = format!(
            "CREATE {kind} input (k STRING {key}, n INT) WITH (kafka_topic='input', value_format='JSON');
             CREATE {kind} output AS SELECT k, n FROM input WHERE n > 1;"
        );
        Scenario::new(&statements)
            .with("input", "a", Some("{\"n\":1}"), 1)
            .with("input", "a", Some("{\"n\":2}"), 2)
            .with("input", "a", Some("{\"n\":0}"), 3)
            .gives("OUTPUT")
    };
    assert_eq!(rows("STREAM", "KEY"), ["a {\"N\":2} @2"]);
    assert_eq!(rows("TABLE", "PRIMARY KEY"), ["a {\"N\":2} @2", "a gone @3"]);
}

#[test]
fn what_becomes_of_nulls_and_failures_can_be_set() {
    let given = |set: &str| {
        let statements =
            format!("{set} {PAGES} CREATE STREAM o AS SELECT k, CAST(n AS STRING) AS s, ARRAY[1 / n] AS a FROM pages;");
        let fed = Scenario::new(&statements).with("pages", "a", Some("{}"), 1);
        fed.with("pages", "b", Some("{\"n\":0}"), 2).gives("O")
    };
    assert_eq!(given(""), ["a {\"S\":null,\"A\":[null]} @1", "b {\"S\":\"0\",\"A\":[null]} @2"]);
    let set = "SET 'ksql.cast.strings.preserve.nulls'='false'; SET 'ksql.nested.error.set.null'='false';";
    assert_eq!(given(set), ["a {\"S\":\"null\",\"A\":null} @1", "b {\"S\":\"0\",\"A\":null} @2"]);
}

#[test]
fn windows_take_late_records_until_they_are_closed() {
    let statements = format!(
        "{PAGES} CREATE TABLE counts AS SELECT k, COUNT(*) AS c FROM pages
         WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY k;"
    );
    let rows = Scenario::new(&statements)
        .with("pages", "a", Some("{\"n\":1}"), 3)
        .with("pages", "a", Some("{\"n\":1}"), 14)
        .with("pages", "a", Some("{\"n\":1}"), 4)
        .with("pages", "a", Some("{\"n\":1}"), 15)
        .with("pages", "a", Some("{\"n\":1}"), 5)
        .gives("COUNTS");
    assert_eq!(rows, ["a {\"C\":1} @3", "a {\"C\":1} @14", "a {\"C\":2} @4", "a {\"C\":2} @15"]);
}

#[test]
fn a_record_between_two_sessions_makes_one_of_them() {
    let statements = format!(
        "{PAGES} CREATE TABLE visits AS SELECT k, COUNT(*) AS c FROM pages WINDOW SESSION (10 MILLISECONDS) GROUP BY k;"
    );
    let rows = Scenario::new(&statements)
        .with("pages", "a", Some("{\"n\":1}"), 0)
        .with("pages", "a", Some("{\"n\":1}"), 20)
        .with("pages", "a", Some("{\"n\":1}"), 10)
        .gives("VISITS");
    assert_eq!(rows, ["a {\"C\":1} @0", "a {\"C\":1} @20", "a gone @0", "a gone @20", "a {\"C\":3} @20"]);
}

#[test]
fn a_record_within_a_session_takes_it_back_first() {
    let statements = format!(
        "{PAGES} CREATE TABLE visits AS SELECT k, COUNT(*) AS c FROM pages WINDOW SESSION (10 MILLISECONDS) GROUP BY k;"
    );
    let rows = Scenario::new(&statements)
        .with("pages", "a", Some("{\"n\":1}"), 3)
        .with("pages", "a", Some("{\"n\":1}"), 3)
        .with("pages", "a", Some("{\"n\":1}"), 7)
        .with("pages", "a", Some("{\"n\":1}"), 5)
        .gives("VISITS");
    assert_eq!(
        rows,
        ["a {\"C\":1} @3", "a {\"C\":2} @3", "a gone @3", "a {\"C\":3} @7", "a gone @7", "a {\"C\":4} @7"]
    );
}

#[test]
fn a_group_that_holds_before_its_first_record_and_not_after_it_is_gone() {
    for window in ["", "WINDOW TUMBLING (SIZE 10 MILLISECONDS)"] {
        let statements = format!(
            "{PAGES} CREATE TABLE few AS SELECT k, COUNT(*) AS c FROM pages {window} GROUP BY k HAVING SUM(n) < 5;"
        );
        let rows = Scenario::new(&statements)
            .with("pages", "a", Some("{\"n\":7}"), 1)
            .with("pages", "a", Some("{\"n\":1}"), 2)
            .with("pages", "b", Some("{\"n\":1}"), 3)
            .gives("FEW");
        assert_eq!(rows, ["a gone @1", "b {\"C\":1} @3"], "{window}");
    }
}

#[test]
fn the_time_of_a_column_is_not_there_when_the_row_is_gone() {
    let rows = |column: &str| {
        let statements = format!(
            "CREATE TABLE input (k BIGINT PRIMARY KEY, n BIGINT)
             WITH (kafka_topic='input', value_format='JSON', key_format='JSON', timestamp='{column}');
             CREATE TABLE output AS SELECT * FROM input;"
        );
        let row = Scenario::new(&statements).with("input", "7", Some("{\"n\":5}"), 1);
        row.with("input", "7", None, 2).gives("OUTPUT")
    };
    assert_eq!(rows("n"), ["7 {\"N\":5} @5"]);
    assert_eq!(rows("k"), ["7 {\"N\":5} @7", "7 gone @7"]);
}

#[test]
fn final_windows_come_out_once_when_they_close() {
    let statements = format!(
        "SET 'ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__'='0';
         {PAGES} CREATE TABLE counts AS SELECT k, COUNT(*) AS c FROM pages
         WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS) GROUP BY k EMIT FINAL;"
    );
    let rows = Scenario::new(&statements)
        .with("pages", "a", Some("{\"n\":1}"), 1)
        .with("pages", "a", Some("{\"n\":1}"), 2)
        .with("pages", "b", Some("{\"n\":1}"), 10)
        .gives("COUNTS");
    assert_eq!(rows, ["a {\"C\":2} @2"]);
}

const SIDES: &str = "CREATE STREAM l (k STRING KEY, a INT) WITH (kafka_topic='l', value_format='JSON');
    CREATE STREAM r (k STRING KEY, b INT) WITH (kafka_topic='r', value_format='JSON');";

#[test]
fn late_rows_of_both_sides_meet() {
    let statements = format!(
        "{SIDES} CREATE STREAM j AS SELECT l.k, a, b FROM l JOIN r WITHIN 5 MILLISECONDS GRACE PERIOD 1 MILLISECONDS
         ON l.k = r.k;"
    );
    let rows = Scenario::new(&statements)
        .with("l", "x", Some("{\"a\":1}"), 10)
        .with("l", "x", Some("{\"a\":2}"), 100)
        .with("r", "x", Some("{\"b\":1}"), 10)
        .with("l", "x", Some("{\"a\":3}"), 11)
        .gives("J");
    assert_eq!(rows, ["x {\"A\":3,\"B\":1} @11"]);
}

#[test]
fn lone_rows_of_the_right_come_before_those_of_the_left() {
    let statements = format!(
        "{SIDES} CREATE STREAM j AS SELECT ROWKEY, a, b FROM l FULL OUTER JOIN r WITHIN 5 MILLISECONDS
         GRACE PERIOD 0 MILLISECONDS ON l.k = r.k;"
    );
    let rows = Scenario::new(&statements)
        .with("l", "x", Some("{\"a\":1}"), 10)
        .with("r", "y", Some("{\"b\":2}"), 10)
        .with("l", "z", Some("{\"a\":3}"), 100)
        .gives("J");
    assert_eq!(rows, ["y {\"A\":null,\"B\":2} @10", "x {\"A\":1,\"B\":null} @10"]);
}

#[test]
fn lone_rows_are_looked_at_again_when_the_last_of_them_is_due() {
    let statements = format!(
        "{SIDES} CREATE STREAM j AS SELECT l.k, a, b FROM l LEFT JOIN r WITHIN 10 MILLISECONDS
         GRACE PERIOD 0 MILLISECONDS ON l.k = r.k;"
    );
    let fed = |times: &[i64]| {
        let with = |scenario: Scenario, time: &i64| scenario.with("l", &format!("k{time}"), Some("{\"a\":1}"), *time);
        let rows = times.iter().fold(Scenario::new(&statements), with).gives("J");
        rows.iter().filter_map(|row| row.split('@').nth(1).map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(fed(&[0, 5, 8, 11]), ["0"]);
    // The look at 11 ended with the row of 8, which waits until 18.
    assert_eq!(fed(&[0, 5, 8, 11, 18]), ["0"]);
    assert_eq!(fed(&[0, 5, 8, 11, 19]), ["0", "5", "8"]);
}

#[test]
fn lone_rows_of_one_time_come_in_the_order_of_their_keys() {
    let statements = format!(
        "{SIDES} CREATE STREAM j AS SELECT l.k, a, b FROM l LEFT JOIN r WITHIN 5 MILLISECONDS
         GRACE PERIOD 0 MILLISECONDS ON l.k = r.k;"
    );
    let rows = Scenario::new(&statements)
        .with("l", "b", Some("{\"a\":1}"), 1)
        .with("l", "aa", Some("{\"a\":2}"), 1)
        .with("l", "z", Some("{\"a\":3}"), 10)
        .gives("J");
    assert_eq!(rows, ["aa {\"A\":2,\"B\":null} @1", "b {\"A\":1,\"B\":null} @1"]);
}

#[test]
fn the_window_of_a_right_join_is_that_of_its_right_rows() {
    let rows = |kind: &str, left: i64, right: i64| {
        let statements = format!(
            "{SIDES} CREATE STREAM j AS SELECT l.k, r.k, a, b FROM l {kind} JOIN r WITHIN (2 MILLISECONDS, 8 MILLISECONDS)
             ON l.k = r.k;"
        );
        let fed = Scenario::new(&statements).with("l", "x", Some("{\"a\":1}"), left);
        let rows = fed.with("r", "x", Some("{\"b\":2}"), right).gives("J");
        rows.iter().filter(|row| row.contains("\"A\":1,\"B\":2")).count()
    };
    assert_eq!((rows("LEFT", 10, 18), rows("LEFT", 18, 10)), (1, 0));
    assert_eq!((rows("RIGHT", 10, 18), rows("RIGHT", 18, 10)), (0, 1));
    assert_eq!((rows("", 10, 18), rows("", 18, 10)), (1, 0));
}

#[test]
fn lone_rows_come_out_at_once_without_a_grace_period_and_late_with_one() {
    let rows = |grace: &str| {
        let statements = format!(
            "{SIDES} CREATE STREAM j AS SELECT l.k, a, b FROM l LEFT JOIN r WITHIN 5 MILLISECONDS {grace} ON l.k = r.k;"
        );
        Scenario::new(&statements)
            .with("l", "x", Some("{\"a\":1}"), 0)
            .with("r", "x", Some("{\"b\":2}"), 3)
            .with("l", "y", Some("{\"a\":3}"), 4)
            .with("l", "z", Some("{\"a\":4}"), 20)
            .gives("J")
    };
    let joined = "x {\"A\":1,\"B\":2} @3";
    let lone = |key: &str, a: i32, time: i64| format!("{key} {{\"A\":{a},\"B\":null}} @{time}");
    assert_eq!(rows(""), [&lone("x", 1, 0), joined, &lone("y", 3, 4), &lone("z", 4, 20)]);
    assert_eq!(rows("GRACE PERIOD 1 MILLISECOND"), [joined, &lone("y", 3, 4)]);
}

#[test]
fn a_change_of_the_right_table_reaches_all_rows_that_refer_to_it() {
    let statements =
        "CREATE TABLE people (k STRING PRIMARY KEY, city STRING) WITH (kafka_topic='people', value_format='JSON');
        CREATE TABLE cities (c STRING PRIMARY KEY, name STRING) WITH (kafka_topic='cities', value_format='JSON');
        CREATE TABLE homes AS SELECT k, name FROM people JOIN cities ON city = c;";
    let rows = Scenario::new(statements)
        .with("people", "a", Some("{\"city\":\"x\"}"), 0)
        .with("people", "b", Some("{\"city\":\"x\"}"), 1)
        .with("cities", "x", Some("{\"name\":\"X\"}"), 2)
        .with("people", "a", Some("{\"city\":\"y\"}"), 3)
        .with("cities", "x", None, 4)
        .gives("HOMES");
    assert_eq!(rows, ["a {\"NAME\":\"X\"} @2", "b {\"NAME\":\"X\"} @2", "a gone @3", "b gone @4"]);
}

#[test]
fn a_row_of_a_table_that_changes_its_group_leaves_the_old_one() {
    let statements = "CREATE TABLE t (k STRING PRIMARY KEY, g STRING) WITH (kafka_topic='t', value_format='JSON');
        CREATE TABLE c AS SELECT g, COUNT(*) AS n FROM t GROUP BY g;";
    let rows = Scenario::new(statements)
        .with("t", "a", Some("{\"g\":\"x\"}"), 0)
        .with("t", "a", Some("{\"g\":\"y\"}"), 1)
        .with("t", "a", None, 2)
        .gives("C");
    assert_eq!(rows, ["x {\"N\":1} @0", "x {\"N\":0} @1", "y {\"N\":1} @1", "y {\"N\":0} @2"]);
}

#[test]
fn records_that_cannot_be_read_are_skipped() {
    let statements = format!("{PAGES} CREATE STREAM copy AS SELECT * FROM pages;");
    let rows = Scenario::new(&statements)
        .with("pages", "a", Some("not JSON"), 0)
        .with("pages", "a", Some("{\"n\":\"many\"}"), 1)
        .with("pages", "a", Some("{\"n\":\"7\"}"), 2)
        .with("pages", "a", None, 3)
        .gives("COPY");
    assert_eq!(rows, ["a {\"N\":7} @2", "a gone @3"]);
}

#[test]
fn statements_that_cannot_be_are_refused_in_so_many_words() {
    let cases = [
        ("CREATE STREAM s AS SELECT n FROM pages;", "must include the key column K in its projection"),
        ("CREATE TABLE s AS SELECT * FROM pages;", "Please use CREATE STREAM AS SELECT statement instead"),
        ("CREATE STREAM s AS SELECT k, COUNT(*) FROM pages;", "not part of GROUP BY: K"),
        ("CREATE TABLE s AS SELECT k, n, COUNT(*) FROM pages GROUP BY k;", "not part of GROUP BY: N"),
        ("CREATE STREAM s WITH (format='JSON', key_format='JSON') AS SELECT * FROM pages;", "Cannot supply both"),
        ("CREATE STREAM pages (k INT KEY) WITH (kafka_topic='x', value_format='JSON');", "already exists"),
        ("CREATE STREAM s AS SELECT k, n AS rowtime FROM pages;", "is a reserved column name"),
        ("DROP STREAM nothing;", "Stream NOTHING does not exist."),
        (
            "CREATE OR REPLACE TABLE pages (k STRING PRIMARY KEY) WITH (kafka_topic='x', value_format='JSON');",
            "has type = KSTREAM",
        ),
        (
            "CREATE STREAM s AS SELECT k, n FROM pages WHERE windowstart > 1;",
            "WHERE column 'WINDOWSTART' cannot be resolved.",
        ),
        ("CREATE STREAM s AS SELECT k, windowend AS e FROM pages;", "SELECT column 'WINDOWEND' cannot be resolved."),
        (
            "CREATE TABLE s AS SELECT k, COUNT(*) FROM pages WINDOW TUMBLING (SIZE 1 SECOND) WHERE windowstart > 1 GROUP BY k;",
            "Window bounds column WINDOWSTART can only be used in the SELECT clause of windowed aggregations",
        ),
        (
            "CREATE TABLE s AS SELECT k, EARLIEST_BY_OFFSET(n, 0) FROM pages GROUP BY k;",
            "earliestN must be 1 or greater",
        ),
        (
            "INSERT INTO pages SELECT k, CAST(COUNT(*) AS INT) AS n FROM pages GROUP BY k;",
            "Incompatible data sink and query result.",
        ),
        ("INSERT INTO pages (k, rowoffset) VALUES ('a', 1);", "Inserting into column `ROWOFFSET` is not allowed."),
        (
            "CREATE STREAM s (a BYTES HEADER('x'), b BYTES HEADER('x'), c INT) WITH (kafka_topic='x', value_format='JSON');",
            "Schema already contains a HEADER('x') column.",
        ),
        ("CREATE STREAM s AS SELECT k FROM PAGE;", "PAGE does not exist."),
        (
            "CREATE STREAM s AS SELECT k, CASE WHEN k = 'a' THEN 1 WHEN k = 'b' THEN 2.5 END FROM pages;",
            "Invalid Case expression. Type for all 'THEN' clauses should be the same.",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic='x', value_format='JSON', window_type='SESSION');",
            "Windowed sources require a key column.",
        ),
        (
            "CREATE STREAM s (v STRING) WITH (kafka_topic='x', value_format='JSON', timestamp='v', timestamp_format='bb');",
            "format for config:TIMESTAMP_FORMAT, reason:Unknown pattern letter: b",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic='x', value_format='JSON', value_delimiter='|');",
            "JSON does not support the following configs: [delimiter]",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic='x', value_format='DELIMITED', value_avro_schema_full_name='r');",
            "DELIMITED does not support the following configs: [fullSchemaName]",
        ),
        (
            "CREATE STREAM s WITH (window_type='SESSION') AS SELECT * FROM pages;",
            "Invalid config variable(s) in the WITH clause: WINDOW_TYPE",
        ),
        (
            "CREATE TABLE t AS SELECT k, AVG(CAST(1 AS DECIMAL(2, 1))) FROM pages GROUP BY k;",
            "Function 'avg' does not accept parameters (DECIMAL(2, 1)).",
        ),
        (
            "CREATE TABLE t AS SELECT k, COUNT(*) FROM pages WINDOW TUMBLING (SIZE 0 SECONDS) GROUP BY k;",
            "Window size (sizeMs) must be larger than zero.",
        ),
        (
            "ASSERT VALUES pages (k) VALUES ('a');",
            "line 1:8: Syntax Error\nSyntax error at or near 'VALUES' at line 1:8",
        ),
        (
            "CREATE TABLE t AS SELECT k, COUNT(*) FROM pages WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 2 HOURS) GROUP BY k;",
            "must be no smaller than its window size plus the grace period. Got size=[3600000], grace=[82800000], \
             retention=[7200000]",
        ),
        (
            "SET 'ksql.suppress.enabled'='false'; CREATE TABLE t AS SELECT k, COUNT(*) FROM pages
             WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k EMIT FINAL;",
            "Suppression is currently disabled.",
        ),
        ("CREATE STREAM s AS SELECT k, MAP(NULL := 1) FROM pages;", "Cannot construct a map with all NULL keys"),
    ];
    for (statement, message) in cases {
        let mut engine = MemoryEngine::new(Settings::default());
        engine.execute(PAGES).unwrap();
        let error = engine.execute(statement).unwrap_err();
        assert!(error.0.contains(message), "{statement}: {error}");
    }
}

#[test]
fn a_source_in_use_cannot_be_dropped() {
    let mut engine = MemoryEngine::new(Settings::default());
    engine.execute(&format!("{PAGES} CREATE STREAM copy AS SELECT * FROM pages;")).unwrap();
    let error = engine.execute("DROP STREAM pages;").unwrap_err();
    assert!(error.0.contains("The following streams and/or tables read from this source: [COPY]."), "{error}");
    engine.execute("TERMINATE CSAS_COPY_0;").unwrap();
    assert!(engine.execute("DROP STREAM pages;").is_err());
    engine.execute("DROP STREAM copy; DROP STREAM pages;").unwrap();
    assert!(engine.queries.is_empty());
}

#[test]
fn the_new_key_of_a_null_value_is_what_its_key_tells() {
    let rows = |by: &str| {
        let statements =
            format!("{PAGES} CREATE STREAM o WITH (key_format='JSON') AS SELECT * FROM pages PARTITION BY {by};");
        Scenario::new(&statements).with("pages", "a", None, 1).gives("O")
    };
    assert_eq!(rows("UCASE(k)"), ["\"A\" gone @1"]);
    assert_eq!(rows("COALESCE(n, 7)"), [" gone @1"]);
}

const TABLES: &str = "CREATE TABLE orders (k STRING PRIMARY KEY, person STRING)
        WITH (kafka_topic='orders', value_format='JSON');
    CREATE TABLE people (k STRING PRIMARY KEY, name STRING) WITH (kafka_topic='people', value_format='JSON');";

fn foreign_keys(kind: &str) -> Scenario {
    Scenario::new(&format!(
        "{TABLES} CREATE TABLE j AS SELECT o.k, name FROM orders o {kind} JOIN people p ON o.person = p.k;"
    ))
}

#[test]
fn results_of_a_foreign_key_have_the_time_of_what_they_are_made_of() {
    let rows = foreign_keys("")
        .with("people", "p", Some("{\"name\":\"Ada\"}"), 50)
        .with("orders", "o", Some("{\"person\":\"p\"}"), 10)
        .with("orders", "o", Some("{\"person\":\"p\"}"), 100)
        .with("people", "p", Some("{\"name\":\"Eve\"}"), 60)
        .with("orders", "o", None, 20)
        .gives("J");
    let expected = ["o {\"NAME\":\"Ada\"} @50", "o {\"NAME\":\"Ada\"} @100", "o {\"NAME\":\"Eve\"} @60", "o gone @60"];
    assert_eq!(rows, expected);
}

#[test]
fn rows_with_one_foreign_key_change_in_the_order_of_their_keys() {
    let rows = foreign_keys("LEFT")
        .with("orders", "b", Some("{\"person\":\"p\"}"), 1)
        .with("orders", "aa", Some("{\"person\":\"p\"}"), 2)
        .with("people", "p", Some("{\"name\":\"Ada\"}"), 3)
        .gives("J");
    assert_eq!(rows[2..], ["aa {\"NAME\":\"Ada\"} @3", "b {\"NAME\":\"Ada\"} @3"]);
}

#[test]
fn a_foreign_key_that_comes_late_or_goes_tells_only_what_there_was() {
    let order = |scenario: Scenario, (person, time): (&str, i64)| {
        scenario.with("orders", "o", Some(&format!("{{\"person\":{person}}}")), time)
    };
    let fed = |kind: &str, people: &[(&str, i64)]| people.iter().copied().fold(foreign_keys(kind), order);
    let null_first = [("null", 1), ("\"p\"", 2)];
    assert_eq!(fed("", &null_first).gives("J"), [""; 0]);
    assert_eq!(fed("LEFT", &null_first).gives("J"), ["o {\"NAME\":null} @1", "o {\"NAME\":null} @2"]);
    let null_last = [("\"p\"", 1), ("null", 2)];
    assert_eq!(fed("", &null_last).gives("J"), ["o gone @2"]);
    let deleted = fed("LEFT", &null_last).with("orders", "o", None, 3).gives("J");
    assert_eq!(deleted, ["o {\"NAME\":null} @1", "o {\"NAME\":null} @2", "o gone @3"]);
}

#[test]
fn the_key_of_a_second_full_join_is_that_of_its_rows() {
    let statements = format!(
        "{SIDES} CREATE STREAM q (k STRING KEY, c INT) WITH (kafka_topic='q', value_format='JSON');
         CREATE STREAM j AS SELECT ROWKEY, AS_VALUE(ROWKEY) AS copy, a, c FROM l
         FULL JOIN r WITHIN 5 MILLISECONDS ON l.k = r.k FULL JOIN q WITHIN 5 MILLISECONDS ON l.k = q.k;"
    );
    let rows = Scenario::new(&statements).with("q", "x", Some("{\"c\":1}"), 1).gives("J");
    assert_eq!(rows, ["x {\"COPY\":\"x\",\"A\":null,\"C\":1} @1"]);
}

#[test]
fn a_row_that_is_gone_has_the_time_of_the_stream_where_a_column_tells_it() {
    let statements =
        "CREATE TABLE input (k STRING PRIMARY KEY, n BIGINT) WITH (kafka_topic='input', value_format='JSON');
        CREATE TABLE output WITH (timestamp='n') AS SELECT * FROM input;";
    let rows = Scenario::new(statements)
        .with("input", "a", Some("{\"n\":5}"), 100)
        .with("input", "a", None, 20)
        .gives("OUTPUT");
    assert_eq!(rows, ["a {\"N\":5} @5", "a gone @100"]);
}

#[test]
fn final_windows_of_one_time_come_in_the_order_of_their_groups() {
    let rows = |window: &str| {
        let statements = format!(
            "SET 'ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__'='0';
             {PAGES} CREATE TABLE counts AS SELECT k, COUNT(*) AS c FROM pages
             WINDOW {window} GROUP BY k EMIT FINAL;"
        );
        let fed = ["b", "aa", "a"]
            .iter()
            .fold(Scenario::new(&statements), |fed, key| fed.with("pages", key, Some("{\"n\":1}"), 1));
        fed.with("pages", "z", Some("{\"n\":1}"), 12).gives("COUNTS")
    };
    let expected = ["a {\"C\":1} @1", "aa {\"C\":1} @1", "b {\"C\":1} @1"];
    assert_eq!(rows("TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS)"), expected);
    assert_eq!(rows("SESSION (10 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS)"), expected);
}
