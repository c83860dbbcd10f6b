//! Sockets: listeners, connections, frames in, responses out.
//!
//! One task a connection. Requests are served one after the other; a response that waits for the group fsync does not
//! hold up the next request, but responses always leave in the order of the requests (Kafka's contract with pipelining
//! clients).
//!
//! Deliberately absent: any knowledge of what a request means.

mod connection;
mod frame;
mod listener;
mod memory;
mod responses;
mod send;
mod tls;

pub(crate) use listener::{ConnectionLimits, ListenOptions, bind, serve};
