//! What requests cost: counts by API and version, sizes, and where their time went.
//!
//! ```text
//!  frame complete ──► handler polled (LocalTimeMs) ──► parked, or waiting for fsync (RemoteTimeMs) ──► written (ResponseSendTimeMs)
//!  └────────────────────────────────────── TotalTimeMs ──────────────────────────────────────────────────────────────┘
//! ```
//!
//! There are no queues between network and handlers, so Kafka's RequestQueueTimeMs and ResponseQueueTimeMs have no counterpart.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use milena_protocol::{ApiKey, ErrorCode};
use milena_stdx::TimerHistogram;

use super::error_codes::ErrorCodes;

/// Error codes that are counted apart, from -1 on; the protocol has 133 today.
const ERROR_CODES: usize = 160;
/// Versions of one API that are counted apart; no API has more.
const VERSIONS: usize = 24;

/// Meters of every API, made when the API is first used.
pub(crate) struct RequestMeters {
    started: Instant,
    apis: Vec<OnceLock<Box<ApiMeter>>>,
}

/// Meters of one API.
pub(crate) struct ApiMeter {
    versions: [AtomicU64; VERSIONS],
    errors: [AtomicU64; ERROR_CODES],
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    pub(super) total: TimerHistogram,
    pub(super) local: TimerHistogram,
    pub(super) remote: TimerHistogram,
    pub(super) send: TimerHistogram,
    pub(super) throttle: TimerHistogram,
}

/// One request on its way through the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestTimer {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
    received: Instant,
    /// When the response was complete.
    answered: Option<Instant>,
    /// Time that threads have spent in the handler.
    pub(crate) local: Duration,
    /// How long the client is told to pause.
    pub(crate) throttle: Duration,
}

/// Where the time of a finished request went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestTimes {
    pub(crate) total: Duration,
    pub(crate) remote: Duration,
    pub(crate) send: Duration,
}

impl RequestTimer {
    /// The timer of a request whose frame has just been read completely.
    pub(crate) fn start(frame: &[u8]) -> RequestTimer {
        let (key, version, correlation_id) = match frame {
            [k0, k1, v0, v1, c0, c1, c2, c3, ..] => (
                i16::from_be_bytes([*k0, *k1]),
                i16::from_be_bytes([*v0, *v1]),
                i32::from_be_bytes([*c0, *c1, *c2, *c3]),
            ),
            _ => (-1, -1, -1),
        };
        RequestTimer {
            key,
            version,
            correlation_id,
            request_bytes: frame.len(),
            response_bytes: 0,
            received: Instant::now(),
            answered: None,
            local: Duration::ZERO,
            throttle: Duration::ZERO,
        }
    }

    /// The response, `bytes` long, is complete and may be sent.
    pub(crate) fn answered(&mut self, bytes: usize) {
        self.response_bytes = bytes;
        self.answered = Some(Instant::now());
    }

    fn times(&self, now: Instant) -> RequestTimes {
        let total = now.saturating_duration_since(self.received);
        let send = self.answered.map_or(Duration::ZERO, |answered| now.saturating_duration_since(answered));
        RequestTimes { total, send, remote: total.saturating_sub(send).saturating_sub(self.local) }
    }
}

impl RequestMeters {
    pub(super) fn new() -> RequestMeters {
        let keys = ApiKey::ALL.iter().map(|key| key.code()).max().unwrap_or(0);
        RequestMeters { started: Instant::now(), apis: (0..=keys).map(|_| OnceLock::new()).collect() }
    }

    /// Counts a request whose response has left (or that has none).
    pub(crate) fn finished(&self, timer: &RequestTimer) -> RequestTimes {
        let now = Instant::now();
        let times = timer.times(now);
        let Some(meter) = self.meter(timer.key) else { return times };
        let uptime = now.saturating_duration_since(self.started);
        meter.count(timer, &times, uptime);
        times
    }

    /// Counts the error codes of a response.
    pub(crate) fn answered(&self, key: ApiKey, response: &impl ErrorCodes) {
        let Some(meter) = self.meter(key.code()) else { return };
        response.visit_error_codes(&mut |code| {
            let index = usize::try_from(i32::from(code) + 1).unwrap_or(0);
            if let Some(count) = meter.errors.get(index) {
                count.fetch_add(1, Relaxed);
            }
        });
    }

    fn meter(&self, key: i16) -> Option<&ApiMeter> {
        let slot = self.apis.get(usize::try_from(key).ok()?)?;
        Some(slot.get_or_init(|| Box::new(ApiMeter::new())))
    }

    /// How long the meters have been running.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The APIs that were used, with their meters.
    pub(super) fn used(&self) -> impl Iterator<Item = (ApiKey, &ApiMeter)> {
        let meter = |key: &ApiKey| Some((*key, &**self.apis.get(usize::try_from(key.code()).ok()?)?.get()?));
        ApiKey::ALL.iter().filter_map(meter)
    }
}

impl ApiMeter {
    fn new() -> ApiMeter {
        ApiMeter {
            versions: [const { AtomicU64::new(0) }; VERSIONS],
            errors: [const { AtomicU64::new(0) }; ERROR_CODES],
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            total: TimerHistogram::new(),
            local: TimerHistogram::new(),
            remote: TimerHistogram::new(),
            send: TimerHistogram::new(),
            throttle: TimerHistogram::new(),
        }
    }

    fn count(&self, timer: &RequestTimer, times: &RequestTimes, uptime: Duration) {
        let version = usize::try_from(timer.version).unwrap_or(0).min(VERSIONS - 1);
        self.versions[version].fetch_add(1, Relaxed);
        self.request_bytes.fetch_add(timer.request_bytes as u64, Relaxed);
        self.response_bytes.fetch_add(timer.response_bytes as u64, Relaxed);
        self.total.record(times.total, uptime);
        self.local.record(timer.local, uptime);
        self.remote.record(times.remote, uptime);
        self.send.record(times.send, uptime);
        if !timer.throttle.is_zero() {
            self.throttle.record(timer.throttle, uptime);
        }
    }

    /// Requests of all versions.
    pub(super) fn count_of_all(&self) -> u64 {
        self.versions.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Versions that were used, with the number of their requests.
    pub(super) fn by_version(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.versions.iter().map(|count| count.load(Relaxed)).enumerate();
        counts.filter(|(_, count)| *count > 0)
    }

    /// Error codes that were answered, with how often.
    pub(super) fn by_error(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        let counts = (-1..).zip(self.errors.iter().map(|count| count.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0).map(|(code, count)| (ErrorCode::from_code(code), count))
    }

    /// Bytes of requests and of responses.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.request_bytes.load(Relaxed), self.response_bytes.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_request_add_up() {
        let received = Instant::now();
        let mut timer = RequestTimer::start(&[0, 1, 0, 12, 0, 0, 0, 7]);
        assert_eq!((timer.key, timer.version, timer.correlation_id), (1, 12, 7));
        timer.received = received;
        timer.local = Duration::from_millis(2);
        timer.answered = Some(received + Duration::from_millis(10));
        let times = timer.times(received + Duration::from_millis(13));
        assert_eq!(times.total, Duration::from_millis(13));
        assert_eq!(times.remote, Duration::from_millis(8));
        assert_eq!(times.send, Duration::from_millis(3));
    }

    #[test]
    fn requests_are_counted_by_api_and_version() {
        let meters = RequestMeters::new();
        meters.finished(&RequestTimer::start(&[0, 0, 0, 9, 0, 0, 0, 1, 5, 5]));
        meters.finished(&RequestTimer::start(&[0, 0, 0, 9, 0, 0, 0, 1]));
        meters.finished(&RequestTimer::start(&[0, 0, 0, 13, 0, 0, 0, 1]));
        meters.finished(&RequestTimer::start(b"short"));
        let used: Vec<_> = meters.used().map(|(key, meter)| (key, meter.by_version().collect::<Vec<_>>())).collect();
        assert_eq!(used, [(ApiKey::Produce, vec![(9, 2), (13, 1)])]);
    }

    #[test]
    fn error_codes_are_counted_by_api() {
        let meters = RequestMeters::new();
        for error_code in [0, 27, 0, -1, i16::MAX, i16::MIN] {
            let response = milena_protocol::messages::HeartbeatResponse { error_code, ..Default::default() };
            meters.answered(ApiKey::Heartbeat, &response);
        }
        let (_, meter) = meters.used().next().unwrap();
        let counted: Vec<_> = meter.by_error().map(|(code, count)| (code.name(), count)).collect();
        assert_eq!(counted[1..], [("NONE", 2), ("REBALANCE_IN_PROGRESS", 1)]);
        assert_eq!(counted[0].0, "UNKNOWN_SERVER_ERROR");
    }
}
