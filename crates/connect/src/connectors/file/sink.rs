//! The sink: each record is a line at the end of a file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::sync::Arc;

use milena_client::TopicPartition;

use super::source::file_of;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Importance};
use crate::plugin::{
    Connector, ConnectorContext, ConnectorKind, ConnectorPlugin, SameTasks, Settings, Sink, SinkTask, SinkTaskContext,
    TaskError, Waiting,
};
use crate::record::Record;

/// The kind of connector.
pub struct FileStreamSink {
    config: ConfigDef,
}

impl FileStreamSink {
    /// It.
    pub fn new() -> FileStreamSink {
        let file = ConfigKey::nullable(
            "file",
            ConfigType::String,
            Importance::High,
            "The file to append to; it is made if it is not there. Without it lines go to standard output.",
        );
        FileStreamSink { config: ConfigDef { keys: vec![file] } }
    }
}

impl Default for FileStreamSink {
    fn default() -> Self {
        FileStreamSink::new()
    }
}

impl ConnectorPlugin for FileStreamSink {
    fn classes(&self) -> &'static [&'static str] {
        &["org.apache.kafka.connect.file.FileStreamSinkConnector"]
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        &self.config
    }

    fn validate<'a>(&'a self, settings: &'a Settings, values: &'a mut Vec<ConfigValue>) -> Waiting<'a, ()> {
        let names_topics = settings.contains_key("topics") || settings.contains_key("topics.regex");
        if settings.contains_key("topic") && !names_topics {
            values.push(ConfigValue {
                name: "topic".to_owned(),
                value: settings.get("topic").cloned(),
                recommended_values: Vec::new(),
                errors: vec!["A sink reads from topics: write topics=..., not topic=...".to_owned()],
                visible: true,
            });
        }
        Box::pin(async {})
    }

    fn create(&self, settings: &Settings, _: ConnectorContext) -> Result<Box<dyn Connector>, TaskError> {
        Ok(SameTasks::as_many_as_wanted(settings))
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for FileStreamSink {
    fn task(&self) -> Box<dyn SinkTask> {
        Box::new(FileTask::default())
    }
}

#[derive(Default)]
struct FileTask {
    /// Where lines go, and what it is called.
    output: Option<(Output, String)>,
}

enum Output {
    File(BufWriter<File>),
    Stdout,
}

impl SinkTask for FileTask {
    fn start<'a>(
        &'a mut self,
        settings: &'a Settings,
        _: Arc<dyn SinkTaskContext>,
    ) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            let Some(file) = file_of(settings) else {
                self.output = Some((Output::Stdout, "standard output".to_owned()));
                return Ok(());
            };
            let opened = OpenOptions::new().create(true).append(true).open(file);
            let opened = opened.map_err(|error| {
                TaskError::fatal(format!(
                    "Couldn't find or create file '{file}' for FileStreamSinkTask (file): {error}"
                ))
            })?;
            self.output = Some((Output::File(BufWriter::new(opened)), file.to_owned()));
            Ok(())
        })
    }

    fn put<'a>(&'a mut self, records: &'a [Record]) -> Waiting<'a, Result<(), TaskError>> {
        Box::pin(async move {
            let mut lines = String::new();
            for record in records {
                lines.push_str(&record.value.value.to_string());
                lines.push('\n');
            }
            let Some((output, name)) = self.output.as_mut() else { return Ok(()) };
            let written = tokio::task::block_in_place(|| match output {
                // Flushed with each batch, so that whoever looks at the file sees what has arrived.
                Output::File(file) => file.write_all(lines.as_bytes()).and_then(|()| file.flush()),
                Output::Stdout => {
                    let mut stdout = std::io::stdout().lock();
                    stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())
                }
            });
            written.map_err(|error| TaskError::fatal(format!("{name} cannot be written (file): {error}")))
        })
    }

    fn pre_commit<'a>(
        &'a mut self,
        offsets: BTreeMap<TopicPartition, i64>,
    ) -> Waiting<'a, Result<BTreeMap<TopicPartition, i64>, TaskError>> {
        Box::pin(async move {
            if let Some((Output::File(file), name)) = self.output.as_mut() {
                // What is committed must survive the machine, not only the process.
                let synced = tokio::task::block_in_place(|| file.flush().and_then(|()| file.get_ref().sync_data()));
                synced.map_err(|error| TaskError::fatal(format!("{name} cannot be written (file): {error}")))?;
            }
            Ok(offsets)
        })
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        self.output = None;
        Box::pin(async {})
    }
}
