//! The calls that wait for an instance, and how the instance works while they do.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::{Duration, Instant};

use milena_client::TopicPartition;
use milena_client::admin::Committed;
use milena_stdx::ShutdownToken;
use tokio::sync::{mpsc, oneshot};

use super::reading::Limits;
use super::{Target, Wants};
use crate::error::{RestError, Result};

/// How long a call waits while the consumer does something that cannot be interrupted: joining its group, mostly.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the outcome of a command goes.
pub type Reply<T> = oneshot::Sender<Result<T>>;

/// What a call wants of an instance.
pub enum Command {
    /// Nothing, except that the instance lives on.
    Touch(Reply<()>),
    Want(Wants, Reply<()>),
    Unsubscribe(Reply<()>),
    Seek(Vec<(TopicPartition, Target)>, Reply<()>),
    Read(Limits, Reply<Vec<u8>>),
    /// `None`: everything that was read.
    Commit(Option<BTreeMap<TopicPartition, Committed>>, Reply<()>),
    Committed(Vec<TopicPartition>, Reply<BTreeMap<TopicPartition, Committed>>),
}

/// The instance is to end.
#[derive(Debug)]
pub struct Closing;

/// What an instance has to do next.
pub enum Next {
    /// A call.
    Command(Command),
    /// The consumer wants attention.
    Attend,
}

/// See the module's words.
pub struct Mailbox {
    commands: mpsc::Receiver<Command>,
    waiting: VecDeque<(Instant, Command)>,
    closing: ShutdownToken,
    idle_max: Duration,
    expires: tokio::time::Instant,
}

impl Mailbox {
    /// A mailbox for an instance that ends with `closing`, or after `idle_max` without a call.
    pub fn new(commands: mpsc::Receiver<Command>, closing: ShutdownToken, idle_max: Duration) -> Mailbox {
        let expires = tokio::time::Instant::now() + idle_max;
        Mailbox { commands, waiting: VecDeque::new(), closing, idle_max, expires }
    }

    /// The next thing to do; `attention` may be dropped.
    ///
    /// # Errors
    /// [`Closing`], also when no call has come for too long.
    pub async fn next(&mut self, attention: impl Future<Output = ()>) -> Result<Next, Closing> {
        if let Some((_, command)) = self.waiting.pop_front() {
            return Ok(Next::Command(command));
        }
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(Closing),
            command = self.commands.recv() => command.map(Next::Command).ok_or(Closing),
            () = attention => Ok(Next::Attend),
            () = tokio::time::sleep_until(self.expires) => Err(Closing),
        }
    }

    /// A call was done.
    pub fn touch(&mut self) {
        self.expires = tokio::time::Instant::now() + self.idle_max;
    }

    /// Finishes `work`; calls that come meanwhile wait, but not for ever.
    ///
    /// # Errors
    /// [`Closing`]: the work is to be abandoned.
    pub async fn finish<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Closing> {
        let work = std::pin::pin!(work);
        self.until(work, None).await?.ok_or(Closing)
    }

    /// As [`Mailbox::finish`], but returns `None` when the work is not done at `deadline`; it can go on afterwards.
    ///
    /// # Errors
    /// [`Closing`]: the work is to be abandoned.
    pub async fn until<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = T>>,
        deadline: Option<Instant>,
    ) -> Result<Option<T>, Closing> {
        loop {
            let overdue = self.waiting.iter().map(|(until, _)| *until).min();
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return Err(Closing),
                done = work.as_mut() => return Ok(Some(done)),
                command = self.commands.recv() => match command {
                    Some(Command::Touch(reply)) => {
                        self.touch();
                        drop(reply.send(Ok(())));
                    }
                    Some(command) => self.waiting.push_back((command.waits_until(), command)),
                    None => return Err(Closing),
                },
                () = sleep_until(overdue) => self.turn_away(),
                () = sleep_until(deadline) => return Ok(None),
            }
        }
    }

    /// Answers the calls that have waited too long.
    fn turn_away(&mut self) {
        let now = Instant::now();
        let (overdue, waiting) = self.waiting.drain(..).partition(|(until, _)| *until <= now);
        self.waiting = waiting;
        let overdue: VecDeque<(Instant, Command)> = overdue;
        overdue.into_iter().for_each(|(_, command)| command.turn_away());
    }
}

impl Command {
    fn waits_until(&self) -> Instant {
        let timeout = if let Command::Read(limits, _) = self { limits.timeout } else { Duration::ZERO };
        Instant::now() + PATIENCE + timeout
    }

    /// No records, or an error that says to try again. Whoever asked may be gone.
    fn turn_away(self) {
        fn busy<T>(reply: Reply<T>) {
            let message = "The consumer is busy: its group is rebalancing or its broker does not answer".to_owned();
            let _ = reply.send(Err(RestError::Kafka { status: 500, code: 50003, message }));
        }
        match self {
            Command::Read(_, reply) => drop(reply.send(Ok(b"[]".to_vec()))),
            Command::Touch(reply) => drop(reply.send(Ok(()))),
            Command::Want(_, reply)
            | Command::Unsubscribe(reply)
            | Command::Seek(_, reply)
            | Command::Commit(_, reply) => busy(reply),
            Command::Committed(_, reply) => busy(reply),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(idle_max: Duration) -> (mpsc::Sender<Command>, ShutdownToken, Mailbox) {
        let ((sender, receiver), closing) = (mpsc::channel(4), ShutdownToken::new());
        (sender, closing.clone(), Mailbox::new(receiver, closing, idle_max))
    }

    #[tokio::test]
    async fn calls_wait_while_something_is_finished() {
        let (sender, _closing, mut mailbox) = mailbox(Duration::from_secs(60));
        let (work_done, work) = oneshot::channel::<u8>();
        let (touched, touch) = oneshot::channel();
        let (wanted, want) = oneshot::channel();
        sender.send(Command::Unsubscribe(wanted)).await.unwrap();
        sender.send(Command::Touch(touched)).await.unwrap();
        let finishing = mailbox.finish(work);
        let calls = async {
            // Only the touch is answered: the work goes on.
            assert_eq!(touch.await.unwrap(), Ok(()));
            work_done.send(5).unwrap();
        };
        let (finished, ()) = tokio::join!(finishing, calls);
        assert_eq!(finished.unwrap(), Ok(5));
        let next = mailbox.next(std::future::pending()).await;
        assert!(matches!(next, Ok(Next::Command(Command::Unsubscribe(_)))));
        drop((next, want));
    }

    #[tokio::test]
    async fn an_instance_ends_when_it_is_told_to_or_is_idle() {
        let (_sender, closing, mut told) = mailbox(Duration::from_secs(60));
        let work = std::future::pending::<()>();
        let (finished, ()) = tokio::join!(told.finish(work), async { closing.cancel() });
        assert!(finished.is_err() && told.next(std::future::pending()).await.is_err());
        let (_sender, _closing, mut idle) = mailbox(Duration::from_millis(1));
        assert!(idle.next(std::future::pending()).await.is_err());
    }
}
