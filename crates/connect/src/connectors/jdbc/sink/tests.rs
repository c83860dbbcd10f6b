//! The task on a file of SQLite, and what the tests of its parts share.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::database::{Database, SqlValue};
use super::super::url::JdbcUrl;
use super::config::SinkConfig;
use super::task::JdbcSinkTask;
use crate::data::{Field, Kind, Schema, SchemaRef, Struct, Typed, Value};
use crate::plugin::{Settings, SinkTask, SinkTaskContext, TaskError, Waiting};
use crate::record::{Origin, Record};

/// Settings for the topic `t`; MySQL's dialect unless they say otherwise.
pub fn config(pairs: &[(&str, &str)]) -> SinkConfig {
    SinkConfig::parse(&settings("jdbc:mysql://localhost/d", pairs)).expect("settings")
}

fn settings(url: &str, pairs: &[(&str, &str)]) -> Settings {
    let url = ("connection.url", url);
    std::iter::once(&url).chain(pairs).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A record of the topic `t`.
pub fn record(key: Typed, fields: Vec<Field>, values: Vec<Value>) -> Record {
    let value = if fields.is_empty() {
        Typed::null()
    } else {
        let schema: SchemaRef = Schema::structure(fields).into();
        let structure = Struct::new(schema.clone(), values).expect("a struct");
        Typed::new(schema, Value::Struct(structure))
    };
    at(0, key, value)
}

fn at(offset: i64, key: Typed, value: Typed) -> Record {
    let topic: Arc<str> = "t".into();
    let origin = Origin::Sink { topic: topic.clone(), partition: 0, offset, log_append_time: false };
    Record { topic, partition: Some(0), key, value, timestamp: Some(7), headers: Vec::new(), origin }
}

pub fn text_key(text: &str) -> Typed {
    Typed::new(Schema::new(Kind::String).into(), Value::String(text.to_owned()))
}

pub fn int_key(number: i64) -> Typed {
    Typed::new(Schema::new(Kind::Int64).into(), Value::Int64(number))
}

fn user(id: i32, name: &str) -> Typed {
    let fields =
        vec![Field::new("id", Schema::new(Kind::Int32)), Field::new("name", Schema::new(Kind::String).optional())];
    record(Typed::null(), fields, vec![Value::Int32(id), Value::String(name.to_owned())]).value
}

/// Takes bad records, or does not.
struct Reports {
    tolerant: bool,
    texts: Mutex<Vec<String>>,
}

impl SinkTaskContext for Reports {
    fn connector(&self) -> &str {
        "sink"
    }
    fn task(&self) -> usize {
        0
    }
    fn can_report(&self) -> bool {
        self.tolerant
    }
    fn report<'a>(&'a self, _record: &'a Record, error: TaskError) -> Waiting<'a, Result<(), TaskError>> {
        self.texts.lock().push(error.to_string());
        Box::pin(async { Ok(()) })
    }
}

/// A task on a database of its own.
struct Bench {
    _directory: tempfile::TempDir,
    url: String,
    reports: Arc<Reports>,
}

impl Bench {
    fn new(tolerant: bool) -> Bench {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("jdbc:sqlite:{}", directory.path().join("test.db").display());
        Bench { _directory: directory, url, reports: Arc::new(Reports { tolerant, texts: Mutex::default() }) }
    }

    async fn task(&self, pairs: &[(&str, &str)]) -> JdbcSinkTask {
        let mut task = JdbcSinkTask::default();
        task.start(&settings(&self.url, pairs), self.reports.clone()).await.expect("a task");
        task
    }

    async fn query(&self, sql: &str) -> Vec<Vec<SqlValue>> {
        let database = Database::connect(&JdbcUrl::parse(&self.url).expect("a URL")).await.expect("a database");
        let rows = database.query_all(sql, Vec::new()).await.expect("rows").1;
        database.close().await;
        rows
    }

    async fn run(&self, sql: &str) {
        let database = Database::connect(&JdbcUrl::parse(&self.url).expect("a URL")).await.expect("a database");
        database.run(sql).await.expect("done");
        database.close().await;
    }

    async fn names(&self) -> Vec<(i64, String)> {
        let rows = self.query("SELECT id, name FROM t ORDER BY id, name").await;
        let text = |value: &SqlValue| value.as_text().unwrap_or("null").to_owned();
        rows.iter().map(|row| (row[0].as_i64().expect("a number"), text(&row[1]))).collect()
    }
}

fn users(names: &[(i32, &str)]) -> Vec<Record> {
    (0i64..).zip(names).map(|(offset, (id, name))| at(offset, int_key((*id).into()), user(*id, name))).collect()
}

fn expected(names: &[(i64, &str)]) -> Vec<(i64, String)> {
    names.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

const CREATE: (&str, &str) = ("auto.create", "true");
const BY_KEY: [(&str, &str); 3] = [CREATE, ("pk.mode", "record_key"), ("pk.fields", "id")];

#[tokio::test]
async fn a_table_is_created_and_filled() {
    let bench = Bench::new(false);
    let mut task = bench.task(&[CREATE]).await;
    task.put(&users(&[(1, "a"), (2, "b")])).await.expect("written");
    task.put(&users(&[(2, "b")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "a"), (2, "b"), (2, "b")]));
    task.stop().await;
}

#[tokio::test]
async fn upserts_overwrite_and_deletes_take_away() {
    let bench = Bench::new(false);
    let mut task = bench.task(&[&BY_KEY[..], &[("insert.mode", "upsert"), ("delete.enabled", "true")]].concat()).await;
    task.put(&users(&[(1, "a"), (2, "b"), (1, "c"), (3, "d")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "c"), (2, "b"), (3, "d")]));
    let records = [at(4, int_key(2), Typed::null()), at(5, int_key(9), Typed::null()), at(6, int_key(9), user(9, "x"))];
    task.put(&records).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "c"), (3, "d"), (9, "x")]));
}

#[tokio::test]
async fn updates_change_only_rows_that_are_there() {
    let bench = Bench::new(false);
    bench.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)").await;
    bench.run("INSERT INTO t VALUES (1, 'old')").await;
    let mut task = bench.task(&[&BY_KEY[1..], &[("insert.mode", "update")]].concat()).await;
    task.put(&users(&[(1, "new"), (2, "b")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "new")]));
}

#[tokio::test]
async fn records_that_come_again_are_known_by_their_row() {
    let bench = Bench::new(false);
    let mut task = bench.task(&BY_KEY).await;
    task.put(&users(&[(1, "a"), (2, "b")])).await.expect("written");
    task.put(&users(&[(1, "a"), (2, "b"), (3, "c")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "a"), (2, "b"), (3, "c")]));
    let error = task.put(&users(&[(3, "other")])).await.expect_err("another row").to_string();
    assert!(error.contains("partition=0,offset=0") && error.contains("insert.mode=upsert"), "{error}");
    assert_eq!(bench.names().await, expected(&[(1, "a"), (2, "b"), (3, "c")]));
}

#[tokio::test]
async fn coordinates_of_kafka_alone_tell_a_record() {
    let bench = Bench::new(false);
    let mut task = bench.task(&[CREATE, ("pk.mode", "kafka")]).await;
    task.put(&users(&[(1, "a"), (2, "b")])).await.expect("written");
    task.put(&users(&[(1, "a"), (2, "changed"), (3, "c")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "a"), (2, "b"), (3, "c")]));
    let rows = bench.query("SELECT __connect_topic, __connect_partition, __connect_offset FROM t").await;
    assert_eq!(rows[2], [SqlValue::from("t"), SqlValue::Int(0), SqlValue::Int(2)]);
}

#[tokio::test]
async fn a_table_of_offsets_tells_records_without_any_key() {
    let bench = Bench::new(false);
    let settings = [CREATE, ("offsets.table", "written")];
    let mut task = bench.task(&settings).await;
    task.put(&users(&[(1, "a"), (1, "a")])).await.expect("written");
    task.stop().await;
    let mut task = bench.task(&settings).await;
    task.put(&users(&[(1, "a"), (1, "a"), (1, "c")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "a"), (1, "a"), (1, "c")]));
    bench.run("UPDATE written SET next_offset = 5").await;
    let late = at(3, int_key(4), user(4, "late"));
    let error = task.put(std::slice::from_ref(&late)).await.expect_err("overtaken");
    assert!(matches!(error, TaskError::Retriable(_)), "{error}");
    task.put(&[late]).await.expect("skipped");
    assert_eq!(bench.names().await.len(), 3);
}

#[tokio::test]
async fn a_poison_record_goes_where_bad_records_go_and_the_others_are_written() {
    let bench = Bench::new(true);
    bench.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT CHECK (length(name) < 5))").await;
    let mut task = bench.task(&BY_KEY[1..]).await;
    let mut records = users(&[(1, "a"), (2, "far too long"), (3, "c")]);
    records.push(at(3, int_key(4), Typed::schemaless(Value::Map(Vec::new()))));
    task.put(&records).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "a"), (3, "c")]));
    let texts = bench.reports.texts.lock().clone();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("offset=1") && text.contains("CHECK")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("value.converter.schemas.enable=true")), "{texts:?}");
}

#[tokio::test]
async fn without_tolerance_a_poison_record_stops_the_task_and_leaves_nothing_behind() {
    let bench = Bench::new(false);
    bench.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT CHECK (length(name) < 5))").await;
    let mut task = bench.task(&BY_KEY[1..]).await;
    let error = task.put(&users(&[(1, "a"), (2, "far too long")])).await.expect_err("refused");
    assert!(matches!(error, TaskError::Fatal(_)) && error.to_string().contains("offset=1"), "{error}");
    assert_eq!(bench.names().await, expected(&[]));
}

#[tokio::test]
async fn missing_tables_and_columns_name_the_setting() {
    let bench = Bench::new(true);
    let mut task = bench.task(&[]).await;
    let error = task.put(&users(&[(1, "a")])).await.expect_err("no table").to_string();
    assert!(
        error.starts_with("Table t is missing and auto-creation is disabled") && error.contains("auto.create=true")
    );
    bench.run("CREATE TABLE t (ID INTEGER)").await;
    let error = task.put(&users(&[(1, "a")])).await.expect_err("no column").to_string();
    assert!(error.contains("name (STRING)") && error.contains("auto.evolve=true"), "{error}");
    bench.run("ALTER TABLE t ADD name TEXT").await;
    task.put(&users(&[(1, "a")])).await.expect("seen at once");
    assert_eq!(bench.names().await, expected(&[(1, "a")]));
}

#[tokio::test]
async fn columns_are_added_for_new_fields() {
    let bench = Bench::new(false);
    bench.run("CREATE TABLE t (id INTEGER)").await;
    let mut task = bench.task(&[("auto.evolve", "true")]).await;
    task.put(&users(&[(1, "a")])).await.expect("written");
    assert_eq!(bench.names().await, expected(&[(1, "a")]));
    let required = vec![Field::new("must", Schema::new(Kind::Int32))];
    let record = record(Typed::null(), required, vec![Value::Int32(1)]);
    let error = task.put(&[record]).await.expect_err("a required field").to_string();
    assert!(error.contains("'must'") && error.contains("not optional"), "{error}");
}

#[tokio::test]
async fn tombstones_and_missing_keys_say_what_to_set() {
    let bench = Bench::new(false);
    let mut task = bench.task(&BY_KEY).await;
    let error = task.put(&[at(5, int_key(1), Typed::null())]).await.expect_err("a tombstone").to_string();
    assert!(error.contains("delete.enabled=true") && error.contains("RecordIsTombstone"), "{error}");
    let error = task.put(&[at(5, Typed::null(), user(1, "a"))]).await.expect_err("no key").to_string();
    assert!(error.contains("the key is null") && error.contains("ValueToKey"), "{error}");
}

#[tokio::test]
async fn objects_without_a_schema_are_written_by_their_shape_when_asked_to() {
    let bench = Bench::new(false);
    let mut task = bench.task(&[CREATE, ("auto.evolve", "true"), ("schemaless.values", "infer")]).await;
    let text = |text: &str| Value::String(text.to_owned());
    let entry = |name: &str, value: Value| (text(name), value);
    let first = Value::Map(vec![entry("id", Value::Int64(1)), entry("name", text("a"))]);
    let tags = Value::Array(vec![Value::Int64(1), text("x")]);
    let second = Value::Map(vec![entry("id", Value::Int64(2)), entry("name", Value::Null), entry("tags", tags)]);
    task.put(&[at(0, Typed::null(), Typed::schemaless(first)), at(1, Typed::null(), Typed::schemaless(second))])
        .await
        .expect("written");
    let rows = bench.query("SELECT id, name, tags FROM t ORDER BY id").await;
    assert_eq!(rows[0], [SqlValue::Int(1), SqlValue::from("a"), SqlValue::Null]);
    assert_eq!(rows[1], [SqlValue::Int(2), SqlValue::Null, SqlValue::from("[1,\"x\"]")]);
}

#[tokio::test]
async fn a_database_that_is_away_is_asked_again_and_then_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("no/such/directory/test.db");
    let url = format!("jdbc:sqlite:{}", path.display());
    let reports = Arc::new(Reports { tolerant: false, texts: Mutex::default() });
    let mut task = JdbcSinkTask::default();
    let given = [("max.retries", "1"), ("connection.attempts", "2"), ("retry.backoff.ms", "5"), CREATE];
    task.start(&settings(&url, &given), reports).await.expect("the database may still come");
    let mut retriable = 0;
    let error = loop {
        match task.put(&users(&[(1, "a")])).await {
            Err(TaskError::Retriable(_)) => retriable += 1,
            Err(error) => break error.to_string(),
            Ok(()) => panic!("there is no such database"),
        }
        assert!(task.retry_after().is_some() && retriable < 10);
    };
    assert!(error.contains("max.retries"), "{error}");
}
