//! Moments and the fields of the Gregorian calendar, in UTC. Before 15 October 1582 it is Java's Julian one.

/// Milliseconds of a day.
pub const MILLIS_PER_DAY: i64 = 86_400_000;

/// Names of months; the first three letters are the short ones.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of days from Sunday; the first three letters are the short ones.
pub(super) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// 15 October 1582, the first day of the Gregorian calendar, in days since the epoch.
const CUTOVER: i64 = -141_427;

/// The fields of a moment.
pub(super) struct Calendar {
    /// Astronomical: 0 is 1 BC.
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    /// From 0, which is Sunday.
    pub(super) weekday: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) millisecond: i64,
    /// Days since the epoch.
    days: i64,
}

impl Calendar {
    pub(super) fn new(millis: i64) -> Calendar {
        let days = millis.div_euclid(MILLIS_PER_DAY);
        let of_day = millis.rem_euclid(MILLIS_PER_DAY);
        let (year, month, day) = civil(days);
        Calendar {
            year,
            month,
            day,
            weekday: weekday(days),
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1000 % 60,
            millisecond: of_day % 1000,
            days,
        }
    }

    pub(super) fn day_of_year(&self) -> i64 {
        self.days - days_of(self.year, 1, 1) + 1
    }

    /// The week in its week-year: the first one holds 1 January.
    pub(super) fn week_of_year(&self) -> i64 {
        (self.days - first_week(self.week_year())) / 7 + 1
    }

    pub(super) fn week_year(&self) -> i64 {
        if self.days >= first_week(self.year + 1) { self.year + 1 } else { self.year }
    }

    pub(super) fn week_of_month(&self) -> i64 {
        let first = self.days - self.day + 1;
        (self.day - 1 + weekday(first)) / 7 + 1
    }
}

/// The Sunday on or before 1 January.
pub(super) fn first_week(year: i64) -> i64 {
    let january = days_of(year, 1, 1);
    january - weekday(january)
}

/// Day of the week from 0, Sunday; 1 January 1970 was a Thursday.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// Days since the epoch of a date; months and days beyond their range count on.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let gregorian = days_by(year, month, day, true);
    if gregorian >= CUTOVER { gregorian } else { days_by(year, month, day, false) }
}

fn days_by(year: i64, month: i64, day: i64, gregorian: bool) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = match gregorian {
        true => year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400),
        // The Julian calendar was two days ahead in March of year 0.
        false => year.div_euclid(4) - 2,
    };
    365 * year + leap_days + of_year - 719_468
}

/// Year, month and day.
fn civil(days: i64) -> (i64, i64, i64) {
    // A guess of the year, mended by the calendar itself.
    let mut year = 1970 + days.div_euclid(366);
    while days_of(year + 1, 1, 1) <= days {
        year += ((days - days_of(year + 1, 1, 1)) / 366).max(1);
    }
    while days_of(year, 1, 1) > days {
        year -= 1;
    }
    let mut month = 1 + ((days - days_of(year, 1, 1)) / 31).min(11);
    while month < 12 && days_of(year, month + 1, 1) <= days {
        month += 1;
    }
    let first = days_of(year, month, 1);
    // October 1582 has no days 5 to 14.
    let skipped = if first < CUTOVER && days >= CUTOVER { 10 } else { 0 };
    (year, month, days - first + 1 + skipped)
}
