//! Random values by an Avro schema whose `arg.properties` say from which range, list or pattern they come.

use std::sync::Arc;

use milena_sql::ast::Name;
use milena_sql::types::{SqlType, StructField, StructType};
use milena_sql::value::{MapValue, Value};
use rand::Rng;
use serde_json::Value as Json;

use super::pattern::Pattern;

/// Elements of arrays and maps, characters of strings, where the schema does not say.
const USUAL_LENGTH: (usize, usize) = (1, 16);
/// More than that is a mistake.
const LENGTH_MAX: usize = 1 << 20;

/// Makes the values of a field.
#[derive(Debug)]
pub struct Generator {
    kind: Kind,
    /// What `iteration` has come to.
    next: f64,
}

#[derive(Debug)]
enum Kind {
    Boolean,
    /// From the first number up to, but not including, the second.
    Number(f64, f64),
    /// Start, step, and where it starts again.
    Iteration(f64, f64, Option<f64>),
    Options(Vec<Json>),
    Pattern(Pattern),
    Text(usize, usize),
    Bytes(usize, usize),
    Array(Box<Generator>, usize, usize),
    Map(Box<Generator>, usize, usize),
    Record(Vec<Generator>),
}

/// The fields of a record, in their order, and its values.
///
/// # Errors
/// Words about what is no such schema.
pub fn record(schema: &Json) -> Result<(StructType, Generator), String> {
    match any(schema)? {
        (SqlType::Struct(fields), generator) => Ok((StructType::clone(&fields), generator)),
        _ => Err("the schema is not that of an Avro record".to_owned()),
    }
}

/// The fields of a record, in order, with their values.
fn fields(schema: &Json) -> Result<Vec<(StructField, Generator)>, String> {
    let fields = schema["fields"].as_array().ok_or("a record has no fields")?;
    let field = |field: &Json| {
        let name = field["name"].as_str().ok_or("a field has no name")?;
        let (field_type, generator) = any(&field["type"]).map_err(|reason| format!("field {name}: {reason}"))?;
        Ok((StructField { name: Name::from(name), field_type }, generator))
    };
    fields.iter().map(field).collect()
}

/// The type of a schema, and its values.
fn any(schema: &Json) -> Result<(SqlType, Generator), String> {
    let name = match schema {
        Json::String(name) => name.as_str(),
        Json::Array(options) => {
            let mut known = options.iter().filter(|option| *option != "null");
            return match (known.next(), known.next()) {
                (Some(only), None) => any(only),
                _ => Err("a union is of null and one type".to_owned()),
            };
        }
        Json::Object(members) => match members.get("type") {
            Some(Json::String(name)) => name.as_str(),
            Some(inner) => return any(inner),
            None => return Err("a schema has no type".to_owned()),
        },
        _ => return Err("a schema is neither a name nor an object".to_owned()),
    };
    let arguments = &schema["arg.properties"];
    let (field_type, usual) = match name {
        "boolean" => (SqlType::Boolean, Kind::Boolean),
        "int" => (SqlType::Integer, Kind::Number(f64::from(i32::MIN), f64::from(i32::MAX))),
        "long" => (SqlType::Bigint, Kind::Number(-1e15, 1e15)),
        "float" | "double" => (SqlType::Double, Kind::Number(0.0, 1.0)),
        "string" => (SqlType::String, texts(arguments, Kind::Text)?),
        "enum" => (SqlType::String, Kind::Options(schema["symbols"].as_array().cloned().unwrap_or_default())),
        "bytes" => (SqlType::Bytes, texts(arguments, Kind::Bytes)?),
        "array" => {
            let (element, generator) = any(&schema["items"])?;
            let (least, most) = length(arguments)?;
            (SqlType::array(element), Kind::Array(Box::new(generator), least, most))
        }
        "map" => {
            let (value, generator) = any(&schema["values"])?;
            let (least, most) = length(arguments)?;
            (SqlType::map(SqlType::String, value), Kind::Map(Box::new(generator), least, most))
        }
        "record" => {
            let (fields, generators) = fields(schema)?.into_iter().unzip();
            (SqlType::Struct(Arc::new(StructType { fields })), Kind::Record(generators))
        }
        other => return Err(format!("there are no values of type {other}")),
    };
    let kind = stated(arguments)?.unwrap_or(usual);
    if matches!(&kind, Kind::Options(options) if options.is_empty()) {
        return Err("there is nothing to choose from".to_owned());
    }
    let next = if let Kind::Iteration(start, _, _) = &kind { *start } else { 0.0 };
    Ok((field_type, Generator { kind, next }))
}

/// What `arg.properties` say, if they say something that does not need the type.
fn stated(arguments: &Json) -> Result<Option<Kind>, String> {
    let number = |value: &Json| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    if let Some(options) = arguments["options"].as_array() {
        return Ok(Some(Kind::Options(options.clone())));
    }
    if let Some(iteration) = arguments.get("iteration") {
        let start = number(&iteration["start"]).ok_or("an iteration has no start")?;
        let step = number(&iteration["step"]).unwrap_or(1.0);
        return Ok(Some(Kind::Iteration(start, step, number(&iteration["restart"]))));
    }
    if let Some(range) = arguments.get("range") {
        let (Some(min), Some(max)) = (number(&range["min"]), number(&range["max"])) else {
            return Err("a range is from min to max".to_owned());
        };
        return if min < max && (max - min).is_finite() {
            Ok(Some(Kind::Number(min, max)))
        } else {
            Err("a range is empty, or too wide".to_owned())
        };
    }
    if let Some(text) = arguments["regex"].as_str() {
        let unknown = || format!("the expression '{text}' is not one that texts can be made from");
        return Pattern::parse(text).map(|pattern| Some(Kind::Pattern(pattern))).ok_or_else(unknown);
    }
    Ok(None)
}

fn texts(arguments: &Json, kind: fn(usize, usize) -> Kind) -> Result<Kind, String> {
    length(arguments).map(|(least, most)| kind(least, most))
}

/// `"length": 5` or `"length": {"min": 1, "max": 6}`, the greatest not included.
fn length(arguments: &Json) -> Result<(usize, usize), String> {
    let number = |value: &Json| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let stated = &arguments["length"];
    let (least, most) = match (number(stated), stated.is_object()) {
        (Some(length), _) => (length, length),
        (None, true) => {
            let least = number(&stated["min"]).unwrap_or_default();
            (least, number(&stated["max"]).map_or(least.saturating_add(USUAL_LENGTH.1), |max| max.saturating_sub(1)))
        }
        (None, false) => USUAL_LENGTH,
    };
    if least > most || most > LENGTH_MAX {
        return Err("a length makes no sense".to_owned());
    }
    Ok((least, most))
}

impl Generator {
    /// The next value of `wanted`, the type that this generator came with.
    pub fn next(&mut self, wanted: &SqlType, random: &mut impl Rng) -> Value {
        match (&mut self.kind, wanted) {
            (Kind::Boolean, _) => Value::Boolean(random.random()),
            (Kind::Number(min, max), wanted) => number(random.random_range(*min..*max), wanted),
            (Kind::Iteration(start, step, restart), wanted) => {
                let value = self.next;
                self.next += *step;
                if restart.is_some_and(|restart| if *step < 0.0 { self.next <= restart } else { self.next >= restart })
                {
                    self.next = *start;
                }
                number(value, wanted)
            }
            (Kind::Options(options), wanted) => constant(&options[random.random_range(0..options.len())], wanted),
            (Kind::Pattern(pattern), _) => Value::string(pattern.sample(random)),
            (Kind::Text(least, most), _) => {
                let length = random.random_range(*least..=*most);
                Value::string((0..length).map(|_| random.random_range('a'..='z')).collect::<String>())
            }
            (Kind::Bytes(least, most), _) => {
                let length = random.random_range(*least..=*most);
                Value::bytes((0..length).map(|_| random.random()).collect::<Vec<u8>>())
            }
            (Kind::Array(inner, least, most), SqlType::Array(element)) => {
                let length = random.random_range(*least..=*most);
                Value::Array(Arc::new((0..length).map(|_| inner.next(element, random)).collect()))
            }
            (Kind::Map(inner, least, most), SqlType::Map(_, value)) => {
                let length = random.random_range(*least..=*most);
                let entry = |index| (Value::string(format!("key{index}")), inner.next(value, random));
                Value::Map(Arc::new((0..length).map(entry).collect::<MapValue>()))
            }
            (Kind::Record(generators), SqlType::Struct(structure)) => {
                let fields = generators.iter_mut().zip(&structure.fields);
                Value::Struct(Arc::new(fields.map(|(inner, field)| inner.next(&field.field_type, random)).collect()))
            }
            _ => Value::Null,
        }
    }
}

/// A number as the type has it; whole ones for anything that is no double.
fn number(number: f64, wanted: &SqlType) -> Value {
    match wanted {
        SqlType::Integer => Value::Int(number.floor() as i32),
        SqlType::Bigint => Value::Bigint(number.floor() as i64),
        SqlType::Double => Value::Double(number),
        _ => Value::string(format!("{}", number.floor())),
    }
}

/// One of the options of a schema.
fn constant(option: &Json, wanted: &SqlType) -> Value {
    match (option, wanted) {
        (Json::Number(value), SqlType::Integer | SqlType::Bigint | SqlType::Double) => {
            number(value.as_f64().unwrap_or_default(), wanted)
        }
        (Json::Bool(value), SqlType::Boolean) => Value::Boolean(*value),
        (Json::String(text), SqlType::String) => Value::string(text),
        (Json::Array(items), SqlType::Array(element)) => {
            Value::Array(Arc::new(items.iter().map(|item| constant(item, element)).collect()))
        }
        (Json::Object(members), SqlType::Map(_, value)) => {
            let entries = members.iter().map(|(key, member)| (Value::string(key), constant(member, value)));
            Value::Map(Arc::new(entries.collect::<MapValue>()))
        }
        (Json::Object(members), SqlType::Struct(structure)) => {
            let member = |field: &StructField| {
                members.get(&*field.name).map_or(Value::Null, |member| constant(member, &field.field_type))
            };
            Value::Struct(Arc::new(structure.fields.iter().map(member).collect()))
        }
        (other, SqlType::String) => Value::string(other.to_string()),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_from_where_the_schema_says() {
        let schema = json!({ "type": "record", "name": "r", "fields": [
            { "name": "id", "type": { "type": "long", "arg.properties": { "iteration": { "start": 5, "step": 10, "restart": 25 } } } },
            { "name": "n", "type": { "type": "int", "arg.properties": { "range": { "min": 3, "max": 5 } } } },
            { "name": "u", "type": { "type": "string", "arg.properties": { "regex": "User_[1-9]" } } },
            { "name": "o", "type": ["null", { "type": "string", "arg.properties": { "options": ["A", "B"] } }] },
            { "name": "a", "type": { "type": "array", "items": "boolean", "arg.properties": { "length": 2 } } },
            { "name": "r", "type": { "type": "record", "name": "i", "fields": [{ "name": "x", "type": "double" }] } } ] });
        let (fields, mut generator) = record(&schema).unwrap();
        let row_type = SqlType::Struct(fields.into());
        let mut random = rand::rng();
        let mut ids = Vec::new();
        for _ in 0..3 {
            let Value::Struct(row) = generator.next(&row_type, &mut random) else { panic!("a record is made") };
            ids.push(row[0].clone());
            assert!(matches!(row[1], Value::Int(3 | 4)), "{row:?}");
            assert!(matches!(&row[2], Value::String(text) if text.starts_with("User_")), "{row:?}");
            assert!(matches!(&row[3], Value::String(text) if ["A", "B"].contains(&&**text)), "{row:?}");
            assert!(matches!(&row[4], Value::Array(items) if items.len() == 2), "{row:?}");
            assert!(matches!(&row[5], Value::Struct(inner) if matches!(inner[0], Value::Double(_))), "{row:?}");
        }
        assert_eq!(ids, [Value::Bigint(5), Value::Bigint(15), Value::Bigint(5)]);
    }

    #[test]
    fn options_may_be_of_any_type() {
        let options = |schema: Json, options: Json| {
            let mut schema = schema;
            schema["arg.properties"] = json!({ "options": options });
            let (value_type, mut generator) = any(&schema).unwrap();
            generator.next(&value_type, &mut rand::rng()).text(&value_type)
        };
        let code = json!({ "type": "record", "fields": [{ "name": "code", "type": "int" }, { "name": "text", "type": "string" }] });
        assert_eq!(options(code, json!([{ "code": 404, "text": "gone" }])), "Struct{code=404,text=gone}");
        assert_eq!(options(json!({ "type": "map", "values": "string" }), json!([{ "a": "b" }])), "{a=b}");
        assert_eq!(options(json!({ "type": "array", "items": "long" }), json!([[1, 2]])), "[1, 2]");
    }

    #[test]
    fn schemas_that_make_no_sense_are_refused() {
        let field = |field_type: Json| json!({ "type": "record", "fields": [{ "name": "f", "type": field_type }] });
        for schema in [
            json!("string"),
            json!({ "type": "record" }),
            field(json!("fixed")),
            field(json!(["null", "int", "string"])),
            field(json!({ "type": "int", "arg.properties": { "range": { "min": 3, "max": 3 } } })),
            field(json!({ "type": "string", "arg.properties": { "options": [] } })),
            field(json!({ "type": "double", "arg.properties": { "range": { "min": -1.7e308, "max": 1.7e308 } } })),
            field(json!({ "type": "string", "arg.properties": { "length": { "min": u64::MAX } } })),
            field(json!({ "type": "string", "arg.properties": { "length": { "min": 9, "max": 2 } } })),
        ] {
            assert!(record(&schema).is_err(), "{schema}");
        }
    }
}
