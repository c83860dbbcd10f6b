//! Under which subject the schema of a topic's keys or values is registered.

use std::fmt;
use std::str::FromStr;

/// How a serializer names subjects (`key.subject.name.strategy`, `value.subject.name.strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SubjectNameStrategy {
    /// `<topic>-key`, `<topic>-value`.
    #[default]
    Topic,
    /// The full name of the record.
    Record,
    /// `<topic>-<full name of the record>`.
    TopicRecord,
    /// What the registry's associations say about the topic, else as [`SubjectNameStrategy::Topic`].
    Associated,
}

/// A subject cannot be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectNameError {
    /// Not a strategy that is built in.
    #[error("unknown subject name strategy {0}")]
    UnknownStrategy(String),
    /// The strategy needs a record's name and the schema has none.
    #[error("{0} needs a schema with a record name")]
    NoRecordName(SubjectNameStrategy),
}

impl SubjectNameStrategy {
    /// The subject for the key or the value of `topic`. [`SubjectNameStrategy::Associated`] answers the usual fallback: who
    /// can ask the registry does so first.
    ///
    /// # Errors
    /// A strategy by record without a record name.
    pub fn subject(self, topic: &str, is_key: bool, record_name: Option<&str>) -> Result<String, SubjectNameError> {
        let record_name = || record_name.ok_or(SubjectNameError::NoRecordName(self));
        match self {
            SubjectNameStrategy::Topic | SubjectNameStrategy::Associated => {
                Ok(format!("{topic}-{}", if is_key { "key" } else { "value" }))
            }
            SubjectNameStrategy::Record => Ok(record_name()?.to_owned()),
            SubjectNameStrategy::TopicRecord => Ok(format!("{topic}-{}", record_name()?)),
        }
    }
}

impl fmt::Display for SubjectNameStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubjectNameStrategy::Topic => "TopicNameStrategy",
            SubjectNameStrategy::Record => "RecordNameStrategy",
            SubjectNameStrategy::TopicRecord => "TopicRecordNameStrategy",
            SubjectNameStrategy::Associated => "AssociatedNameStrategy",
        })
    }
}

impl FromStr for SubjectNameStrategy {
    type Err = SubjectNameError;

    /// By class name with or without package, or by the short name that the librdkafka clients use.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim().rsplit('.').next().unwrap_or(name) {
            "TopicNameStrategy" | "TOPIC" => Ok(SubjectNameStrategy::Topic),
            "RecordNameStrategy" | "RECORD" => Ok(SubjectNameStrategy::Record),
            "TopicRecordNameStrategy" | "TOPIC_RECORD" => Ok(SubjectNameStrategy::TopicRecord),
            "AssociatedNameStrategy" | "ASSOCIATED" => Ok(SubjectNameStrategy::Associated),
            _ => Err(SubjectNameError::UnknownStrategy(name.to_owned())),
        }
    }
}

/// How the subjects of references are named when a serializer registers them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferenceSubjectNameStrategy {
    /// The reference's name.
    #[default]
    Default,
    /// Without `.proto` and with dots for slashes.
    Qualified,
}

impl ReferenceSubjectNameStrategy {
    /// The subject of a reference.
    pub fn subject(self, reference_name: &str) -> String {
        match self {
            ReferenceSubjectNameStrategy::Default => reference_name.to_owned(),
            ReferenceSubjectNameStrategy::Qualified => {
                reference_name.strip_suffix(".proto").unwrap_or(reference_name).replace('/', ".")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_names_its_subject() {
        let subject = |name: &str, is_key, record| {
            name.parse::<SubjectNameStrategy>().and_then(|strategy| strategy.subject("orders", is_key, record))
        };
        assert_eq!(subject("TopicNameStrategy", true, None).unwrap(), "orders-key");
        assert_eq!(
            subject("io.confluent.kafka.serializers.subject.TopicNameStrategy", false, Some("a.B")).unwrap(),
            "orders-value"
        );
        assert_eq!(subject("RecordNameStrategy", false, Some("a.B")).unwrap(), "a.B");
        assert_eq!(subject("TopicRecordNameStrategy", false, Some("a.B")).unwrap(), "orders-a.B");
        assert_eq!(subject("AssociatedNameStrategy", false, None).unwrap(), "orders-value");
        assert_eq!(
            subject("RecordNameStrategy", false, None),
            Err(SubjectNameError::NoRecordName(SubjectNameStrategy::Record))
        );
        assert!(subject("com.example.Mine", false, None).is_err());
    }

    #[test]
    fn reference_subjects() {
        let name = "a/b/other.proto";
        assert_eq!(ReferenceSubjectNameStrategy::Default.subject(name), name);
        assert_eq!(ReferenceSubjectNameStrategy::Qualified.subject(name), "a.b.other");
    }
}
