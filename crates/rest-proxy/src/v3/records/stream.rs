//! Records and answers on one connection at the same time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::record::{Failure, NewRecord};
use super::split::{Source, SplitError};
use super::{Submitted, Target, parse};
use crate::error::RestError;
use crate::http::{Answer, ChunkSender, chunks};

/// Records on their way, answers to which have not been written.
const UNDER_WAY_MAX: usize = 8192;
/// Answers are handed on in pieces of about this size while there are more.
const CHUNK_BYTES: usize = 32 * 1024;
/// Answers that a client has not read yet. Clients may send all of a long body before they read.
const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A record's answer, now or later. Lines wait for a slow client by the thousand: a failure is cut to its answer at once.
enum Line {
    Pending(Box<Submitted>),
    Failed(Failure<'static>),
}

impl Line {
    fn failed(error: &RestError) -> Line {
        Line::Failed(Failure::new(error, None))
    }
}

/// Answers `first`, whose JSON has so many bytes, and what follows in `source`, until the body or the time is over.
pub fn answer(target: Target, first_bytes: usize, first: NewRecord, source: Source) -> Answer {
    let target = Arc::new(target);
    let options = &target.proxy.config.streams;
    let end = Instant::now() + options.duration_max;
    let grace = options.grace;
    let (lines, queue) = mpsc::channel(UNDER_WAY_MAX);
    let (chunks, body) = chunks(UNREAD_BYTES_MAX);
    tokio::spawn(read(target.clone(), first_bytes, first, source, lines, end));
    tokio::spawn(write(target, queue, chunks, end, grace));
    Answer::stream(body)
}

async fn read(
    target: Arc<Target>,
    first_bytes: usize,
    first: NewRecord,
    mut source: Source,
    lines: mpsc::Sender<Line>,
    end: Instant,
) {
    let mut next = Ok(Some((first, first_bytes)));
    loop {
        let line = match next {
            Ok(Some((record, bytes))) => match target.submit(record, bytes).await {
                Ok(submitted) => Line::Pending(Box::new(submitted)),
                Err(error) => Line::failed(&error),
            },
            Ok(None) => return,
            Err(Stop::Over) => return,
            Err(Stop::Refused(error)) => {
                let _ = lines.send(Line::failed(&error)).await;
                return;
            }
            Err(Stop::Skipped(error)) => Line::failed(&error),
        };
        // Nobody reads the answers any more: the client is gone.
        if lines.send(line).await.is_err() {
            return;
        }
        next = match tokio::time::timeout_at(end, following(&mut source)).await {
            Ok(next) => next,
            Err(_) => {
                let message = "Request Timeout: the stream has lasted for streaming.connection.max.duration.ms.";
                Err(Stop::Refused(RestError::Plain { status: 408, message: message.to_owned() }))
            }
        };
    }
}

/// Why there is no record.
enum Stop {
    /// The client is gone.
    Over,
    /// What follows cannot be read.
    Refused(RestError),
    /// This one cannot be read, the next may be.
    Skipped(RestError),
}

async fn following(source: &mut Source) -> Result<Option<(NewRecord, usize)>, Stop> {
    let text = match source.next().await {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(SplitError::Broken(reason)) => {
            tracing::debug!(reason, "a stream of records broke");
            return Err(Stop::Over);
        }
        Err(error) => return Err(Stop::Refused(super::refused(error))),
    };
    match parse(&text) {
        Ok(record) => Ok(Some((record, text.len()))),
        // JSON of another form is a bad record; what is not JSON at all may have ended anywhere.
        Err(error) if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok() => Err(Stop::Skipped(error)),
        Err(error) => Err(Stop::Refused(error)),
    }
}

async fn write(
    target: Arc<Target>,
    mut queue: mpsc::Receiver<Line>,
    mut chunks: ChunkSender,
    end: Instant,
    grace: Duration,
) {
    let mut text = Vec::with_capacity(CHUNK_BYTES * 2);
    let writing = async {
        loop {
            let line = match queue.try_recv() {
                Ok(line) => line,
                Err(_) => {
                    if !flush(&mut text, &mut chunks).await {
                        return;
                    }
                    let Some(line) = queue.recv().await else { return };
                    line
                }
            };
            let outcome = match line {
                Line::Failed(failure) => Err(failure),
                Line::Pending(submitted) => {
                    let Submitted { sent, mut pending } = *submitted;
                    let outcome = match pending.try_outcome() {
                        Some(outcome) => outcome,
                        None if !flush(&mut text, &mut chunks).await => return,
                        None => pending.outcome().await,
                    };
                    outcome.map(|at| (sent, at)).map_err(|error| Failure::new(&error, None))
                }
            };
            match outcome {
                Ok((sent, at)) => push(&mut text, &sent.success(&target.cluster_id, &target.topic, at, None)),
                Err(failure) => push(&mut text, &failure),
            }
            if text.len() >= CHUNK_BYTES && !flush(&mut text, &mut chunks).await {
                return;
            }
        }
    };
    if tokio::time::timeout_at(end + grace, writing).await.is_err() {
        tracing::debug!("a stream of records was ended with answers missing");
    }
}

/// Whether the client is still there.
async fn flush(text: &mut Vec<u8>, chunks: &mut ChunkSender) -> bool {
    if text.is_empty() {
        return true;
    }
    chunks.send(Bytes::from(std::mem::take(text))).await
}

fn push(text: &mut Vec<u8>, line: &impl Serialize) {
    if serde_json::to_writer(&mut *text, line).is_ok() {
        text.extend_from_slice(b"\r\n");
    }
}
