//! Functions of numbers.

use bigdecimal::{BigDecimal, RoundingMode};

use super::{Call, Category, Registry};
use crate::expression::EvalError;
use crate::types::{DecimalType, SqlType};
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    doubles(registry);
    signs(registry);
    rounding(registry);
    extremes(registry);
}

/// Degrees of a radian, and radians of a degree: factors that give the digits that Java gives.
const DEGREES_OF_RADIAN: f64 = 57.295_779_513_082_32;
const RADIANS_OF_DEGREE: f64 = 0.017_453_292_519_943_295;

macro_rules! double_functions {
    ($registry:expr, $($name:literal, $description:literal, $body:expr;)*) => {
        $(
            $registry.scalar(Category::Mathematical, $name, $description).strict("(value DOUBLE) DOUBLE", |c| {
                let body: fn(f64) -> f64 = $body;
                Ok(Value::Double(body(c.double(0))))
            });
        )*
    };
}

fn doubles(registry: &mut Registry) {
    double_functions!(registry,
        "ACOS", "The angle in radians whose cosine is the value.", f64::acos;
        "ASIN", "The angle in radians whose sine is the value.", f64::asin;
        "ATAN", "The angle in radians whose tangent is the value.", f64::atan;
        "CBRT", "The cube root of the value.", f64::cbrt;
        "COS", "The cosine of an angle in radians.", f64::cos;
        "COSH", "The hyperbolic cosine of the value.", f64::cosh;
        "COT", "The cotangent of an angle in radians.", |angle| 1.0 / angle.tan();
        "DEGREES", "An angle in radians as degrees.", |angle| angle * DEGREES_OF_RADIAN;
        "exp", "The exponential of the value: e raised to it.", f64::exp;
        "ln", "The natural logarithm of the value.", f64::ln;
        "RADIANS", "An angle in degrees as radians.", |angle| angle * RADIANS_OF_DEGREE;
        "SIN", "The sine of an angle in radians.", f64::sin;
        "SINH", "The hyperbolic sine of the value.", f64::sinh;
        "sqrt", "The square root of the value.", f64::sqrt;
        "TAN", "The tangent of an angle in radians.", f64::tan;
        "TANH", "The hyperbolic tangent of the value.", f64::tanh;
    );
    registry
        .scalar(Category::Mathematical, "ATAN2", "The angle in radians of the point (x, y).")
        .strict("(y DOUBLE, x DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).atan2(c.double(1)))));
    registry
        .scalar(Category::Mathematical, "LOG", "The logarithm of the value, natural unless a base is given.")
        .strict("(value DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).ln())))
        .strict("(base DOUBLE, value DOUBLE) DOUBLE", |c| {
            let base = c.double(0);
            let logarithm = if base <= 0.0 || base == 1.0 { f64::NAN } else { c.double(1).ln() / base.ln() };
            Ok(Value::Double(logarithm))
        });
    registry
        .scalar(Category::Mathematical, "PI", "The ratio of a circle's circumference to its diameter.")
        .strict("() DOUBLE", |_| Ok(Value::Double(std::f64::consts::PI)));
    registry
        .scalar(Category::Mathematical, "POWER", "The base raised to the exponent.")
        .strict("(base DOUBLE, exponent DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).powf(c.double(1)))));
    registry
        .scalar(Category::Mathematical, "RANDOM", "A random number from 0.0, inclusive, to 1.0, exclusive.")
        .strict("() DOUBLE", |_| Ok(Value::Double(rand::random())));
}

fn signs(registry: &mut Registry) {
    registry
        .scalar(Category::Mathematical, "abs", "The value without its sign.")
        .strict("(value INT) INT", |c| Ok(Value::Int(c.int(0).wrapping_abs())))
        .strict("(value BIGINT) BIGINT", |c| Ok(Value::Bigint(c.long(0).wrapping_abs())))
        .strict("(value DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).abs())))
        .strict("(value DECIMAL) DECIMAL", |c| Ok(Value::decimal(c.decimal(0).abs())));
    registry
        .scalar(Category::Mathematical, "sign", "-1, 0 or 1: the sign of the value.")
        .strict("(value INT) INT", |c| Ok(Value::Int(c.int(0).signum())))
        .strict("(value BIGINT) INT", |c| Ok(Value::Int(c.long(0).signum() as i32)))
        .strict("(value DOUBLE) INT", |c| {
            let value = c.double(0);
            Ok(Value::Int(i32::from(value > 0.0) - i32::from(value < 0.0)))
        });
}

fn rounding(registry: &mut Registry) {
    registry
        .scalar(Category::Mathematical, "ceil", "The smallest whole number that is not less than the value.")
        .strict("(value INT) INT", |c| Ok(c.value(0).clone()))
        .strict("(value BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(value DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).ceil())))
        .strict("(value DECIMAL) DECIMAL", |c| decimal(c, 0, RoundingMode::Ceiling));
    registry
        .scalar(Category::Mathematical, "floor", "The largest whole number that is not greater than the value.")
        .strict("(value INT) INT", |c| Ok(c.value(0).clone()))
        .strict("(value BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(value DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).floor())))
        .strict("(value DECIMAL) DECIMAL", |c| decimal(c, 0, RoundingMode::Floor));
    registry
        .scalar(
            Category::Mathematical,
            "round",
            "The value rounded to the nearest whole number, or to the given number of digits behind the point; halves \
             go up.",
        )
        .strict("(value BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(value DOUBLE) BIGINT", |c| Ok(Value::Bigint(round_up(c.double(0)) as i64)))
        .strict("(value DOUBLE, digits INT) DOUBLE", |c| Ok(double(c, half_up)))
        .strict("(value DECIMAL) DECIMAL", |c| {
            let value = c.decimal(0);
            Ok(Value::decimal(value.with_scale_round(0, half_up(&value))))
        })
        .returning(whole_type)
        .strict("(value DECIMAL, digits INT) DECIMAL", |c| {
            let mode = half_up(&c.decimal(0));
            decimal(c, i64::from(c.int(1)), mode)
        });
    registry
        .scalar(
            Category::Mathematical,
            "trunc",
            "The value without its fraction, or with only the given number of digits behind the point.",
        )
        .strict("(value BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(value DOUBLE) BIGINT", |c| Ok(Value::Bigint(c.double(0).trunc() as i64)))
        .strict("(value DOUBLE, digits INT) DOUBLE", |c| Ok(double(c, |_| RoundingMode::Down)))
        .strict("(value DECIMAL) DECIMAL", |c| Ok(Value::decimal(c.decimal(0).with_scale_round(0, RoundingMode::Down))))
        .returning(whole_type)
        .strict("(value DECIMAL, digits INT) DECIMAL", |c| decimal(c, i64::from(c.int(1)), RoundingMode::Down));
}

/// The nearest whole number, halves towards positive infinity. Adding 0.5 would round by itself.
fn round_up(value: f64) -> f64 {
    let below = value.floor();
    if value - below >= 0.5 { below + 1.0 } else { below }
}

/// Halves go towards positive infinity.
fn half_up(value: &BigDecimal) -> RoundingMode {
    if value.sign() == bigdecimal::num_bigint::Sign::Minus { RoundingMode::HalfDown } else { RoundingMode::HalfUp }
}

/// The first argument rounded to that many digits, in the scale of its type.
fn decimal(c: &Call<'_>, digits: i64, mode: RoundingMode) -> Result<Value, EvalError> {
    let scale = c.argument_type(0).as_decimal().map_or(0, |decimal| i64::from(decimal.scale));
    let rounded = c.decimal(0).with_scale_round(digits.clamp(-1000, 1000), mode);
    Ok(Value::decimal(rounded.with_scale(scale)))
}

fn double(c: &Call<'_>, mode: fn(&BigDecimal) -> RoundingMode) -> Value {
    let digits = i64::from(c.int(1)).clamp(-400, 400);
    match c.value(0).as_decimal() {
        Some(value) => {
            let rounded = value.with_scale_round(digits, mode(&value));
            Value::decimal(rounded).as_f64().map_or(Value::Null, Value::Double)
        }
        None => c.value(0).clone(),
    }
}

/// The type of a decimal without its fraction.
fn whole_type(arguments: &[Option<SqlType>]) -> Result<SqlType, String> {
    match arguments.first() {
        Some(Some(SqlType::Decimal(decimal))) => {
            Ok(SqlType::Decimal(DecimalType { precision: decimal.whole_digits().max(1), scale: 0 }))
        }
        _ => Err("The argument must be a DECIMAL".to_owned()),
    }
}

/// The type that holds every decimal argument.
fn widest_decimal(arguments: &[Option<SqlType>]) -> Result<SqlType, String> {
    let decimals = arguments.iter().flatten().filter_map(SqlType::as_decimal);
    decimals.reduce(DecimalType::widest).map(SqlType::Decimal).ok_or_else(|| "All arguments are null".to_owned())
}

macro_rules! extreme_functions {
    ($registry:expr, $name:literal, $description:literal, $pick:expr) => {{
        let pick: super::ScalarBody = $pick;
        $registry
            .scalar(Category::Mathematical, $name, $description)
            .nullable("(first INT, rest INT...) INT", pick)
            .nullable("(first BIGINT, rest BIGINT...) BIGINT", pick)
            .nullable("(first DOUBLE, rest DOUBLE...) DOUBLE", pick)
            .nullable("(first DECIMAL, rest DECIMAL...) DECIMAL", |c| {
                let pick: super::ScalarBody = $pick;
                let scale = c.info.return_type.as_decimal().map_or(0, |decimal| decimal.scale);
                Ok(match pick(c)? {
                    Value::Decimal(found) => Value::decimal(crate::value::round_half_up(&found, scale)),
                    other => other,
                })
            })
            .returning(widest_decimal)
            .nullable("(first STRING, rest STRING...) STRING", pick)
            .nullable("(first BYTES, rest BYTES...) BYTES", pick)
            .nullable("(first DATE, rest DATE...) DATE", pick)
            .nullable("(first TIME, rest TIME...) TIME", pick)
            .nullable("(first TIMESTAMP, rest TIMESTAMP...) TIMESTAMP", pick);
    }};
}

fn extremes(registry: &mut Registry) {
    extreme_functions!(registry, "greatest", "The greatest of the values; nulls are left out.", |c| {
        Ok(c.arguments.iter().filter(|value| !value.is_null()).max().cloned().unwrap_or_default())
    });
    extreme_functions!(registry, "least", "The least of the values; nulls are left out.", |c| {
        Ok(c.arguments.iter().filter(|value| !value.is_null()).min().cloned().unwrap_or_default())
    });
}
