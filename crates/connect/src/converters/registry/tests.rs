//! Converters of a registry, without one: schemas and values there and back through the bytes of the format.

use milena_schema::ParseOptions;
use proptest::prelude::*;

use super::avro::Avro;
use super::json_schema::JsonSchema;
use super::protobuf::Protobuf;
use super::*;
use crate::converters::json::tests::typed;
use crate::data::{Field, Struct, logical};

const AVRO: Avro = Avro { metadata: true, enums: false, scrubs: false };
const JSON: JsonSchema = JsonSchema { numeric_decimals: false, open: true, optional_unless_required: false };

const PROTOBUF: Protobuf = Protobuf { optional: true, wrappers: false, scrubs: false };

fn parsed(format: &dyn Format, text: &str) -> ParsedSchema {
    ParsedSchema::parse(format.schema_type(), text, &[], &ParseOptions::NEW)
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What becomes of a value that is written and read again.
fn there_and_back(format: &dyn Format, typed: &Typed) -> Typed {
    let schema = typed.schema.as_ref().unwrap();
    let parsed = parsed(format, &format.text(schema).unwrap());
    let json = format.to_json(&parsed, schema, &typed.value).unwrap();
    let payload =
        parsed.encode(&json, None).unwrap_or_else(|error| panic!("{error}: {json} of {}", parsed.canonical()));
    let json = parsed.decode(&payload.bytes, payload.message_indexes.as_deref()).unwrap();
    let indexes = payload.message_indexes.unwrap_or_default();
    let schema = format.schema(&parsed, &indexes).unwrap();
    let value = format.to_value(&parsed, &indexes, &schema, json).unwrap();
    Typed::new(schema, value)
}

fn users() -> SchemaRef {
    let fields = vec![
        Field::new("id", Schema::new(Kind::Int32)),
        Field::new("small", Schema::new(Kind::Int8)),
        Field::new("name", Schema::new(Kind::String).optional()),
        Field::new("kind", Schema::new(Kind::String).with_default(Value::String("new".to_owned()))),
        Field::new("price", logical::decimal(2).optional()),
        Field::new("created_at", logical::timestamp().optional()),
    ];
    Schema::structure(fields).named("shop.users").into()
}

fn user() -> Typed {
    let values = vec![
        Value::Int32(1),
        Value::Int8(2),
        Value::Null,
        Value::String("k".to_owned()),
        Value::Decimal("12.50".parse().unwrap()),
        Value::Timestamp(1_627_815_857_123),
    ];
    Typed::new(users(), Value::Struct(Struct::new(users(), values).unwrap()))
}

#[test]
fn a_table_has_the_avro_schema_that_users_know() {
    assert_eq!(
        AVRO.text(&users()).unwrap(),
        concat!(
            r#"{"type":"record","name":"users","namespace":"shop","fields":[{"name":"id","type":"int"},"#,
            r#"{"name":"small","type":{"type":"int","connect.type":"int8"}},"#,
            r#"{"name":"name","type":["null","string"],"default":null},"#,
            r#"{"name":"kind","type":{"type":"string","connect.default":"new"},"default":"new"},"#,
            r#"{"name":"price","type":["null",{"type":"bytes","scale":2,"precision":64,"connect.version":1,"#,
            r#""connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","#,
            r#""logicalType":"decimal"}],"default":null},"#,
            r#"{"name":"created_at","type":["null",{"type":"long","connect.version":1,"#,
            r#""connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}],"#,
            r#""default":null}],"connect.name":"shop.users"}"#
        )
    );
    assert_eq!(there_and_back(&AVRO, &user()), user());
}

#[test]
fn a_table_has_the_json_schema_that_users_know() {
    let text: Json = serde_json::from_str(&JSON.text(&users()).unwrap()).unwrap();
    assert_eq!(text["title"], "shop.users");
    assert_eq!(
        text["properties"]["id"],
        serde_json::json!({"type": "integer", "connect.type": "int32", "connect.index": 0})
    );
    assert_eq!(
        text["properties"]["name"],
        serde_json::json!({"oneOf": [{"type": "null"}, {"type": "string"}], "connect.index": 2})
    );
    assert_eq!(there_and_back(&JSON, &user()), user());
}

/// Every type that Protobuf has a word for.
fn everything() -> Typed {
    let inner =
        SchemaRef::from(Schema::structure(vec![Field::new("x", Schema::new(Kind::String).optional())]).named("Inner"));
    let text = |text: &str| Value::String(text.to_owned());
    let inner_value = Value::Struct(Struct::new(inner.clone(), vec![text("y")]).unwrap());
    let optional = |kind| Schema::new(kind).optional();
    let texts = Schema::new(Kind::String);
    let pairs = vec![
        ("i8", optional(Kind::Int8), Value::Int8(-8)),
        ("i16", optional(Kind::Int16), Value::Int16(-16)),
        ("i32", optional(Kind::Int32), Value::Int32(0)),
        ("i64", optional(Kind::Int64), Value::Int64(i64::MIN)),
        ("f32", optional(Kind::Float32), Value::Float32(0.1)),
        ("f64", optional(Kind::Float64), Value::Float64(-1e300)),
        ("yes", optional(Kind::Boolean), Value::Boolean(true)),
        ("text", optional(Kind::String), text("é")),
        ("raw", optional(Kind::Bytes), Value::Bytes(vec![0, 255].into())),
        ("nothing", optional(Kind::String), Value::Null),
        ("day", logical::date().optional(), Value::Date(18_840)),
        ("time", logical::time().optional(), Value::Time(3_661_001)),
        ("moment", logical::timestamp().optional(), Value::Timestamp(1_627_815_857_123)),
        ("price", logical::decimal(2).optional(), Value::Decimal("-12.50".parse().unwrap())),
        ("list", optional(Kind::Array(texts.clone().into())), Value::Array(vec![text("a"), text("b")])),
        (
            "map",
            optional(Kind::Map(texts.into(), Schema::new(Kind::Int64).into())),
            Value::Map(vec![(text("k"), Value::Int64(5))]),
        ),
        ("inner", Schema { optional: true, ..(*inner).clone() }, inner_value),
    ];
    let (fields, values) = pairs.into_iter().map(|(name, schema, value)| (Field::new(name, schema), value)).unzip();
    let schema = SchemaRef::from(Schema::structure(fields).named("shop.Everything"));
    Typed::new(schema.clone(), Value::Struct(Struct::new(schema, values).unwrap()))
}

#[test]
fn what_protobuf_writes_is_read_back() {
    let written = everything();
    for format in [PROTOBUF, Protobuf { optional: false, wrappers: true, scrubs: false }] {
        let read = there_and_back(&format, &written);
        assert_eq!(read.schema.as_ref().unwrap().name.as_deref(), Some("shop.Everything"));
        assert_eq!(read.value.to_string(), written.value.to_string());
        assert_eq!(read.value.get("i8"), written.value.get("i8"));
        assert_eq!(read.value.get("nothing"), Some(&Value::Null));
        assert_eq!(read.value.get("raw"), written.value.get("raw"));
    }
}

#[test]
fn protobuf_fields_have_the_numbers_of_their_tags() {
    let tagged = Schema::new(Kind::Int32).parameter("io.confluent.connect.protobuf.Tag", "1");
    let fields = vec![Field::new("a", Schema::new(Kind::Int32)), Field::new("b", tagged)];
    let text = PROTOBUF.text(&SchemaRef::from(Schema::structure(fields))).unwrap();
    assert_eq!(text, "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  int32 a = 2;\n  int32 b = 1;\n}\n");
    assert!(PROTOBUF.text(&SchemaRef::from(Schema::new(Kind::String))).is_err());
}

#[test]
fn protobuf_files_of_others_are_read() {
    let text = "syntax = \"proto3\"; package p; message First { string a = 1; }
        message Second { uint64 big_number = 1; E kind = 2; repeated First list = 3; oneof o { string s = 4; int32 i = 5; }
        map<int32, First> map = 6; enum E { ZERO = 0; ONE = 1; } }
        message Circle { Circle next = 1; }";
    let parsed = parsed(&PROTOBUF, text);
    let schema = PROTOBUF.schema(&parsed, &[1]).unwrap();
    let json = serde_json::json!({
        "bigNumber": "18446744073709551615", "kind": "ONE", "list": [{"a": "x"}], "i": 5, "map": {"7": {"a": "z"}}
    });
    let payload = parsed.encode(&json, Some("Second")).unwrap();
    let json = parsed.decode(&payload.bytes, payload.message_indexes.as_deref()).unwrap();
    let value = PROTOBUF.to_value(&parsed, &[1], &schema, json).unwrap();
    assert_eq!(value.to_string(), "Struct{big_number=-1,kind=ONE,list=[Struct{a=x}],i=5,map={7=Struct{a=z}}}");
    assert!(PROTOBUF.schema(&parsed, &[2]).is_err());
    assert!(PROTOBUF.schema(&parsed, &[9]).is_err());
}

#[test]
fn avro_schemas_of_others_are_read() {
    let text = r#"{"type":"record","name":"a.R","fields":[
        {"name":"u","type":["null","int","string"]},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["X","Y"]}},
        {"name":"f","type":{"type":"fixed","name":"F","size":2}},
        {"name":"m","type":{"type":"map","values":"long"}},
        {"name":"d","type":"int","default":7}]}"#;
    let parsed = parsed(&AVRO, text);
    let schema = AVRO.schema(&parsed, &[]).unwrap();
    assert_eq!(schema.field("u").unwrap().schema.type_name(), "STRUCT");
    assert_eq!(schema.field("d").unwrap().schema.default, Some(Value::Int32(7)));
    let json = serde_json::json!({"u": {"string": "x"}, "e": "Y", "f": "\u{1}\u{ff}", "m": {"k": 5}, "d": 1});
    let bytes = parsed.encode(&json, None).unwrap().bytes;
    let json = parsed.decode(&bytes, None).unwrap();
    let value = AVRO.to_value(&parsed, &[], &schema, json.clone()).unwrap();
    assert_eq!(value.get("u").unwrap().get("string"), Some(&Value::String("x".to_owned())));
    assert_eq!(value.get("f"), Some(&Value::Bytes(vec![1, 255].into())));
    assert_eq!(AVRO.to_json(&parsed, &schema, &value).unwrap(), json);
}

#[test]
fn schemas_without_an_end_are_refused() {
    let circle = r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#;
    assert!(AVRO.schema(&parsed(&AVRO, circle), &[]).is_err());
    let circle = r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}}}"##;
    assert!(JSON.schema(&parsed(&JSON, circle), &[]).is_err());
}

#[test]
fn json_schemas_of_others_are_read() {
    let text = r##"{"type":"object","required":["id"],"properties":{
        "id":{"type":"integer"},"n":{"type":["null","number"]},"t":{"$ref":"#/$defs/t"},
        "either":{"oneOf":[{"type":"string"},{"type":"integer"}]},
        "map":{"type":"object","additionalProperties":{"type":"boolean"}}},"$defs":{"t":{"type":"string"}}}"##;
    let options = JsonSchema { optional_unless_required: true, ..JSON };
    let schema = options.schema(&parsed(&JSON, text), &[]).unwrap();
    let json = serde_json::json!({"id": 5, "either": 7, "map": {"a": true}});
    let value = options.to_value(&parsed(&JSON, text), &[], &schema, json).unwrap();
    assert_eq!(value.get("id"), Some(&Value::Int64(5)));
    assert_eq!(value.get("t"), Some(&Value::Null));
    assert_eq!(value.get("either").unwrap().get("io.confluent.connect.json.OneOf.field.1"), Some(&Value::Int64(7)));
    assert_eq!(options.to_json(&parsed(&JSON, text), &schema, &value).unwrap()["either"], 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_avro_writes_is_read_back(typed in typed(true)) {
        prop_assume!(!typed.value.is_null());
        prop_assume!(!has_negative_scale(typed.schema.as_ref().unwrap()));
        prop_assert_eq!(there_and_back(&AVRO, &typed), typed);
    }

    #[test]
    fn what_json_schema_writes_is_read_back(typed in typed(true)) {
        prop_assume!(!typed.value.is_null());
        prop_assert_eq!(there_and_back(&JSON, &typed), typed);
    }
}

/// Avro's decimals have no negative scale.
fn has_negative_scale(schema: &Schema) -> bool {
    let own = schema.parameters.get("scale").is_some_and(|scale| scale.starts_with('-'));
    own || match &schema.kind {
        Kind::Array(items) => has_negative_scale(items),
        Kind::Map(keys, values) => has_negative_scale(keys) || has_negative_scale(values),
        Kind::Struct(fields) => fields.iter().any(|field| has_negative_scale(&field.schema)),
        _ => false,
    }
}
