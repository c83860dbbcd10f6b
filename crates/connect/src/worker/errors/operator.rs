//! Tries an operation on a record again while that may help, and decides what becomes of a record that failed.

use std::time::Duration;

use milena_stdx::{Clock as _, ShutdownToken, SystemClock};

use super::dead_letter::DeadLetterQueue;
use super::{ErrorPolicy, Stage};
use crate::plugin::{ConvertError, Settings, TaskError};
use crate::worker::TaskId;
use crate::worker::exception::Exception;
use crate::worker::metrics::ErrorMetrics;
use crate::worker::sink::RawRecord;

/// The first pause before another try.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// A pause ends this soon after the task was told to stop.
const SLICE: Duration = Duration::from_millis(50);

/// Where and why a record failed.
#[derive(Debug)]
pub(in crate::worker) struct Failure {
    pub stage: Stage,
    /// Class of the plugin that failed.
    pub class: String,
    pub error: Exception,
}

/// The record that failed, for the log and the dead letter queue.
pub(in crate::worker) enum Failed<'a> {
    /// Of a source: what is known of it in words.
    Source(&'a str),
    /// Of a sink: as it was in its topic.
    Sink(&'a RawRecord),
}

/// See the module's words.
pub(in crate::worker) struct ErrorOperator {
    policy: ErrorPolicy,
    id: TaskId,
    pub metrics: ErrorMetrics,
    dead_letters: Option<DeadLetterQueue>,
    stop: ShutdownToken,
}

impl ErrorOperator {
    pub fn new(
        settings: &Settings,
        id: &TaskId,
        metrics: ErrorMetrics,
        dead_letters: Option<DeadLetterQueue>,
        stop: ShutdownToken,
    ) -> Result<ErrorOperator, TaskError> {
        Ok(ErrorOperator { policy: ErrorPolicy::new(settings)?, id: id.clone(), metrics, dead_letters, stop })
    }

    /// Whether a record may fail without the task failing.
    pub fn tolerates(&self) -> bool {
        self.policy.tolerates
    }

    /// Whether [`ErrorOperator::attempt`] pauses and tries again (`errors.retry.timeout`).
    pub fn pauses(&self) -> bool {
        self.policy.retry_timeout.is_none_or(|timeout| !timeout.is_zero())
    }

    /// Whether a sink can hand records over.
    pub fn can_report(&self) -> bool {
        self.policy.tolerates || self.dead_letters.is_some()
    }

    /// Whether failed records are needed as they were in their topic.
    pub fn wants_raw_records(&self) -> bool {
        self.dead_letters.is_some() || self.policy.logs_messages
    }

    /// Runs `operation`, again while it may pass by itself, `errors.retry.timeout` at most. Blocks in its pauses.
    ///
    /// # Errors
    /// The last error.
    pub fn attempt<T>(
        &self,
        stage: Stage,
        class: &str,
        mut operation: impl FnMut() -> Result<T, ConvertError>,
    ) -> Result<T, Box<Failure>> {
        let mut pause = FIRST_PAUSE;
        let started = SystemClock.monotonic();
        loop {
            let error = match operation() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            self.metrics.failed();
            let spent = started.elapsed();
            let may_retry = self.policy.retry_timeout.is_none_or(|timeout| spent < timeout);
            if !matches!(error, ConvertError::Retriable(_)) || !may_retry || self.stop.is_cancelled() {
                self.metrics.errors.inc();
                return Err(Box::new(Failure { stage, class: class.to_owned(), error: error.into() }));
            }
            self.metrics.retries.inc();
            let left = self.policy.retry_timeout.map_or(pause, |timeout| timeout.saturating_sub(spent).min(pause));
            self.sleep(left.min(self.policy.retry_delay_max));
            pause = pause.saturating_mul(2).min(self.policy.retry_delay_max.max(FIRST_PAUSE));
        }
    }

    fn sleep(&self, pause: Duration) {
        let until = SystemClock.monotonic() + pause;
        while !self.stop.is_cancelled() {
            let left = until.saturating_duration_since(SystemClock.monotonic());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    /// Logs a failed record and writes it to the dead letter queue, where these are wanted.
    ///
    /// # Errors
    /// When errors are not tolerated; the failure is the cause.
    pub async fn settle(&self, failure: Failure, record: Failed<'_>) -> Result<(), Exception> {
        self.log(&failure, &record);
        if let (Some(dead_letters), Failed::Sink(raw)) = (&self.dead_letters, &record) {
            self.metrics.dead_letters.inc();
            if let Err(error) = dead_letters.write(raw, &failure).await {
                self.metrics.dead_letter_failures.inc();
                return Err(
                    Exception::connect("A record could not be written to the dead letter queue").caused_by(error)
                );
            }
        }
        if self.policy.tolerates {
            self.metrics.skipped.inc();
            return Ok(());
        }
        Err(Exception::connect(format!(
            "Tolerance exceeded in error handler (errors.tolerance=none) in stage {} of {}{}",
            failure.stage.name(),
            failure.class,
            match &record {
                Failed::Source(_) => String::new(),
                Failed::Sink(raw) => format!(", record {}-{}@{}", raw.topic, raw.partition, raw.offset),
            }
        ))
        .caused_by(failure.error))
    }

    /// Waits until the dead letter queue has acknowledged everything.
    ///
    /// # Errors
    /// A record that it has refused.
    pub async fn flush(&self) -> Result<(), Exception> {
        match &self.dead_letters {
            Some(dead_letters) => dead_letters.flush().await.map_err(|error| {
                self.metrics.dead_letter_failures.inc();
                Exception::connect("A record could not be written to the dead letter queue").caused_by(error)
            }),
            None => Ok(()),
        }
    }

    fn log(&self, failure: &Failure, record: &Failed<'_>) {
        if !self.policy.logs {
            return;
        }
        self.metrics.logged.inc();
        let (what, content) = match record {
            Failed::Source(what) => ((*what).to_owned(), String::new()),
            Failed::Sink(raw) => {
                let content = if self.policy.logs_messages { raw.describe() } else { String::new() };
                (
                    format!(
                        "consumed record with {{topic='{}', partition={}, offset={}}}",
                        raw.topic, raw.partition, raw.offset
                    ),
                    content,
                )
            }
        };
        tracing::error!(
            "Error encountered in task {}. Executing stage '{}' with class '{}', where {what}{content}: {}",
            self.id,
            failure.stage.name(),
            failure.class,
            failure.error
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataError;
    use crate::worker::metrics::Metrics;

    fn operator(settings: &[(&str, &str)], stop: &ShutdownToken) -> ErrorOperator {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let id = TaskId::new("c", 0);
        ErrorOperator::new(&settings, &id, Metrics::new().errors(&id), None, stop.clone()).unwrap()
    }

    /// An operation that fails `failures` times, and how often it was run.
    fn run(operator: &ErrorOperator, failures: u32, error: &ConvertError) -> (bool, u32) {
        let mut attempts = 0;
        let done = operator.attempt(Stage::ValueConverter, "C", || {
            attempts += 1;
            if attempts <= failures { Err(error.clone()) } else { Ok(()) }
        });
        (done.is_ok(), attempts)
    }

    const QUICK: [(&str, &str); 2] = [("errors.retry.timeout", "-1"), ("errors.retry.delay.max.ms", "1")];

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
        let passing = ConvertError::Retriable("the registry is away".to_owned());
        let lasting = ConvertError::Data(DataError::new("no JSON"));
        let patient = operator(&QUICK, &ShutdownToken::new());
        assert_eq!(run(&patient, 3, &passing), (true, 4));
        assert_eq!(patient.metrics.retries.get(), 3);
        assert_eq!(run(&patient, 3, &lasting), (false, 1));
        let default = operator(&[], &ShutdownToken::new());
        assert_eq!(run(&default, 3, &passing), (false, 1), "errors.retry.timeout is 0");
    }

    #[test]
    fn a_task_that_stops_does_not_try_again() {
        let stop = ShutdownToken::new();
        let operator = operator(&QUICK, &stop);
        stop.cancel();
        assert_eq!(run(&operator, 3, &ConvertError::Retriable("away".to_owned())), (false, 1));
    }

    #[tokio::test]
    async fn a_tolerated_record_is_skipped_and_another_ends_the_task_with_its_place() {
        let failure = || Failure {
            stage: Stage::ValueConverter,
            class: "JsonConverter".to_owned(),
            error: DataError::new("no JSON").into(),
        };
        let raw = RawRecord {
            topic: "t".into(),
            partition: 1,
            offset: 17,
            timestamp: -1,
            log_append_time: false,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let tolerant = operator(&[("errors.tolerance", "all")], &ShutdownToken::new());
        tolerant.settle(failure(), Failed::Sink(&raw)).await.unwrap();
        assert_eq!(tolerant.metrics.skipped.get(), 1);
        let strict = operator(&[], &ShutdownToken::new());
        let trace = strict.settle(failure(), Failed::Sink(&raw)).await.unwrap_err().to_string();
        for word in ["VALUE_CONVERTER", "t-1@17", "errors.tolerance=none", "DataException: no JSON"] {
            assert!(trace.contains(word), "{trace}");
        }
    }
}
