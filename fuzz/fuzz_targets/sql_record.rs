//! Bytes of a record in a topic: every format reads them or refuses them, without a panic.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use milena_sql::formats::registry::{MemoryRegistry, SchemaRegistry};
use milena_sql::formats::{self, CodecContext, Field, Format, FormatSpec, Side};
use milena_sql::types::{DecimalType, SqlType};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, record)) = bytes.split_first() else { return };
    let formats =
        [Format::Json, Format::Delimited, Format::Avro, Format::Protobuf, Format::ProtobufNoSr, Format::JsonSr];
    let spec = FormatSpec::plain(formats[usize::from(*choice) % formats.len()]);
    let mut types = vec![
        ("A", SqlType::Integer),
        ("B", SqlType::Decimal(DecimalType { precision: 6, scale: 2 })),
        ("C", SqlType::Timestamp),
        ("D", SqlType::Bytes),
    ];
    if spec.format != Format::Delimited {
        types.push(("E", SqlType::array(SqlType::structure([("X", SqlType::Double)]))));
        types.push(("F", SqlType::map(SqlType::String, SqlType::Boolean)));
    }
    let fields: Vec<Field> =
        types.into_iter().map(|(name, field_type)| Field { name: name.into(), field_type }).collect();
    let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
    let context = CodecContext { topic: "t".to_owned(), side: Side::Value, registry };
    if formats::register(&spec, &fields, &context).is_ok()
        && let Ok(codec) = formats::open(&spec, fields, &context)
    {
        let _ = codec.decode(record);
    }
});
