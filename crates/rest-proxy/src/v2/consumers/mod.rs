//! Consumer instances: named consumers that live in the proxy between calls.
//!
//! ```text
//!   call ──► ConsumerTable ──► Mailbox of the instance ──► Instance: one task, one milena_client::Consumer
//!                                                           │  between calls: keeps its place in the group
//!                                                           └─ stash: fetched, not yet handed out
//! ```
//!
//! Calls on one instance are done one after the other. A record counts as read once its answer was handed over: a client
//! that hangs up before gets it with its next call.

mod answers;
mod instance;
mod mailbox;
mod reading;
mod settings;
mod stash;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use milena_client::TopicPartition;
use milena_client::admin::{Committed, OffsetSpec};
use milena_stdx::ShutdownToken;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use self::answers::Include;
use self::instance::{Instance, Shown};
use self::mailbox::{Command, Mailbox, Reply};
use self::reading::Limits;
use self::settings::Settings;
use super::body::{self, Members, topic_partition};
use crate::error::{RestError, Result};
use crate::formats::Format;
use crate::http::{Answer, Call};

/// Calls that wait for one instance; more wait outside.
const WAITING_MAX: usize = 32;
/// How long a deletion waits until the consumer has left its group.
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// Group and name of an instance.
type Key = (String, String);

/// All instances of this proxy.
#[derive(Default)]
pub struct ConsumerTable(Arc<Mutex<HashMap<Key, Handle>>>);

/// How calls reach an instance.
#[derive(Clone)]
struct Handle {
    commands: mpsc::Sender<Command>,
    shown: Arc<Mutex<Shown>>,
    closing: ShutdownToken,
    closed: ShutdownToken,
    format: Format,
    request_timeout: Duration,
}

/// Takes an instance out of the table when it ends by itself.
struct Entry {
    table: Arc<Mutex<HashMap<Key, Handle>>>,
    key: Key,
    shown: Arc<Mutex<Shown>>,
    closed: ShutdownToken,
}

impl Entry {
    /// No call finds the instance any more. Another one may have its name already.
    fn remove(&self) {
        let mut table = self.table.lock();
        if table.get(&self.key).is_some_and(|handle| Arc::ptr_eq(&handle.shown, &self.shown)) {
            table.remove(&self.key);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl ConsumerTable {
    /// Ends every instance: each leaves its group.
    pub async fn close(&self) {
        let handles: Vec<Handle> = self.0.lock().drain().map(|(_, handle)| handle).collect();
        handles.iter().for_each(|handle| handle.closing.cancel());
        for handle in handles {
            let _ = tokio::time::timeout(LEAVE_WAIT, handle.closed.cancelled()).await;
        }
    }

    fn find(&self, call: &Call) -> Result<Handle> {
        let key = (call.parameter(0).to_owned(), call.parameter(1).to_owned());
        self.0.lock().get(&key).cloned().ok_or(RestError::InstanceNotFound)
    }

    fn start(&self, call: &Call, settings: Settings) -> Result<()> {
        let key = (settings.group.clone(), settings.name.clone());
        let mut table = self.0.lock();
        if table.contains_key(&key) {
            return Err(RestError::InstanceExists);
        }
        let (commands, receiver) = mpsc::channel(WAITING_MAX);
        let (closing, closed) = (ShutdownToken::new(), ShutdownToken::new());
        let handle = Handle {
            commands,
            shown: Arc::default(),
            closing: closing.clone(),
            closed: closed.clone(),
            format: settings.format,
            request_timeout: settings.request_timeout,
        };
        let shown = Arc::clone(&handle.shown);
        let entry = Entry { table: Arc::clone(&self.0), key: key.clone(), shown, closed };
        let mailbox = Mailbox::new(receiver, closing, call.proxy.config.consumer_instance_timeout);
        let instance = Instance::new(settings, call.proxy.registry.clone(), Arc::clone(&handle.shown));
        tokio::spawn(async move {
            instance.live(mailbox, &entry).await;
            drop(entry);
        });
        table.insert(key, handle);
        Ok(())
    }
}

impl Handle {
    /// Hands a command over and waits for what it comes to.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| RestError::InstanceNotFound)?;
        answer.await.unwrap_or(Err(RestError::InstanceNotFound))
    }
}

/// POST `/consumers/{group}`.
pub async fn create(mut call: Call) -> Result<Answer> {
    let body = call.bytes().await?;
    let group = call.parameter(0).to_owned();
    let settings = Settings::read(&group, &body, &call.proxy.config)?;
    let name = settings.name.clone();
    call.proxy.consumers.start(&call, settings)?;
    let base_uri = format!("{}/consumers/{}/instances/{}", call.instance_url(), segment(&group), segment(&name));
    Answer::json(&json!({ "instance_id": name, "base_uri": base_uri }))
}

/// DELETE `/consumers/{group}/instances/{instance}`.
pub async fn delete(call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    call.proxy.consumers.0.lock().remove(&(call.parameter(0).to_owned(), call.parameter(1).to_owned()));
    handle.closing.cancel();
    let _ = tokio::time::timeout(LEAVE_WAIT, handle.closed.cancelled()).await;
    Ok(Answer::nothing())
}

/// What an instance reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wants {
    /// What the group gives it of these topics.
    Topics(Vec<String>),
    /// What the group gives it of the topics that match.
    Pattern(String),
    /// These, whatever the group does.
    Partitions(Vec<TopicPartition>),
}

/// POST `.../subscription`.
pub async fn subscribe(mut call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    let body = call.bytes().await?;
    let mut members = Members::of(body::parse(&body)?, "")?;
    let (topics, pattern) = (members.array("topics")?, members.text("topic_pattern")?);
    let missing = members.missing("topics");
    members.finish()?;
    let wants = match (topics, pattern) {
        (Some(_), Some(_)) => return Err(RestError::IllegalState(EXCLUSIVE.to_owned())),
        (None, None) => return Err(missing),
        (Some(topics), None) => {
            let text = |(place, raw): (String, crate::formats::raw::RawJson<'_>)| {
                let name = raw.string().map(std::borrow::Cow::into_owned);
                name.ok_or_else(|| RestError::bad_request(format!("{place} must be a string, not {}", raw.kind())))
            };
            Wants::Topics(topics.into_iter().map(text).collect::<Result<_>>()?)
        }
        (None, Some(pattern)) => Wants::Pattern(pattern),
    };
    handle.ask(|reply| Command::Want(wants, reply)).await?;
    Ok(Answer::nothing())
}

/// What Kafka's consumer says about mixing topics, patterns and partitions.
const EXCLUSIVE: &str = "Subscription to topics, partitions and pattern are mutually exclusive";

/// GET `.../subscription`.
pub async fn subscription(call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    handle.ask(Command::Touch).await?;
    let topics = handle.shown.lock().topics.clone();
    Answer::json(&json!({ "topics": topics }))
}

/// DELETE `.../subscription`.
pub async fn unsubscribe(call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    handle.ask(Command::Unsubscribe).await?;
    Ok(Answer::nothing())
}

/// POST `.../assignments`.
pub async fn assign(mut call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    let partitions = body::partitions(&call.bytes().await?)?;
    handle.ask(|reply| Command::Want(Wants::Partitions(partitions), reply)).await?;
    Ok(Answer::nothing())
}

/// GET `.../assignments`.
pub async fn assignment(call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    handle.ask(Command::Touch).await?;
    let partitions = handle.shown.lock().partitions.clone();
    let partitions: Vec<_> =
        partitions.iter().map(|tp| json!({ "topic": tp.topic, "partition": tp.partition })).collect();
    Answer::json(&json!({ "partitions": partitions }))
}

/// Where a partition is to be read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Offset(i64),
    Find(OffsetSpec),
}

/// POST `.../positions`.
pub async fn seek(mut call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    let body = call.bytes().await?;
    let mut members = Members::of(body::parse(&body)?, "")?;
    let (offsets, times) = (members.array("offsets")?, members.array("timestamps")?);
    members.finish()?;
    let mut targets = Vec::new();
    for (place, raw) in offsets.unwrap_or_default() {
        let mut members = Members::of(raw, &place)?;
        let target = (topic_partition(&mut members)?, Target::Offset(members.needed_count("offset")?));
        members.text("metadata")?;
        members.finish()?;
        targets.push(target);
    }
    for (place, raw) in times.unwrap_or_default() {
        let mut members = Members::of(raw, &place)?;
        let (tp, time) = (topic_partition(&mut members)?, members.needed_text("timestamp")?);
        members.text("metadata")?;
        members.finish()?;
        let time: jiff::Timestamp = time.parse().map_err(|error| {
            RestError::bad_request(format!(
                "{place}.timestamp is no time of ISO 8601 such as 2026-01-01T00:00:00Z: {error}"
            ))
        })?;
        targets.push((tp, Target::Find(OffsetSpec(time.as_millisecond().max(0)))));
    }
    handle.ask(|reply| Command::Seek(targets, reply)).await?;
    Ok(Answer::nothing())
}

/// POST `.../positions/beginning`.
pub async fn seek_to_beginning(call: Call) -> Result<Answer> {
    seek_all(call, OffsetSpec::EARLIEST).await
}

/// POST `.../positions/end`.
pub async fn seek_to_end(call: Call) -> Result<Answer> {
    seek_all(call, OffsetSpec::LATEST).await
}

async fn seek_all(mut call: Call, spec: OffsetSpec) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    let partitions = body::partitions(&call.bytes().await?)?;
    let targets = partitions.into_iter().map(|tp| (tp, Target::Find(spec))).collect();
    handle.ask(|reply| Command::Seek(targets, reply)).await?;
    Ok(Answer::nothing())
}

/// GET `.../records`.
pub async fn records(call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    if call.accept.unwrap_or(Format::Binary) != handle.format {
        return Err(RestError::FormatMismatch);
    }
    let bytes_max = call.proxy.config.consumer_request_bytes_max;
    let given = number(&call, "max_bytes")?.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
    let timeout = number(&call, "timeout")?.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
    let timeout = timeout.map_or(handle.request_timeout, Duration::from_millis);
    let limits = Limits {
        timeout: timeout.min(handle.request_timeout),
        bytes_max: given.unwrap_or(bytes_max).min(bytes_max),
        include: Include::parse(call.query.get("include").unwrap_or_default())?,
    };
    let body = handle.ask(|reply| Command::Read(limits, reply)).await?;
    Ok(Answer { status: 200, headers: Vec::new(), body: Some(body.into()) })
}

fn number(call: &Call, name: &str) -> Result<Option<i64>> {
    let text = call.query.get(name).filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|_| RestError::bad_request(format!("{name} must be an integer, not {text}"))))
        .transpose()
}

/// POST `.../offsets`.
pub async fn commit(mut call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    let body = call.bytes().await?;
    let offsets = match body::optional(&body)? {
        None => None,
        Some(raw) => {
            let mut members = Members::of(raw, "")?;
            let offsets = members.array("offsets")?;
            members.finish()?;
            offsets.map(committed_offsets).transpose()?
        }
    };
    if call.query.flag("async") {
        let (reply, _) = oneshot::channel();
        let sent = handle.commands.send(Command::Commit(offsets, reply)).await;
        sent.map_err(|_| RestError::InstanceNotFound)?;
    } else {
        handle.ask(|reply| Command::Commit(offsets, reply)).await?;
    }
    Answer::json(&[(); 0])
}

/// The offsets of a body are those of the last records that were processed; what is committed is the next ones.
fn committed_offsets(
    listed: Vec<(String, crate::formats::raw::RawJson<'_>)>,
) -> Result<BTreeMap<TopicPartition, Committed>> {
    let mut offsets = BTreeMap::new();
    for (place, raw) in listed {
        let mut members = Members::of(raw, &place)?;
        let tp = topic_partition(&mut members)?;
        let last = members.needed_count("offset")?;
        let metadata = members.text("metadata")?.unwrap_or_default();
        members.finish()?;
        offsets.insert(tp, Committed { offset: last.saturating_add(1), leader_epoch: -1, metadata });
    }
    Ok(offsets)
}

/// GET `.../offsets`, with a body.
pub async fn committed(mut call: Call) -> Result<Answer> {
    let handle = call.proxy.consumers.find(&call)?;
    let partitions = body::partitions(&call.bytes().await?)?;
    let committed = handle.ask(|reply| Command::Committed(partitions, reply)).await?;
    let offsets: Vec<_> = committed
        .iter()
        .map(|(tp, committed)| {
            json!({
                "topic": tp.topic,
                "partition": tp.partition,
                "offset": committed.offset,
                "metadata": committed.metadata,
            })
        })
        .collect();
    Answer::json(&json!({ "offsets": offsets }))
}

/// Percent-encodes a segment of a path.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
