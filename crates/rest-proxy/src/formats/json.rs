//! The embedded format `json`: bytes that are JSON text. Spelling and order are kept both ways.

use super::Undecodable;
use super::raw::RawJson;

/// Appends `bytes` as the JSON that they are.
///
/// # Errors
/// They are not JSON.
pub fn write(bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Undecodable> {
    let raw = RawJson::parse(bytes).map_err(|error| Undecodable::Bytes(format!("not JSON: {error}")))?;
    output.extend_from_slice(raw.text().as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_embedded_as_they_are() {
        let mut output = Vec::new();
        write(b" {\"a\":1.50}\n", &mut output).unwrap();
        assert_eq!(output, br#"{"a":1.50}"#);
        for bad in [&b""[..], b"x", b"\xff", b"1 2"] {
            assert!(write(bad, &mut Vec::new()).is_err());
        }
    }
}
