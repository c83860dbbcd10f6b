//! One read: waiting, taking, showing, handing over.

use std::pin::pin;
use std::time::{Duration, Instant};

use milena_client::consumer::Polled;

use super::answers::{self, Include, Style};
use super::instance::Instance;
use super::mailbox::{Closing, Mailbox, Reply};
use super::stash::Taken;
use crate::error::RestError;
use crate::formats::Undecodable;

/// How long a read waits for its group before its own timeout begins: joining takes longer than most timeouts.
const JOIN_WAIT: Duration = Duration::from_secs(8);
/// A read looks so often whether the client still waits.
const SLICE: Duration = Duration::from_millis(250);
/// How long a read waits for a rebalance that came in between, behind its timeout.
const GRACE: Duration = Duration::from_secs(5);
/// More bytes than this are shown on a thread of their own.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// What a read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it waits.
    pub timeout: Duration,
    /// Most bytes of keys and values; one record may be larger.
    pub bytes_max: usize,
    /// What is shown of records.
    pub include: Include,
}

impl Instance {
    /// Answers a read.
    ///
    /// # Errors
    /// [`Closing`].
    pub async fn read(&mut self, limits: Limits, reply: Reply<Vec<u8>>, mailbox: &mut Mailbox) -> Result<(), Closing> {
        let mut taken = Taken::default();
        let mut asking = Some(reply);
        let gathered = self.gather(limits, &mut asking, &mut taken, mailbox).await?;
        match (asking.filter(|reply| !reply.is_closed()), gathered) {
            (Some(reply), Ok(())) => self.hand_over(limits, reply, taken, mailbox).await,
            (asking, gathered) => {
                self.stash.give_back();
                if let (Some(reply), Err(error)) = (asking, gathered) {
                    let _ = reply.send(Err(error));
                }
                Ok(())
            }
        }
    }

    /// Takes records until there are enough or the time is up.
    async fn gather(
        &mut self,
        limits: Limits,
        asking: &mut Option<Reply<Vec<u8>>>,
        taken: &mut Taken,
        mailbox: &mut Mailbox,
    ) -> Result<Result<(), RestError>, Closing> {
        if self.wants.is_none() {
            let message = "Consumer is not subscribed to any topics or assigned any partitions";
            return Ok(Err(RestError::IllegalState(message.to_owned())));
        }
        if let Err(error) = self.connect(mailbox).await? {
            return Ok(Err(error));
        }
        let enough = self.settings.fetch_min_bytes.map_or(limits.bytes_max, |bytes| bytes.max(1));
        let mut was_settled = self.is_settled;
        let mut deadline = Instant::now() + if was_settled { limits.timeout } else { JOIN_WAIT };
        loop {
            if let Err(error) = self.stash.take(taken, limits.bytes_max) {
                return Ok(Err(error.into()));
            }
            let now = Instant::now();
            if self.is_settled && !was_settled {
                was_settled = true;
                deadline = now + limits.timeout;
            }
            let is_enough = taken.is_full || (taken.bytes >= enough && !taken.records.is_empty());
            if is_enough || now >= deadline || asking.as_ref().is_none_or(Reply::is_closed) {
                return Ok(Ok(()));
            }
            let slice = (deadline - now).min(SLICE);
            match self.poll(slice, deadline + GRACE, asking, mailbox).await? {
                Ok(polled) => {
                    if let Polled::Revoked(lost) = &polled {
                        taken.forget(lost);
                    }
                    self.note(polled);
                }
                Err(error) => return Ok(Err(error.into())),
            }
        }
    }

    /// One look for records. A rebalance may take longer than a client waits: it is answered without records at `late`,
    /// and the rebalance goes on.
    async fn poll(
        &mut self,
        timeout: Duration,
        late: Instant,
        asking: &mut Option<Reply<Vec<u8>>>,
        mailbox: &mut Mailbox,
    ) -> Result<milena_client::Result<Polled>, Closing> {
        let Some((_, consumer)) = self.kafka.as_mut() else { return Ok(Ok(Polled::Idle)) };
        let mut poll = pin!(consumer.poll(timeout));
        if let Some(polled) = mailbox.until(poll.as_mut(), Some(late)).await? {
            return Ok(polled);
        }
        if let Some(reply) = asking.take() {
            let _ = reply.send(Ok(b"[]".to_vec()));
        }
        mailbox.finish(poll).await
    }

    /// Shows what was taken and hands it over.
    async fn hand_over(
        &mut self,
        limits: Limits,
        reply: Reply<Vec<u8>>,
        taken: Taken,
        mailbox: &mut Mailbox,
    ) -> Result<(), Closing> {
        let style = Style { format: self.settings.format, registry: self.registry.clone(), include: limits.include };
        let told = self.told.clone();
        let blocks = style.format.schema_type().is_some() || taken.bytes > INLINE_BYTES_MAX;
        let (shown, taken) = if blocks && !taken.records.is_empty() {
            let showing =
                tokio::task::spawn_blocking(move || (answers::show(&taken.records, &style, told.as_ref()), taken));
            match mailbox.finish(showing).await? {
                Ok(done) => done,
                Err(_) => {
                    self.stash.give_back();
                    let message = "The records could not be shown".to_owned();
                    let _ = reply.send(Err(RestError::Plain { status: 500, message }));
                    return Ok(());
                }
            }
        } else {
            (answers::show(&taken.records, &style, told.as_ref()), taken)
        };
        if let Some((0, failure)) = shown.failure {
            self.stash.give_back();
            let Some(record) = taken.records.into_iter().next() else { return Ok(()) };
            let place =
                format!("topic = {}, partition = {}, offset = {}", record.topic, record.partition, record.offset);
            let message = match failure {
                Undecodable::Bytes(reason) => {
                    let message = format!(
                        "Error deserializing the record with {place}: {reason}. The next read shows its bytes and goes on behind it"
                    );
                    self.told = Some(record);
                    message
                }
                Undecodable::Registry(reason) => format!("Error deserializing the record with {place}: {reason}"),
            };
            let _ = reply.send(Err(RestError::Serialization(message)));
            return Ok(());
        }
        if reply.send(Ok(shown.body)).is_err() {
            self.stash.give_back();
            return Ok(());
        }
        self.told = None;
        let read = self.stash.deliver(&taken, shown.failure.map(|(index, _)| index));
        if let Some((_, consumer)) = self.kafka.as_mut() {
            read.into_iter().for_each(|(tp, next)| consumer.set_consumed(&tp, next));
        }
        Ok(())
    }
}
