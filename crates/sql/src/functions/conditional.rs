//! Functions that choose, and those that belong nowhere else.

use super::{Category, Registry};
use crate::expression::EvalError;
use crate::value::Value;

/// Mean radius of the earth in kilometres and miles, as users' results assume it.
const EARTH_KM: f64 = 6371.0;
const EARTH_MILES: f64 = 3959.0;

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(Category::Conditional, "COALESCE", "The first of the values that is not null.")
        .nullable("(first T, others T...) T", |c| {
            Ok(c.arguments.iter().find(|value| !value.is_null()).cloned().unwrap_or_default())
        });
    registry
        .scalar(Category::Conditional, "IFNULL", "The value, or the alternative where the value is null.")
        .nullable("(expression T, altValue T) T", |c| Ok(c.value(usize::from(c.is_null(0))).clone()));
    registry
        .scalar(Category::Conditional, "NULLIF", "The first value, or null where both are equal.")
        .nullable("(expr1 T, expr2 T) T", |c| {
            Ok(if c.value(0) == c.value(1) { Value::Null } else { c.value(0).clone() })
        });
    registry
        .scalar(
            Category::Other,
            "AS_VALUE",
            "The value itself, as a column of the value: a way to have a copy of a key column there.",
        )
        .nullable("(keyColumn T) T", |c| Ok(c.value(0).clone()));
    registry
        .scalar(
            Category::Other,
            "geo_distance",
            "The distance between two points on the earth, given in degrees, along a great circle; in kilometres unless \
             the unit is 'MI'.",
        )
        .strict("(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE) DOUBLE", |c| {
            Ok(Value::Double(great_circle([c.double(0), c.double(1), c.double(2), c.double(3)], EARTH_KM)?))
        })
        .nullable("(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE, units STRING) DOUBLE", |c| {
            if (0..4).any(|index| c.is_null(index)) {
                return Ok(Value::Null);
            }
            let radius = match c.str(4).trim().to_lowercase().as_str() {
                "" | "km" | "kilometer" | "kilometers" | "kilometre" | "kilometres" => EARTH_KM,
                "mi" | "mile" | "miles" => EARTH_MILES,
                other => {
                    return Err(EvalError::new(format!(
                        "GeoDistance function units parameter must be one of mi, mile, miles, km, kilometer, kilometers, \
                         kilometre, or kilometres. Values was: {other}"
                    )));
                }
            };
            Ok(Value::Double(great_circle([c.double(0), c.double(1), c.double(2), c.double(3)], radius)?))
        });
}

/// Degrees as radians, in the order of operations that gives users the digits they know.
fn radians(degrees: f64) -> f64 {
    degrees / 180.0 * std::f64::consts::PI
}

/// The haversine formula.
fn great_circle([lat1, lon1, lat2, lon2]: [f64; 4], radius: f64) -> Result<f64, EvalError> {
    if lat1.abs() > 90.0 || lat2.abs() > 90.0 {
        return Err(EvalError::new("valid latitude values for GeoDistance function are in the range of -90 to 90"));
    }
    if lon1.abs() > 180.0 || lon2.abs() > 180.0 {
        return Err(EvalError::new("valid longitude values for GeoDistance function are in the range of -180 to +180"));
    }
    let (delta_lat, delta_lon) = (radians(lat2 - lat1), radians(lon2 - lon1));
    let a =
        (delta_lat / 2.0).sin().powi(2) + (delta_lon / 2.0).sin().powi(2) * radians(lat1).cos() * radians(lat2).cos();
    Ok(radius * 2.0 * a.sqrt().asin())
}
