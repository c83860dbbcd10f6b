//! Records a second on one core, from the bytes of a topic to the bytes of another, without Kafka between.
//!
//! ```text
//! cargo run --release -p milena-sql --example throughput -- [filter|count|join] [json|avro] [records]
//! ```
//!
//! The same queries as `bench/ksql.py`, over state on disk that is committed as often as a server commits it. `cpu` is the
//! processor time of all threads, those of the store on disk among them.

use std::sync::Arc;
use std::time::Instant;

use milena_sql::catalog::{Catalog, Settings};
use milena_sql::definition::{Circumstances, Defined, PersistentQuery, define, register_schemas};
use milena_sql::formats::registry::{MemoryRegistry, SchemaRegistry};
use milena_sql::operators::{Change, Context, Key, NoLog};
use milena_sql::parser::parse_one;
use milena_sql::planner::build::{Task, build};
use milena_sql::runtime::RawRecord;
use milena_sql::runtime::reader::SourceReader;
use milena_sql::runtime::writer::SinkWriter;
use milena_sql::state::DiskStateStores;
use milena_sql::value::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

/// Records that are made; they are gone through as often as it takes.
const DISTINCT: usize = 50_000;
/// Different keys.
const KEYS: usize = 10_000;
/// Records between two commits.
const COMMIT: usize = 50_000;

const QUERIES: [(&str, &str); 3] = [
    (
        "filter",
        "CREATE STREAM result AS SELECT person, id, UCASE(city) AS city, amount * 2 AS twice FROM orders \
         WHERE amount > 100 EMIT CHANGES;",
    ),
    (
        "count",
        "CREATE TABLE result AS SELECT person, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 1 MINUTE) \
         GROUP BY person EMIT CHANGES;",
    ),
    (
        "join",
        "CREATE STREAM result AS SELECT orders.person AS person, id, amount, name FROM orders \
         JOIN people ON orders.person = people.person EMIT CHANGES;",
    ),
];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |word: &str, others: &[&str]| {
        arguments.iter().any(|argument| argument == word) || !arguments.iter().any(|one| others.contains(&one.as_str()))
    };
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(2_000_000);
    for format in ["json", "avro"].into_iter().filter(|format| wanted(format, &["json", "avro"])) {
        for (name, query) in QUERIES.into_iter().filter(|(name, _)| wanted(name, &["filter", "count", "join"])) {
            run(name, query, format, count)?;
        }
    }
    Ok(())
}

fn run(name: &str, query: &str, format: &str, count: usize) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut pipeline = Pipeline::new(query, format, directory.path())?;
    let people = (0..KEYS).map(|key| pipeline.person(key)).collect::<Result<Vec<_>, _>>()?;
    let orders = (0..DISTINCT).map(|number| pipeline.order(number)).collect::<Result<Vec<_>, _>>()?;
    for person in &people {
        pipeline.process("people", person)?;
    }
    pipeline.commit()?;
    let size =
        orders.iter().filter_map(|order| order.value.as_ref()).map(|value| value.len()).sum::<usize>() / orders.len();
    let (started, cpu) = (Instant::now(), cpu_seconds());
    for number in 0..count {
        let order = &orders[number % DISTINCT];
        // A thousand records a second, so that windows come and go.
        pipeline.process_at("orders", order, number as i64)?;
        if number % COMMIT == COMMIT - 1 {
            pipeline.commit()?;
        }
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{name:<7} {format:<5} {size:>4} bytes  {:>9.0} records/s  {:>9.0} records per cpu second  {} out, {} MB resident",
        count as f64 / seconds,
        count as f64 / cpu,
        pipeline.written,
        peak_megabytes(),
    );
    Ok(())
}

/// A query between records of its sources and records of its sink.
struct Pipeline {
    task: Task,
    readers: Vec<SourceReader>,
    writer: SinkWriter,
    stores: DiskStateStores,
    orders: SinkWriter,
    people: SinkWriter,
    json: bool,
    changes: Vec<Change>,
    written: usize,
    position: i64,
}

impl Pipeline {
    fn new(query: &str, format: &str, directory: &std::path::Path) -> Result<Pipeline, Failure> {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        let settings = Settings::default();
        let circumstances = Circumstances { settings, registry, number: 0, partitions: Some(1) };
        let mut catalog = Catalog::default();
        let sources = [
            format!(
                "CREATE STREAM orders (person STRING KEY, id BIGINT, city STRING, title STRING, amount DOUBLE, \
                 active BOOLEAN, note STRING) WITH (kafka_topic='orders', value_format='{format}');"
            ),
            format!(
                "CREATE TABLE people (person STRING PRIMARY KEY, name STRING, since BIGINT) \
                 WITH (kafka_topic='people', value_format='{format}');"
            ),
        ];
        for text in &sources {
            made(text, &mut catalog, &circumstances)?;
        }
        let Defined::Query { query, .. } = made(query, &mut catalog, &circumstances)? else {
            return Err("not a query".into());
        };
        let PersistentQuery { step, sink, .. } = *query;
        let database = fjall::Database::builder(directory).open()?;
        let mut stores = DiskStateStores::new(database, "query", 0)?;
        let Circumstances { settings, registry, .. } = &circumstances;
        let task = build(&step, settings, &mut stores)?;
        let readers = task.entries.iter().map(|entry| entry.reader(settings, registry));
        let writer_of = |name: &str| {
            let source = catalog.source(name).ok_or("no source")?;
            Ok::<_, Failure>(SinkWriter::new(source, registry)?)
        };
        Ok(Pipeline {
            readers: readers.collect::<Result<_, _>>()?,
            writer: SinkWriter::new(&sink, registry)?,
            orders: writer_of("ORDERS")?,
            people: writer_of("PEOPLE")?,
            json: format == "json",
            task,
            stores,
            changes: Vec::new(),
            written: 0,
            position: 0,
        })
    }

    fn person(&self, key: usize) -> Result<RawRecord, Failure> {
        let row = vec![Value::from(format!("Name of {key}")), Value::Bigint(key as i64)];
        let mut record = encoded(&self.people, key, row)?;
        if self.json {
            record.value = Some(format!(r#"{{"name":"Name of {key}","since":{key}}}"#).into());
        }
        Ok(record)
    }

    /// Some 200 bytes of JSON, names in lower case as programs write them.
    fn order(&self, number: usize) -> Result<RawRecord, Failure> {
        let (key, amount) = (number * 7 % KEYS, (number % 2000) as f64 / 10.0);
        let note = "n".repeat(96);
        let city = ["Hamburg", "Lisboa", "Oslo", "Napoli"][number % 4];
        let row = vec![
            Value::Bigint(number as i64),
            Value::from(city),
            Value::from("Senior Engineer"),
            Value::Double(amount),
            Value::Boolean(number.is_multiple_of(2)),
            Value::from(note.as_str()),
        ];
        let mut record = encoded(&self.orders, key, row)?;
        if self.json {
            let text = format!(
                r#"{{"id": {number}, "city": "{city}", "title": "Senior Engineer", "amount": {amount:.2}, "active": {}, "note": "{note}"}}"#,
                number.is_multiple_of(2)
            );
            record.value = Some(text.into());
        }
        Ok(record)
    }

    fn process_at(&mut self, topic: &str, record: &RawRecord, timestamp: i64) -> Result<(), Failure> {
        let record = RawRecord { timestamp, ..record.clone() };
        self.process(topic, &record)
    }

    fn process(&mut self, topic: &str, record: &RawRecord) -> Result<(), Failure> {
        let mut context = Context { log: &NoLog, wall_clock_ms: 0 };
        for (entry, reader) in self.task.entries.iter().zip(&self.readers) {
            if entry.source.topic != topic {
                continue;
            }
            let Some(change) = reader.read(record, &NoLog)? else { continue };
            self.task.graph.process(entry.edge, change, &mut context, &mut self.changes)?;
            for change in self.changes.drain(..) {
                if self.writer.write(&change, &NoLog)?.is_some() {
                    self.written += 1;
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.task.graph.leave()?;
        self.position += self.stores.pending().len() as i64;
        Ok(self.stores.commit(self.position)?)
    }
}

fn made(text: &str, catalog: &mut Catalog, circumstances: &Circumstances) -> Result<Defined, Failure> {
    let statement = parse_one(text, &|_| None)?;
    let defined = define(&statement, text, catalog, circumstances).ok_or("not a definition")??;
    match &defined {
        Defined::Source(source) => register_schemas(source, true, &circumstances.registry)?,
        Defined::Query { query, .. } => register_schemas(&query.sink, true, &circumstances.registry)?,
        _ => {}
    }
    Ok(defined)
}

fn encoded(writer: &SinkWriter, key: usize, row: Vec<Value>) -> Result<RawRecord, Failure> {
    let change = Change {
        key: Key::plain(vec![Value::from(format!("person-{key:06}"))]),
        new: Some(row.into()),
        old: None,
        timestamp: 0,
        headers: [].into(),
    };
    Ok(writer.write(&change, &NoLog)?.ok_or("no record")?)
}

/// Processor time of all threads of this process.
fn cpu_seconds() -> f64 {
    let of = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter_map(of).sum::<f64>() / 1e9
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
