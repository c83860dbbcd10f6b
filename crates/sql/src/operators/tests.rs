//! Windows and joins over their state: what stays of it, and what a restart takes up.

use std::sync::Arc;

use md5::Digest as _;

use super::{Change, Context, NoLog};
use crate::catalog::{Catalog, Settings};
use crate::definition::{Circumstances, Defined, PersistentQuery, define};
use crate::formats::registry::{MemoryRegistry, SchemaRegistry};
use crate::operators::WindowBounds;
use crate::parser::parse_one;
use crate::planner::build::{Task, build_readable};
use crate::planner::view::View;
use crate::runtime::RawRecord;
use crate::runtime::reader::SourceReader;
use crate::state::{KeptStateStores, LAYOUT, StateStores as _, entries};
use crate::value::Value;

/// A query over the streams `s` and `r` and the tables `people` and `cities` at work.
struct Running {
    query: PersistentQuery,
    settings: Settings,
    registry: Arc<dyn SchemaRegistry>,
    stores: KeptStateStores,
    task: Task,
    readers: Vec<SourceReader>,
    now: i64,
}

impl Running {
    fn new(sql: &str) -> Running {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        let settings = Settings::default();
        let circumstances =
            Circumstances { settings: settings.clone(), registry: registry.clone(), number: 0, partitions: Some(1) };
        let mut catalog = Catalog::default();
        let mut last = None;
        for text in [
            "CREATE STREAM s (k STRING KEY, n INT) WITH (kafka_topic='s', value_format='JSON');",
            "CREATE STREAM r (k STRING KEY, n INT) WITH (kafka_topic='r', value_format='JSON');",
            "CREATE TABLE people (k STRING PRIMARY KEY, n INT) WITH (kafka_topic='people', value_format='JSON');",
            "CREATE TABLE cities (k INT PRIMARY KEY, n INT) WITH (kafka_topic='cities', value_format='JSON');",
            sql,
        ] {
            let statement = parse_one(text, &|_| None).unwrap();
            last = Some(define(&statement, text, &mut catalog, &circumstances).unwrap().unwrap());
        }
        let Some(Defined::Query { query, .. }) = last else { panic!("{sql} is no query") };
        let mut stores = KeptStateStores::default();
        let task = build_readable(&query.step, &settings, &mut stores).unwrap();
        let readers = task.entries.iter().map(|entry| entry.reader(&settings, &registry).unwrap()).collect();
        Running { query: *query, settings, registry, stores, task, readers, now: 0 }
    }

    /// A record of a topic, a second of the clock after the one before.
    fn feed(&mut self, topic: &str, key: &str, timestamp: i64) -> Vec<Change> {
        self.feed_value(topic, key, Some(br#"{"n":1}"#), timestamp)
    }

    fn feed_value(&mut self, topic: &str, key: &str, value: Option<&[u8]>, timestamp: i64) -> Vec<Change> {
        self.now += 1000;
        let (key, value) = (Some(key.as_bytes().to_vec().into()), value.map(|value| value.to_vec().into()));
        let record = RawRecord { key, value, timestamp, headers: [].into(), partition: 0, offset: 0 };
        let mut output = Vec::new();
        for (entry, reader) in self.task.entries.iter().zip(&self.readers) {
            if entry.source.topic == topic {
                let change = reader.read(&record, &NoLog).unwrap().unwrap();
                let mut context = Context { log: &NoLog, wall_clock_ms: self.now };
                self.task.graph.process(entry.edge, change, &mut context, &mut output).unwrap();
            }
        }
        output
    }

    /// Everything but the state is made anew.
    fn restart(&mut self) {
        self.task.graph.leave().unwrap();
        self.task = build_readable(&self.query.step, &self.settings, &mut self.stores).unwrap();
        self.readers =
            self.task.entries.iter().map(|entry| entry.reader(&self.settings, &self.registry).unwrap()).collect();
        self.task.graph.resume().unwrap();
    }

    /// How many entries a store has.
    fn size(&mut self, store: &str) -> usize {
        entries(self.stores.open(store).unwrap().as_ref(), b"", &[u8::MAX; 8]).unwrap().len()
    }

    /// The windows that readers see.
    fn visible(&mut self) -> Vec<WindowBounds> {
        let view = View::new(&self.query.step, &self.query.sink).unwrap().with_horizon(self.task.horizon.clone());
        let entries = entries(self.stores.open("aggregate-0000").unwrap().as_ref(), b"", &[u8::MAX; 8]).unwrap();
        let rows = entries.iter().filter_map(|(key, value)| view.row(key, value, &NoLog).unwrap());
        rows.filter_map(|row| row.key.window).collect()
    }
}

fn counts(changes: &[Change]) -> Vec<Value> {
    changes.iter().map(|change| change.new.as_ref().map_or(Value::Null, |row| row[0].clone())).collect()
}

const SECOND: i64 = 1000;

#[test]
fn windows_are_deleted_when_the_retention_is_over() {
    let mut query = Running::new(
        "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s
         WINDOW TUMBLING (SIZE 10 SECONDS, RETENTION 80 SECONDS, GRACE PERIOD 20 SECONDS) GROUP BY k;",
    );
    for second in 0..1000 {
        for key in ["a", "b", "c"] {
            assert_eq!(query.feed("s", key, second * SECOND).len(), 1);
        }
    }
    // The window from 990, those of the 80 seconds before, and those of the span that has not expired as a whole.
    assert!((27..=33).contains(&query.size("aggregate-0000")), "{}", query.size("aggregate-0000"));
    assert!(query.size("aggregate-by-time-0001") <= 33);
    let visible = query.visible();
    assert_eq!(visible.len(), 24);
    assert!(visible.iter().all(|window| window.start > 910 * SECOND));
    query.restart();
    assert_eq!(query.visible().len(), 24, "readers know after a restart what has expired");
}

#[test]
fn hopping_windows_are_deleted_as_fast_as_they_come() {
    let mut query = Running::new(
        "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s
         WINDOW HOPPING (SIZE 100 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY k;",
    );
    for number in 0..500 {
        query.feed("s", &format!("k{number}"), number * 10 * SECOND);
    }
    assert!(query.size("aggregate-0000") < 2500, "{}", query.size("aggregate-0000"));
    assert!(query.visible().iter().all(|window| window.start > 4890 * SECOND));
}

#[test]
fn what_was_too_late_before_a_restart_is_too_late_after_it() {
    for window in ["TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS)", "SESSION (10 SECONDS, GRACE PERIOD 0 SECONDS)"]
    {
        let mut query =
            Running::new(&format!("CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s WINDOW {window} GROUP BY k;"));
        query.feed("s", "a", 100 * SECOND);
        query.restart();
        assert!(query.feed("s", "a", 50 * SECOND).is_empty(), "{window}");
        assert_eq!(counts(&query.feed("s", "a", 101 * SECOND)).last(), Some(&Value::Bigint(2)), "{window}");
    }
}

#[test]
fn windows_come_out_once_before_they_are_deleted() {
    let mut query = Running::new(
        "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s
         WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k EMIT FINAL;",
    );
    let mut windows = Vec::new();
    for second in 0..1000 {
        if second % 100 == 50 {
            query.restart();
        }
        for change in query.feed("s", "a", second * SECOND) {
            assert_eq!(counts(std::slice::from_ref(&change)), [Value::Bigint(10)]);
            windows.extend(change.key.window);
        }
    }
    assert_eq!(windows.len(), 99);
    assert!(windows.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(query.size("aggregate-0000") <= 5, "{}", query.size("aggregate-0000"));
    assert!(query.size("aggregate-by-time-0001") <= 8, "{}", query.size("aggregate-by-time-0001"));
}

#[test]
fn sessions_are_deleted_when_the_retention_is_over() {
    for emit in ["", "EMIT FINAL"] {
        let mut query = Running::new(&format!(
            "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s
             WINDOW SESSION (10 SECONDS, GRACE PERIOD 70 SECONDS) GROUP BY k {emit};"
        ));
        let mut sessions = 0;
        // Two records, then a pause that ends the session.
        for number in 0..200 {
            for second in [0, 5] {
                let changes = query.feed("s", "a", (number * 20 + second) * SECOND);
                sessions += changes.iter().filter(|change| change.new.is_some()).count();
            }
        }
        assert_eq!(sessions, if emit.is_empty() { 400 } else { 195 }, "{emit}");
        assert!(query.size("aggregate-0000") <= 6, "{emit} {}", query.size("aggregate-0000"));
        assert!(query.size("aggregate-by-time-0001") <= 12, "{emit} {}", query.size("aggregate-by-time-0001"));
        assert!(query.visible().iter().all(|session| session.end > (3985 - 80) * SECOND));
    }
}

#[test]
fn rows_of_joins_are_deleted_when_nothing_can_reach_them() {
    let mut query = Running::new(
        "CREATE STREAM j AS SELECT s.k, s.n, r.n FROM s LEFT JOIN r WITHIN 5 SECONDS GRACE PERIOD 2 SECONDS ON s.k = r.k;",
    );
    let (mut joined, mut lone) = (0, 0);
    for second in 0..500 {
        let mut changes = query.feed("s", &format!("k{second}"), second * SECOND);
        if second % 2 == 0 {
            changes.extend(query.feed("r", &format!("k{second}"), second * SECOND));
        }
        joined += changes.iter().filter(|change| change.new.as_ref().unwrap()[1] != Value::Null).count();
        lone += changes.iter().filter(|change| change.new.as_ref().unwrap()[1] == Value::Null).count();
        if second % 50 == 25 {
            query.restart();
        }
    }
    assert_eq!(joined, 250);
    assert!((244..=247).contains(&lone), "{lone}");
    for (store, most) in [("stream-join-0000", 32), ("stream-join-0001", 17), ("stream-join-lone-0002", 6)] {
        assert!(query.size(store) <= most, "{store} {}", query.size(store));
    }
}

#[test]
fn a_restart_does_not_let_late_rows_join() {
    let mut query = Running::new(
        "CREATE STREAM j AS SELECT s.k, s.n, r.n FROM s JOIN r WITHIN 5 SECONDS GRACE PERIOD 0 SECONDS ON s.k = r.k;",
    );
    query.feed("s", "a", 10 * SECOND);
    query.feed("s", "b", 100 * SECOND);
    query.restart();
    assert!(query.feed("r", "a", 10 * SECOND).is_empty(), "the row of the left has expired");
    assert_eq!(query.feed("r", "b", 100 * SECOND).len(), 1);
}

#[test]
fn the_time_that_both_sides_share_is_known_after_a_restart() {
    for restarts in [false, true] {
        let mut query = Running::new(
            "CREATE STREAM j AS SELECT s.k, s.n, r.n FROM s LEFT JOIN r WITHIN 5 SECONDS GRACE PERIOD 60 SECONDS ON s.k = r.k;",
        );
        query.feed("s", "a", 0);
        // No side keeps a record without value; its time counts.
        assert!(query.feed_value("r", "a", None, 20 * SECOND).is_empty());
        if restarts {
            query.restart();
        }
        assert_eq!(query.feed("s", "b", SECOND).len(), 1, "too late to wait for a partner");
    }
}

/// Whoever changes what operators keep raises the number of the layout, and puts the new digest here.
#[test]
fn what_is_kept_has_the_layout_of_this_number() {
    let queries = [
        "CREATE TABLE j AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;",
        "CREATE TABLE j AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k EMIT FINAL;",
        "CREATE TABLE j AS SELECT k, COUNT(*) AS c FROM s WINDOW SESSION (10 SECONDS) GROUP BY k EMIT FINAL;",
        "CREATE STREAM j AS SELECT ROWKEY, s.n, r.n FROM s FULL JOIN r WITHIN 5 SECONDS GRACE PERIOD 2 SECONDS ON s.k = r.k;",
        "CREATE STREAM j AS SELECT s.k, s.n, t.n FROM s JOIN people t ON s.k = t.k;",
        "CREATE TABLE j AS SELECT t.k, t.n, u.n FROM people t LEFT JOIN cities u ON t.n = u.k;",
        "CREATE TABLE j AS SELECT n, COUNT(*) AS c FROM people GROUP BY n;",
    ];
    let mut kept = String::new();
    for sql in queries {
        let mut query = Running::new(sql);
        for (topic, key) in [("people", "a"), ("cities", "\0\0\0\x01"), ("s", "a"), ("r", "b")] {
            query.feed(topic, key, SECOND);
        }
        query.task.graph.leave().unwrap();
        kept.push_str(&format!("{:?}", query.stores.contents()));
    }
    let digest: String = md5::Md5::digest(kept).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((LAYOUT, digest.as_str()), (1, "f851b24d7d76b1b5ee7cea3d9a5289c0"));
}

#[test]
fn many_lone_rows_come_out_with_several_records() {
    let mut query = Running::new(
        "CREATE STREAM j AS SELECT s.k, s.n, r.n FROM s LEFT JOIN r WITHIN 5 SECONDS GRACE PERIOD 0 SECONDS ON s.k = r.k;",
    );
    for row in 0..2500 {
        assert!(query.feed("s", &format!("k{row}"), row).is_empty());
    }
    let given: Vec<usize> = (0..5).map(|_| query.feed("r", "later", 60 * SECOND).len()).collect();
    assert_eq!(given, [1000, 1000, 500, 0, 0]);
    assert_eq!(query.size("stream-join-lone-0002"), 0);
}
