//! Responses of one connection in the order of their requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use milena_protocol::{Chunks, EncodeError};

use super::connection::Socket;
use super::send::Sending;
use crate::api::{ClientConnection, PendingResponse};
use crate::context::Broker;
use crate::metrics::RequestTimer;

/// Responses that may wait while further requests are served.
const QUEUED_MAX: usize = 64;
/// Memory that waiting responses may hold before no further request is read.
const QUEUED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a response could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("response cannot be encoded")]
    Encode(#[from] EncodeError),
    #[error("socket")]
    Socket(#[from] io::Error),
}

/// Responses that are waiting or being sent, oldest first.
pub(super) struct ResponseQueue {
    broker: Arc<Broker>,
    client: ClientConnection,
    slots: VecDeque<(Slot, RequestTimer)>,
    ready_bytes: usize,
}

enum Slot {
    Ready { sending: Sending, bytes: usize },
    Later(PendingResponse),
}

impl ResponseQueue {
    pub(super) fn new(broker: Arc<Broker>, client: ClientConnection) -> ResponseQueue {
        ResponseQueue { broker, client, slots: VecDeque::new(), ready_bytes: 0 }
    }

    pub(super) fn push(&mut self, response: Chunks, mut timer: RequestTimer) {
        timer.answered(response.len);
        let sending = Sending::new(response);
        let bytes = sending.memory_bytes();
        self.ready_bytes += bytes;
        self.slots.push_back((Slot::Ready { sending, bytes }, timer));
    }

    pub(super) fn push_later(&mut self, response: PendingResponse, timer: RequestTimer) {
        self.slots.push_back((Slot::Later(response), timer));
    }

    /// Counts a request that is over: its response has left, or it has none.
    pub(super) fn finished(&self, timer: &RequestTimer) {
        let times = self.broker.metrics.requests.finished(timer);
        self.broker.slow_requests.finished(&self.client, timer, &times);
    }

    /// True while another request may be served before the client has read more.
    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < QUEUED_MAX && self.ready_bytes < QUEUED_BYTES_MAX
    }

    /// Sends responses as they become ready, for ever. Dropping the future loses nothing.
    pub(super) async fn pump(&mut self, socket: &Socket) -> Result<Infallible, SendError> {
        loop {
            if self.slots.is_empty() {
                std::future::pending::<()>().await;
            }
            self.send_front(socket).await?;
        }
    }

    /// Sends until there is room for another response.
    pub(super) async fn make_room(&mut self, socket: &Socket) -> Result<(), SendError> {
        while !self.has_room() {
            self.send_front(socket).await?;
        }
        Ok(())
    }

    /// Sends everything.
    pub(super) async fn drain(&mut self, socket: &Socket) -> Result<(), SendError> {
        while !self.slots.is_empty() {
            self.send_front(socket).await?;
        }
        Ok(())
    }

    async fn send_front(&mut self, socket: &Socket) -> Result<(), SendError> {
        let Some((front, timer)) = self.slots.front_mut() else { return Ok(()) };
        if let Slot::Later(response) = front {
            let response = response.await?;
            timer.answered(response.len);
            let sending = Sending::new(response);
            let bytes = sending.memory_bytes();
            self.ready_bytes += bytes;
            *front = Slot::Ready { sending, bytes };
        }
        if let Slot::Ready { sending, bytes } = front {
            sending.send(socket).await?;
            self.ready_bytes -= *bytes;
            let timer = *timer;
            self.slots.pop_front();
            self.finished(&timer);
        }
        Ok(())
    }
}
