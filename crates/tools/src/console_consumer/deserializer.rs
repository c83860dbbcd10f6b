//! Turning keys, values and header values into text, by the names of Kafka's deserializer classes.

use crate::failure::Failure;

/// How bytes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deserializer {
    /// As they are.
    Text,
    /// Big-endian integer of 2 bytes.
    Short,
    /// Big-endian integer of 4 bytes.
    Integer,
    /// Big-endian integer of 8 bytes.
    Long,
    /// IEEE 754 of 4 bytes.
    Float,
    /// IEEE 754 of 8 bytes.
    Double,
    /// One byte.
    Boolean,
}

impl Deserializer {
    /// By class name; the package may be left out.
    ///
    /// # Errors
    /// A class that is not built in.
    pub fn by_class(class: &str) -> Result<Deserializer, Failure> {
        match class.rsplit('.').next().unwrap_or(class) {
            "StringDeserializer"
            | "ByteArrayDeserializer"
            | "BytesDeserializer"
            | "ByteBufferDeserializer"
            | "UUIDDeserializer" => Ok(Deserializer::Text),
            "ShortDeserializer" => Ok(Deserializer::Short),
            "IntegerDeserializer" => Ok(Deserializer::Integer),
            "LongDeserializer" => Ok(Deserializer::Long),
            "FloatDeserializer" => Ok(Deserializer::Float),
            "DoubleDeserializer" => Ok(Deserializer::Double),
            "BooleanDeserializer" => Ok(Deserializer::Boolean),
            _ => Err(Failure::Exception { class: "java.lang.ClassNotFoundException", message: class.to_owned() }),
        }
    }

    /// Appends the text of `bytes` to `output`.
    ///
    /// # Errors
    /// Bytes of the wrong length.
    pub fn write(self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Failure> {
        let text = match self {
            Deserializer::Text => {
                output.extend_from_slice(bytes);
                return Ok(());
            }
            Deserializer::Short => i16::from_be_bytes(exactly(bytes, "ShortDeserializer")?).to_string(),
            Deserializer::Integer => i32::from_be_bytes(exactly(bytes, "IntegerDeserializer")?).to_string(),
            Deserializer::Long => i64::from_be_bytes(exactly(bytes, "LongDeserializer")?).to_string(),
            Deserializer::Float => format!("{:?}", f32::from_be_bytes(exactly(bytes, "FloatDeserializer")?)),
            Deserializer::Double => format!("{:?}", f64::from_be_bytes(exactly(bytes, "DoubleDeserializer")?)),
            Deserializer::Boolean => (exactly::<1>(bytes, "BooleanDeserializer")? != [0]).to_string(),
        };
        output.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn exactly<const N: usize>(bytes: &[u8], class: &str) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| Failure::Exception {
        class: "org.apache.kafka.common.errors.SerializationException",
        message: format!("Size of data received by {class} is not {N}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(class: &str, bytes: &[u8]) -> Result<String, Failure> {
        let mut output = Vec::new();
        Deserializer::by_class(class)?.write(bytes, &mut output)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    #[test]
    fn numbers_are_big_endian_and_have_exactly_their_size() {
        assert_eq!(
            text("org.apache.kafka.common.serialization.LongDeserializer", &42_i64.to_be_bytes()).unwrap(),
            "42"
        );
        assert_eq!(text("IntegerDeserializer", &(-1_i32).to_be_bytes()).unwrap(), "-1");
        assert_eq!(text("DoubleDeserializer", &2.5_f64.to_be_bytes()).unwrap(), "2.5");
        let message = text("LongDeserializer", b"abc").unwrap_err().message();
        assert_eq!(message, "Size of data received by LongDeserializer is not 8");
        assert!(text("com.example.Mine", b"").is_err());
    }
}
