//! Which of several registries writes: they form a Kafka group of the type `sr`, whose first member picks the leader.
//!
//! ```text
//!   JoinGroup(identity) ──► the group's leader picks the eligible member with the smallest URL ──► SyncGroup
//!          ▲                                                                                          │
//!          └──── a member came or went ◄──── heartbeats ◄──── this one leads, or knows who does ◄──────┘
//! ```
//!
//! The bytes are those of the original, so that both kinds can share a group. A leader that is told to join again finishes
//! the change under way first, and reads the log to its end before it leads anew.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_client::Cluster;
use milena_client::consumer::{Beat, Joined, Membership, MembershipConfig};
use milena_stdx::ShutdownToken;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::service::Service;

/// The type of the groups.
const PROTOCOL_TYPE: &str = "sr";
/// The only protocol of that type.
const PROTOCOL: &str = "v0";
/// Version of the JSON documents.
const VERSION: i32 = 1;
/// In assignments: two members have the same URL.
const DUPLICATE_URLS: i32 = 1;
/// Pause after a failed attempt to join.
const RETRY: Duration = Duration::from_secs(1);
/// How long a stopping member tries to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How others reach an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    version: i32,
    host: String,
    port: u16,
    master_eligibility: bool,
    #[serde(default = "http")]
    scheme: String,
    /// Whether it leads at the moment.
    #[serde(default)]
    leader: bool,
}

fn http() -> String {
    "http".to_owned()
}

impl Identity {
    /// An instance at `scheme://host:port`; `eligible` ones can lead.
    pub fn new(scheme: &str, host: &str, port: u16, eligible: bool) -> Identity {
        Identity {
            version: VERSION,
            host: host.to_owned(),
            port,
            master_eligibility: eligible,
            scheme: scheme.to_owned(),
            leader: false,
        }
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// `scheme://host:port`.
    pub fn url(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    version: i32,
    error: i32,
    master: Option<String>,
    master_identity: Option<Identity>,
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// Not known at the moment.
    Undecided,
    /// This instance.
    Leader,
    /// Another one, or nobody when no member is eligible.
    Follower(Option<Identity>),
}

/// What takes part in the election.
#[derive(Debug, Clone)]
pub struct ElectionOptions {
    /// `schema.registry.group.id`
    pub group_id: String,
    /// This instance.
    pub identity: Identity,
    /// Join only when somebody wants to write.
    pub join_late: bool,
    /// `leader.election.sticky`: a leader that is still there keeps the lead.
    pub sticky: bool,
}

/// This instance's view of the election.
pub struct Election {
    leadership: watch::Receiver<Leadership>,
    wanted: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Election {
    /// Takes part until `shutdown`.
    pub fn start(
        cluster: Cluster,
        options: ElectionOptions,
        service: Arc<Service>,
        shutdown: ShutdownToken,
    ) -> Election {
        let (report, leadership) = watch::channel(Leadership::Undecided);
        let wanted = Arc::new(Notify::new());
        let member = Member { cluster, options, service, report, leads: false };
        let task = tokio::spawn(member.run(wanted.clone(), shutdown));
        Election { leadership, wanted, task: Mutex::new(Some(task)) }
    }

    /// Who leads, waiting at most `timeout` for a decision.
    pub async fn leadership(&self, timeout: Duration) -> Leadership {
        self.wanted.notify_one();
        let mut leadership = self.leadership.clone();
        let decided = leadership.wait_for(|leadership| *leadership != Leadership::Undecided);
        match tokio::time::timeout(timeout, decided).await {
            Ok(Ok(leadership)) => leadership.clone(),
            _ => Leadership::Undecided,
        }
    }

    /// Who leads, as far as known.
    pub fn known(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// Returns when the member has left its group, after the shutdown.
    pub async fn left(&self) {
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

struct Member {
    cluster: Cluster,
    options: ElectionOptions,
    service: Arc<Service>,
    report: watch::Sender<Leadership>,
    leads: bool,
}

impl Member {
    async fn run(mut self, wanted: Arc<Notify>, shutdown: ShutdownToken) {
        if self.options.join_late {
            tokio::select! {
                () = wanted.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
        let config = MembershipConfig {
            group_id: self.options.group_id.clone(),
            group_instance_id: None,
            protocol_type: PROTOCOL_TYPE.to_owned(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(1),
        };
        let mut membership = Membership::new(self.cluster.clone(), config);
        tokio::select! {
            () = self.take_part(&mut membership) => {}
            () = shutdown.cancelled() => {}
        }
        self.give_up().await;
        if let Ok(Err(error)) = tokio::time::timeout(GOODBYE, membership.leave("the registry is being stopped")).await {
            tracing::debug!(%error, "leaving the group of the registries");
        }
    }

    async fn take_part(&mut self, membership: &mut Membership) {
        loop {
            match self.round(membership).await {
                Ok(leadership) => {
                    self.announce(&leadership);
                    self.report.send_replace(leadership);
                    membership.disturbed().await;
                    self.give_up().await;
                    self.leads &= !matches!(membership.beat(), Beat::Lost(_));
                }
                Err(error) => {
                    tracing::warn!("joining group {} failed, trying again: {error}", self.options.group_id);
                    self.leads = false;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Joins, picks a leader if it is this member's turn, and learns who leads.
    async fn round(&mut self, membership: &mut Membership) -> Result<Leadership, Failure> {
        let identity = Identity { leader: self.leads, ..self.options.identity.clone() };
        let metadata = Bytes::from(serde_json::to_vec(&identity)?);
        let joined = membership.join(&[(PROTOCOL.to_owned(), metadata)], "taking part in the election").await?;
        let assignments = if joined.is_leader { self.assign(&joined)? } else { Vec::new() };
        let assignment: Assignment = serde_json::from_slice(&membership.sync(&joined, assignments).await?)?;
        if assignment.error == DUPLICATE_URLS {
            return Err(Failure::DuplicateUrl(identity.url()));
        }
        self.leads = assignment.master.as_deref() == Some(membership.member_id());
        if self.leads {
            self.service.log().catch_up().await?;
            return Ok(Leadership::Leader);
        }
        Ok(Leadership::Follower(assignment.master_identity.filter(|_| assignment.master.is_some())))
    }

    fn assign(&self, joined: &Joined) -> Result<Vec<(String, Bytes)>, Failure> {
        let members: Vec<(String, Identity)> = joined
            .members
            .iter()
            .filter_map(|member| Some((member.member_id.clone(), serde_json::from_slice(&member.metadata).ok()?)))
            .collect();
        let assignment = elect(&members, self.options.sticky);
        let bytes = Bytes::from(serde_json::to_vec(&assignment)?);
        Ok(joined.members.iter().map(|member| (member.member_id.clone(), bytes.clone())).collect())
    }

    /// Lets the change under way end; the next one waits for the next decision.
    async fn give_up(&self) {
        let _writes = self.service.hold_writes().await;
        self.report.send_replace(Leadership::Undecided);
    }

    fn announce(&self, leadership: &Leadership) {
        match leadership {
            Leadership::Leader => {
                tracing::info!("{} leads group {}", self.options.identity.url(), self.options.group_id)
            }
            Leadership::Follower(Some(leader)) => tracing::info!("{} leads, writes are forwarded", leader.url()),
            Leadership::Follower(None) => {
                tracing::warn!("no registry of group {} is eligible to lead", self.options.group_id)
            }
            Leadership::Undecided => {}
        }
    }
}

/// The decision of the group's first member.
fn elect(members: &[(String, Identity)], sticky: bool) -> Assignment {
    let mut urls: Vec<String> = members.iter().map(|(_, identity)| identity.url()).collect();
    urls.sort();
    if urls.windows(2).any(|pair| pair[0] == pair[1]) {
        return Assignment { version: VERSION, error: DUPLICATE_URLS, master: None, master_identity: None };
    }
    let eligible = || members.iter().filter(|(_, identity)| identity.master_eligibility);
    let present = eligible().find(|(_, identity)| sticky && identity.leader);
    let chosen = present.or_else(|| eligible().min_by_key(|(_, identity)| identity.url()));
    let (master, master_identity) = chosen.cloned().unzip();
    Assignment { version: VERSION, error: 0, master, master_identity }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kafka(#[from] milena_client::Error),
    #[error(transparent)]
    Storage(#[from] crate::storage::StorageError),
    #[error("a member's JSON cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("another registry has the same URL {0}: set host.name, or another port in listeners")]
    DuplicateUrl(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, port: u16, eligible: bool, leader: bool) -> (String, Identity) {
        (id.to_owned(), Identity { leader, ..Identity::new("http", "h", port, eligible) })
    }

    #[test]
    fn the_eligible_member_with_the_smallest_url_leads() {
        let members = [member("a", 8083, true, false), member("b", 8081, false, false), member("c", 8082, true, false)];
        let assignment = elect(&members, true);
        assert_eq!(assignment.master.as_deref(), Some("c"));
        assert_eq!(assignment.master_identity.unwrap().url(), "http://h:8082");
    }

    #[test]
    fn a_present_leader_stays_unless_told_otherwise() {
        let members = [member("a", 8081, true, false), member("b", 8082, true, true)];
        assert_eq!(elect(&members, true).master.as_deref(), Some("b"));
        assert_eq!(elect(&members, false).master.as_deref(), Some("a"));
        assert_eq!(elect(&[member("a", 8081, false, false)], true).master, None);
    }

    #[test]
    fn two_members_with_one_url_are_an_error() {
        assert_eq!(
            elect(&[member("a", 8081, true, false), member("b", 8081, true, false)], true).error,
            DUPLICATE_URLS
        );
    }

    #[test]
    fn identities_have_the_documented_members() {
        let text = serde_json::to_string(&Identity::new("http", "h", 8081, true)).unwrap();
        let expected =
            r#"{"version":1,"host":"h","port":8081,"master_eligibility":true,"scheme":"http","leader":false}"#;
        assert_eq!(text, expected);
        let old: Identity =
            serde_json::from_str(r#"{"version":1,"host":"h","port":1,"master_eligibility":true}"#).unwrap();
        assert_eq!(old.scheme(), "http");
    }
}
