//! A connection, tried on SQLite, which needs no server.

use super::*;

async fn open(file: &std::path::Path) -> Database {
    let url = JdbcUrl::parse(&format!("jdbc:sqlite:{}", file.display())).expect("a URL");
    Database::connect(&url).await.expect("a database")
}

async fn with_numbers(count: i64) -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().expect("a directory");
    let database = open(&directory.path().join("x.db")).await;
    database
        .run("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, price DECIMAL(5,2))")
        .await
        .expect("a table");
    let rows = (1..=count).map(|id| vec![SqlValue::Int(id), format!("n{id}").as_str().into(), SqlValue::Null]);
    database.begin().await.expect("a transaction");
    let changed = database.execute_batch("INSERT INTO t VALUES (?, ?, ?)", rows.collect()).await.expect("rows");
    assert_eq!(i64::try_from(changed), Ok(count));
    database.commit().await.expect("a commit");
    (directory, database)
}

#[tokio::test]
async fn rows_come_in_batches_in_order() {
    let (_directory, database) = with_numbers(2500).await;
    let mut stream = database.query("SELECT id FROM t ORDER BY id", Vec::new(), 1000).await.expect("rows");
    let mut sizes = Vec::new();
    let mut last = 0;
    while let Some(rows) = stream.next().await.expect("rows") {
        sizes.push(rows.len());
        for row in rows {
            assert_eq!(row, [SqlValue::Int(last + 1)]);
            last += 1;
        }
    }
    assert_eq!(sizes, [1000, 1000, 500]);
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_the_connection_usable() {
    let (_directory, database) = with_numbers(5000).await;
    let mut stream = database.query("SELECT id FROM t", Vec::new(), 10).await.expect("rows");
    stream.next().await.expect("rows");
    drop(stream);
    let (_, rows) = database.query_all("SELECT count(*) FROM t", Vec::new()).await.expect("a count");
    assert_eq!(rows, [[SqlValue::Int(5000)]]);
}

#[tokio::test]
async fn what_is_rolled_back_is_gone() {
    let (_directory, database) = with_numbers(3).await;
    database.begin().await.expect("a transaction");
    assert_eq!(database.execute("DELETE FROM t WHERE id > ?", vec![SqlValue::Int(1)]).await, Ok(2));
    database.rollback().await.expect("a rollback");
    let (_, rows) = database.query_all("SELECT count(*) FROM t", Vec::new()).await.expect("a count");
    assert_eq!(rows, [[SqlValue::Int(3)]]);
}

#[tokio::test]
async fn tables_and_columns_are_described() {
    let (_directory, database) = with_numbers(0).await;
    database.run("CREATE VIEW v AS SELECT * FROM t").await.expect("a view");
    assert_eq!(database.tables(TableFilter::default()).await, Ok(vec![TableId::named("t")]));
    let views = TableFilter { types: vec!["VIEW".to_owned()], ..TableFilter::default() };
    assert_eq!(database.tables(views).await, Ok(vec![TableId::named("v")]));

    let columns = database.columns(&TableId::named("t")).await.expect("columns");
    let described: Vec<_> = columns.iter().map(|column| (&*column.name, &column.kind, column.nullable)).collect();
    let expected =
        [("id", &SqlType::BigInt, false), ("name", &SqlType::Text, false), ("price", &SqlType::Decimal, true)];
    assert_eq!(described, expected);
    assert!(columns[0].auto_increment && columns[0].primary_key);
    assert_eq!((columns[2].precision, columns[2].scale), (5, 2));

    let (of_result, _) = database.query_all("SELECT * FROM t", Vec::new()).await.expect("no rows");
    let described: Vec<_> = of_result.iter().map(|column| (&*column.name, &column.kind, column.nullable)).collect();
    assert_eq!(described, expected);
    assert_eq!(database.columns(&TableId::named("none")).await, Ok(Vec::new()));
}

#[tokio::test]
async fn refusals_say_what_they_are() {
    let (_directory, database) = with_numbers(1).await;
    let missing = database.execute("INSERT INTO none VALUES (1)", Vec::new()).await.expect_err("no table");
    assert!(missing.is_missing_table() && !missing.is_transient(), "{missing}");
    let missing = database.execute("INSERT INTO t (nix) VALUES (1)", Vec::new()).await.expect_err("no column");
    assert!(missing.is_missing_column(), "{missing}");
    let twice = database.execute("INSERT INTO t (id, name) VALUES (1, 'x')", Vec::new()).await.expect_err("twice");
    assert!(twice.is_about_data(), "{twice}");
    assert!(!database.is_closed());
}
