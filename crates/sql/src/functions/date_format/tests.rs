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

#[test]
fn letters_stand_as_often_as_they_mean_something() {
    for pattern in ["ddd", "V", "OO", "hhh", "aa", "cc", "SSSSSSSSSS", "MMMMMM", "www", "p", "pp-", "v"] {
        assert!(Pattern::new(pattern).is_err(), "{pattern}");
    }
    let ms = 1_526_075_913_000;
    assert_eq!(format(ms, "UTC", "GGGG QQQQ qqq F g"), "Anno Domini 2nd quarter Q2 4 58249");
    assert_eq!(format(ms, "UTC", "pppd|ppppH|ppm"), " 11|  21|58");
    assert_eq!(format(ms, "America/New_York", "h B"), "5 in the afternoon");
    assert_eq!(format(-62_167_219_200_001, "UTC", "uuuu uu yyyy"), "-0001 01 0002");
    assert_eq!(format(253_402_300_800_000, "Europe/London", "uuuu-MM-dd zzz"), "+10000-01-01 GMT");
}

#[test]
fn zones_are_called_as_java_writes_them() {
    let zone = |zone| format(0, zone, "VV z xxx");
    assert_eq!(zone("UTC+2"), "UTC+02:00 UTC+02:00 +02:00");
    assert_eq!(zone("+0530"), "+05:30 +05:30 +05:30");
    assert_eq!(zone("Z"), "Z Z +00:00");
    for unknown in ["europe/london", "EST", "+25", "+5:30", "UTC+", "Mars/Olympus"] {
        assert!(Fields::of_timestamp(0, unknown).is_err(), "{unknown}");
    }
}

#[test]
fn fields_of_texts_agree_with_each_other() {
    let parse = |text, pattern| parse_timestamp(text, pattern, "UTC");
    for (text, pattern, ms) in [
        ("2021-01-01 24:00", "yyyy-MM-dd HH:mm", 1_609_545_600_000),
        ("2021-02-31", "yyyy-MM-dd", 1_614_470_400_000),
        ("2021-W05-3", "YYYY-'W'ww-e", 1_611_619_200_000),
        ("2021-02 1 3", "yyyy-MM W e", 1_612_224_000_000),
        ("Wed", "EEE", -86_400_000),
        ("+12021-01-01", "yyyy-MM-dd", 317_178_979_200_000),
        ("1530", "Hmm", 55_800_000),
        ("2021-02-03T04:05:06z", "yyyy-MM-dd'T'HH:mm:ssXXX", 1_612_325_106_000),
        ("2021-02-03T04:05:06GMT+1:30", "yyyy-MM-dd'T'HH:mm:ssO", 1_612_319_706_000),
        ("2021-02-03  4", "yyyy-MM-dd ppH", 1_612_324_800_000),
        ("2021-02-03 04:05 AEDT", "yyyy-MM-dd HH:mm z", 1_612_285_500_000),
    ] {
        assert_eq!(parse(text, pattern), Ok(ms), "{text}");
    }
    for (text, pattern) in [
        ("2021-01-32", "yyyy-MM-dd"),
        ("12021-01-01", "yyyy-MM-dd"),
        ("0000-01-01", "yyyy-MM-dd"),
        ("02-29", "MM-dd"),
        ("2021 366", "yyyy DDD"),
        ("Thu 3 Feb 2021", "EEE d MMM yyyy"),
        ("2021-02-03 2", "yyyy-MM-dd Q"),
        ("2021-02-03 2020", "yyyy-MM-dd yyyy"),
        ("13:00 PM", "hh:mm a"),
        ("05 PM", "HH a"),
        ("20211", "yyyyM"),
        ("2021-02-03T04:05:06+01:00", "yyyy-MM-dd'T'HH:mm:ssX"),
        ("2021-02-03T04:05:06Z", "yyyy-MM-dd'T'HH:mm:ssZ"),
    ] {
        assert!(parse(text, pattern).is_err(), "{text}");
    }
}

#[test]
fn local_times_that_come_twice_or_never_are_found() {
    let parse = |text| parse_timestamp(text, "yyyy-MM-dd HH:mm", "Europe/Berlin");
    assert_eq!(parse("2021-10-31 02:30"), Ok(1_635_640_200_000));
    assert_eq!(parse("2021-03-28 02:30"), Ok(1_616_895_000_000));
}

#[test]
fn optional_parts_nest_so_deep_and_no_deeper() {
    let nested = |depth: usize| Pattern::new(&("[".repeat(depth) + "yyyy" + &"]".repeat(depth)));
    assert!(nested(100).is_ok());
    assert!(nested(101).is_err());
    assert!(Pattern::new(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn times_that_no_number_of_milliseconds_names_are_refused() {
    let parse = |text: &str, pattern| parse_timestamp(text, pattern, "UTC").map_err(|error| error.to_string());
    for year in ["999999999", "-999999999"] {
        let error = parse(&format!("{year}-01-01"), "uuuuuuuuu-MM-dd").unwrap_err();
        assert!(error.contains("long overflow"), "{error}");
    }
    // The last day that there is, whose end only offsets reach.
    assert!(parse("292278994-08-17T07:12:55Z", "uuuuuuuuu-MM-dd'T'HH:mm:ssX").is_ok());
    assert!(parse("292278994-08-17T07:12:55-18:00", "uuuuuuuuu-MM-dd'T'HH:mm:ssXXX").is_err());
}
