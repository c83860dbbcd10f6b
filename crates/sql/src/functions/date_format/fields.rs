//! What is known of a point in time that is to be printed.

use super::zone;
use crate::expression::EvalError;
use crate::value::civil;

const DAY_MS: i64 = 86_400_000;

/// The fields of a date, a time or both, with a zone or without.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Days since 1970.
    pub(super) days: Option<i64>,
    /// Milliseconds of the day.
    pub(super) of_day: Option<i64>,
    /// Seconds east of UTC.
    pub(super) offset: Option<i32>,
    /// Id of the zone.
    pub(super) zone_id: String,
    /// Short name of the zone at that time.
    pub(super) zone_name: String,
}

impl Fields {
    /// A date without a time.
    pub fn of_date(days: i64) -> Fields {
        Fields { days: Some(days), ..Fields::default() }
    }

    /// A time without a date.
    pub fn of_time(of_day: i64) -> Fields {
        Fields { of_day: Some(of_day), ..Fields::default() }
    }

    /// A timestamp as it is in a zone.
    pub fn of_timestamp(milliseconds: i64, zone: &str) -> Result<Fields, EvalError> {
        let zone = zone::region(zone)?;
        let info = zone.time_zone.to_offset_info(zone::near(milliseconds)?);
        let local = milliseconds.saturating_add(i64::from(info.offset().seconds()) * 1000);
        Ok(Fields {
            days: Some(local.div_euclid(DAY_MS)),
            of_day: Some(local.rem_euclid(DAY_MS)),
            offset: Some(info.offset().seconds()),
            zone_name: if zone.has_names { info.abbreviation().to_owned() } else { zone.id.clone() },
            zone_id: zone.id,
        })
    }

    /// Year, month and day.
    pub(super) fn date(&self) -> Option<(i64, u32, u32)> {
        self.days.map(civil)
    }
}
