//! Functions of numbers.

use bigdecimal::{BigDecimal, RoundingMode};

use super::{Call, Category, Registry};
use crate::expression::EvalError;
use crate::types::{DecimalType, SqlType};
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    doubles(registry);
    pairs(registry);
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
            let body: super::ScalarBody = |c| {
                let body: fn(f64) -> f64 = $body;
                Ok(Value::Double(body(c.double(0))))
            };
            $registry
                .scalar(Category::Mathematical, $name, $description)
                .strict("(value INT) DOUBLE", body)
                .strict("(value BIGINT) DOUBLE", body)
                .strict("(value DOUBLE) DOUBLE", body);
        )*
    };
}

fn doubles(registry: &mut Registry) {
    double_functions!(registry,
        "acos", "The angle in radians whose cosine is the value.", libm::acos;
        "asin", "The angle in radians whose sine is the value.", libm::asin;
        "atan", "The angle in radians whose tangent is the value.", libm::atan;
        "cbrt", "The cube root of the value.", cbrt;
        "cos", "The cosine of an angle in radians.", f64::cos;
        "cosh", "The hyperbolic cosine of the value.", cosh;
        "cot", "The cotangent of an angle in radians.", |angle| 1.0 / angle.tan();
        "degrees", "An angle in radians as degrees.", |angle| angle * DEGREES_OF_RADIAN;
        "exp", "The exponential of the value: e raised to it.", f64::exp;
        "ln", "The natural logarithm of the value.", f64::ln;
        "radians", "An angle in degrees as radians.", |angle| angle * RADIANS_OF_DEGREE;
        "sin", "The sine of an angle in radians.", f64::sin;
        "sinh", "The hyperbolic sine of the value.", libm::sinh;
        "sqrt", "The square root of the value.", f64::sqrt;
        "tan", "The tangent of an angle in radians.", f64::tan;
        "tanh", "The hyperbolic tangent of the value.", f64::tanh;
    );
    registry
        .scalar(Category::Mathematical, "pi", "The ratio of a circle's circumference to its diameter.")
        .strict("() DOUBLE", |_| Ok(Value::Double(std::f64::consts::PI)));
    registry
        .scalar(Category::Mathematical, "random", "A random number from 0.0, inclusive, to 1.0, exclusive.")
        .strict("() DOUBLE", |_| Ok(Value::Double(rand::random())));
}

/// Functions of two numbers, which must be of one type.
fn pairs(registry: &mut Registry) {
    let atan2: super::ScalarBody = |c| Ok(Value::Double(libm::atan2(c.double(0), c.double(1))));
    registry
        .scalar(Category::Mathematical, "atan2", "The angle in radians of the point (x, y).")
        .strict("(y INT, x INT) DOUBLE", atan2)
        .strict("(y BIGINT, x BIGINT) DOUBLE", atan2)
        .strict("(y DOUBLE, x DOUBLE) DOUBLE", atan2);
    let natural: super::ScalarBody = |c| Ok(Value::Double(c.double(0).ln()));
    let logarithm: super::ScalarBody = |c| {
        let base = c.double(0);
        let logarithm = if base <= 0.0 || base == 1.0 { f64::NAN } else { c.double(1).ln() / base.ln() };
        Ok(Value::Double(logarithm))
    };
    registry
        .scalar(Category::Mathematical, "log", "The logarithm of the value, natural unless a base is given.")
        .strict("(value INT) DOUBLE", natural)
        .strict("(value BIGINT) DOUBLE", natural)
        .strict("(value DOUBLE) DOUBLE", natural)
        .strict("(base INT, value INT) DOUBLE", logarithm)
        .strict("(base BIGINT, value BIGINT) DOUBLE", logarithm)
        .strict("(base DOUBLE, value DOUBLE) DOUBLE", logarithm);
    let power: super::ScalarBody = |c| Ok(Value::Double(power(c.double(0), c.double(1))));
    registry
        .scalar(Category::Mathematical, "power", "The base raised to the exponent.")
        .strict("(base INT, exponent INT) DOUBLE", power)
        .strict("(base BIGINT, exponent BIGINT) DOUBLE", power)
        .strict("(base DOUBLE, exponent DOUBLE) DOUBLE", power);
}

/// The hyperbolic cosine with the digits that Java gives: what fdlibm does between small and large values.
fn cosh(value: f64) -> f64 {
    const HALF_LN_2: f64 = std::f64::consts::LN_2 / 2.0;
    let x = value.abs();
    if !(HALF_LN_2..22.0).contains(&x) {
        return value.cosh();
    }
    let exponential = libm::exp(x);
    0.5 * exponential + 0.5 / exponential
}

/// The cube root with the digits that Java gives: fdlibm's algorithm, whose last bit may differ from the nearest one.
fn cbrt(value: f64) -> f64 {
    const TWO_54: f64 = 18_014_398_509_481_984.0;
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let x = value.abs();
    let high_word = |number: f64| (number.to_bits() >> 32) as u32;
    let of_high_word = |word: u32| f64::from_bits(u64::from(word) << 32);
    // A third of the exponent is a root of five bits, a rational function one of 23.
    let rough = if x.is_normal() {
        of_high_word(high_word(x) / 3 + 715_094_163)
    } else {
        of_high_word(high_word(x * TWO_54) / 3 + 696_219_795)
    };
    let s = 19.0 / 35.0 + rough * rough / x * rough;
    let better = rough * (5.0 / 14.0 + 45.0 / 28.0 / (s + 99.0 / 70.0 - 864.0 / 1225.0 / s));
    // Cut to 20 bits, and a little too large; one step of Newton's gives the rest.
    let root = of_high_word(high_word(better) + 1);
    let quotient = x / (root * root);
    (root + root * ((quotient - root) / (root + root + quotient))).copysign(value)
}

/// As Java has it: 1 raised to what is no number is none, and so is 1 or -1 raised to an infinity.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) { f64::NAN } else { base.powf(exponent) }
}

fn signs(registry: &mut Registry) {
    registry
        .scalar(Category::Mathematical, "Abs", "The value without its sign.")
        .strict("(val INT) INT", |c| Ok(Value::Int(c.int(0).wrapping_abs())))
        .strict("(val BIGINT) BIGINT", |c| Ok(Value::Bigint(c.long(0).wrapping_abs())))
        .strict("(val DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).abs())))
        .strict("(val DECIMAL) DECIMAL", |c| Ok(Value::decimal(c.decimal(0).abs())));
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
        .scalar(Category::Mathematical, "Ceil", "The smallest whole number that is not less than the value.")
        .strict("(val INT) INT", |c| Ok(c.value(0).clone()))
        .strict("(val BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(val DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).ceil())))
        .strict("(val DECIMAL) DECIMAL", |c| decimal(c, 0, RoundingMode::Ceiling));
    registry
        .scalar(Category::Mathematical, "Floor", "The largest whole number that is not greater than the value.")
        .strict("(val INT) INT", |c| Ok(c.value(0).clone()))
        .strict("(val BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(val DOUBLE) DOUBLE", |c| Ok(Value::Double(c.double(0).floor())))
        .strict("(val DECIMAL) DECIMAL", |c| decimal(c, 0, RoundingMode::Floor));
    registry
        .scalar(
            Category::Mathematical,
            "Round",
            "The value rounded to the nearest whole number, or to the given number of digits behind the point; halves \
             go up.",
        )
        .strict("(val BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(val INT) BIGINT", |c| Ok(Value::Bigint(c.long(0))))
        .strict("(val DOUBLE) BIGINT", |c| Ok(Value::Bigint(round_up(c.double(0)) as i64)))
        .strict("(val DOUBLE, decimalPlaces INT) DOUBLE", |c| double(c, half_up))
        .strict("(val DECIMAL) DECIMAL", |c| {
            let value = c.decimal(0);
            Ok(Value::decimal(value.with_scale_round(0, half_up(&value))))
        })
        .returning(whole_type)
        .strict("(val DECIMAL, decimalPlaces INT) DECIMAL", |c| {
            let mode = half_up(&c.decimal(0));
            decimal(c, i64::from(c.int(1)), mode)
        });
    registry
        .scalar(
            Category::Mathematical,
            "trunc",
            "The value without its fraction, or with only the given number of digits behind the point.",
        )
        .strict("(val BIGINT) BIGINT", |c| Ok(c.value(0).clone()))
        .strict("(val INT) BIGINT", |c| Ok(Value::Bigint(c.long(0))))
        .strict("(val DOUBLE) BIGINT", |c| Ok(Value::Bigint(c.double(0).trunc() as i64)))
        .strict("(val DOUBLE, decimalPlaces INT) DOUBLE", |c| double(c, |_| RoundingMode::Down))
        .strict("(val DECIMAL) DECIMAL", |c| Ok(Value::decimal(c.decimal(0).with_scale_round(0, RoundingMode::Down))))
        .returning(whole_type)
        .strict("(val DECIMAL, decimalPlaces INT) DECIMAL", |c| decimal(c, i64::from(c.int(1)), RoundingMode::Down));
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

fn double(c: &Call<'_>, mode: fn(&BigDecimal) -> RoundingMode) -> Result<Value, EvalError> {
    let digits = i64::from(c.int(1)).clamp(-400, 400);
    let value = c.value(0).as_decimal().ok_or_else(|| EvalError::new("Infinite or NaN"))?;
    let rounded = value.with_scale_round(digits, mode(&value));
    Ok(Value::decimal(rounded).as_f64().map_or(Value::Null, Value::Double))
}

/// The type of a decimal without its fraction.
fn whole_type(arguments: &[Option<SqlType>]) -> Result<SqlType, String> {
    match arguments.first() {
        Some(Some(SqlType::Decimal(decimal))) => SqlType::decimal(decimal.whole_digits(), 0).map_err(|error| error.0),
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
            .nullable("(val INT, vals INT...) INT", pick)
            .nullable("(val BIGINT, vals BIGINT...) BIGINT", pick)
            .nullable("(val DOUBLE, vals DOUBLE...) DOUBLE", pick)
            .nullable("(val DECIMAL, vals DECIMAL...) DECIMAL", |c| {
                let pick: super::ScalarBody = $pick;
                let scale = c.info.return_type.as_decimal().map_or(0, |decimal| decimal.scale);
                Ok(match pick(c)? {
                    Value::Decimal(found) => Value::decimal(crate::value::round_half_up(&found, scale)),
                    other => other,
                })
            })
            .returning(widest_decimal)
            .nullable("(val STRING, vals STRING...) STRING", pick)
            .nullable("(val BYTES, vals BYTES...) BYTES", pick)
            .nullable("(val DATE, vals DATE...) DATE", pick)
            .nullable("(val TIME, vals TIME...) TIME", pick)
            .nullable("(val TIMESTAMP, vals TIMESTAMP...) TIMESTAMP", pick);
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
