//! What queries are called, and which are refused in which words.

use crate::catalog::Settings;
use crate::harness::engine::MemoryEngine;

const SOURCES: &str = "
    CREATE STREAM s (k STRING KEY, n INT, w STRING, l ARRAY<INT>, a STRUCT<n INT, x_1 STRING>) WITH (kafka_topic='s', partitions=2, value_format='JSON');
    CREATE STREAM r (k STRING KEY, n INT, m BIGINT) WITH (kafka_topic='r', partitions=2, value_format='JSON');
    CREATE STREAM wide (k STRING KEY, n INT) WITH (kafka_topic='wide', partitions=3, value_format='JSON');
    CREATE STREAM tumbling (k STRING KEY, n INT) WITH (kafka_topic='tumbling', partitions=2, value_format='JSON', window_type='TUMBLING', window_size='5 SECONDS');
    CREATE STREAM hopping (k STRING KEY, n INT) WITH (kafka_topic='hopping', partitions=2, value_format='JSON', window_type='HOPPING', window_size='2 SECONDS');
    CREATE TABLE t (k STRING PRIMARY KEY, n INT, f STRING) WITH (kafka_topic='t', partitions=2, value_format='JSON');
    CREATE TABLE u (k STRING PRIMARY KEY, n INT) WITH (kafka_topic='u', partitions=2, value_format='JSON');
    CREATE TABLE windows (k STRING PRIMARY KEY, n INT) WITH (kafka_topic='windows', partitions=2, value_format='JSON', window_type='SESSION');
    CREATE STREAM sink (k STRING KEY, d DECIMAL(4, 2), b BIGINT) WITH (kafka_topic='sink', partitions=2, value_format='JSON');
    CREATE STREAM heads (k STRING KEY, h BYTES HEADER('h'), v INT) WITH (kafka_topic='heads', partitions=2, value_format='JSON');";

fn engine() -> MemoryEngine {
    let mut engine = MemoryEngine::new(Settings::default());
    engine.execute(SOURCES).unwrap();
    engine
}

/// The columns of what a query makes.
#[track_caller]
fn schema(statement: &str, name: &str) -> String {
    let mut engine = engine();
    engine.execute(statement).unwrap();
    engine.catalog.source(name).unwrap().schema.to_string()
}

#[track_caller]
fn refused(cases: &[(&str, &str)]) {
    for (statement, message) in cases {
        match engine().execute(statement) {
            Ok(()) => panic!("{statement} is not refused"),
            Err(error) => assert!(error.0.contains(message), "{statement}: {error}"),
        }
    }
}

#[test]
fn fields_of_a_struct_keep_their_names_and_expressions_get_others() {
    assert_eq!(schema("CREATE STREAM o AS SELECT k, a->* FROM s;", "O"), "`K` STRING KEY, `N` INTEGER, `X_1` STRING");
    assert_eq!(
        schema("CREATE STREAM o AS SELECT k, a->n, a->x_1, a->n AS KSQL_COL_5, n + 1, n + 2 FROM s;", "O"),
        "`K` STRING KEY, `N_1` INTEGER, `X` STRING, `KSQL_COL_5` INTEGER, `KSQL_COL_0` INTEGER, `KSQL_COL_1` INTEGER"
    );
}

#[test]
fn a_star_ends_with_headers() {
    assert_eq!(schema("CREATE STREAM o AS SELECT * FROM heads;", "O"), "`K` STRING KEY, `V` INTEGER, `H` BYTES");
}

#[test]
fn a_partitioned_stream_has_the_key_that_is_selected_under_any_name() {
    let statement = "CREATE STREAM o AS SELECT n + 1 AS k, k AS old, w FROM s PARTITION BY n + 1;";
    assert_eq!(schema(statement, "O"), "`K` INTEGER KEY, `OLD` STRING, `W` STRING");
    let statement = "CREATE TABLE o AS SELECT * FROM t PARTITION BY k;";
    assert_eq!(schema(statement, "O"), "`K` STRING KEY, `N` INTEGER, `F` STRING");
}

#[test]
fn full_joins_of_joins_share_the_name_of_their_key() {
    let statement = "CREATE STREAM o AS SELECT ROWKEY, s.n AS n FROM s FULL OUTER JOIN r WITHIN 1 HOUR ON s.k = r.k \
         FULL OUTER JOIN more m WITHIN 1 HOUR ON s.k = m.k;";
    let third = "CREATE STREAM more (k STRING KEY, n INT) WITH (kafka_topic='m', partitions=2, value_format='JSON');";
    assert_eq!(schema(&format!("{third} {statement}"), "O"), "`ROWKEY` STRING KEY, `N` INTEGER");
}

#[test]
fn decimals_of_streams_take_literals_and_smaller_decimals() {
    let mut engine = engine();
    engine.execute("INSERT INTO sink SELECT k, 1 AS d, m AS b FROM r;").unwrap();
    engine.execute("INSERT INTO sink SELECT k, CAST(1 AS DECIMAL(2, 1)) AS d, m AS b FROM r;").unwrap();
    refused(&[
        ("INSERT INTO sink SELECT k, n AS d, m AS b FROM r;", "Incompatible schema between results and sink.\nResult"),
        ("INSERT INTO sink SELECT k, 1 AS d, n AS b FROM r;", "Sink schema is `K` STRING KEY, `D` DECIMAL(4, 2), `B`"),
        ("INSERT INTO sink SELECT k, 1.234 AS d, m AS b FROM r;", "Incompatible schema between results and sink."),
        (
            "INSERT INTO t SELECT * FROM r;",
            "Exception while preparing statement: INSERT INTO can only be used to insert into a stream. T is a table.",
        ),
        (
            "INSERT INTO sink WITH (query_id='csas_x') SELECT k, 1 AS d, m AS b FROM r;",
            "reserved query ID prefix (INSERT",
        ),
    ]);
}

#[test]
fn a_stream_that_several_queries_fill_is_not_made_anew() {
    let mut engine = engine();
    engine.execute("CREATE STREAM o AS SELECT k, n FROM s; INSERT INTO o SELECT k, n FROM r;").unwrap();
    let error = engine.execute("CREATE OR REPLACE STREAM o AS SELECT k, n FROM s WHERE n > 1;").unwrap_err();
    assert!(error.0.contains("multiple queries writing into it: [CSAS_O_0, INSERTQUERY_1]"), "{error}");
}

#[test]
fn joins_that_cannot_be_are_refused() {
    refused(&[
        (
            "CREATE STREAM o AS SELECT s.k, r.n FROM s JOIN r WITHIN 1 HOUR ON s.n = r.k;",
            "Invalid join. Key types differ: INTEGER vs STRING",
        ),
        (
            "CREATE STREAM o AS SELECT s.k, t.n FROM s FULL OUTER JOIN t ON s.k = t.k;",
            "Invalid join type: full-outer join not supported for stream-table join. Got S [FULL] OUTER JOIN T.",
        ),
        (
            "CREATE STREAM o AS SELECT s.k, t.n FROM s RIGHT JOIN t ON s.k = t.k;",
            "Invalid join type encountered: RIGHT [OUTER] JOIN",
        ),
        (
            "CREATE TABLE o AS SELECT t.k, u.n FROM t FULL JOIN u ON t.f = u.k;",
            "full-outer join not supported for foreign-key table-table join. Got T [FULL] OUTER JOIN U.",
        ),
        (
            "CREATE TABLE o AS SELECT x.n FROM t x JOIN u ON x.f = u.k;",
            "Primary key column missing in projection. For foreign-key table-table joins, the projection must include all \
             primary key columns from the left input table (`X`). Missing column: `K`.",
        ),
        (
            "CREATE STREAM o AS SELECT s.k, h.n FROM s JOIN tumbling h WITHIN 1 HOUR ON s.k = h.k;",
            "Can not join windowed source to non-windowed source.\n`S` is not windowed\n`H` is TUMBLING windowed",
        ),
        (
            "CREATE STREAM o AS SELECT h.k, t.n FROM tumbling t JOIN hopping h WITHIN 1 HOUR ON t.k = h.k;",
            "Implicit repartitioning of windowed sources is not supported.",
        ),
        (
            "CREATE STREAM o AS SELECT s.k, w.n FROM s JOIN wide w WITHIN 1 HOUR ON s.w = w.k;",
            "Can't join `S` with `W` since the number of partitions don't match. `S` partitions = 2; `W` partitions = 3.",
        ),
        (
            "CREATE STREAM o AS SELECT s.k FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k JOIN t ON s.k = r.k;",
            "A join criteria is expected to reference the source (`T`) in the FROM clause, instead the right source \
             references `R` and the left source references `S`",
        ),
        (
            "CREATE STREAM o AS SELECT s.k FROM s JOIN r WITHIN 1 HOUR ON s.k = t.k JOIN t ON s.k = t.k;",
            "JOIN ON column 'T.K' cannot be resolved.",
        ),
        (
            "CREATE STREAM o AS SELECT s.k FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k AND s.n > 1;",
            "Unsupported join expression: ((S.K = R.K) AND (S.N > 1))",
        ),
        (
            "CREATE STREAM o AS SELECT ROWKEY, s.k FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k;",
            "Line: 1, Col: 27: Column 'ROWKEY' cannot be resolved.",
        ),
        (
            "CREATE STREAM o AS SELECT s.k, n FROM s JOIN r WITHIN 1 HOUR ON s.k = r.k;",
            "Exception while preparing statement: Line: 1, Col: 32: Column 'N' is ambiguous. Could be R.N or S.N.",
        ),
        (
            "CREATE STREAM o AS SELECT t.k, t.windowstart FROM tumbling t JOIN tumbling2 u WITHIN 1 HOUR ON t.k = u.k;",
            "Exception while preparing statement: TUMBLING2 does not exist.",
        ),
    ]);
}

#[test]
fn projections_that_cannot_be_are_refused() {
    refused(&[
        ("CREATE STREAM o AS SELECT k, n AS x, w AS x FROM s;", "Duplicate value columns found in schema: `X` STRING"),
        ("CREATE STREAM o AS SELECT k, k, n FROM s;", "Duplicate key columns found in schema: `K` STRING KEY"),
        (
            "CREATE TABLE o AS SELECT n, COUNT(*) AS n FROM s GROUP BY n;",
            "Duplicate value columns found in schema: `N` BIGINT",
        ),
        ("CREATE TABLE o AS SELECT n FROM s;", "must include the key column K in its projection"),
        (
            "CREATE STREAM o AS SELECT k AS y, k AS x, n FROM s;",
            "The projection contains a key column (`K`) more than once, aliased as: X and Y.\nEach key column must only",
        ),
        (
            "CREATE TABLE o AS SELECT n AS y, n AS x, COUNT(*) FROM s GROUP BY n;",
            "The projection contains a key column more than once: `Y` and `X`.\nEach key column must only",
        ),
        (
            "CREATE TABLE o AS SELECT n, COUNT(*) FROM s GROUP BY n, w, k;",
            "Keys missing from projection (ie, SELECT). \nThe query used to build `O` must include the grouping expressions \
             W and K in its projection (eg, SELECT W, K...).",
        ),
        ("CREATE STREAM o AS SELECT k, n AS `rowtime` FROM s;", "`ROWTIME` is a reserved column name."),
        (
            "CREATE STREAM o AS SELECT k, EXPLODE(EXPLODE(l)) FROM s;",
            "Table functions cannot be nested: `EXPLODE`(`EXPLODE`())",
        ),
        (
            "CREATE STREAM o AS SELECT k, CASE WHEN n > 1 THEN EXPLODE(l) ELSE 1 END FROM s;",
            "Table functions cannot be used in CASE: (CASE WHEN (S.N > 1) THEN EXPLODE(S.L) ELSE 1 END)",
        ),
        (
            "CREATE TABLE o AS SELECT n, EXPLODE(l), COUNT(*) FROM s GROUP BY n;",
            "Table functions cannot be used with aggregations.",
        ),
        ("CREATE STREAM o AS SELECT k, n->* FROM s;", "Column `N` is not a STRUCT type."),
        (
            "CREATE STREAM o AS SELECT k, TRANSFORM(l, n => n + 1) FROM s;",
            "Lambda function argument can't be a column name: N",
        ),
        (
            "CREATE STREAM o AS SELECT k, TRANSFORM(l, x => REDUCE(l, 0, (y, x) => y + x)) FROM s;",
            "Reusing lambda arguments in nested lambda is not allowed",
        ),
        (
            "CREATE STREAM o AS SELECT * FROM s LIMIT 3;",
            "CREATE STREAM AS SELECT statements don't support LIMIT clause.",
        ),
        ("CREATE TABLE o AS SELECT * FROM windows;", "KSQL does not support persistent queries on windowed tables."),
        (
            "CREATE STREAM o AS SELECT * FROM s PARTITION BY x;",
            "PARTITION BY column 'X' cannot be resolved. 'X' must be a column in the source schema since PARTITION BY is applied",
        ),
        ("CREATE TABLE o AS SELECT * FROM t PARTITION BY n;", "the TABLE's key column K instead of [N]"),
        (
            "CREATE STREAM o WITH (format='JSON') AS SELECT * FROM s PARTITION BY NULL;",
            "Key format specified for stream without key columns.",
        ),
        ("CREATE STREAM o AS SELECT * FROM s PARTITION BY n, n;", "Duplicate PARTITION BY expression: N"),
    ]);
}

#[test]
fn groups_that_cannot_be_are_refused() {
    refused(&[
        (
            "CREATE TABLE o AS SELECT n, LATEST_BY_OFFSET(f), TOPK(n, 1), TOPK(n, 2) FROM t GROUP BY n;",
            "The aggregation functions LATEST_BY_OFFSET and TOPK cannot be applied to a table source, only to a stream source.",
        ),
        (
            "CREATE TABLE o AS SELECT n, MAX(n) FROM t GROUP BY n;",
            "The aggregation function MAX cannot be applied to a table source, only to a stream source.",
        ),
        (
            "CREATE TABLE o AS SELECT s.w, COUNT(*) FROM s GROUP BY n;",
            "Non-aggregate SELECT expression(s) not part of GROUP BY: W\nEither add",
        ),
        (
            "CREATE TABLE o AS SELECT n, COUNT(*) FROM s GROUP BY n HAVING w = 'a';",
            "Non-aggregate HAVING expression not part of GROUP BY: W\nConsider switching the HAVING clause to a WHERE",
        ),
        (
            "CREATE TABLE o AS SELECT n, COUNT(*) FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY n HAVING windowstart > 1;",
            "Window bounds column WINDOWSTART can only be used in the SELECT clause of windowed aggregations",
        ),
        (
            "CREATE TABLE o AS SELECT n, COUNT(*) FROM s GROUP BY n HAVING COUNT(*);",
            "Type error in HAVING expression: Should evaluate to boolean but is COUNT(*) (BIGINT) instead.",
        ),
        (
            "CREATE TABLE o AS SELECT n, SUM(COUNT(n)) FROM s GROUP BY n;",
            "Aggregate functions can not be nested: SUM(COUNT())",
        ),
        ("CREATE TABLE o AS SELECT n, COUNT(*) FROM s GROUP BY n, n;", "Duplicate GROUP BY expression: N"),
        (
            "CREATE TABLE o AS SELECT COUNT(*) AS c, SUM(n) FROM s;",
            "CREATE TABLE AS SELECT statement does not support aggregate function [COUNT(ROWTIME), SUM(N)] without a GROUP BY clause.",
        ),
        (
            "CREATE TABLE o AS SELECT k, COUNT(*) FROM tumbling GROUP BY k;",
            "Group by on windowed should always require rekey",
        ),
    ]);
}
