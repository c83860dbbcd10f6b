//! What the fields of a text mean together, as `DateTimeFormatter` resolves them.

use jiff::tz::TimeZone;

use super::format::{JULIAN_DAY_OF_1970, week_of_month, week_year};
use super::zone;
use crate::expression::EvalError;
use crate::value::parse_date_time::valid_day;
use crate::value::{civil, days_of_civil};

const DAY_MS: i64 = 86_400_000;
const DAY_NANOS: i64 = DAY_MS * 1_000_000;
/// Years that Java's dates have.
const YEAR_MAX: i64 = 999_999_999;

/// A field that a text may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// 0 before Christ, 1 since.
    Era,
    YearOfEra,
    Year,
    Quarter,
    Month,
    Day,
    DayOfYear,
    /// The day of the weeks that begin with a month.
    AlignedDay,
    /// From Monday, 1.
    Weekday,
    /// From Sunday, 1.
    LocalWeekday,
    WeekYear,
    WeekOfYear,
    WeekOfMonth,
    JulianDay,
    /// 0 in the morning, 1 behind noon.
    HalfDay,
    HalfDayHour,
    /// 1 to 12.
    HalfDayClock,
    Hour,
    /// 1 to 24.
    Clock,
    Minute,
    Second,
    Nano,
    MilliOfDay,
    NanoOfDay,
}

const FIELDS: usize = Field::NanoOfDay as usize + 1;

impl Field {
    /// The field of a letter that stands for a number.
    pub(super) fn of(letter: char) -> Option<Field> {
        Some(match letter {
            'u' => Field::Year,
            'y' => Field::YearOfEra,
            'Y' => Field::WeekYear,
            'Q' | 'q' => Field::Quarter,
            'M' | 'L' => Field::Month,
            'd' => Field::Day,
            'D' => Field::DayOfYear,
            'F' => Field::AlignedDay,
            'e' | 'c' => Field::LocalWeekday,
            'w' => Field::WeekOfYear,
            'W' => Field::WeekOfMonth,
            'g' => Field::JulianDay,
            'K' => Field::HalfDayHour,
            'h' => Field::HalfDayClock,
            'H' => Field::Hour,
            'k' => Field::Clock,
            'm' => Field::Minute,
            's' => Field::Second,
            'n' => Field::Nano,
            'A' => Field::MilliOfDay,
            'N' => Field::NanoOfDay,
            _ => return None,
        })
    }

    /// The least and the greatest value.
    fn range(self) -> (i64, i64) {
        match self {
            Field::Era | Field::HalfDay => (0, 1),
            Field::YearOfEra => (1, YEAR_MAX),
            Field::Year | Field::WeekYear => (-YEAR_MAX, YEAR_MAX),
            Field::Quarter => (1, 4),
            Field::Month => (1, 12),
            Field::Day => (1, 31),
            Field::DayOfYear => (1, 366),
            Field::AlignedDay | Field::Weekday | Field::LocalWeekday => (1, 7),
            Field::WeekOfYear => (1, 53),
            Field::WeekOfMonth => (0, 6),
            Field::JulianDay => (-365_000_000_000, 365_000_000_000),
            Field::HalfDayHour => (0, 11),
            // A clock that shows zero means its last hour.
            Field::HalfDayClock => (0, 12),
            Field::Hour => (0, 23),
            Field::Clock => (0, 24),
            Field::Minute | Field::Second => (0, 59),
            Field::Nano => (0, 999_999_999),
            Field::MilliOfDay => (0, DAY_MS - 1),
            Field::NanoOfDay => (0, DAY_NANOS - 1),
        }
    }
}

/// The fields that a text names.
#[derive(Clone, Debug, Default)]
pub struct ParsedFields {
    values: [Option<i64>; FIELDS],
    offset: Option<i64>,
    zone: Option<TimeZone>,
}

/// What a text says: its date and time where it names them in full, else the fields that are left.
struct Resolved {
    days: Option<i64>,
    /// Nanoseconds of the day.
    time: Option<i64>,
    rest: ParsedFields,
}

impl ParsedFields {
    /// Sets a field; `None` if it has another value already.
    pub(super) fn set(&mut self, field: Field, value: i64) -> Option<()> {
        (*self.values[field as usize].get_or_insert(value) == value).then_some(())
    }

    /// Sets the seconds east of UTC; `None` if there are others already.
    pub(super) fn set_offset(&mut self, seconds: i64) -> Option<()> {
        const OFFSET_MAX: i64 = 18 * 3600;
        (seconds.abs() <= OFFSET_MAX && *self.offset.get_or_insert(seconds) == seconds).then_some(())
    }

    pub(super) fn set_zone(&mut self, zone: TimeZone) {
        self.zone = Some(zone);
    }

    /// Days since 1970 of a text that names a whole date.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub fn days_in_full(&self) -> Result<i64, EvalError> {
        let days = self.resolve()?.days;
        days.ok_or_else(|| EvalError::new("The text does not name a year, a month and a day"))
    }

    /// Milliseconds of the day of a text that names a time and no date.
    ///
    /// # Errors
    /// What is missing, or too much.
    pub fn time(&self) -> Result<i64, EvalError> {
        const DATES: [Field; 8] = [
            Field::Era,
            Field::YearOfEra,
            Field::Year,
            Field::Month,
            Field::Day,
            Field::DayOfYear,
            Field::AlignedDay,
            Field::Weekday,
        ];
        let resolved = self.resolve()?;
        if resolved.days.is_some() || DATES.iter().any(|field| resolved.rest.get(*field).is_some()) {
            return Err(EvalError::new("Time format contains date field."));
        }
        let time = resolved.time.ok_or_else(|| EvalError::new("The text does not name an hour"))?;
        Ok(time / 1_000_000)
    }

    /// Milliseconds since 1970; `zone` counts where the text names none. What the text does not name is that of
    /// 1970-01-01T00:00.
    ///
    /// # Errors
    /// What contradicts itself.
    pub fn timestamp_ms(&self, zone: &str) -> Result<i64, EvalError> {
        let resolved = self.resolve()?;
        let days = match resolved.days {
            Some(days) => days,
            None => resolved.rest.days_since_1970()?,
        };
        let time = resolved.time.unwrap_or_else(|| resolved.rest.time_since_midnight());
        // Years go further than milliseconds do.
        let overflow = || EvalError::new("long overflow");
        let local = days.checked_mul(DAY_MS).and_then(|ms| ms.checked_add(time / 1_000_000)).ok_or_else(overflow)?;
        let zone = match (&self.zone, self.offset) {
            (Some(zone), _) => zone.clone(),
            (None, Some(offset)) => return local.checked_sub(offset * 1000).ok_or_else(overflow),
            (None, None) => zone::region(zone)?.time_zone,
        };
        zone::instant_of(local, &zone)
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.values[field as usize]
    }

    fn take(&mut self, field: Field) -> Option<i64> {
        self.values[field as usize].take()
    }

    /// Takes a value that must lie in the range of its field.
    fn take_valid(&mut self, field: Field) -> Result<Option<i64>, EvalError> {
        match self.take(field) {
            Some(value) => valid(field, value).map(Some),
            None => Ok(None),
        }
    }

    /// Sets a field that follows from others.
    fn derive(&mut self, field: Field, value: i64) -> Result<(), EvalError> {
        self.set(field, value).ok_or_else(|| EvalError::new(format!("Conflict found: {field:?} {value}")))
    }

    fn resolve(&self) -> Result<Resolved, EvalError> {
        let mut rest = self.clone();
        rest.resolve_year()?;
        if let Some(local) = rest.take_valid(Field::LocalWeekday)? {
            rest.derive(Field::Weekday, (local + 5).rem_euclid(7) + 1)?;
        }
        let days = rest.take_date()?;
        rest.resolve_hours()?;
        let time = rest.take_time()?;
        rest.check_times()?;
        if let Some(days) = days {
            rest.check_date(days)?;
        }
        if let Some((time, _)) = time {
            rest.check_half_day(time)?;
        }
        let days = days.map(|days| days + time.map_or(0, |(_, more)| more));
        Ok(Resolved { days, time: time.map(|(time, _)| time), rest })
    }

    fn resolve_year(&mut self) -> Result<(), EvalError> {
        let Some(year_of_era) = self.take_valid(Field::YearOfEra)? else {
            return self.get(Field::Era).map_or(Ok(()), |era| valid(Field::Era, era).map(drop));
        };
        let before = match self.take(Field::Era) {
            Some(era) => era == 0,
            None => self.get(Field::Year).is_some_and(|year| year <= 0),
        };
        self.derive(Field::Year, if before { 1 - year_of_era } else { year_of_era })
    }

    /// Takes the fields of a whole date.
    fn take_date(&mut self) -> Result<Option<i64>, EvalError> {
        if let Some(day) = self.take_valid(Field::JulianDay)? {
            return Ok(Some(day - JULIAN_DAY_OF_1970));
        }
        if let Some(year) = self.get(Field::Year) {
            valid(Field::Year, year)?;
            if let (Some(month), Some(_)) = (self.get(Field::Month), self.get(Field::Day)) {
                let day = self.take_valid(Field::Day)?.unwrap_or(1);
                self.take(Field::Year);
                self.take(Field::Month);
                let month = valid(Field::Month, month)? as u32;
                // A day that only longer months have becomes the month's last.
                let day = (1..=day as u32).rev().find(|day| valid_day(year, month, *day)).unwrap_or(1);
                return Ok(Some(days_of_civil(year, month, day)));
            }
            if let Some(day) = self.take_valid(Field::DayOfYear)? {
                self.take(Field::Year);
                return day_of_year(year, day).map(Some);
            }
        }
        self.take_week_date()
    }

    /// Takes the fields of a date that is a day of a week.
    fn take_week_date(&mut self) -> Result<Option<i64>, EvalError> {
        let Some(weekday) = self.get(Field::Weekday) else { return Ok(None) };
        // From Sunday, 0.
        let weekday = valid(Field::Weekday, weekday)? % 7;
        let sunday_of = |days: i64| days - (days + 4).rem_euclid(7);
        if let (Some(year), Some(month), Some(week)) =
            (self.get(Field::Year), self.get(Field::Month), self.get(Field::WeekOfMonth))
        {
            let week = valid(Field::WeekOfMonth, week)?;
            let first = days_of_civil(year, valid(Field::Month, month)? as u32, 1);
            for field in [Field::Year, Field::Month, Field::WeekOfMonth, Field::Weekday] {
                self.take(field);
            }
            return Ok(Some(sunday_of(first) + (week - 1) * 7 + weekday));
        }
        if self.get(Field::Year).is_none()
            && let (Some(year), Some(week)) = (self.get(Field::WeekYear), self.get(Field::WeekOfYear))
        {
            let (year, week) = (valid(Field::WeekYear, year)?, valid(Field::WeekOfYear, week)?);
            let first = sunday_of(days_of_civil(year, 1, 1));
            // The last week of a year is not the first of the next.
            let weeks = (sunday_of(days_of_civil(year + 1, 1, 1)) - first) / 7;
            for field in [Field::WeekYear, Field::WeekOfYear, Field::Weekday] {
                self.take(field);
            }
            return Ok(Some(first + (week.min(weeks) - 1) * 7 + weekday));
        }
        Ok(None)
    }

    /// The hour of the day of clocks and halves, and what milliseconds and nanoseconds of the day say.
    fn resolve_hours(&mut self) -> Result<(), EvalError> {
        if let Some(hour) = self.take_valid(Field::Clock)? {
            self.derive(Field::Hour, hour % 24)?;
        }
        if let Some(hour) = self.take_valid(Field::HalfDayClock)? {
            self.derive(Field::HalfDayHour, hour % 12)?;
        }
        if let (Some(half), Some(hour)) = (self.get(Field::HalfDay), self.get(Field::HalfDayHour)) {
            valid(Field::HalfDayHour, hour)?;
            self.take(Field::HalfDay);
            self.take(Field::HalfDayHour);
            self.derive(Field::Hour, half * 12 + hour)?;
        }
        let milli = self.take_valid(Field::MilliOfDay)?;
        let nano = self.take_valid(Field::NanoOfDay)?;
        for nanos in [milli.map(|milli| milli * 1_000_000), nano].into_iter().flatten() {
            let seconds = nanos / 1_000_000_000;
            self.derive(Field::Hour, seconds / 3600)?;
            self.derive(Field::Minute, seconds / 60 % 60)?;
            self.derive(Field::Second, seconds % 60)?;
            self.derive(Field::Nano, nanos % 1_000_000_000)?;
        }
        Ok(())
    }

    /// Takes the fields of a whole time: its nanoseconds, and the day that midnight at its end adds.
    fn take_time(&mut self) -> Result<Option<(i64, i64)>, EvalError> {
        let Some(hour) = self.get(Field::Hour) else { return Ok(None) };
        let [minute, second, nano] = [Field::Minute, Field::Second, Field::Nano].map(|field| self.get(field));
        // What is missing is zero, but not between what is there.
        if (minute.is_none() && (second.is_some() || nano.is_some())) || (second.is_none() && nano.is_some()) {
            return Ok(None);
        }
        let [minute, second, nano] = [minute, second, nano].map(Option::unwrap_or_default);
        for field in [Field::Hour, Field::Minute, Field::Second, Field::Nano] {
            self.take(field);
        }
        if (hour, minute, second, nano) == (24, 0, 0, 0) {
            return Ok(Some((0, 1)));
        }
        valid(Field::Hour, hour)?;
        valid(Field::Minute, minute)?;
        valid(Field::Second, second)?;
        valid(Field::Nano, nano)?;
        Ok(Some((((hour * 60 + minute) * 60 + second) * 1_000_000_000 + nano, 0)))
    }

    /// Times that are left lie in their ranges.
    fn check_times(&self) -> Result<(), EvalError> {
        let times =
            [Field::HalfDay, Field::HalfDayHour, Field::Hour, Field::Minute, Field::Second, Field::Nano].into_iter();
        times
            .filter_map(|field| Some((field, self.get(field)?)))
            .try_for_each(|(field, value)| valid(field, value).map(drop))
    }

    /// What is left must be true on the date.
    fn check_date(&self, days: i64) -> Result<(), EvalError> {
        let (year, month, day) = civil(days);
        let weekday = (days + 3).rem_euclid(7) + 1;
        let facts = [
            (Field::Era, i64::from(year > 0)),
            (Field::Year, year),
            (Field::Quarter, i64::from(month.div_ceil(3))),
            (Field::Month, i64::from(month)),
            (Field::Day, i64::from(day)),
            (Field::DayOfYear, days - days_of_civil(year, 1, 1) + 1),
            (Field::AlignedDay, i64::from((day - 1) % 7 + 1)),
            (Field::Weekday, weekday),
            (Field::WeekYear, week_year(days).0),
            (Field::WeekOfYear, week_year(days).1),
            (Field::WeekOfMonth, week_of_month(days)),
        ];
        match facts.into_iter().find(|(field, fact)| self.get(*field).is_some_and(|value| value != *fact)) {
            Some((field, fact)) => {
                Err(EvalError::new(format!("Conflict found: {field:?} {fact} of {year}-{month:02}-{day:02}")))
            }
            None => Ok(()),
        }
    }

    fn check_half_day(&self, time: i64) -> Result<(), EvalError> {
        let hour = time / 3_600_000_000_000;
        let facts = [(Field::HalfDay, hour / 12), (Field::HalfDayHour, hour % 12)];
        if facts.into_iter().any(|(field, fact)| self.get(field).is_some_and(|value| value != fact)) {
            return Err(EvalError::new(format!("Conflict found: hour {hour} differs from its half of the day")));
        }
        Ok(())
    }

    /// 1970-01-01 with the fields of a date that are there.
    fn days_since_1970(&self) -> Result<i64, EvalError> {
        let field = |field: Field| self.get(field).map(|value| valid(field, value)).transpose();
        let year = field(Field::Year)?.unwrap_or(1970);
        let year = if self.get(Field::Era) == Some(0) && year > 0 { 1 - year } else { year };
        let month = field(Field::Month)?.unwrap_or(1) as u32;
        let mut days = days_of_civil(year, month, 1);
        if let Some(weekday) = field(Field::Weekday)? {
            days += weekday - ((days + 3).rem_euclid(7) + 1);
        }
        if let Some(aligned) = field(Field::AlignedDay)? {
            days += aligned - (i64::from(civil(days).2 - 1) % 7 + 1);
        }
        if let Some(day) = field(Field::Day)? {
            let (year, month, _) = civil(days);
            if !valid_day(year, month, day as u32) {
                return Err(EvalError::new(format!("Invalid date: {year}-{month:02}-{day:02}")));
            }
            days = days_of_civil(year, month, day as u32);
        }
        match field(Field::DayOfYear)? {
            Some(day) => day_of_year(civil(days).0, day),
            None => Ok(days),
        }
    }

    /// Midnight with the fields of a time that are there, in nanoseconds.
    fn time_since_midnight(&self) -> i64 {
        let field = |field: Field| self.get(field).unwrap_or(0);
        let hour = self.get(Field::Hour).unwrap_or_else(|| field(Field::HalfDay) * 12 + field(Field::HalfDayHour));
        ((hour * 60 + field(Field::Minute)) * 60 + field(Field::Second)) * 1_000_000_000 + field(Field::Nano)
    }
}

/// The value, if it lies in the range of its field.
fn valid(field: Field, value: i64) -> Result<i64, EvalError> {
    let (min, max) = field.range();
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(EvalError::new(format!("Invalid value for {field:?} (valid values {min} - {max}): {value}")))
}

/// Days since 1970 of a day of a year that has it.
fn day_of_year(year: i64, day: i64) -> Result<i64, EvalError> {
    let days = days_of_civil(year, 1, 1) + day - 1;
    if civil(days).0 != year {
        return Err(EvalError::new(format!("Invalid date 'DayOfYear {day}' as '{year}' is not a leap year")));
    }
    Ok(days)
}
