//! Client quotas: how fast a user, a client id or an address may produce, fetch, occupy the broker, change metadata, connect.
//!
//! A client above its quota is not slowed down inside the broker: it gets its answer at once, is told in `throttle_time_ms` how
//! long to pause, and its connection is not read for that long (KIP-219). Rates are measured as Kafka measures them, over
//! `quota.window.num` windows of `quota.window.size.seconds`, so throttle times are Kafka's too.
//!
//! ```text
//!  api/produce, api/fetch ── bytes ──┐
//!  api/dispatch ── thread time ──────┼─► QuotaManager ─► ClientQuotas (by user and client id) ─► RateWindow ─► throttle time
//!  api/create_topics ── partitions ──┘         ▲
//!                                     QuotaTable, from the cluster image
//! ```
//!
//! While no quota is configured a request costs one atomic load.

mod connection_rate;
mod manager;
mod rate_window;
mod table;
mod token_bucket;

pub(crate) use connection_rate::{Admission, ConnectionQuotas};
pub(crate) use manager::{QuotaManager, QuotaUse, QuotaWindows, THROTTLED_MESSAGE};
pub(crate) use table::{QuotaKey, QuotaTable};
