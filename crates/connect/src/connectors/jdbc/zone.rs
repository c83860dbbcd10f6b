//! Time zones as settings name them.

use jiff::tz::{Offset, TimeZone};

/// A time zone by its name, `UTC`, or an offset such as `+09:00` and `GMT+9`; empty is UTC.
pub(super) fn time_zone(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    let plain = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")).unwrap_or(name);
    match plain.chars().next() {
        None => Some(TimeZone::UTC),
        Some(sign @ ('+' | '-')) => offset(&plain[1..]).and_then(|seconds| {
            Offset::from_seconds(if sign == '-' { -seconds } else { seconds }).ok().map(TimeZone::fixed)
        }),
        Some(_) if plain == "Z" => Some(TimeZone::UTC),
        Some(_) => TimeZone::get(name).ok(),
    }
}

/// The seconds of `9` and `09:30`.
fn offset(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':').unwrap_or((text, "0"));
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60).then(|| (i32::from(hours) * 60 + i32::from(minutes)) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_names_or_offsets() {
        for name in ["Asia/Seoul", "+09:00", "GMT+9", "UTC+09:00", " +9 "] {
            let zone = time_zone(name).expect(name);
            assert_eq!(zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds(), 32_400, "{name}");
        }
        let west = time_zone("-03:30").expect("an offset");
        assert_eq!(west.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds(), -12_600);
        for name in ["", "UTC", "GMT", "Z"] {
            assert_eq!(time_zone(name), Some(TimeZone::UTC), "{name}");
        }
        for name in ["Mars/Olympus", "+", "+99999999", "+200", "+1:99", "UTC+x", "+-1"] {
            assert_eq!(time_zone(name), None, "{name}");
        }
    }
}
