//! Dates and times of a database as numbers that Connect has: days, milliseconds, nanoseconds since the epoch.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The first day of the calendar that is in use today.
const GREGORIAN_FROM: Date = Date::constant(1582, 10, 15);
/// What Java makes of PostgreSQL's `infinity` and `-infinity`, in milliseconds.
const INFINITY_MS: i64 = 9_223_372_036_825_200_000;
const MINUS_INFINITY_MS: i64 = -9_223_372_036_832_400_000;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Moment {
    /// The epoch.
    pub const EPOCH: Moment = Moment { seconds: 0, nanos: 0 };

    /// From milliseconds.
    pub fn from_millis(millis: i64) -> Moment {
        let nanos = millis.rem_euclid(1000) * 1_000_000;
        Moment { seconds: millis.div_euclid(1000), nanos: u32::try_from(nanos).unwrap_or(0) }
    }

    /// In milliseconds, cut off.
    pub fn millis(self) -> i64 {
        self.seconds.saturating_mul(1000).saturating_add(i64::from(self.nanos / 1_000_000))
    }

    /// In microseconds, cut off.
    pub fn micros(self) -> i64 {
        self.seconds.saturating_mul(1_000_000).saturating_add(i64::from(self.nanos / 1000))
    }

    /// In nanoseconds; stays at the end of what 64 bits hold.
    pub fn nanos(self) -> i64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(self.nanos))
    }

    /// Earlier by this.
    pub fn minus(self, delay: std::time::Duration) -> Moment {
        let total = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos) - delay.as_nanos().cast_signed();
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MIN);
        Moment { seconds, nanos: u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0) }
    }
}

/// The zone and the calendar of a database's dates.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    zone: TimeZone,
    is_utc: bool,
    /// Days before 1582-10-15 are of the Julian calendar.
    julian: bool,
}

impl Clock {
    /// A clock of this zone (`db.timezone`) and calendar (`date.calendar.system`).
    pub fn new(zone: TimeZone, julian: bool) -> Clock {
        let is_utc = zone == TimeZone::UTC;
        Clock { zone, is_utc, julian }
    }

    /// Days since the epoch.
    pub fn days(&self, date: Date) -> i32 {
        let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        let days = if self.julian && date < GREGORIAN_FROM {
            days_of_julian(year, month, day)
        } else {
            days_of_gregorian(year, month, day)
        };
        i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
    }

    /// The moment at which the clock on the wall shows this. A time that the clock skips is that much later; of a time
    /// that it shows twice it is the first.
    pub fn moment(&self, clock: DateTime) -> Moment {
        let time = clock.time();
        let nanos = u32::try_from(time.subsec_nanosecond()).unwrap_or(0);
        let of_day = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        let as_utc = i64::from(self.days(clock.date())) * 86_400 + of_day;
        let ahead = if self.is_utc { 0 } else { self.ahead_of(clock) };
        Moment { seconds: as_utc - ahead, nanos }
    }

    fn ahead_of(&self, clock: DateTime) -> i64 {
        let zoned = self.zone.to_ambiguous_zoned(clock).compatible();
        zoned.map_or(0, |zoned| {
            // What was skipped moves the clock itself.
            let moved = zoned.datetime().duration_since(clock);
            i64::from(zoned.offset().seconds()) - moved.as_secs()
        })
    }

    /// What the clock on the wall shows at this moment, and how many seconds it is ahead of UTC.
    pub fn shows(&self, moment: Moment) -> (DateTime, i32) {
        let nanos = i32::try_from(moment.nanos).unwrap_or(0);
        let timestamp = Timestamp::new(moment.seconds, nanos).unwrap_or(if moment.seconds < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        let offset = self.zone.to_offset(timestamp);
        (offset.to_datetime(timestamp), offset.seconds())
    }
}

/// Milliseconds since midnight.
pub(super) fn millis_of_day(time: Time) -> i32 {
    let seconds = (i32::from(time.hour()) * 60 + i32::from(time.minute())) * 60 + i32::from(time.second());
    seconds * 1000 + time.subsec_nanosecond() / 1_000_000
}

/// The moment after (`true`) or before all others.
pub(super) fn infinity(after: bool) -> Moment {
    Moment::from_millis(if after { INFINITY_MS } else { MINUS_INFINITY_MS })
}

/// A date and time that is text: `2021-07-31 12:00:00.5`, with a `T`, with a zone, or a date alone.
pub(super) fn parse(text: &str, clock: &Clock) -> Option<Moment> {
    if let Ok(datetime) = text.parse::<DateTime>()
        && !has_zone(text)
    {
        return Some(clock.moment(datetime));
    }
    let timestamp: Timestamp = text.parse().ok()?;
    let nanos = timestamp.as_nanosecond();
    Some(Moment {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?,
        nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?,
    })
}

fn has_zone(text: &str) -> bool {
    let time = text.get(10..).unwrap_or_default();
    time.ends_with(['Z', 'z']) || time.contains(['+', '-'])
}

/// A day that SQLite stores as a Julian day number.
pub(super) fn of_julian_day(number: f64) -> Moment {
    let since_epoch = SignedDuration::try_from_secs_f64((number - 2_440_587.5) * 86_400.0).unwrap_or_default();
    // A Julian day number is exact to some ten microseconds.
    let millis = since_epoch.as_millis();
    Moment::from_millis(i64::try_from(millis).unwrap_or(0))
}

/// Days from the epoch in today's calendar, also before it was introduced.
fn days_of_gregorian(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Days from the epoch in the calendar with a leap day every four years.
fn days_of_julian(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(4) * 1461 + year.rem_euclid(4) * 365 + day_of_year - 719_470
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(julian: bool) -> Clock {
        Clock::new(TimeZone::UTC, julian)
    }

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn days_count_from_1970_in_both_calendars() {
        for julian in [true, false] {
            assert_eq!(utc(julian).days(date("1970-01-01")), 0);
            assert_eq!(utc(julian).days(date("2024-03-01")), 19_783);
            assert_eq!(utc(julian).days(date("1582-10-15")), -141_427);
        }
        // The day before 1582-10-15 was 1582-10-04.
        assert_eq!(utc(true).days(date("1582-10-04")), -141_428);
        assert_eq!(utc(false).days(date("1582-10-14")), -141_428);
        assert_eq!(utc(true).days(date("0001-01-01")), -719_164);
        assert_eq!(utc(false).days(date("0001-01-01")), -719_162);
    }

    #[test]
    fn a_wall_clock_is_read_in_its_zone_and_back() {
        let clock = Clock::new(TimeZone::get("Europe/Berlin").expect("a zone"), true);
        let shown = "2021-07-31T12:00:00.123456".parse().expect("a date");
        let moment = clock.moment(shown);
        assert_eq!(moment, Moment { seconds: 1_627_725_600, nanos: 123_456_000 });
        assert_eq!(clock.shows(moment), (shown, 7200));
        // Skipped in the night of summer time, and there twice in the one of winter time.
        assert_eq!(clock.moment("2021-03-28T02:30:00".parse().expect("a date")).seconds, 1_616_895_000);
        assert_eq!(clock.moment("2021-10-31T02:30:00".parse().expect("a date")).seconds, 1_635_640_200);
    }

    #[test]
    fn moments_count_in_all_units() {
        let moment = Moment::from_millis(-1);
        assert_eq!(moment, Moment { seconds: -1, nanos: 999_000_000 });
        assert_eq!((moment.millis(), moment.micros(), moment.nanos()), (-1, -1000, -1_000_000));
        assert_eq!(Moment::EPOCH.minus(std::time::Duration::from_millis(1)), moment);
        assert_eq!(infinity(true).millis(), INFINITY_MS);
    }

    #[test]
    fn text_may_say_its_zone() {
        let clock = Clock::new(TimeZone::get("Asia/Seoul").expect("a zone"), true);
        assert_eq!(parse("2021-01-01 09:00:00", &clock), parse("2021-01-01T00:00:00Z", &clock));
        assert_eq!(parse("2021-01-01", &clock), parse("2020-12-31 15:00:00.000+00:00", &clock));
        assert_eq!(parse("yesterday", &clock), None);
    }
}
