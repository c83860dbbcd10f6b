//! Limits for connections: how many at a time, and how many new ones a second.
//!
//! - `max.connections` for the broker, and `listener.name.<name>.max.connections` for one listener: a listener that is full stops
//!   accepting; what waits in its backlog comes in when somebody leaves
//! - `max.connections.per.ip` with its overrides: one connection too many is closed at once
//! - `max.connection.creation.rate`, for the broker and for listeners: accepting pauses
//! - all of them change while the broker runs ([`crate::live_config`])
//! - `connection_creation_rate` of an address (KIP-612): the connection is held without being served, then closed

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use milena_stdx::Clock;
use parking_lot::Mutex;

use super::manager::QuotaManager;
use super::rate_window::{RateWindow, Windows};
use crate::live_config::LiveValues;

/// Addresses whose rate is measured; idle ones go when there are more.
const ADDRESSES_MAX: usize = 10_000;
/// The longest that a throttled connection is held, or accepting pauses.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What is to be done with a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Serve it.
    Serve,
    /// Its address connects too often: close it after this time.
    CloseAfter(Duration),
}

/// Limits and rates of connections.
pub(crate) struct ConnectionQuotas {
    clock: Arc<dyn Clock>,
    windows: Windows,
    quotas: Arc<QuotaManager>,
    broker: Mutex<RateWindow>,
    listeners: Mutex<HashMap<String, RateWindow>>,
    addresses: Mutex<HashMap<IpAddr, RateWindow>>,
}

impl ConnectionQuotas {
    /// Meters of an idle broker; rates of addresses come from `quotas`.
    pub(crate) fn new(
        windows: super::QuotaWindows,
        quotas: Arc<QuotaManager>,
        clock: Arc<dyn Clock>,
    ) -> ConnectionQuotas {
        let windows = windows.of_clients();
        ConnectionQuotas {
            clock,
            windows,
            quotas,
            broker: Mutex::new(RateWindow::new(windows)),
            listeners: Mutex::default(),
            addresses: Mutex::default(),
        }
    }

    /// A connection was accepted: how long to wait before the next one is, as the whole broker and the listener are limited.
    pub(crate) fn accepted(&self, listener: &str, live: &LiveValues) -> Duration {
        let now_ms = self.clock.now_ms();
        let mut wait_ms = 0;
        if let Some(limit) = live.max_connection_creation_rate {
            wait_ms = count(&mut self.broker.lock(), limit, now_ms);
        }
        if let Some(limit) = live.listener(listener).max_connection_creation_rate {
            let mut listeners = self.listeners.lock();
            let window = listeners.entry(listener.to_owned()).or_insert_with(|| RateWindow::new(self.windows));
            wait_ms = wait_ms.max(count(window, limit, now_ms));
        }
        pause(wait_ms)
    }

    /// Judges a new connection from `address` by the rate of its address.
    pub(crate) fn admit(&self, address: IpAddr) -> Admission {
        let Some(limit) = self.quotas.table().connection_rate(address) else { return Admission::Serve };
        let now_ms = self.clock.now_ms();
        let mut addresses = self.addresses.lock();
        if addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, window| !window.is_idle(now_ms));
        }
        let window = addresses.entry(address.to_canonical()).or_insert_with(|| RateWindow::new(self.windows));
        let wait_ms = count(window, limit, now_ms);
        if wait_ms == 0 {
            return Admission::Serve;
        }
        // It is not served, so it does not count either.
        window.record(-1.0, now_ms);
        Admission::CloseAfter(pause(wait_ms))
    }
}

fn count(window: &mut RateWindow, limit: f64, now_ms: i64) -> i64 {
    window.record(1.0, now_ms);
    window.throttle_ms(limit, now_ms)
}

fn pause(wait_ms: i64) -> Duration {
    Duration::from_millis(wait_ms.max(0).unsigned_abs()).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use milena_metadata::BrokerConfig;
    use milena_stdx::SystemClock;

    use super::super::table::EntityName;
    use super::super::{QuotaTable, QuotaWindows};
    use super::*;
    use crate::live_config::ListenerLimits;

    fn quotas(table: QuotaTable) -> ConnectionQuotas {
        let windows = QuotaWindows::of(&BrokerConfig::default());
        let manager = Arc::new(QuotaManager::new(windows, Arc::new(SystemClock)));
        manager.follow(table);
        ConnectionQuotas::new(windows, manager, Arc::new(SystemClock))
    }

    #[test]
    fn accepting_pauses_when_connections_come_too_fast() {
        let slow = ListenerLimits { max_connection_creation_rate: Some(1.0), ..ListenerLimits::default() };
        let broker = LiveValues { max_connection_creation_rate: Some(1.0), ..LiveValues::default() };
        let listener =
            LiveValues { listeners: HashMap::from([("PLAINTEXT".to_owned(), slow)]), ..LiveValues::default() };
        for live in [broker, listener] {
            let quotas = quotas(QuotaTable::default());
            let waits: Vec<Duration> = (0..12).map(|_| quotas.accepted("PLAINTEXT", &live)).collect();
            assert_eq!(waits[0], Duration::ZERO);
            assert!(waits[11] > Duration::ZERO, "ten a ten seconds are allowed: {waits:?}");
            assert_eq!(quotas.accepted("PLAINTEXT", &LiveValues::default()), Duration::ZERO);
        }
    }

    #[test]
    fn an_address_that_connects_too_often_is_not_served() {
        let mut table = QuotaTable::default();
        let ip = EntityName::Named("10.0.0.1".to_owned());
        table.insert(EntityName::Absent, EntityName::Absent, ip, "connection_creation_rate", 1.0);
        let quotas = quotas(table);
        let admissions: Vec<Admission> = (0..12).map(|_| quotas.admit("10.0.0.1".parse().unwrap())).collect();
        assert_eq!(admissions[0], Admission::Serve);
        assert!(matches!(admissions[11], Admission::CloseAfter(_)));
        assert_eq!(quotas.admit("10.0.0.2".parse().unwrap()), Admission::Serve);
    }
}
