//! JSON of the records in internal topics: offsets, group metadata, transactions, share groups.
//!
//! Like Kafka's formatters: one object after another without line ends, records of other kinds passed over.

use bytes::Bytes;
use milena_protocol::inspect::ToJson;
use milena_protocol::messages::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue, ShareSnapshotKey, ShareSnapshotValue,
    ShareUpdateKey, ShareUpdateValue, TransactionLogKey, TransactionLogValue,
};
use milena_protocol::{DecodeError, Message, Reader};
use serde_json::{Value, json};

/// Which records to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalTopic {
    /// Committed offsets in `__consumer_offsets`.
    Offsets,
    /// Classic groups in `__consumer_offsets`.
    GroupMetadata,
    /// `__transaction_state`.
    Transactions,
    /// `__share_group_state`.
    ShareGroups,
}

impl InternalTopic {
    /// By the simple name of Kafka's formatter class.
    pub fn by_formatter(class: &str) -> Option<InternalTopic> {
        match class {
            "OffsetsMessageFormatter" => Some(InternalTopic::Offsets),
            "GroupMetadataMessageFormatter" => Some(InternalTopic::GroupMetadata),
            "TransactionLogMessageFormatter" => Some(InternalTopic::Transactions),
            "ShareGroupStateMessageFormatter" | "ShareGroupMessageFormatter" => Some(InternalTopic::ShareGroups),
            _ => None,
        }
    }

    /// Appends the record's JSON when it is of this kind.
    pub fn write(self, key: Option<&[u8]>, value: Option<&[u8]>, output: &mut Vec<u8>) {
        let Some((record_type, key)) = key.and_then(split) else { return };
        let Some(decode) = self.decoders(record_type) else { return };
        let key = (decode.key)(key, 0);
        let value = match value.map(split) {
            None => Value::Null,
            Some(Some((version, bytes))) => match (decode.value)(bytes, version) {
                Some(data) => json!({"version": version, "data": data}),
                None => json!({"version": version, "data": "unknown"}),
            },
            Some(None) => Value::from("unknown"),
        };
        let record = json!({"key": {"type": record_type, "data": key.unwrap_or_else(|| Value::from("unknown"))}, "value": value});
        output.extend_from_slice(record.to_string().as_bytes());
    }

    fn decoders(self, record_type: i16) -> Option<Decoders> {
        match (self, record_type) {
            (InternalTopic::Offsets, 0 | 1) => Some(decoders::<OffsetCommitKey, OffsetCommitValue>()),
            (InternalTopic::GroupMetadata, 2) => Some(decoders::<GroupMetadataKey, GroupMetadataValue>()),
            (InternalTopic::Transactions, 0) => Some(decoders::<TransactionLogKey, TransactionLogValue>()),
            (InternalTopic::ShareGroups, 0) => Some(decoders::<ShareSnapshotKey, ShareSnapshotValue>()),
            (InternalTopic::ShareGroups, 1) => Some(decoders::<ShareUpdateKey, ShareUpdateValue>()),
            _ => None,
        }
    }
}

type Decode = fn(&[u8], i16) -> Option<Value>;

struct Decoders {
    key: Decode,
    value: Decode,
}

fn decoders<K: Message + ToJson, V: Message + ToJson>() -> Decoders {
    Decoders { key: decode::<K>, value: decode::<V> }
}

fn decode<M: Message + ToJson>(bytes: &[u8], version: i16) -> Option<Value> {
    let read = || -> Result<M, DecodeError> { M::decode(&mut Reader::new(Bytes::copy_from_slice(bytes)), version) };
    Some(read().ok()?.to_json(version))
}

fn split(bytes: &[u8]) -> Option<(i16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((i16::from_be_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use milena_protocol::{Uuid, Writer};

    use super::*;

    fn encoded(prefix: i16, message: &impl Message, version: i16) -> Vec<u8> {
        let mut writer = Writer::with_capacity(64);
        writer.i16(prefix);
        message.encode(&mut writer, version).unwrap();
        writer.finish().to_bytes().unwrap().to_vec()
    }

    #[test]
    fn committed_offsets_are_printed_as_recorded() {
        let key = OffsetCommitKey { group: "perf-consumer-57516".to_owned(), topic: "perf".to_owned(), partition: 3 };
        let value = OffsetCommitValue {
            offset: 50479,
            leader_epoch: 0,
            metadata: String::new(),
            commit_timestamp: 1_795_229_833_974,
            topic_id: "_HTClgv8TRiOTLxyZOEFBg".parse::<Uuid>().unwrap(),
            ..Default::default()
        };
        let mut output = Vec::new();
        let (key, value) = (encoded(1, &key, 0), encoded(4, &value, 4));
        InternalTopic::Offsets.write(Some(&key), Some(&value), &mut output);
        let expected = r#"{"key":{"type":1,"data":{"group":"perf-consumer-57516","topic":"perf","partition":3}},"value":{"version":4,"data":{"offset":50479,"leaderEpoch":0,"metadata":"","commitTimestamp":1795229833974,"topicId":"_HTClgv8TRiOTLxyZOEFBg"}}}"#;
        assert_eq!(String::from_utf8(output.clone()).unwrap(), expected);
        output.clear();
        InternalTopic::Offsets.write(Some(&key), None, &mut output);
        assert!(String::from_utf8(output.clone()).unwrap().ends_with(r#""value":null}"#));
        output.clear();
        InternalTopic::GroupMetadata.write(Some(&key), Some(&value), &mut output);
        assert!(output.is_empty());
    }
}
