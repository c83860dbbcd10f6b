//! The connector and its tasks over a file of SQLite, as a worker would run them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::connectors::jdbc::database::Database;
use crate::connectors::jdbc::url::JdbcUrl;
use crate::data::{Kind, Schema, Value, logical};
use crate::plugin::{SourceTask, SourceTaskContext};
use crate::record::{Origin, Record};

/// Remembers offsets as the worker does.
#[derive(Default)]
struct Offsets(Mutex<Vec<(SourceMap, SourceMap)>>);

impl SourceTaskContext for Offsets {
    fn connector(&self) -> &str {
        "c"
    }

    fn task(&self) -> usize {
        0
    }

    fn offsets<'a>(
        &'a self,
        partitions: Vec<SourceMap>,
    ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, TaskError>> {
        let known = self.0.lock().clone();
        Box::pin(async move { Ok(known.into_iter().filter(|(partition, _)| partitions.contains(partition)).collect()) })
    }
}

struct Fixture {
    _directory: tempfile::TempDir,
    database: Database,
    settings: Settings,
    offsets: Arc<Offsets>,
    reconfigure: Arc<Notify>,
}

impl Fixture {
    async fn new(ddl: &str, settings: &[(&str, &str)]) -> Fixture {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("jdbc:sqlite:{}", directory.path().join("x.db").display());
        let database = Database::connect(&JdbcUrl::parse(&url).expect("a URL")).await.expect("a database");
        database.run(ddl).await.expect("tables");
        let base = [("connection.url", url.as_str()), ("topic.prefix", "p_"), ("poll.interval.ms", "10")];
        let settings =
            base.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Fixture { _directory: directory, database, settings, offsets: Arc::default(), reconfigure: Arc::default() }
    }

    fn connector(&self) -> Box<dyn Connector> {
        let context = ConnectorContext { name: "c".into(), reconfigure: Arc::clone(&self.reconfigure) };
        JdbcSource::new().create(&self.settings, context).expect("a connector")
    }

    async fn task(&self) -> Box<dyn SourceTask> {
        let mut connector = self.connector();
        connector.start().await.expect("a start");
        let configs = connector.task_configs(1).await.expect("configurations");
        let mut task = JdbcSource::new().task();
        task.start(&configs[0], self.offsets.clone()).await.expect("a task");
        task
    }

    /// Polls until there are as many records, and commits them.
    async fn records(&self, task: &mut dyn SourceTask, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        while records.len() < count {
            let polled = tokio::time::timeout(Duration::from_secs(10), task.poll()).await;
            records.extend(polled.expect("records in time").expect("records"));
        }
        for record in &records {
            let Origin::Source { partition, offset } = &record.origin else { panic!("no record of a source") };
            let mut offsets = self.offsets.0.lock();
            offsets.retain(|(other, _)| other != partition.as_ref());
            offsets.push((partition.as_ref().clone(), offset.clone()));
        }
        records
    }

    async fn nothing(&self, task: &mut dyn SourceTask) {
        let polled = tokio::time::timeout(Duration::from_millis(150), task.poll()).await;
        assert!(polled.is_err(), "{polled:?}");
    }
}

fn ids(records: &[Record]) -> Vec<i64> {
    let id = |record: &Record| match record.value.value.get("id") {
        Some(Value::Int64(id)) => *id,
        other => panic!("{other:?} is no id"),
    };
    records.iter().map(id).collect()
}

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(20), changed DATETIME NOT NULL \
     DEFAULT CURRENT_TIMESTAMP)";

#[tokio::test]
async fn incrementing_goes_on_behind_the_committed_number() {
    let fixture = Fixture::new(USERS, &[("mode", "incrementing"), ("batch.max.rows", "2")]).await;
    fixture.database.run("INSERT INTO users(name) VALUES ('a'), ('b'), ('c')").await.expect("rows");
    let mut task = fixture.task().await;
    let records = fixture.records(task.as_mut(), 3).await;
    assert_eq!(ids(&records), [1, 2, 3]);
    assert_eq!(&*records[0].topic, "p_users");
    assert!(records[0].key.value.is_null());
    task.stop().await;

    fixture.database.run("INSERT INTO users(name) VALUES ('d')").await.expect("a row");
    let mut task = fixture.task().await;
    assert_eq!(ids(&fixture.records(task.as_mut(), 1).await), [4]);
    fixture.nothing(task.as_mut()).await;
    task.stop().await;
}

#[tokio::test]
async fn the_schema_is_the_table() {
    let fixture = Fixture::new(USERS, &[("mode", "incrementing"), ("incrementing.column.name", "id")]).await;
    fixture.database.run("INSERT INTO users VALUES (7, NULL, '2021-08-01 11:04:17')").await.expect("a row");
    let mut task = fixture.task().await;
    let record = fixture.records(task.as_mut(), 1).await.remove(0);
    let schema = record.value.schema.expect("a schema");
    let fields: Vec<(&str, Schema)> =
        schema.fields().iter().map(|field| (&*field.name, field.schema.as_ref().clone())).collect();
    let expected = [
        ("id", Schema::new(Kind::Int64)),
        ("name", Schema::new(Kind::String).optional()),
        ("changed", logical::timestamp()),
    ];
    assert_eq!(fields, expected);
    assert_eq!((schema.name.as_deref(), schema.optional), (Some("users"), false));
    let Value::Struct(value) = record.value.value else { panic!("no struct") };
    assert_eq!(value.values(), [Value::Int64(7), Value::Null, Value::Timestamp(1_627_815_857_000)]);
}

#[tokio::test]
async fn timestamp_reads_changes_as_text_and_as_numbers() {
    let settings = [("mode", "timestamp"), ("timestamp.column.name", "changed")];
    let fixture = Fixture::new(USERS, &settings).await;
    let rows = "INSERT INTO users VALUES (1, 'a', '2021-01-01 00:00:01'), (2, 'b', '2021-01-01T00:00:02.5'), \
                (3, 'c', 1609459203000), (4, 'future', '2999-01-01 00:00:00')";
    fixture.database.run(rows).await.expect("rows");
    let mut task = fixture.task().await;
    assert_eq!(ids(&fixture.records(task.as_mut(), 3).await), [1, 2, 3]);
    fixture.database.run("UPDATE users SET changed = '2021-01-02 00:00:00' WHERE id = 1").await.expect("a change");
    assert_eq!(ids(&fixture.records(task.as_mut(), 1).await), [1]);
    fixture.nothing(task.as_mut()).await;
}

#[tokio::test]
async fn both_together_read_new_and_changed_rows_once() {
    let settings = [
        ("mode", "timestamp+incrementing"),
        ("timestamp.column.name", "changed"),
        ("incrementing.column.name", "id"),
        ("batch.max.rows", "1"),
    ];
    let fixture = Fixture::new(USERS, &settings).await;
    let rows = "INSERT INTO users(name, changed) VALUES ('a', '2021-01-01 00:00:01'), ('b', '2021-01-01 00:00:01')";
    fixture.database.run(rows).await.expect("rows");
    let mut task = fixture.task().await;
    assert_eq!(ids(&fixture.records(task.as_mut(), 1).await), [1]);
    task.stop().await;
    let mut task = fixture.task().await;
    assert_eq!(ids(&fixture.records(task.as_mut(), 1).await), [2]);
    fixture.nothing(task.as_mut()).await;
}

#[tokio::test]
async fn bulk_reads_everything_again_and_again() {
    let fixture = Fixture::new(USERS, &[("mode", "bulk"), ("key.mode", "primary_key")]).await;
    fixture.database.run("INSERT INTO users(name) VALUES ('a'), ('b')").await.expect("rows");
    let mut task = fixture.task().await;
    let records = fixture.records(task.as_mut(), 4).await;
    assert_eq!(ids(&records), [1, 2, 1, 2]);
    assert_eq!(records[1].key.value, Value::Int64(2));
}

#[tokio::test]
async fn a_query_goes_to_the_prefix_without_a_name() {
    let settings = [
        ("mode", "incrementing"),
        ("incrementing.column.name", "id"),
        ("query", "SELECT * FROM (SELECT id, name || '!' AS loud FROM users WHERE id <> 2) AS q"),
        ("query.suffix", "LIMIT 10"),
        ("key.columns", "id,loud"),
    ];
    let fixture = Fixture::new(USERS, &settings).await;
    fixture.database.run("INSERT INTO users(name) VALUES ('a'), ('b'), ('c')").await.expect("rows");
    let mut task = fixture.task().await;
    let records = fixture.records(task.as_mut(), 2).await;
    assert_eq!(ids(&records), [1, 3]);
    assert_eq!(&*records[0].topic, "p_");
    assert_eq!(records[0].value.schema.as_ref().and_then(|schema| schema.name.clone()), None);
    assert_eq!(records[0].value.value.get("loud"), Some(&Value::String("a!".to_owned())));
    assert_eq!(records[1].key.value.get("loud"), Some(&Value::String("c!".to_owned())));
}

#[tokio::test]
async fn tables_are_spread_and_new_ones_are_noticed() {
    let ddl = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY); CREATE TABLE no (x)";
    let settings = [("mode", "bulk"), ("table.blacklist", "no"), ("table.poll.interval.ms", "20")];
    let fixture = Fixture::new(ddl, &settings).await;
    let mut connector = fixture.connector();
    connector.start().await.expect("a start");
    let tables = |configs: Vec<Settings>| -> Vec<String> {
        configs.into_iter().filter_map(|settings| settings.get("tables").cloned()).collect()
    };
    assert_eq!(tables(connector.task_configs(1).await.expect("one")), ["\"a\",\"b\""]);
    assert_eq!(tables(connector.task_configs(5).await.expect("two")), ["\"a\"", "\"b\""]);
    fixture.database.run("CREATE TABLE c (id INTEGER PRIMARY KEY)").await.expect("a table");
    tokio::time::timeout(Duration::from_secs(10), fixture.reconfigure.notified()).await.expect("another plan");
    assert_eq!(tables(connector.task_configs(1).await.expect("one")), ["\"a\",\"b\",\"c\""]);
    connector.stop().await;
}

#[tokio::test]
async fn a_table_may_get_columns_and_may_go() {
    let fixture = Fixture::new(USERS, &[("mode", "incrementing"), ("validate.non.null", "false")]).await;
    fixture.database.run("INSERT INTO users(name) VALUES ('a')").await.expect("a row");
    let mut task = fixture.task().await;
    fixture.records(task.as_mut(), 1).await;
    fixture
        .database
        .run("ALTER TABLE users ADD COLUMN age INT; INSERT INTO users(age) VALUES (5)")
        .await
        .expect("a row");
    let record = fixture.records(task.as_mut(), 1).await.remove(0);
    assert_eq!(record.value.value.get("age"), Some(&Value::Int64(5)));
    fixture.database.run("DROP TABLE users").await.expect("no table");
    fixture.nothing(task.as_mut()).await;
    fixture.database.run(USERS).await.expect("a table");
    fixture.database.run("INSERT INTO users(id) VALUES (9)").await.expect("a row");
    assert_eq!(ids(&fixture.records(task.as_mut(), 1).await), [9]);
}

#[tokio::test]
async fn columns_that_may_be_null_fail_the_task() {
    let settings = [("mode", "timestamp"), ("timestamp.column.name", "at")];
    let fixture = Fixture::new("CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME)", &settings).await;
    let mut task = fixture.task().await;
    let error = task.poll().await.expect_err("a refusal").to_string();
    assert!(error.contains("timestamp column at may be null"), "{error}");
}
