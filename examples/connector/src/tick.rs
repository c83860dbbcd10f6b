//! The connector: a source that counts. Each tick is a record with its number and its time; after a restart it counts on.
//!
//! | setting | default | |
//! |---|---|---|
//! | `topic` | | where ticks go |
//! | `interval.ms` | 1000 | time between two ticks |
//! | `ticks.per.transaction` | 1 | with `transaction.boundary=connector`: how many ticks are committed together |

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milena_connect::config::def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Importance, Rule};
use milena_connect::data::{Field, Kind, Schema, SchemaRef, Struct, Typed, Value, logical};
use milena_connect::plugin::{
    Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, ExactlyOnceSupport, SameTasks, Settings, Source,
    SourceTask, SourceTaskContext, TaskError, Waiting,
};
use milena_connect::record::{Origin, Record, SourceMap};

/// Name of the field of offsets: the number of the last tick.
const TICK: &str = "tick";

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = vec![Field::new("number", Schema::new(Kind::Int64)), Field::new("at", logical::timestamp())];
    Arc::new(Schema::structure(fields).named("org.example.Tick"))
});

/// The kind of connector: its names, its settings, and what makes connectors and tasks.
pub struct TickSource {
    config: ConfigDef,
}

impl TickSource {
    /// It.
    pub fn new() -> TickSource {
        TickSource {
            config: ConfigDef::new(vec![
                ConfigKey::required("topic", ConfigType::String, Importance::High, "The topic that gets the ticks.")
                    .checked(Rule::NonEmpty),
                ConfigKey::with_default(
                    "interval.ms",
                    ConfigType::Long,
                    "1000",
                    Importance::Medium,
                    "Milliseconds between two ticks.",
                )
                .checked(Rule::AtLeast(1)),
                ConfigKey::with_default(
                    "ticks.per.transaction",
                    ConfigType::Long,
                    "1",
                    Importance::Low,
                    "How many ticks are committed together, with transaction.boundary=connector.",
                )
                .checked(Rule::AtLeast(1)),
            ]),
        }
    }
}

impl ConnectorPlugin for TickSource {
    fn classes(&self) -> &'static [&'static str] {
        // Users may also write `TickSourceConnector` and `TickSource`.
        &["org.example.TickSourceConnector"]
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        &self.config
    }

    fn validate<'a>(&'a self, _: &'a Settings, _: &'a mut Vec<ConfigValue>) -> Waiting<'a, ()> {
        // The table of settings says it all; this is the place for settings that exclude each other.
        Box::pin(async {})
    }

    fn create(&self, settings: &Settings, _: ConnectorContext) -> Result<Box<dyn Connector>, TaskError> {
        Ok(SameTasks::one(settings))
    }

    fn source(&self) -> Option<&dyn Source> {
        Some(self)
    }
}

impl Source for TickSource {
    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(TickTask::default())
    }

    fn exactly_once(&self, _: &Settings) -> ExactlyOnceSupport {
        ExactlyOnceSupport::Supported
    }

    fn can_define_transaction_boundaries(&self, _: &Settings) -> bool {
        true
    }

    fn alter_offsets(&self, _: &Settings, offsets: &[(SourceMap, Option<SourceMap>)]) -> Result<bool, TaskError> {
        for offset in offsets.iter().filter_map(|(_, offset)| offset.as_ref()) {
            tick_of(offset)?;
        }
        Ok(true)
    }
}

/// The task. A poll may be dropped while it waits: `last` changes only when its tick is returned.
#[derive(Default)]
struct TickTask {
    topic: Arc<str>,
    interval: Duration,
    per_transaction: u64,
    last: u64,
    partition: Arc<SourceMap>,
    context: Option<Arc<dyn SourceTaskContext>>,
}

impl SourceTask for TickTask {
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        context: Arc<dyn SourceTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            self.topic = settings.get("topic").map(String::as_str).unwrap_or_default().into();
            self.interval = Duration::from_millis(number(settings, "interval.ms", 1000)?);
            self.per_transaction = number(settings, "ticks.per.transaction", 1)?.max(1);
            let partition = SourceMap::of("connector", context.connector());
            if let Some((_, offset)) = context.offsets(vec![partition.clone()]).await?.first() {
                self.last = tick_of(offset)?;
            }
            self.partition = Arc::new(partition);
            self.context = Some(context);
            Ok(())
        })
    }

    fn poll(&mut self) -> Waiting<'_, Result<Vec<Record>, TaskError>> {
        Box::pin(async move {
            tokio::time::sleep(self.interval).await;
            self.last += 1;
            // Where transactions end is for the connector to say, if it was asked to.
            if let Some(transactions) = self.context.as_ref().and_then(|context| context.transactions())
                && self.last.is_multiple_of(self.per_transaction)
            {
                transactions.commit();
            }
            Ok(vec![self.tick()?])
        })
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        Box::pin(async {})
    }
}

impl TickTask {
    fn tick(&self) -> Result<Record, TaskError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let number = i64::try_from(self.last).unwrap_or(i64::MAX);
        let fields = Struct::new(SCHEMA.clone(), vec![Value::Int64(number), Value::Timestamp(now)])?;
        Ok(Record {
            topic: self.topic.clone(),
            partition: None,
            key: Typed::null(),
            value: Typed::new(SCHEMA.clone(), Value::Struct(fields)),
            timestamp: Some(now),
            headers: Vec::new(),
            origin: Origin::Source { partition: self.partition.clone(), offset: SourceMap::of(TICK, self.last) },
        })
    }
}

fn number(settings: &Settings, key: &str, default: u64) -> Result<u64, TaskError> {
    settings.get(key).map_or(Ok(default), |text| {
        text.trim().parse().map_err(|_| TaskError::fatal(format!("{key}={text} is not a number of at least 0")))
    })
}

fn tick_of(offset: &SourceMap) -> Result<u64, TaskError> {
    let tick = offset.get(TICK).and_then(|tick| tick.as_u64());
    tick.ok_or_else(|| TaskError::fatal(format!("Offsets have the key '{TICK}' with the number of a tick")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use milena_connect::plugin::Plugins;

    struct Remembers(Option<u64>);

    impl SourceTaskContext for Remembers {
        fn connector(&self) -> &str {
            "ticks"
        }

        fn task(&self) -> usize {
            0
        }

        fn offsets<'a>(
            &'a self,
            partitions: Vec<SourceMap>,
        ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, TaskError>> {
            let found = self.0.map(|tick| (partitions[0].clone(), SourceMap::of(TICK, tick)));
            Box::pin(async move { Ok(found.into_iter().collect()) })
        }
    }

    async fn first_number(known: Option<u64>) -> Value {
        let settings = [("topic", "t"), ("interval.ms", "1")];
        let settings: Settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut task = TickSource::new().task();
        task.start(&settings, Arc::new(Remembers(known))).await.unwrap();
        let records = task.poll().await.unwrap();
        records[0].value.value.get("number").unwrap().clone()
    }

    #[tokio::test]
    async fn counting_goes_on_behind_the_tick_that_was_committed() {
        assert_eq!(first_number(None).await, Value::Int64(1));
        assert_eq!(first_number(Some(41)).await, Value::Int64(42));
    }

    #[test]
    fn it_is_found_by_its_names_beside_what_is_built_in() {
        let plugins = Plugins::built_in().with_connector(Arc::new(TickSource::new()));
        for name in ["org.example.TickSourceConnector", "TickSourceConnector", "TickSource"] {
            assert_eq!(plugins.connector(name).unwrap().classes(), ["org.example.TickSourceConnector"]);
        }
        assert!(plugins.connector("FileStreamSource").is_ok());
    }
}
