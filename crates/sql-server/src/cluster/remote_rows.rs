//! Rows of a pull query on their way from the server that has them to the one that was asked.
//!
//! ```text
//!   frame:  length (u32) | kind (u8) | content             length: of kind and content, big-endian
//!   head:   partitions of the table (i32) | those whose rows follow (i32 each)
//!   row:    its values in the form of the state
//!   end | failure: a code (i32) and words
//! ```
//!
//! A result without its end has failed. What goes on from here is the answer to `POST /query` for whoever accepts [`ROWS`].

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use milena_http::ChunkSender;
use milena_http::rest_client::{Pieces, RestClient};
use milena_sql::state::codec::{read_values, write_values};

use crate::error::{Failure, Result};
use crate::queries::rows::ResultRow;
use crate::queries::transient::{Event, Transient};

/// The media type of such a result.
pub const ROWS: &str = "application/vnd.milena.rows.v1";

const HEAD: u8 = 0;
const ROW: u8 = 1;
const END: u8 = 2;
const FAILURE: u8 = 3;
/// No frame is longer: a length beyond it is something else.
const FRAME_MAX: usize = 1 << 30;
/// The length and the kind.
const PREFIX: usize = 5;

/// Which part of a table a result is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    /// How many partitions the table has; 0 for a server that has none of it.
    pub total: i32,
    /// Those whose rows are in the result.
    pub partitions: Vec<i32>,
}

fn frame(kind: u8, output: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = output.len();
    output.extend_from_slice(&[0, 0, 0, 0, kind]);
    write(output);
    let length = u32::try_from(output.len() - start - 4).unwrap_or(u32::MAX);
    output[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn head(covered: &Covered) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(HEAD, &mut bytes, |output| {
        output.extend_from_slice(&covered.total.to_be_bytes());
        covered.partitions.iter().for_each(|partition| output.extend_from_slice(&partition.to_be_bytes()));
    });
    bytes
}

fn rows(rows: &[ResultRow]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        frame(ROW, &mut bytes, |output| write_values(&row.columns, output));
    }
    bytes
}

fn failure(failure: &Failure) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(FAILURE, &mut bytes, |output| {
        output.extend_from_slice(&failure.code.to_be_bytes());
        output.extend_from_slice(failure.message.as_bytes());
    });
    bytes
}

/// Writes a result for another server.
pub async fn send(mut query: Transient, covered: Covered, mut client: ChunkSender) {
    let mut goes_on = client.send(head(&covered).into()).await;
    while goes_on {
        let event = tokio::select! {
            event = query.events.recv() => event,
            () = client.closed() => return,
        };
        let (bytes, is_last) = match event {
            Some(Event::Rows(batch)) => (rows(&batch), false),
            Some(Event::End(_)) => {
                let mut bytes = Vec::new();
                frame(END, &mut bytes, |_| ());
                (bytes, true)
            }
            Some(Event::Failed(error)) => (failure(&error), true),
            None => (failure(&Failure::new(Failure::SERVER, "The query has ended unexpectedly.")), true),
        };
        goes_on = client.send(bytes.into()).await && !is_last;
    }
}

/// One frame, taken off the front of `buffer`; `None` when it is not there as a whole.
fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>, String> {
    let Some((prefix, _)) = buffer.split_first_chunk::<PREFIX>() else { return Ok(None) };
    let [a, b, c, d, kind] = *prefix;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length == 0 || length > FRAME_MAX {
        return Err("the answer is not a result".to_owned());
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let content = buffer[PREFIX..4 + length].to_vec();
    buffer.drain(..4 + length);
    Ok(Some((kind, content)))
}

fn integer(bytes: &mut &[u8]) -> Option<i32> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*first))
}

fn read_head(mut content: &[u8]) -> Option<Covered> {
    let total = integer(&mut content)?;
    let partitions = std::iter::from_fn(|| integer(&mut content)).collect();
    Some(Covered { total, partitions })
}

/// A result that another server sends.
pub struct RemoteRows {
    /// What it is about.
    pub covered: Covered,
    pieces: Pieces,
    buffer: Vec<u8>,
    ended: bool,
}

impl RemoteRows {
    /// Asks another server, and waits for the head of its result.
    ///
    /// # Errors
    /// Why it does not answer.
    pub async fn open(
        client: &RestClient,
        request: Bytes,
        authorization: Option<&HeaderValue>,
    ) -> Result<RemoteRows, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(ROWS));
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let pieces = client.pieces("POST", "/query", &headers, request).await.map_err(|error| error.to_string())?;
        let (status, mut rows) =
            (pieces.status, RemoteRows { covered: Covered::default(), pieces, buffer: Vec::new(), ended: false });
        if status != 200 {
            let mut body = Vec::new();
            while let Some(piece) = rows.pieces.next().await? {
                body.extend_from_slice(&piece);
            }
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            return Err(format!("{status} {}", body["message"].as_str().unwrap_or_default()));
        }
        match rows.frame().await? {
            Some((HEAD, content)) => {
                rows.covered = read_head(&content).ok_or("the head of its result cannot be read")?;
                Ok(rows)
            }
            _ => Err("the answer is not a result".to_owned()),
        }
    }

    async fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, String> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            match self.pieces.next().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// A result that breaks off, and what the other server says of its failure.
    pub async fn next(&mut self) -> Result<Option<Vec<ResultRow>>> {
        let failed = |reason: String| Failure::new(Failure::SERVER, format!("Unable to execute pull query: {reason}"));
        let mut rows = Vec::new();
        while !self.ended {
            let frame = self.frame().await.map_err(failed)?;
            match frame {
                Some((ROW, content)) => {
                    let columns = read_values(&mut content.as_slice());
                    let columns = columns.ok_or_else(|| failed("a row of another server cannot be read".to_owned()))?;
                    rows.push(ResultRow { columns, tombstone: false });
                    // Rows that came together go on together.
                    if !self.holds_frame() {
                        return Ok(Some(rows));
                    }
                }
                Some((END, _)) => {
                    self.ended = true;
                    // Lets the connection be used again.
                    while let Ok(Some(_)) = self.pieces.next().await {}
                }
                Some((FAILURE, content)) => {
                    let mut rest = content.as_slice();
                    let code = integer(&mut rest).unwrap_or(Failure::SERVER);
                    return Err(Failure::new(code, String::from_utf8_lossy(rest)));
                }
                Some(_) => return Err(failed("a frame of another server is of no known kind".to_owned())),
                None => return Err(failed("the result of another server breaks off".to_owned())),
            }
        }
        Ok(if rows.is_empty() { None } else { Some(rows) })
    }

    fn holds_frame(&self) -> bool {
        let Some((length, _)) = self.buffer.split_first_chunk::<4>() else { return false };
        self.buffer.len() - 4 >= usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use milena_sql::value::Value;

    use super::*;

    #[test]
    fn frames_read_back_and_wait_until_they_are_whole() {
        let covered = Covered { total: 4, partitions: vec![1, 3] };
        let row = ResultRow { columns: vec![Value::string("ä"), Value::Null, Value::Bigint(-1)], tombstone: false };
        let whole = [head(&covered), rows(std::slice::from_ref(&row))].concat();
        let mut buffer = Vec::new();
        let mut frames = Vec::new();
        for byte in whole {
            buffer.push(byte);
            frames.extend(take_frame(&mut buffer).unwrap());
        }
        assert!(buffer.is_empty());
        let [(HEAD, first), (ROW, second)] = frames.as_slice() else { panic!("{frames:?}") };
        assert_eq!(read_head(first), Some(covered));
        assert_eq!(read_values(&mut second.as_slice()), Some(row.columns));
    }

    #[test]
    fn an_answer_of_another_kind_is_none() {
        assert!(take_frame(&mut b"[{\"header\":".to_vec()).is_err());
        assert!(take_frame(&mut vec![0; 8]).is_err());
    }
}
