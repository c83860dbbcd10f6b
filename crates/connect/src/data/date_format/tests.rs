//! Patterns as Java's `SimpleDateFormat` applies them.

use super::*;

/// 2021-08-01 was a Sunday.
const MOMENT: i64 = 1_627_815_857_123;

fn formatted(pattern: &str, millis: i64) -> String {
    DateFormat::new(pattern).unwrap().format(millis)
}

fn parsed(pattern: &str, text: &str) -> Option<i64> {
    DateFormat::new(pattern).unwrap().parse(text).ok()
}

#[test]
fn every_letter_is_written() {
    let table = [
        ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "2021-08-01T11:04:17.123Z"),
        ("yyyyMMdd", "20210801"),
        ("yy y yyyyy Y", "21 2021 02021 2021"),
        ("M MM MMM MMMM L", "8 08 Aug August 8"),
        ("E EEEE u", "Sun Sunday 7"),
        ("D w W F", "213 32 1 1"),
        ("h:mm a K k H", "11:04 AM 11 11 11"),
        ("SSSSSS S", "000123 123"),
        ("z Z X zzzz XXX", "UTC +0000 Z Coordinated Universal Time Z"),
        ("G 'o''clock' ''", "AD o'clock '"),
    ];
    for (pattern, text) in table {
        assert_eq!(formatted(pattern, MOMENT), text, "{pattern}");
    }
    assert_eq!(formatted("yyyy-MM-dd HH:mm:ss.SSS", -1), "1969-12-31 23:59:59.999");
    assert_eq!(formatted("yyyy-MM-dd", -12_219_292_800_000), "1582-10-15");
    assert_eq!(formatted("yyyy-MM-dd", -12_219_292_800_001), "1582-10-04");
}

#[test]
fn patterns_without_meaning_are_refused() {
    assert_eq!(DateFormat::new("yyyy-bb"), Err(DateFormatError::IllegalCharacter('b')));
    assert_eq!(DateFormat::new("yyyy'T"), Err(DateFormatError::UnterminatedQuote));
}

#[test]
fn text_is_read_leniently() {
    assert_eq!(parsed("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "2021-08-01T11:04:17.123Z"), Some(MOMENT));
    assert_eq!(parsed("yyyyMMddHHmmssSSS", "20210801110417123"), Some(MOMENT));
    assert_eq!(parsed("yyyy-MM-dd HH:mm:ss Z", "2021-08-01 13:04:17 +0200"), Some(1_627_815_857_000));
    assert_eq!(parsed("yyyy-MM-dd'T'HH:mm:ssXXX", "2021-08-01T13:04:17+02:00"), Some(1_627_815_857_000));
    assert_eq!(parsed("EEE, d MMM yyyy hh:mm:ss a", "Sun, 1 august 2021 11:04:17 am"), Some(1_627_815_857_000));
    assert_eq!(parsed("yyyy-MM-dd", "2021-07-32"), parsed("yyyy-MM-dd", "2021-08-01 and more"));
    assert_eq!(parsed("yyyy-MM-dd", "01.08.2021"), None);
    assert_eq!(parsed("yyyy-MM-dd", ""), None);
    assert_eq!(parsed("HH:mm", "01:30"), Some(5_400_000));
    assert_eq!(parsed("yyyy-DDD", "2021-213"), parsed("yyyy-MM-dd", "2021-08-01"));
}

#[test]
fn days_come_back_over_centuries() {
    let format = DateFormat::new("yyyy-MM-dd G").unwrap();
    for day in (-800_000..3_000_000).step_by(97) {
        let millis = day * MILLIS_PER_DAY;
        assert_eq!(format.parse(&format.format(millis)), Ok(millis), "{day}");
    }
}

#[test]
fn moments_are_those_of_the_original() {
    let mut differences = Vec::new();
    for line in include_str!("../../../tests/golden/date.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let format = DateFormat::new(case["pattern"].as_str().unwrap());
        let ours = match (format, &case["millis"], &case["text"]) {
            (Err(error), ..) => error.to_string(),
            (Ok(format), serde_json::Value::Number(millis), _) => format.format(millis.as_i64().unwrap()),
            (Ok(format), _, text) => match format.parse(text.as_str().unwrap()) {
                Ok(millis) => millis.to_string(),
                Err(error) => error.to_string(),
            },
        };
        let theirs = match (&case["error"], &case["outcome"]) {
            (serde_json::Value::String(error), _) => error.clone(),
            (_, serde_json::Value::String(text)) => text.clone(),
            (_, other) => other.to_string(),
        };
        if ours != theirs {
            differences.push(format!("{line}\n  ours {ours}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
