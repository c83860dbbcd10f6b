//! What a group subscribes to: names, regular expressions, and the digest that tells when topics changed.

use std::collections::BTreeSet;

use milena_protocol::ErrorCode;
use milena_protocol::messages::ConsumerGroupRegularExpressionValue;
use regex::Regex;

use super::group::ConsumerGroup;
use super::request::Refusal;
use crate::group::effects::Turn;
use crate::group::records;
use crate::group::topics::TopicsView;

/// The topics that a regular expression stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRegex {
    /// The matching topics.
    pub topics: BTreeSet<String>,
    /// When they were looked up, in Unix ms.
    pub timestamp: i64,
}

/// Compiles a subscription so that it must match a topic's whole name.
///
/// # Errors
/// INVALID_REGULAR_EXPRESSION.
pub(super) fn compile(expression: &str) -> Result<Regex, Refusal> {
    // Compiled alone first: "a)(b" is invalid, though it would be valid inside a group.
    Regex::new(expression).and_then(|_| Regex::new(&format!("^(?:{expression})$"))).map_err(|error| {
        let message = format!("SubscribedTopicRegex `{expression}` is not a valid regular expression: {error}.");
        Refusal::new(ErrorCode::InvalidRegularExpression, message)
    })
}

impl ConsumerGroup {
    /// Looks up the topics of every expression that is new, or may have changed, among those that `topics` names: what
    /// the member whose request this is may see. Says whether any did.
    pub(super) fn refresh_regexes(&mut self, topics: &dyn TopicsView, turn: &mut Turn<'_>) -> bool {
        let expressions: BTreeSet<String> =
            self.members.values().filter_map(|member| member.subscribed_regex.clone()).collect();
        let stale: Vec<String> =
            expressions.into_iter().filter(|expression| self.is_regex_stale(expression, turn)).collect();
        self.regexes_stale = false;
        if stale.is_empty() {
            return false;
        }
        let names = topics.topic_names();
        let mut changed = false;
        for expression in stale {
            // It was compiled when the member subscribed; one stored by another broker may be foreign to us.
            let Ok(regex) = compile(&expression) else { continue };
            let matching = names.iter().filter(|name| regex.is_match(name)).cloned().collect();
            changed |= self.set_regex(expression, matching, turn);
        }
        changed
    }

    fn is_regex_stale(&self, expression: &str, turn: &Turn<'_>) -> bool {
        let refresh = turn.config.consumer_regex_refresh_interval_ms;
        self.regexes_stale
            || self.regexes.get(expression).is_none_or(|known| turn.now.unix_ms - known.timestamp >= refresh)
    }

    fn set_regex(&mut self, expression: String, topics: BTreeSet<String>, turn: &mut Turn<'_>) -> bool {
        let timestamp = turn.now.unix_ms;
        let changed = self.regexes.get(&expression).is_none_or(|known| known.topics != topics);
        if changed {
            let value = ConsumerGroupRegularExpressionValue {
                topics: topics.iter().cloned().collect(),
                timestamp,
                ..ConsumerGroupRegularExpressionValue::default()
            };
            turn.effects.record(records::consumer_regex(&self.id, &expression, Some(&value)));
        }
        self.regexes.insert(expression, ResolvedRegex { topics, timestamp });
        changed
    }

    /// Takes over the current state of the subscribed topics. Says whether it differs from the last epoch's.
    pub(super) fn refresh_metadata(&mut self, topics: &dyn TopicsView) -> bool {
        let digest = topics_digest(&self.subscribed_topics(), topics);
        self.metadata_stale = false;
        std::mem::replace(&mut self.metadata_hash, digest) != digest
    }

    /// The topics that some member subscribes to, in order.
    pub(super) fn subscribed_topics(&self) -> BTreeSet<String> {
        self.members.keys().flat_map(|member_id| self.topics_of(member_id)).collect()
    }

    /// The topics that one member subscribes to, by name or by expression.
    pub(super) fn topics_of(&self, member_id: &str) -> BTreeSet<String> {
        let Some(member) = self.members.get(member_id) else { return BTreeSet::new() };
        let mut topics = member.subscribed_names.clone();
        if let Some(resolved) = member.subscribed_regex.as_ref().and_then(|regex| self.regexes.get(regex)) {
            topics.extend(resolved.topics.iter().cloned());
        }
        topics
    }
}

/// A digest of the ids and partition counts of the topics `names`: another one means that something changed.
pub(in crate::group) fn topics_digest(names: &BTreeSet<String>, topics: &dyn TopicsView) -> i64 {
    let mut digest = Digest::default();
    for name in names {
        if let Some(topic) = topics.topic(name) {
            digest.add(name.as_bytes());
            digest.add(topic.id.as_bytes());
            digest.add(&topic.partitions.to_be_bytes());
        }
    }
    digest.value()
}

/// FNV-1a over length-prefixed fields: the same on every run, which a stored digest needs.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, field: &[u8]) {
        for byte in (field.len() as u64).to_be_bytes().iter().chain(field) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn value(&self) -> i64 {
        self.0.cast_signed()
    }
}
