//! Rebuilding a shard from its log.

use std::sync::Arc;

use milena_protocol::messages::OffsetCommitValue;

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::effects::{Effects, Now};
use super::offsets::CommittedOffset;
use super::offsets_log::LoggedEvent;
use super::records::{self, StoredRecord};
use super::shard::{Group, Shard};

impl Shard {
    /// Takes over one event of the log. A record that cannot be read is skipped: refusing to serve every other
    /// group of the shard would be worse.
    pub fn load(&mut self, event: LoggedEvent<'_>) {
        let (key, value, producer_id) = match event {
            LoggedEvent::Record { key, value, producer_id } => (key, value, producer_id),
            LoggedEvent::Marker { producer_id, committed } => return self.complete_transaction(producer_id, committed),
        };
        match (records::decode(key, value), producer_id) {
            (Ok(Some(StoredRecord::Offset { key, value: Some(value) })), Some(producer_id)) => {
                let offset = self.loaded_offset(value);
                self.pending.set(producer_id, (key.group.into(), key.topic, key.partition, offset));
            }
            (Ok(Some(record)), None) => self.load_record(record),
            // Transactions commit offsets and nothing else.
            (Ok(_), _) => {}
            (Err(error), _) => tracing::warn!(%error, "unreadable record in __consumer_offsets is skipped"),
        }
    }

    fn loaded_offset(&mut self, value: OffsetCommitValue) -> CommittedOffset {
        CommittedOffset { order: self.next_order(), ..CommittedOffset::from_value(value) }
    }

    fn load_record(&mut self, record: StoredRecord) {
        match record {
            StoredRecord::Offset { key, value: Some(value) } => {
                let offset = self.loaded_offset(value);
                let offsets = self.offsets.entry(key.group.as_str().into()).or_default();
                offsets.set(&key.topic, key.partition, offset);
            }
            StoredRecord::Offset { key, value: None } => {
                self.pending.remove(&key.group, &key.topic, key.partition);
                if let Some(offsets) = self.offsets.get_mut(key.group.as_str()) {
                    offsets.remove(&key.topic, key.partition);
                    if offsets.is_empty() {
                        self.offsets.remove(key.group.as_str());
                    }
                }
            }
            StoredRecord::Group { group, value } => self.load_classic(&group, value),
            StoredRecord::ConsumerGroup { group, value: Some(value) } => {
                self.loaded_consumer_group(&group).load_epoch(value);
            }
            StoredRecord::ConsumerGroup { group, value: None } => {
                if matches!(self.groups.get(group.as_str()), Some(Group::Consumer(_))) {
                    self.groups.remove(group.as_str());
                }
            }
            StoredRecord::Share(record) => self.load_share_record(record),
            StoredRecord::Streams(record) => self.load_streams_record(record),
            other => self.load_consumer_record(other),
        }
    }

    fn load_classic(&mut self, group_id: &str, value: Option<milena_protocol::messages::GroupMetadataValue>) {
        let group_id: Arc<str> = group_id.into();
        if let Some(value) = value {
            let group = ClassicGroup::from_stored(group_id.clone(), value);
            self.groups.insert(group_id, Group::Classic(group));
        } else if matches!(self.groups.get(&group_id), Some(Group::Classic(_))) {
            self.groups.remove(&group_id);
        }
    }

    fn load_consumer_record(&mut self, record: StoredRecord) {
        match record {
            StoredRecord::ConsumerMember { key, value } => {
                if value.is_some() || self.is_consumer_group(&key.group_id) {
                    self.loaded_consumer_group(&key.group_id).load_member(&key.member_id, value);
                }
            }
            StoredRecord::ConsumerTarget { group, value } => {
                if value.is_some() || self.is_consumer_group(&group) {
                    self.loaded_consumer_group(&group).load_target_epoch(value);
                }
            }
            StoredRecord::ConsumerTargetMember { key, value } => {
                if value.is_some() || self.is_consumer_group(&key.group_id) {
                    self.loaded_consumer_group(&key.group_id).load_target(&key.member_id, value);
                }
            }
            StoredRecord::ConsumerCurrent { key, value } => {
                if value.is_some() || self.is_consumer_group(&key.group_id) {
                    self.loaded_consumer_group(&key.group_id).load_holding(&key.member_id, value);
                }
            }
            StoredRecord::ConsumerRegex { key, value } => {
                if value.is_some() || self.is_consumer_group(&key.group_id) {
                    self.loaded_consumer_group(&key.group_id).load_regex(key.regular_expression, value);
                }
            }
            StoredRecord::Offset { .. }
            | StoredRecord::Group { .. }
            | StoredRecord::ConsumerGroup { .. }
            | StoredRecord::Share(_)
            | StoredRecord::Streams(_) => {}
        }
    }

    fn is_consumer_group(&self, group_id: &str) -> bool {
        matches!(self.groups.get(group_id), Some(Group::Consumer(_)))
    }

    fn loaded_consumer_group(&mut self, group_id: &str) -> &mut ConsumerGroup {
        let group_id: Arc<str> = group_id.into();
        let group = self
            .groups
            .entry(group_id.clone())
            .or_insert_with(|| Group::Consumer(ConsumerGroup::new(group_id.clone())));
        if !matches!(group, Group::Consumer(_)) {
            *group = Group::Consumer(ConsumerGroup::new(group_id));
        }
        match group {
            Group::Consumer(group) => group,
            Group::Classic(_) | Group::Share(_) | Group::Streams(_) => unreachable!("replaced above"),
        }
    }

    /// The end of the log is reached: sessions begin, and groups that only have offsets become visible.
    pub fn finish_load(&mut self, now: Now) {
        for group_id in self.offsets.keys().chain(self.pending.groups()) {
            self.groups.entry(group_id.clone()).or_insert_with(|| Group::Classic(ClassicGroup::new(group_id.clone())));
        }
        self.schedule_offset_expiry(now);
        let topics = self.topics.clone();
        // Starting timers asks for nothing to be written.
        let mut effects = Effects::default();
        let (groups, mut turn) = self.turn(now, &mut effects);
        for group in groups.values() {
            match group {
                Group::Classic(group) => group.start_sessions(&mut turn),
                Group::Consumer(group) => group.start_sessions(topics.as_ref(), &mut turn),
                Group::Share(group) => group.start_sessions(topics.as_ref(), &mut turn),
                Group::Streams(group) => group.start_sessions(topics.as_ref(), &mut turn),
            }
        }
    }
}
