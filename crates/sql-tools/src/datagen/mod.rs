//! `ksql-datagen`: records that are made up, for trying things out.
//!
//! ```text
//!   quickstart, or an Avro schema ──► generator (pattern) ──► codec of the format ──► topic
//! ```

mod generator;
mod pattern;
mod quickstart;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milena_client::producer::{Delivery, Outgoing};
use milena_client::{ClientConfig, Cluster, Producer, ProducerConfig};
use milena_schema::client::{ClientConfig as RegistryConfig, RegistryClient};
use milena_sql::formats::registry::{MemoryRegistry, SchemaRegistry};
use milena_sql::formats::{CodecContext, Field, Format, FormatSpec, RowCodec, Side, open};
use milena_sql::types::{SqlType, StructField};
use milena_sql::value::Value;
use milena_sql_server::registry::RemoteRegistry;
use milena_stdx::properties::Properties;
use rand::Rng as _;

use generator::Generator;

const USAGE: &str = "\
usage: ksql-datagen quickstart=<name> [option=value]...
       ksql-datagen schema=<file.avro> format=<format> topic=<topic> key=<field> [option=value]...

  quickstart=<name>              clickstream, clickstream_codes, clickstream_users, orders, pageviews, ratings, users,
                                 users_: these set schema, topic and key
  schema=<file.avro>             an Avro schema of a record; \"arg.properties\" of its types tell which values they have:
                                 options, range, iteration, regex, length
  bootstrap-server=<host:port>   the brokers (localhost:9092)
  topic=<topic>                  where records go
  key=<field>                    the field that is the key as well
  key-format=<format>            KAFKA, JSON, AVRO, ... (KAFKA)
  value-format=<format>          JSON, AVRO, DELIMITED, PROTOBUF, JSON_SR, KAFKA (JSON); format= is the same
  value-delimiter=<character>    between fields of DELIMITED; SPACE, TAB
  schemaRegistryUrl=<url>        for formats with schemas (http://localhost:8081)
  iterations=<count>             records of each thread (1000000); -1 for no end
  maxInterval=<ms>               wait up to so long before each record (500)
  msgRate=<records/s>            as many each second together, instead of maxInterval
  nThreads=<count>               threads that make records (1)
  printRows=true|false           show records (true)
  propertiesFile=<file>          settings of the producer and of its connection";
const USUAL_ITERATIONS: u64 = 1_000_000;
const USUAL_INTERVAL_MS: u64 = 500;
const THREADS_MAX: usize = 256;
const USUAL_BROKERS: &str = "localhost:9092";
const USUAL_REGISTRY: &str = "http://localhost:8081";

/// Why no records are made.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Words(String),
    #[error("{0}")]
    Client(#[from] milena_client::Error),
    #[error("{0}")]
    Format(#[from] milena_sql::formats::FormatError),
    #[error("{0}")]
    Properties(#[from] milena_stdx::properties::PropertiesError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Options as they were given.
struct Options(BTreeMap<String, String>);

const KNOWN: [&str; 16] = [
    "bootstrap-server",
    "topic",
    "key",
    "key-format",
    "value-format",
    "format",
    "value-delimiter",
    "schemaregistryurl",
    "iterations",
    "maxinterval",
    "msgrate",
    "printrows",
    "propertiesfile",
    "quickstart",
    "schema",
    "nthreads",
];

impl Options {
    fn read(arguments: Vec<OsString>) -> Result<Options, Failure> {
        let mut options = BTreeMap::new();
        for argument in arguments {
            let argument = argument.to_string_lossy().into_owned();
            let given = argument.trim_start_matches('-').split_once('=');
            let known = given.filter(|(name, _)| KNOWN.contains(&name.to_ascii_lowercase().as_str()));
            let Some((name, value)) = known else {
                return Err(Failure::Usage(format!("Unknown argument: {argument}")));
            };
            options.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Ok(Options(options))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Failure> {
        let wrong = |text: &str| Failure::Usage(format!("{name} is a number, not {text}"));
        self.get(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    fn format(&self, names: &[&str], usual: Format) -> Result<Format, Failure> {
        let Some(text) = names.iter().find_map(|name| self.get(name)) else { return Ok(usual) };
        text.to_ascii_uppercase().parse().map_err(|_| Failure::Usage(format!("There is no format {text}")))
    }
}

/// Runs the tool.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let asks_for_help = |argument: &OsString| ["help", "--help", "-h", "-help"].iter().any(|word| argument == word);
    if arguments.iter().any(asks_for_help) {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let done = Options::read(arguments).and_then(|options| run_threads(&options));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            if matches!(failure, Failure::Usage(_)) {
                eprintln!("{USAGE}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Each thread has its own plan and its own producer.
fn run_threads(options: &Options) -> Result<(), Failure> {
    let threads = options.number("nthreads")?.unwrap_or(1);
    if !(1..=THREADS_MAX).contains(&threads) {
        return Err(Failure::Usage(format!("nThreads is a number from 1 to {THREADS_MAX}")));
    }
    // What is wrong is told once.
    let plans: Result<Vec<Plan>, Failure> = (0..threads).map(|_| Plan::new(options)).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = plans?.into_iter().map(|plan| scope.spawn(|| plan.run(options, threads))).collect();
        let ended = running.into_iter().map(|thread| {
            let lost = || Failure::Words("a thread has ended too early".to_owned());
            thread.join().unwrap_or_else(|_| Err(lost()))
        });
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

/// What is made, and where it goes.
struct Plan {
    topic: String,
    row_type: SqlType,
    fields: Vec<StructField>,
    generator: Generator,
    /// Which field is the key.
    key: usize,
    key_codec: Box<dyn RowCodec>,
    value_codec: Box<dyn RowCodec>,
    is_shown: bool,
}

impl Plan {
    fn new(options: &Options) -> Result<Plan, Failure> {
        let (schema, topic, key) = match (options.get("quickstart"), options.get("schema")) {
            (Some(name), None) => {
                let unknown = || Failure::Usage(format!("quickstart is one of {}", quickstart::NAMES.join(", ")));
                let found = quickstart::find(name).ok_or_else(unknown)?;
                (found.schema, Some(found.topic.to_owned()), Some(found.key.to_owned()))
            }
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| std::io::Error::new(error.kind(), format!("{path}: {error}")))?;
                let schema = serde_json::from_str(&text).map_err(|error| Failure::Words(format!("{path}: {error}")))?;
                (schema, None, None)
            }
            _ => return Err(Failure::Usage("Either quickstart or schema is needed".to_owned())),
        };
        let missing = |name: &str| Failure::Usage(format!("{name} is needed"));
        let topic = options.get("topic").map(str::to_owned).or(topic).ok_or_else(|| missing("topic"))?;
        let key = options.get("key").map(str::to_owned).or(key).ok_or_else(|| missing("key"))?;
        let (row, generator) = generator::record(&schema).map_err(Failure::Words)?;
        let fields = row.fields.clone();
        let key = fields
            .iter()
            .position(|field| *field.name == *key)
            .ok_or_else(|| Failure::Words(format!("There is no field {key} to be the key")))?;
        let mut value_spec = FormatSpec::plain(options.format(&["value-format", "format"], Format::Json)?);
        let key_spec = FormatSpec::plain(options.format(&["key-format"], Format::Kafka)?);
        value_spec.delimiter = match options.get("value-delimiter") {
            Some("SPACE") => Some(' '),
            Some("TAB") => Some('\t'),
            Some(other) => other.chars().next(),
            None => None,
        };
        let registry = registry(options, key_spec.format.has_registry() || value_spec.format.has_registry())?;
        let column = |field: &StructField| Field { name: field.name.clone(), field_type: field.field_type.clone() };
        let context = |side| CodecContext { topic: topic.clone(), side, registry: registry.clone() };
        Ok(Plan {
            key_codec: open(&key_spec, vec![column(&fields[key])], &context(Side::Key))?,
            value_codec: open(&value_spec, fields.iter().map(column).collect(), &context(Side::Value))?,
            is_shown: options.get("printrows") != Some("false"),
            topic,
            key,
            row_type: SqlType::Struct(row.into()),
            fields,
            generator,
        })
    }

    fn run(mut self, options: &Options, threads: usize) -> Result<(), Failure> {
        let mut config = ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() };
        let mut client = ClientConfig::new(options.get("bootstrap-server").unwrap_or(USUAL_BROKERS))?;
        client.client_id = "ksql-datagen".to_owned();
        if let Some(path) = options.get("propertiesfile") {
            for (name, value) in Properties::load(path)?.iter() {
                if name != "bootstrap.servers" {
                    config.set(name, value)?;
                    client.set(name, value)?;
                }
            }
        }
        let iterations = options.number::<i64>("iterations")?;
        let iterations = iterations.map_or(USUAL_ITERATIONS, |count| u64::try_from(count).unwrap_or(u64::MAX));
        let rate = options.number::<f64>("msgrate")?.filter(|rate| *rate > 0.0);
        let rate = rate.map(|rate| rate / threads as f64);
        let interval_ms = options.number("maxinterval")?.unwrap_or(USUAL_INTERVAL_MS);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let cluster = Cluster::connect(client).await?;
            self.produce(cluster, config, iterations, Pace { rate, interval_ms }).await
        })
    }

    async fn produce(
        &mut self,
        cluster: Cluster,
        config: ProducerConfig,
        iterations: u64,
        pace: Pace,
    ) -> Result<(), Failure> {
        let lost = Arc::new(AtomicU64::new(0));
        let reason = Arc::new(Mutex::new(String::new()));
        let (losses, reasons) = (Arc::clone(&lost), Arc::clone(&reason));
        let on_delivery = move |delivery: &Delivery<'_>| {
            if let Err(error) = delivery.result {
                losses.fetch_add(delivery.tickets.len() as u64, Ordering::Relaxed);
                *reasons.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            }
        };
        let producer = Producer::new(cluster, config, Box::new(on_delivery))?;
        let queue = producer.topic(&self.topic).await?;
        let begun = tokio::time::Instant::now();
        for index in 0..iterations {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => break,
                () = pace.wait(begun, index) => {}
            }
            let row = self.row();
            // Codecs with schemas ask the registry, which blocks.
            let [key, value] = tokio::task::block_in_place(|| self.encoded(&row))?;
            let timestamp = now_ms();
            let record = Outgoing { timestamp, key: key.as_deref(), value: value.as_deref(), ..Outgoing::default() };
            producer.append(&queue, &record, index).await?;
            if self.is_shown && writeln!(std::io::stdout(), "{}", self.shown(&row, timestamp)).is_err() {
                // Nobody reads any more.
                break;
            }
        }
        producer.close().await;
        match lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            count => {
                let reason = reason.lock().unwrap_or_else(PoisonError::into_inner);
                Err(Failure::Words(format!("{count} records were not produced: {reason}")))
            }
        }
    }

    fn row(&mut self) -> Vec<Value> {
        match self.generator.next(&self.row_type, &mut rand::rng()) {
            Value::Struct(row) => row.to_vec(),
            _ => vec![Value::Null; self.fields.len()],
        }
    }

    /// Key and value of the record.
    fn encoded(&self, row: &[Value]) -> Result<[Option<Vec<u8>>; 2], Failure> {
        Ok([self.key_codec.encode(&row[self.key..=self.key])?, self.value_codec.encode(row)?])
    }

    /// `'User_1' --> ([ 1491 | 'User_1' | 'Region_2' ]) ts:1570041590155`
    fn shown(&self, row: &[Value], timestamp: i64) -> String {
        let cells: Vec<String> =
            row.iter().zip(&self.fields).map(|(value, field)| shown(value, &field.field_type)).collect();
        format!("{} --> ([ {} ]) ts:{timestamp}", cells[self.key], cells.join(" | "))
    }
}

/// When the next record is due.
struct Pace {
    rate: Option<f64>,
    interval_ms: u64,
}

impl Pace {
    async fn wait(&self, begun: tokio::time::Instant, index: u64) {
        match self.rate {
            Some(rate) => {
                let due = Duration::try_from_secs_f64(index as f64 / rate).unwrap_or(Duration::MAX);
                match begun.checked_add(due) {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            }
            None if self.interval_ms > 0 => {
                let wait = rand::rng().random_range(0..=self.interval_ms);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            None => {}
        }
    }
}

fn registry(options: &Options, is_needed: bool) -> Result<Arc<dyn SchemaRegistry>, Failure> {
    if !is_needed {
        return Ok(Arc::new(MemoryRegistry::default()));
    }
    let url = options.get("schemaregistryurl").unwrap_or(USUAL_REGISTRY);
    let config = RegistryConfig::new(url).map_err(|error| Failure::Words(error.to_string()))?;
    let client = RegistryClient::new(config).map_err(|error| Failure::Words(error.to_string()))?;
    Ok(Arc::new(RemoteRegistry(client)))
}

fn shown(value: &Value, value_type: &SqlType) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        other => other.text(value_type),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Result<Plan, Failure> {
        Options::read(words.iter().map(OsString::from).collect()).and_then(|options| Plan::new(&options))
    }

    #[test]
    fn a_quickstart_needs_nothing_else() {
        let mut plan = plan(&["quickstart=users"]).unwrap();
        assert_eq!(plan.topic, "users");
        let row = plan.row();
        let shown = plan.shown(&row, 7);
        assert!(shown.starts_with("'User_") && shown.contains("'Region_") && shown.ends_with("]) ts:7"), "{shown}");
        let value = plan.value_codec.encode(&row).unwrap().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert!(value["registertime"].is_i64() && value["gender"].is_string(), "{value}");
        let key = plan.key_codec.encode(&row[1..2]).unwrap().unwrap();
        assert!(key.starts_with(b"User_"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        for words in [
            &["schema=/no/such/file", "topic=t", "key=k"][..],
            &["topic=t"],
            &["quickstart=clicks"],
            &["quickstart=users", "key=nothing"],
            &["quickstart=users", "format=xml"],
            &["quickstart=users", "schema=x"],
            &["quickstart"],
            &["colour=blue"],
        ] {
            assert!(plan(words).is_err(), "{words:?}");
        }
    }
}
