//! Reads OpenTelemetry metrics (`opentelemetry.proto.metrics.v1.MetricsData`) as far as `/metrics` needs it.
//!
//! Protobuf is a sequence of numbered fields, so a few functions do instead of a generated decoder. Gauges and sums give one
//! sample a data point, histograms a sum and a count. What is not known is skipped, what does not fit its length is an error.

use crate::metrics::ClientSample;

/// Samples that are taken out of one push at most.
const SAMPLES_MAX: usize = 2000;
/// Longest name or attribute.
const TEXT_MAX: usize = 512;
/// Attributes of one data point.
const ATTRIBUTES_MAX: usize = 16;

/// The bytes are not what they claim to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// The value of one field.
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Value<'a> {
    fn bytes(&self) -> Result<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    fn text(&self) -> Result<String> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)?;
        Ok(text.chars().take(TEXT_MAX).collect())
    }
}

/// Walks through the fields of one message.
fn fields<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(u64, Value<'a>) -> Result<()>) -> Result<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            1 => Value::Fixed64(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().map_err(|_| Malformed)?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| Malformed)?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            5 => {
                take(&mut bytes, 4)?;
                Value::Fixed32
            }
            _ => return Err(Malformed),
        };
        visit(key >> 3, value)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// The samples of a `MetricsData` message.
///
/// # Errors
/// When the bytes are not protobuf of that shape.
pub(super) fn samples(data: &[u8]) -> Result<Vec<ClientSample>> {
    let mut found = Vec::new();
    fields(data, |field, resource_metrics| match field {
        1 => fields(resource_metrics.bytes()?, |field, scope_metrics| match field {
            2 => fields(scope_metrics.bytes()?, |field, value| match field {
                2 => metric(value.bytes()?, &mut found),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(found)
}

fn metric(data: &[u8], found: &mut Vec<ClientSample>) -> Result<()> {
    const GAUGE: u64 = 5;
    const SUM: u64 = 7;
    const HISTOGRAM: u64 = 9;
    let mut name = String::new();
    let mut shapes = Vec::new();
    fields(data, |field, value| {
        match field {
            1 => name = value.text()?,
            GAUGE | SUM | HISTOGRAM => shapes.push((field, value.bytes()?)),
            _ => {}
        }
        Ok(())
    })?;
    for (shape, data) in shapes {
        let mut points = Vec::new();
        let mut delta = false;
        fields(data, |field, value| {
            match (field, value) {
                (1, value) => points.push(value.bytes()?),
                // 1 is delta, 2 cumulative.
                (2, Value::Varint(temporality)) => delta = temporality == 1,
                _ => {}
            }
            Ok(())
        })?;
        for point in points {
            match shape {
                HISTOGRAM => histogram_point(&name, point, delta, found)?,
                _ => number_point(&name, point, delta && shape == SUM, found)?,
            }
        }
    }
    Ok(())
}

fn number_point(name: &str, data: &[u8], delta: bool, found: &mut Vec<ClientSample>) -> Result<()> {
    let mut number = None;
    let mut attributes = Vec::new();
    fields(data, |field, value| {
        match (field, value) {
            (4, Value::Fixed64(bits)) => number = Some(f64::from_bits(bits)),
            (6, Value::Fixed64(bits)) => number = Some(bits as i64 as f64),
            (7, value) => attribute(value.bytes()?, &mut attributes)?,
            _ => {}
        }
        Ok(())
    })?;
    if let Some(value) = number {
        push(found, ClientSample { name: name.to_owned(), attributes, value, delta });
    }
    Ok(())
}

fn histogram_point(name: &str, data: &[u8], delta: bool, found: &mut Vec<ClientSample>) -> Result<()> {
    let (mut sum, mut count) = (None, None);
    let mut attributes = Vec::new();
    fields(data, |field, value| {
        match (field, value) {
            (4, Value::Fixed64(bits)) => count = Some(bits as f64),
            (5, Value::Fixed64(bits)) => sum = Some(f64::from_bits(bits)),
            (9, value) => attribute(value.bytes()?, &mut attributes)?,
            _ => {}
        }
        Ok(())
    })?;
    for (suffix, value) in [("sum", sum), ("count", count)] {
        if let Some(value) = value {
            push(
                found,
                ClientSample { name: format!("{name}.{suffix}"), attributes: attributes.clone(), value, delta },
            );
        }
    }
    Ok(())
}

fn attribute(data: &[u8], attributes: &mut Vec<(String, String)>) -> Result<()> {
    let (mut key, mut text) = (String::new(), None);
    fields(data, |field, value| {
        match field {
            1 => key = value.text()?,
            2 => text = any_value(value.bytes()?)?,
            _ => {}
        }
        Ok(())
    })?;
    if let Some(text) = text
        && attributes.len() < ATTRIBUTES_MAX
        && !attributes.iter().any(|(known, _)| *known == key)
    {
        attributes.push((key, text));
    }
    Ok(())
}

fn any_value(data: &[u8]) -> Result<Option<String>> {
    let mut text = None;
    fields(data, |field, value| {
        text = match (field, value) {
            (1, value) => Some(value.text()?),
            (2, Value::Varint(flag)) => Some((flag != 0).to_string()),
            (3, Value::Varint(number)) => Some((number as i64).to_string()),
            (4, Value::Fixed64(bits)) => Some(f64::from_bits(bits).to_string()),
            _ => None,
        };
        Ok(())
    })?;
    Ok(text)
}

fn push(found: &mut Vec<ClientSample>, sample: ClientSample) {
    if found.len() < SAMPLES_MAX && sample.value.is_finite() {
        found.push(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, content.len() as u8];
        bytes.extend_from_slice(content);
        bytes
    }

    fn fixed(number: u8, bits: u64) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 1];
        bytes.extend_from_slice(&bits.to_le_bytes());
        bytes
    }

    fn metrics_data(metric: &[u8]) -> Vec<u8> {
        field(1, &field(2, &field(2, metric)))
    }

    #[test]
    fn gauges_and_sums_give_samples_with_their_attributes() {
        let attribute = [field(1, b"node_id"), field(2, &field(1, b"7"))].concat();
        let point = [field(7, &attribute), fixed(4, 2.5f64.to_bits())].concat();
        let gauge = [field(1, b"a.latency"), field(5, &field(1, &point))].concat();
        let sum = [field(1, &fixed(6, 3)), vec![2 << 3, 1]].concat();
        let sum = [field(1, b"a.total"), field(7, &sum)].concat();
        let data = [metrics_data(&gauge), metrics_data(&sum)].concat();
        let found = samples(&data).unwrap();
        assert_eq!(found[0].name, "a.latency");
        assert_eq!((found[0].value, found[0].delta), (2.5, false));
        assert_eq!(found[0].attributes, [("node_id".to_owned(), "7".to_owned())]);
        assert_eq!((found[1].value, found[1].delta), (3.0, true));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_smaller_message_but_never_a_panic() {
        let point = fixed(4, 1.0f64.to_bits());
        let data = metrics_data(&[field(1, b"m"), field(5, &field(1, &point))].concat());
        for length in 1..data.len() {
            assert_eq!(samples(&data[..length]), Err(Malformed), "cut at {length}");
        }
    }

    #[test]
    fn lengths_beyond_the_message_are_refused() {
        assert_eq!(samples(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Malformed));
        assert_eq!(samples(&[0xff; 20]), Err(Malformed));
    }
}
