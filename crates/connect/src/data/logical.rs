//! Logical types: names of schemas that give a physical type a meaning (Kafka Connect's `Decimal`, `Date`, `Time`,
//! `Timestamp`).

use super::{Kind, Schema};

/// Arbitrary precision decimal: BYTES, unscaled value, big-endian two's complement.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// Days since the epoch: INT32.
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
/// Milliseconds since midnight: INT32.
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
/// Milliseconds since the epoch: INT64.
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
/// Parameter of [`DECIMAL`]: digits after the point, may be negative.
pub const SCALE: &str = "scale";

/// A decimal with `scale` digits after the point.
pub fn decimal(scale: i32) -> Schema {
    Schema::new(Kind::Bytes).named(DECIMAL).versioned(1).parameter(SCALE, scale.to_string())
}

/// A day.
pub fn date() -> Schema {
    Schema::new(Kind::Int32).named(DATE).versioned(1)
}

/// A time of the day.
pub fn time() -> Schema {
    Schema::new(Kind::Int32).named(TIME).versioned(1)
}

/// A moment.
pub fn timestamp() -> Schema {
    Schema::new(Kind::Int64).named(TIMESTAMP).versioned(1)
}
