//! The source: each line of a file is a record whose value is a string.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use milena_stdx::{Clock as _, SystemClock};
use serde_json::Value as Json;
use tokio::sync::{Mutex, mpsc};

use super::lines::Lines;
use super::tail::{Tail, TailRead};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Importance, Rule};
use crate::data::{Kind, Schema, SchemaRef, Typed, Value};
use crate::plugin::{
    Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, ExactlyOnceSupport, SameTasks, Settings, Source,
    SourceTask, SourceTaskContext, TaskError, Waiting,
};
use crate::record::{Origin, Record, SourceMap};

/// How often a file without news, or one that is not there, is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Bytes of one read from standard input.
const STDIN_BYTES: usize = 64 * 1024;
/// Reads from standard input that may wait for the task.
const STDIN_QUEUE: usize = 16;

/// For how many records room is made at once.
const RECORDS_AT_ONCE: usize = 2000;

/// Name of the field of a partition.
const FILENAME: &str = "filename";
/// Name of the field of an offset.
const POSITION: &str = "position";

static VALUE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(Kind::String)));

/// The kind of connector.
pub struct FileStreamSource {
    config: ConfigDef,
}

impl FileStreamSource {
    /// It.
    pub fn new() -> FileStreamSource {
        let keys = vec![
            ConfigKey::nullable(
                "file",
                ConfigType::String,
                Importance::High,
                "The file to read. Without it standard input is read, and nothing is remembered.",
            ),
            ConfigKey::required("topic", ConfigType::String, Importance::High, "The topic that gets the lines.")
                .checked(Rule::NonEmpty),
            ConfigKey::with_default(
                "batch.size",
                ConfigType::Int,
                "2000",
                Importance::Low,
                "How many lines one look at the file takes at most.",
            )
            .checked(Rule::AtLeast(1)),
        ];
        FileStreamSource { config: ConfigDef { keys } }
    }
}

impl Default for FileStreamSource {
    fn default() -> Self {
        FileStreamSource::new()
    }
}

impl ConnectorPlugin for FileStreamSource {
    fn classes(&self) -> &'static [&'static str] {
        &["org.apache.kafka.connect.file.FileStreamSourceConnector"]
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        &self.config
    }

    fn validate<'a>(&'a self, settings: &'a Settings, values: &'a mut Vec<ConfigValue>) -> Waiting<'a, ()> {
        if let Some(value) = values.iter_mut().find(|value| value.name == "topic") {
            if settings.contains_key("topics") && !settings.contains_key("topic") {
                value.errors.push("FileStreamSource writes to one topic: write topic=..., not topics=...".to_owned());
            }
            if settings.get("topic").is_some_and(|topic| topic.contains(',')) {
                value
                    .errors
                    .push("FileStreamSource writes to exactly one topic, without commas in its name".to_owned());
            }
        }
        if let Some(value) = values.iter_mut().find(|value| value.name == "file")
            && settings.get("file").is_some_and(|file| Path::new(file).is_dir())
        {
            value.errors.push("file is a directory; FileStreamSource reads one file".to_owned());
        }
        Box::pin(async {})
    }

    fn create(&self, settings: &Settings, _: ConnectorContext) -> Result<Box<dyn Connector>, TaskError> {
        Ok(SameTasks::one(settings))
    }

    fn source(&self) -> Option<&dyn Source> {
        Some(self)
    }
}

impl Source for FileStreamSource {
    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(FileTask::default())
    }

    fn exactly_once(&self, settings: &Settings) -> ExactlyOnceSupport {
        match file_of(settings) {
            Some(_) => ExactlyOnceSupport::Supported,
            None => ExactlyOnceSupport::Unsupported,
        }
    }

    fn alter_offsets(
        &self,
        settings: &Settings,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<bool, TaskError> {
        if file_of(settings).is_none() {
            return Err(TaskError::fatal(
                "Offsets cannot be modified if the 'file' configuration is unspecified: \
                standard input is read, and it has no offsets",
            ));
        }
        for (partition, offset) in offsets {
            if !partition.contains_key(FILENAME) {
                return Err(TaskError::fatal(format!("Partition objects should contain the key '{FILENAME}'")));
            }
            let Some(offset) = offset else { continue };
            if offset.get(POSITION).and_then(position).is_none() {
                return Err(TaskError::fatal(format!(
                    "Offset objects should contain the key '{POSITION}' with a number of bytes that is at least 0"
                )));
            }
        }
        Ok(true)
    }
}

/// The file of the settings; `None`: standard input or output.
pub(super) fn file_of(settings: &Settings) -> Option<&str> {
    settings.get("file").map(String::as_str).filter(|file| !file.is_empty())
}

/// The task. What was read and not yet returned stays in `input`: dropping a poll loses nothing.
#[derive(Default)]
struct FileTask {
    input: Option<Input>,
    partition: Arc<SourceMap>,
    topic: Arc<str>,
    batch_size: usize,
    is_missing: bool,
}

enum Input {
    File(Tail),
    Stdin(Lines),
}

impl SourceTask for FileTask {
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        context: Arc<dyn SourceTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            self.topic = settings.get("topic").map_or("", String::as_str).into();
            self.batch_size = crate::worker::settings::number(settings, "batch.size", 2000)?;
            let Some(file) = file_of(settings) else {
                self.partition = Arc::new(SourceMap::of(FILENAME, Json::Null));
                self.input = Some(Input::Stdin(Lines::default()));
                return Ok(());
            };
            let partition = SourceMap::of(FILENAME, file);
            let known = context.offsets(vec![partition.clone()]).await?;
            let start = match known.first() {
                Some((_, offset)) => offset.get(POSITION).and_then(position).ok_or_else(|| {
                    TaskError::fatal(format!("The offset of {file} holds no '{POSITION}' that is a number of bytes"))
                })?,
                None => 0,
            };
            self.partition = Arc::new(partition);
            self.input = Some(Input::File(Tail::new(file, start)));
            Ok(())
        })
    }

    fn poll(&mut self) -> Waiting<'_, Result<Vec<Record>, TaskError>> {
        Box::pin(async move {
            loop {
                let records = self.take();
                if !records.is_empty() {
                    return Ok(records);
                }
                match self.input.as_mut() {
                    Some(Input::File(tail)) => {
                        let path = tail.path().to_owned();
                        // The disk may be slow, or far away.
                        let read = tokio::task::block_in_place(|| tail.read()).map_err(|error| {
                            TaskError::fatal(format!("{} cannot be read (file): {error}", path.display()))
                        })?;
                        self.wait_after(read, &path).await;
                    }
                    Some(Input::Stdin(lines)) => match stdin().lock().await.recv().await {
                        Some(bytes) => append(lines, &bytes),
                        // Standard input has ended: there is nothing more to come, ever.
                        None => std::future::pending().await,
                    },
                    None => return Ok(Vec::new()),
                }
            }
        })
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        self.input = None;
        Box::pin(async {})
    }
}

impl FileTask {
    /// The lines that are at hand, `batch.size` at most.
    fn take(&mut self) -> Vec<Record> {
        let lines = match self.input.as_mut() {
            Some(Input::File(tail)) => tail.lines(),
            Some(Input::Stdin(lines)) => lines,
            None => return Vec::new(),
        };
        let now = SystemClock.now_ms();
        let mut records = Vec::with_capacity(self.batch_size.min(RECORDS_AT_ONCE));
        while records.len() < self.batch_size
            && let Some((line, position)) = lines.next_line()
        {
            records.push(Record {
                topic: self.topic.clone(),
                partition: None,
                key: Typed::null(),
                value: Typed::new(VALUE_SCHEMA.clone(), Value::String(String::from_utf8_lossy(line).into_owned())),
                timestamp: Some(now),
                headers: Vec::new(),
                origin: Origin::Source { partition: self.partition.clone(), offset: SourceMap::of(POSITION, position) },
            });
        }
        records
    }

    async fn wait_after(&mut self, read: TailRead, path: &Path) {
        match read {
            TailRead::Data | TailRead::StartedOver => self.is_missing = false,
            TailRead::End => tokio::time::sleep(LOOK_AGAIN).await,
            TailRead::Missing => {
                if !std::mem::replace(&mut self.is_missing, true) {
                    tracing::warn!("couldn't find file {} (file); it is waited for", path.display());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// A position as it is in an offset: a number, or as users write it in requests, one in quotes.
fn position(value: &Json) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

fn append(lines: &mut Lines, bytes: &[u8]) {
    let filled = lines.fill(bytes.len(), |space| {
        space.copy_from_slice(bytes);
        Ok::<_, std::convert::Infallible>(bytes.len())
    });
    match filled {
        Ok(_) => {}
        Err(never) => match never {},
    }
}

/// What comes from standard input: one thread reads it for the process, as a read cannot be given up.
fn stdin() -> &'static Mutex<mpsc::Receiver<Vec<u8>>> {
    static STDIN: OnceLock<Mutex<mpsc::Receiver<Vec<u8>>>> = OnceLock::new();
    STDIN.get_or_init(|| {
        let (sender, receiver) = mpsc::channel(STDIN_QUEUE);
        std::thread::spawn(move || {
            let mut buffer = vec![0; STDIN_BYTES];
            loop {
                match std::io::stdin().lock().read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Mutex::new(receiver)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    struct Known(Vec<(SourceMap, SourceMap)>);

    impl SourceTaskContext for Known {
        fn connector(&self) -> &str {
            "c"
        }
        fn task(&self) -> usize {
            0
        }
        fn offsets<'a>(&'a self, _: Vec<SourceMap>) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, TaskError>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    async fn started(file: &Path, batch_size: &str, known: Option<u64>) -> FileTask {
        let file = file.to_str().unwrap();
        let settings = settings(&[("file", file), ("topic", "t"), ("batch.size", batch_size)]);
        let known = known.map(|at| (SourceMap::of(FILENAME, file), SourceMap::of(POSITION, at)));
        let mut task = FileTask::default();
        task.start(&settings, Arc::new(Known(known.into_iter().collect()))).await.unwrap();
        task
    }

    fn value_and_position(record: &Record) -> (String, u64) {
        let Value::String(line) = &record.value.value else { panic!("{record:?}") };
        let Origin::Source { offset, .. } = &record.origin else { panic!("{record:?}") };
        (line.clone(), position(&offset[POSITION]).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_goes_on_behind_the_line_whose_offset_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "größer\nzwei\ndrei\n").unwrap();
        let mut task = started(&path, "2", None).await;
        let first = task.poll().await.unwrap();
        assert_eq!(
            first.iter().map(value_and_position).collect::<Vec<_>>(),
            [("größer".to_owned(), 9), ("zwei".to_owned(), 14)]
        );
        let mut again = started(&path, "2000", Some(9)).await;
        let lines: Vec<String> =
            again.poll().await.unwrap().iter().map(|record| value_and_position(record).0).collect();
        assert_eq!(lines, ["zwei", "drei"]);
    }

    #[test]
    fn offsets_that_a_file_does_not_understand_are_refused() {
        let plugin = FileStreamSource::new();
        let with_file = settings(&[("file", "f")]);
        let entry = |partition: SourceMap, offset: SourceMap| [(partition, Some(offset))];
        let good = entry(SourceMap::of(FILENAME, "f"), SourceMap::of(POSITION, 3));
        assert!(plugin.alter_offsets(&with_file, &good).unwrap());
        assert!(plugin.alter_offsets(&Settings::new(), &good).is_err(), "standard input has no offsets");
        for bad in [
            entry(SourceMap::of("file", "f"), SourceMap::of(POSITION, 3)),
            entry(SourceMap::of(FILENAME, "f"), SourceMap::of(POSITION, -3)),
            entry(SourceMap::of(FILENAME, "f"), SourceMap::of("offset", 3)),
        ] {
            assert!(plugin.alter_offsets(&with_file, &bad).is_err(), "{bad:?}");
        }
    }
}
