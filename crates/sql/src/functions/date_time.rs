//! Functions of dates and times.

use super::date_format::{self, Fields, offset_at, with_pattern};
use super::{Call, Category, Registry};
use crate::ast::TimeUnit;
use crate::expression::EvalError;
use crate::value::Value;

const DAY_MS: i64 = 86_400_000;

pub(super) fn register(registry: &mut Registry) {
    arithmetic(registry);
    formatting(registry);
    parsing(registry);
    counting(registry);
}

fn arithmetic(registry: &mut Registry) {
    registry
        .scalar(Category::DateTime, "dateadd", "The date so many units later.")
        .strict("(unit INTERVALUNIT, interval INT, date DATE) DATE", |c| add_days(c, 1));
    registry
        .scalar(Category::DateTime, "datesub", "The date so many units earlier.")
        .strict("(unit INTERVALUNIT, interval INT, date DATE) DATE", |c| add_days(c, -1));
    registry
        .scalar(Category::DateTime, "timeadd", "The time so many units later, past midnight from the start again.")
        .strict("(unit INTERVALUNIT, interval INT, time TIME) TIME", |c| add_time(c, 1));
    registry
        .scalar(Category::DateTime, "timesub", "The time so many units earlier, past midnight from the end again.")
        .strict("(unit INTERVALUNIT, interval INT, time TIME) TIME", |c| add_time(c, -1));
    registry
        .scalar(Category::DateTime, "timestampadd", "The timestamp so many units later.")
        .strict("(unit INTERVALUNIT, interval INT, timestamp TIMESTAMP) TIMESTAMP", |c| {
            Ok(Value::Timestamp(c.long(2).wrapping_add(interval(c)?)))
        });
    registry
        .scalar(Category::DateTime, "timestampsub", "The timestamp so many units earlier.")
        .strict("(unit INTERVALUNIT, interval INT, timestamp TIMESTAMP) TIMESTAMP", |c| {
            Ok(Value::Timestamp(c.long(2).wrapping_sub(interval(c)?)))
        });
    registry.scalar(Category::DateTime, "convert_tz", "The timestamp of one time zone as that of another.").strict(
        "(timestamp TIMESTAMP, fromTimeZone STRING, toTimeZone STRING) TIMESTAMP",
        |c| {
            let ms = c.long(0);
            let seconds = i64::from(offset_at(ms, c.str(2))?) - i64::from(offset_at(ms, c.str(1))?);
            Ok(Value::Timestamp(ms + seconds * 1000))
        },
    );
}

/// Milliseconds of the first two arguments: a unit and how many.
fn interval(c: &Call<'_>) -> Result<i64, EvalError> {
    let unit = TimeUnit::parse(c.str(0)).ok_or_else(|| EvalError::new(format!("{} is no unit of time", c.str(0))))?;
    Ok(unit.milliseconds().wrapping_mul(c.long(1)))
}

fn add_days(c: &mut Call<'_>, sign: i64) -> Result<Value, EvalError> {
    // The sum of milliseconds is cut to days: an hour before midnight of a day is the day before.
    let sum = c.long(2) * DAY_MS + sign * interval(c)?;
    i32::try_from(sum / DAY_MS).map(Value::Date).map_err(|_| EvalError::new("The date is out of range"))
}

fn add_time(c: &mut Call<'_>, sign: i64) -> Result<Value, EvalError> {
    const DAY_NANOS: i64 = DAY_MS * 1_000_000;
    // So many nanoseconds as a long holds, and no more: beyond 292 years the rest of the day is always the same.
    let nanos = interval(c)?.saturating_mul(1_000_000) % DAY_NANOS;
    let sum = (c.long(2) * 1_000_000 + sign * nanos).rem_euclid(DAY_NANOS);
    Ok(Value::Time((sum / 1_000_000) as i32))
}

fn formatting(registry: &mut Registry) {
    registry
        .scalar(Category::DateTime, "format_date", "The date as a text in the given pattern.")
        .strict("(date DATE, formatPattern STRING) STRING", |c| format(c.str(1), &Fields::of_date(c.long(0))));
    registry
        .scalar(Category::DateTime, "format_time", "The time as a text in the given pattern.")
        .strict("(time TIME, formatPattern STRING) STRING", |c| format(c.str(1), &Fields::of_time(c.long(0))));
    registry
        .scalar(
            Category::DateTime,
            "format_timestamp",
            "The timestamp as a text in the given pattern, in UTC unless a zone is given.",
        )
        .strict("(timestamp TIMESTAMP, formatPattern STRING) STRING", |c| format_timestamp(c, "GMT"))
        .strict("(timestamp TIMESTAMP, formatPattern STRING, timeZone STRING) STRING", |c| {
            format_timestamp(c, c.str(2))
        });
    registry
        .scalar(
            Category::DateTime,
            "timestamptostring",
            "Milliseconds since 1970 as a text in the given pattern. FORMAT_TIMESTAMP replaces it.",
        )
        .strict("(epochMilli BIGINT, formatPattern STRING) STRING", |c| format_timestamp(c, "UTC"))
        .strict("(epochMilli BIGINT, formatPattern STRING, timeZone STRING) STRING", |c| format_timestamp(c, c.str(2)));
    registry
        .scalar(
            Category::DateTime,
            "datetostring",
            "Days since 1970 as a text in the given pattern. FORMAT_DATE replaces it.",
        )
        .strict("(epochDays INT, formatPattern STRING) STRING", |c| format(c.str(1), &Fields::of_date(c.long(0))));
}

fn format(pattern: &str, fields: &Fields) -> Result<Value, EvalError> {
    with_pattern(pattern, |pattern| pattern.format(fields).map(Value::from))
}

fn format_timestamp(c: &Call<'_>, zone: &str) -> Result<Value, EvalError> {
    format(c.str(1), &Fields::of_timestamp(c.long(0), zone)?)
}

fn parsing(registry: &mut Registry) {
    registry.scalar(Category::DateTime, "parse_date", "The date that a text in the given pattern spells.").strict(
        "(formattedDate STRING, formatPattern STRING) DATE",
        |c| {
            let days = i32::try_from(date_format::parse_date(c.str(0), c.str(1))?);
            days.map(Value::Date).map_err(|_| EvalError::new("The date is out of range"))
        },
    );
    registry
        .scalar(
            Category::DateTime,
            "stringtodate",
            "The days since 1970 of a text in the given pattern. PARSE_DATE replaces it.",
        )
        .strict("(formattedDate STRING, formatPattern STRING) INT", |c| {
            let text = c.str(0);
            with_pattern(c.str(1), |pattern| Ok(Value::Int(pattern.parse(text)?.days_in_full()? as i32)))
        });
    registry.scalar(Category::DateTime, "parse_time", "The time that a text in the given pattern spells.").strict(
        "(formattedTime STRING, formatPattern STRING) TIME",
        |c| {
            let text = c.str(0);
            with_pattern(c.str(1), |pattern| Ok(Value::Time(pattern.parse(text)?.time()? as i32)))
        },
    );
    registry
        .scalar(
            Category::DateTime,
            "parse_timestamp",
            "The timestamp that a text in the given pattern spells, in UTC unless it or the call names a zone.",
        )
        .strict("(formattedTimestamp STRING, formatPattern STRING) TIMESTAMP", |c| {
            Ok(Value::Timestamp(parse_timestamp(c, "UTC")?))
        })
        .strict("(formattedTimestamp STRING, formatPattern STRING, timeZone STRING) TIMESTAMP", |c| {
            Ok(Value::Timestamp(parse_timestamp(c, c.str(2))?))
        });
    registry
        .scalar(
            Category::DateTime,
            "stringtotimestamp",
            "The milliseconds since 1970 of a text in the given pattern. PARSE_TIMESTAMP replaces it.",
        )
        .strict("(formattedTimestamp STRING, formatPattern STRING) BIGINT", |c| {
            Ok(Value::Bigint(parse_timestamp(c, "UTC")?))
        })
        .strict("(formattedTimestamp STRING, formatPattern STRING, timeZone STRING) BIGINT", |c| {
            Ok(Value::Bigint(parse_timestamp(c, c.str(2))?))
        });
}

fn parse_timestamp(c: &Call<'_>, zone: &str) -> Result<i64, EvalError> {
    date_format::parse_timestamp(c.str(0), c.str(1), zone)
}

fn counting(registry: &mut Registry) {
    registry
        .scalar(Category::DateTime, "from_days", "The date so many days after 1970-01-01.")
        .strict("(days INT) DATE", |c| Ok(Value::Date(c.int(0))));
    registry
        .scalar(Category::DateTime, "from_unixtime", "The timestamp so many milliseconds after 1970-01-01T00:00Z.")
        .strict("(epochMilli BIGINT) TIMESTAMP", |c| Ok(Value::Timestamp(c.long(0))));
    registry
        .scalar(Category::DateTime, "unix_date", "The days since 1970-01-01 of a date, of today unless one is given.")
        .strict("() INT", |_| Ok(Value::Int(jiff::Timestamp::now().as_millisecond().div_euclid(DAY_MS) as i32)))
        .strict("(date DATE) INT", |c| Ok(Value::Int(c.int(0))));
    registry
        .scalar(
            Category::DateTime,
            "unix_timestamp",
            "The milliseconds since 1970-01-01T00:00Z of a timestamp, of now unless one is given.",
        )
        .strict("() BIGINT", |_| Ok(Value::Bigint(jiff::Timestamp::now().as_millisecond())))
        .strict("(timestamp TIMESTAMP) BIGINT", |c| Ok(Value::Bigint(c.long(0))));
}
