//! What every HTTP server of Milena needs: sockets with TLS, users, other origins, bodies, media types, configuration.
//!
//! ```text
//!   Port ──► BasicAuth ──► Cors ──► Query, media types ──► read (body with a limit) ──► the server's own
//! ```
//!
//! Deliberately absent: paths, error codes, anything that only one of the servers knows.

pub mod config;
pub mod media;
pub mod rest_client;

mod auth;
mod body;
mod chunks;
mod cors;
mod listener;
mod query;

pub use auth::{AuthError, BasicAuth, Verdict};
pub use body::{BodyError, accepts_gzip, compress, read};
pub use chunks::{ChunkSender, chunks};
pub use cors::Cors;
pub use listener::{Accepting, Port, Stream};
pub use query::{Query, percent_decode, percent_encode};
