//! Tests of patterns, with texts as Java prints and reads them.

use super::*;

fn format(ms: i64, zone: &str, pattern: &str) -> String {
    Pattern::new(pattern).unwrap().format(&Fields::of_timestamp(ms, zone).unwrap()).unwrap()
}

#[test]
fn timestamps_print_in_their_zone() {
    let ms = 1_526_075_913_000;
    assert_eq!(format(ms, "UTC", "yyyy-MM-dd'T'HH:mm:ss.SSSX"), "2018-05-11T21:58:33.000Z");
    assert_eq!(format(ms, "Europe/London", "yyyy-MM-dd HH:mm:ss zzz"), "2018-05-11 22:58:33 BST");
    assert_eq!(format(ms, "+02:00", "HH:mm xxx XX"), "23:58 +02:00 +0200");
    assert_eq!(format(ms, "UTC", "EEE, d MMM uuuu h:mm a"), "Fri, 11 May 2018 9:58 PM");
    assert_eq!(format(ms, "UTC", "EEEE MMMM D yy ''SSSSSS"), "Friday May 131 18 '000000");
    assert_eq!(format(ms, "America/New_York", "VV"), "America/New_York");
}

#[test]
fn weeks_begin_with_sunday() {
    // Friday 2021-12-31, Saturday 2022-01-01, Sunday 2022-01-02.
    let day = 86_400_000;
    let friday = 18_992 * day;
    assert_eq!(format(friday, "UTC", "yyyy YYYY w W e"), "2021 2022 1 5 6");
    assert_eq!(format(friday + day, "UTC", "yyyy YYYY w W e"), "2022 2022 1 1 7");
    assert_eq!(format(friday + 2 * day, "UTC", "yyyy YYYY w W e"), "2022 2022 2 2 1");
}

#[test]
fn texts_are_read_back() {
    let parse = |text, pattern| parse_timestamp(text, pattern, "UTC");
    assert_eq!(parse("2018-05-11T21:58:33.250Z", "yyyy-MM-dd'T'HH:mm:ss.SSSX"), Ok(1_526_075_913_250));
    assert_eq!(parse("2019-08-27T13:31:09.2+0000", "yyyy-MM-dd'T'HH:mm:ss.SX"), Ok(1_566_912_669_200));
    assert_eq!(parse("20180511215833", "yyyyMMddHHmmss"), Ok(1_526_075_913_000));
    assert_eq!(parse("11/May/18 09:58:33 PM", "dd/MMM/yy hh:mm:ss a"), Ok(1_526_075_913_000));
    assert_eq!(parse("2018", "yyyy"), Ok(1_514_764_800_000));
    assert_eq!(parse("2018-05-11 22:58:33 Europe/London", "yyyy-MM-dd HH:mm:ss VV"), Ok(1_526_075_913_000));
    assert_eq!(parse_timestamp("2018-05-11 22:58", "yyyy-MM-dd HH:mm", "Europe/London"), Ok(1_526_075_880_000));
}

#[test]
fn optional_parts_may_be_missing() {
    let pattern = "yyyy-MM-dd[ HH:mm[:ss]]";
    assert_eq!(parse_timestamp("1970-01-02", pattern, "UTC"), Ok(86_400_000));
    assert_eq!(parse_timestamp("1970-01-01 00:01", pattern, "UTC"), Ok(60_000));
    assert_eq!(parse_timestamp("1970-01-01 00:01:01", pattern, "UTC"), Ok(61_000));
}

#[test]
fn what_does_not_follow_the_pattern_is_told() {
    assert!(parse_timestamp("1970-1-1", "yyyy-MM-dd", "UTC").unwrap_err().0.contains("at index 5"));
    assert!(parse_timestamp("1970-01-01x", "yyyy-MM-dd", "UTC").unwrap_err().0.contains("unparsed text"));
    assert!(Pattern::new("bb").unwrap_err().0.contains("Unknown pattern letter: b"));
    assert!(Pattern::new("'x").is_err());
    assert!(Pattern::new("HH").unwrap().format(&Fields::of_date(0)).is_err());
    assert!(offset_at(0, "Nowhere/Else").is_err());
}
