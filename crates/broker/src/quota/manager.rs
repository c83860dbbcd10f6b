//! The door to quotas: what a handler reports, and how long its client has to pause.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use milena_metadata::BrokerConfig;
use milena_stdx::Clock;
use parking_lot::{Mutex, RwLock};

use super::rate_window::{RateWindow, Windows};
use super::table::{QuotaKey, QuotaTable};
use super::token_bucket::TokenBucket;
use crate::context::RequestContext;

/// Users with client ids whose quotas are remembered; with more the memory is cleared, and meters that count nothing go.
const CLIENTS_MAX: usize = 10_000;
/// What one nanosecond of a thread is of a second, in percent.
const PERCENT_PER_NANOSECOND: f64 = 100.0 / 1_000_000_000.0;

/// What a client hears whose change of metadata is refused.
pub(crate) const THROTTLED_MESSAGE: &str = "The throttling quota has been exceeded.";

/// How rates are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaWindows {
    clients: Windows,
    controller: Windows,
}

impl QuotaWindows {
    /// `quota.window.*` and `controller.quota.window.*`.
    pub(crate) fn of(config: &BrokerConfig) -> QuotaWindows {
        let number = |key: &str| config.value(key).and_then(|value| value.parse::<u32>().ok()).unwrap_or(1).max(1);
        let windows =
            |count: &str, seconds: &str| Windows { count: number(count), length_ms: i64::from(number(seconds)) * 1000 };
        QuotaWindows {
            clients: windows("quota.window.num", "quota.window.size.seconds"),
            controller: windows("controller.quota.window.num", "controller.quota.window.size.seconds"),
        }
    }

    pub(super) fn of_clients(self) -> Windows {
        self.clients
    }
}

/// Client quotas of this broker.
pub struct QuotaManager {
    windows: QuotaWindows,
    clock: Arc<dyn Clock>,
    active: AtomicBool,
    table: ArcSwap<QuotaTable>,
    /// By user, then by client id.
    clients: RwLock<HashMap<String, HashMap<String, Arc<ClientQuotas>>>>,
    meters: Mutex<HashMap<MeterKey, Arc<Mutex<Meter>>>>,
}

/// How long those were told to pause who were above their quota lately.
struct Throttles {
    total_ms: RateWindow,
    count: RateWindow,
}

impl Throttles {
    fn new(windows: Windows) -> Throttles {
        Throttles { total_ms: RateWindow::new(windows), count: RateWindow::new(windows) }
    }

    fn record(&mut self, throttle_ms: u32, now_ms: i64) {
        self.total_ms.record(f64::from(throttle_ms), now_ms);
        self.count.record(1.0, now_ms);
    }

    fn average_ms(&mut self, now_ms: i64) -> f64 {
        let count = self.count.rate(now_ms);
        if count > 0.0 { self.total_ms.rate(now_ms) / count } else { 0.0 }
    }
}

/// What those who share a quota have used of it lately.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QuotaUse {
    pub(crate) key: QuotaKey,
    /// The user, empty when users share the quota.
    pub(crate) user: String,
    /// The client id, empty when client ids share the quota.
    pub(crate) client_id: String,
    /// Bytes a second, or percent of a thread.
    pub(crate) rate: f64,
    /// The mean pause of answers that asked for one.
    pub(crate) throttle_ms: f64,
}

/// Who shares one measurement.
type MeterKey = (QuotaKey, String, String);

/// The quotas of one user with one client id; `None` where there is no limit.
struct ClientQuotas {
    limits: [Option<(f64, Arc<Mutex<Meter>>)>; 4],
}

enum Meter {
    Rate(RateWindow, Throttles),
    Tokens(TokenBucket),
}

impl QuotaManager {
    pub(crate) fn new(windows: QuotaWindows, clock: Arc<dyn Clock>) -> QuotaManager {
        QuotaManager {
            windows,
            clock,
            active: AtomicBool::new(false),
            table: ArcSwap::default(),
            clients: RwLock::default(),
            meters: Mutex::default(),
        }
    }

    /// Puts changed quotas into force. What was measured so far goes on counting.
    pub(crate) fn follow(&self, table: QuotaTable) {
        if *self.table.load_full() == table {
            return;
        }
        self.active.store(!table.has_no_clients(), Ordering::Release);
        self.table.store(Arc::new(table));
        self.clients.write().clear();
    }

    /// The quotas in force.
    pub(crate) fn table(&self) -> Arc<QuotaTable> {
        self.table.load_full()
    }

    /// The client sent `bytes` to be appended. Returns how many milliseconds it has to pause.
    pub(crate) fn produced(&self, context: &RequestContext, bytes: usize) -> u32 {
        self.record(QuotaKey::Produce, context, bytes as f64)
    }

    /// The client is about to get `bytes` of records, on which threads have worked for `time`. When it has to pause for
    /// either it gets none, so they do not count.
    pub(crate) fn fetched(&self, context: &RequestContext, bytes: usize, time: Duration) -> u32 {
        let throttle_ms = self.record(QuotaKey::Fetch, context, bytes as f64).max(self.worked(context, time));
        if throttle_ms > 0 {
            self.record(QuotaKey::Fetch, context, -(bytes as f64));
        }
        throttle_ms
    }

    /// Bytes that a response may carry without exceeding the fetch quota for all windows; `None` for no limit.
    pub(crate) fn fetch_bytes_max(&self, context: &RequestContext) -> Option<f64> {
        let client = self.client(context)?;
        let (limit, _) = client.limits[QuotaKey::Fetch.index()].as_ref()?;
        let windows = self.windows.clients;
        Some(limit * f64::from(windows.count.max(2) - 1) * windows.length_ms as f64 / 1000.0)
    }

    /// Threads have worked for the client for this long. The pause is never longer than one window.
    pub(crate) fn worked(&self, context: &RequestContext, time: Duration) -> u32 {
        let throttle_ms = self.record(QuotaKey::Request, context, time.as_nanos() as f64 * PERCENT_PER_NANOSECOND);
        throttle_ms.min(u32::try_from(self.windows.clients.length_ms).unwrap_or(u32::MAX))
    }

    /// The quota for changes of metadata. When `strict`, changes are refused while it is used up; clients that do not know
    /// THROTTLING_QUOTA_EXCEEDED are only made to pause.
    pub(crate) fn mutations(&self, context: &RequestContext, strict: bool) -> MutationQuota {
        let limit = self.client(context).and_then(|client| client.limits[QuotaKey::ControllerMutation.index()].clone());
        MutationQuota { limit, strict, windows: self.windows.controller, clock: self.clock.clone(), throttle_ms: 0 }
    }

    fn record(&self, key: QuotaKey, context: &RequestContext, value: f64) -> u32 {
        let Some(client) = self.client(context) else { return 0 };
        let Some((limit, meter)) = &client.limits[key.index()] else { return 0 };
        let now_ms = self.clock.now_ms();
        match &mut *meter.lock() {
            Meter::Rate(window, throttles) => {
                window.record(value, now_ms);
                let throttle_ms = saturated(window.throttle_ms(*limit, now_ms));
                if throttle_ms > 0 {
                    throttles.record(throttle_ms, now_ms);
                }
                throttle_ms
            }
            Meter::Tokens(_) => 0,
        }
    }

    fn client(&self, context: &RequestContext) -> Option<Arc<ClientQuotas>> {
        if !self.active.load(Ordering::Acquire) {
            return None;
        }
        let (user, client_id) = (context.user(), context.client_id.as_deref().unwrap_or(""));
        if let Some(client) = self.clients.read().get(user).and_then(|clients| clients.get(client_id)) {
            return Some(client.clone());
        }
        let table = self.table.load_full();
        let limits = QuotaKey::ALL.map(|key| {
            let bound = table.resolve(key, user, client_id)?;
            Some((bound.limit, self.meter((key, bound.user, bound.client_id))))
        });
        let client = Arc::new(ClientQuotas { limits });
        let mut clients = self.clients.write();
        if clients.values().map(HashMap::len).sum::<usize>() >= CLIENTS_MAX {
            clients.clear();
            self.forget_idle_meters();
        }
        clients.entry(user.to_owned()).or_default().insert(client_id.to_owned(), client.clone());
        Some(client)
    }

    fn meter(&self, key: MeterKey) -> Arc<Mutex<Meter>> {
        let windows = self.windows.clients;
        let new = match key.0 {
            QuotaKey::ControllerMutation => Meter::Tokens(TokenBucket::new()),
            QuotaKey::Produce | QuotaKey::Fetch | QuotaKey::Request => {
                Meter::Rate(RateWindow::new(windows), Throttles::new(windows))
            }
        };
        self.meters.lock().entry(key).or_insert_with(|| Arc::new(Mutex::new(new))).clone()
    }

    /// Rates and pauses of everybody with a quota who was seen lately, by kind, user and client id.
    pub(crate) fn uses(&self) -> Vec<QuotaUse> {
        let now_ms = self.clock.now_ms();
        let meters = self.meters.lock();
        let mut uses: Vec<QuotaUse> = meters
            .iter()
            .filter_map(|((key, user, client_id), meter)| {
                let mut meter = meter.lock();
                let Meter::Rate(window, throttles) = &mut *meter else { return None };
                let rate = (!window.is_idle(now_ms)).then(|| window.rate(now_ms))?;
                let throttle_ms = throttles.average_ms(now_ms);
                Some(QuotaUse { key: *key, user: user.clone(), client_id: client_id.clone(), rate, throttle_ms })
            })
            .collect();
        uses.sort_by(|a, b| (a.key.index(), &a.user, &a.client_id).cmp(&(b.key.index(), &b.user, &b.client_id)));
        uses
    }

    fn forget_idle_meters(&self) {
        let now_ms = self.clock.now_ms();
        self.meters.lock().retain(|_, meter| match &mut *meter.lock() {
            Meter::Rate(window, _) => !window.is_idle(now_ms),
            Meter::Tokens(_) => true,
        });
    }
}

fn saturated(throttle_ms: i64) -> u32 {
    u32::try_from(throttle_ms.clamp(0, i64::from(i32::MAX))).unwrap_or(u32::MAX)
}

/// The quota of one request that changes metadata.
pub(crate) struct MutationQuota {
    limit: Option<(f64, Arc<Mutex<Meter>>)>,
    strict: bool,
    windows: Windows,
    clock: Arc<dyn Clock>,
    throttle_ms: u32,
}

impl MutationQuota {
    /// Asks for `partitions` to be created or deleted. False means that the quota is used up and nothing may be done.
    pub(crate) fn admit(&mut self, partitions: usize) -> bool {
        let Some((rate, meter)) = &self.limit else { return true };
        let now_ms = self.clock.now_ms();
        let mut meter = meter.lock();
        let Meter::Tokens(bucket) = &mut *meter else { return true };
        let owed_ms = bucket.throttle_ms(*rate, self.windows, now_ms);
        if self.strict && owed_ms > 0 {
            self.throttle_ms = self.throttle_ms.max(saturated(owed_ms));
            return false;
        }
        bucket.take(partitions as f64, *rate, self.windows, now_ms);
        if !self.strict {
            self.throttle_ms = saturated(bucket.throttle_ms(*rate, self.windows, now_ms));
        }
        true
    }

    /// Takes out of `asked` what is not admitted, and returns it; `partitions` tells how many each one changes.
    pub(crate) fn refuse<T>(&mut self, asked: &mut Vec<T>, partitions: impl Fn(&T) -> usize) -> Vec<T> {
        if self.limit.is_none() {
            return Vec::new();
        }
        let (admitted, refused) = asked.drain(..).partition(|one| self.admit(partitions(one)));
        *asked = admitted;
        refused
    }

    /// Milliseconds that the client has to pause.
    pub(crate) fn throttle_ms(&self) -> u32 {
        self.throttle_ms
    }
}
