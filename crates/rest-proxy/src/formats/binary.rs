//! The embedded format `binary`: bytes as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The bytes that a text of base64 means; `None` when it is none.
pub fn bytes_of(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Appends `bytes` as a JSON string.
pub fn write(bytes: &[u8], output: &mut Vec<u8>) {
    output.push(b'"');
    output.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    output.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_and_written() {
        assert_eq!(bytes_of("AP+h"), Some(vec![0, 0xff, 0xa1]));
        assert_eq!(bytes_of(""), Some(Vec::new()));
        for bad in ["A", "AP_h", "AP+h=", "AP h", "é"] {
            assert_eq!(bytes_of(bad), None, "{bad}");
        }
        let mut output = Vec::new();
        write(&[0, 0xff, 0xa1], &mut output);
        assert_eq!(output, b"\"AP+h\"");
    }
}
