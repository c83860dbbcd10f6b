//! `StringConverter`: any value as the text that Java prints, and text back.

use std::sync::Arc;

use bytes::Bytes;

use super::plugin::Plugin;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule, Width};
use crate::data::{DataError, Kind, Schema, SchemaRef, Typed, Value};
use crate::plugin::{ConvertError, Converter};

pub(super) fn plugin() -> Plugin {
    let encoding = ConfigKey {
        width: Width::Medium,
        display_name: "Encoding",
        ..ConfigKey::with_default(
            "converter.encoding",
            ConfigType::String,
            "UTF-8",
            Importance::High,
            "The encoding of the text: UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE or UTF-16LE.",
        )
        .checked(Rule::Custom(|_, value| Encoding::new(value).map(|_| ()).ok_or_else(unsupported)))
    };
    Plugin {
        classes: &["org.apache.kafka.connect.storage.StringConverter"],
        def: ConfigDef::new(vec![encoding]),
        create: |parsed, _, _| {
            let encoding = Encoding::new(parsed.get_text("converter.encoding"));
            let encoding = encoding.ok_or_else(|| DataError::new(unsupported()))?;
            Ok(Box::new(StringConverter { encoding, schema: Arc::new(Schema::new(Kind::String).optional()) }))
        },
    }
}

fn unsupported() -> String {
    "Unsupported encoding".to_owned()
}

struct StringConverter {
    encoding: Encoding,
    schema: SchemaRef,
}

/// Character sets that every Java has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    /// With a byte order mark.
    Utf16,
    Utf16Be,
    Utf16Le,
}

impl Converter for StringConverter {
    fn from_connect(
        &self,
        _topic: &str,
        _headers: &mut Vec<(String, Option<Bytes>)>,
        value: &Typed,
    ) -> Result<Option<Bytes>, ConvertError> {
        Ok(match &value.value {
            Value::Null => None,
            Value::String(text) => Some(self.encoding.encode(text)),
            value => Some(self.encoding.encode(&value.to_string())),
        })
    }

    fn to_connect(
        &self,
        _topic: &str,
        _headers: &[(String, Option<Bytes>)],
        bytes: Option<&Bytes>,
    ) -> Result<Typed, ConvertError> {
        let value = bytes.map_or(Value::Null, |bytes| Value::String(self.encoding.decode(bytes)));
        Ok(Typed::new(self.schema.clone(), value))
    }
}

impl Encoding {
    fn new(name: &str) -> Option<Encoding> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Encoding::Utf8,
            "US-ASCII" | "ASCII" => Encoding::Ascii,
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Encoding::Latin1,
            "UTF-16" => Encoding::Utf16,
            "UTF-16BE" => Encoding::Utf16Be,
            "UTF-16LE" => Encoding::Utf16Le,
            _ => return None,
        })
    }

    /// Characters that the set does not have become `?`.
    fn encode(self, text: &str) -> Bytes {
        let limited = |limit: u32| -> Bytes {
            let byte =
                |character: char| u8::try_from(u32::from(character)).ok().filter(|byte| u32::from(*byte) < limit);
            text.chars().map(|character| byte(character).unwrap_or(b'?')).collect()
        };
        match self {
            Encoding::Utf8 => Bytes::copy_from_slice(text.as_bytes()),
            Encoding::Ascii => limited(128),
            Encoding::Latin1 => limited(256),
            Encoding::Utf16 if text.is_empty() => Bytes::new(),
            Encoding::Utf16 => [0xFE, 0xFF].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }

    /// What is not of the set becomes U+FFFD.
    fn decode(self, bytes: &[u8]) -> String {
        let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        };
        match (self, bytes) {
            (Encoding::Utf8, _) => String::from_utf8_lossy(bytes).into_owned(),
            (Encoding::Ascii, _) => {
                let character =
                    |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
                bytes.iter().map(character).collect()
            }
            (Encoding::Latin1, _) => bytes.iter().map(|byte| char::from(*byte)).collect(),
            (Encoding::Utf16, [0xFF, 0xFE, rest @ ..]) => utf16(rest, u16::from_le_bytes),
            (Encoding::Utf16, [0xFE, 0xFF, rest @ ..]) => utf16(rest, u16::from_be_bytes),
            (Encoding::Utf16 | Encoding::Utf16Be, _) => utf16(bytes, u16::from_be_bytes),
            (Encoding::Utf16Le, _) => utf16(bytes, u16::from_le_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{ConverterPlugin as _, Settings};

    fn converter(encoding: &str) -> Box<dyn Converter> {
        let settings: Settings = [("converter.encoding".to_owned(), encoding.to_owned())].into();
        crate::plugin::ConverterPlugin::create(&plugin(), &settings, false).unwrap()
    }

    #[test]
    fn text_comes_back_in_every_encoding() {
        for encoding in ["UTF-8", "UTF-16", "utf-16le", "UTF-16BE"] {
            let converter = converter(encoding);
            let value = Typed::schemaless(Value::String("a£😀".to_owned()));
            let bytes = converter.from_connect("t", &mut Vec::new(), &value).unwrap();
            let read = converter.to_connect("t", &[], bytes.as_ref()).unwrap();
            assert_eq!(read.value, value.value, "{encoding}");
            assert!(read.schema.unwrap().optional);
        }
        let bytes = converter("ISO-8859-1").from_connect(
            "t",
            &mut Vec::new(),
            &Typed::schemaless(Value::String("£€".to_owned())),
        );
        assert_eq!(bytes.unwrap().unwrap(), [0xA3, b'?'][..]);
    }

    #[test]
    fn an_encoding_that_is_not_there_is_refused() {
        let settings: Settings = [("converter.encoding".to_owned(), "EBCDIC".to_owned())].into();
        let error = plugin().config_def().parse(&settings).unwrap_err();
        assert_eq!(error.0, "Invalid value EBCDIC for configuration converter.encoding: Unsupported encoding");
    }
}
