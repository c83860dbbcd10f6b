//! Calls between workers: signed with a key that only workers can read, so that nobody else makes them (KIP-507).

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use milena_http::percent_encode;
use milena_stdx::{Clock as _, SystemClock};

use super::config_state::{SessionKey, records};
use super::{ConnectorType, Herder, HerderError, Result};
use crate::client::RestClient;
use crate::plugin::Settings;

const SIGNATURE: HeaderName = HeaderName::from_static("x-connect-authorization");
const ALGORITHM: HeaderName = HeaderName::from_static("x-connect-request-signature-algorithm");
/// The only algorithm of keys and signatures.
const HMAC_SHA256: &str = "HmacSHA256";
/// Bytes of a key.
const KEY_BYTES: usize = 32;

impl Herder {
    /// Whether a worker of this cluster has sent the request.
    ///
    /// # Errors
    /// 400 without a signature, 403 for a wrong one, 503 while no key is known.
    pub(crate) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<()> {
        if !self.group.read().signs {
            return Ok(());
        }
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(signature), Some(algorithm)) = (text(&SIGNATURE), text(&ALGORITHM)) else {
            return Err(HerderError::BadRequest("Internal request missing required signature".to_owned()));
        };
        if algorithm != HMAC_SHA256 {
            return Err(HerderError::BadRequest(format!(
                "This worker does not support the '{algorithm}' key signing algorithm used by other workers. This worker is currently configured to use: [{HMAC_SHA256}]. Check that all workers' configuration files permit the same set of signature algorithms, and correct any misconfigured worker and restart it."
            )));
        }
        let signature = BASE64.decode(signature).map_err(|error| HerderError::BadRequest(error.to_string()))?;
        let state = self.configs.state();
        let key = state.session_key.as_ref().ok_or_else(|| {
            HerderError::Unavailable(
                "This worker is still starting up and has not been able to read a session key from the config topic yet"
                    .to_owned(),
            )
        })?;
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key.key), body, &signature)
            .map_err(|_| HerderError::Forbidden("Internal request contained invalid signature.".to_owned()))
    }

    /// The leader changes the key when it is old, or there is none.
    pub(super) async fn renew_session_key(&self) -> Result<()> {
        let now = SystemClock.now_ms();
        let ttl = self.config.distributed.as_ref().and_then(|distributed| distributed.key_ttl);
        let is_fresh = self.configs.state().session_key.as_ref().is_some_and(|key| {
            let age = now.saturating_sub(key.creation_timestamp);
            let lasts = ttl.is_none_or(|ttl| i64::try_from(ttl.as_millis()).is_ok_and(|ttl| age < ttl));
            lasts && key.algorithm == HMAC_SHA256 && key.key.len() == KEY_BYTES
        });
        if is_fresh {
            return Ok(());
        }
        let mut key = vec![0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| HerderError::Failed("no randomness is to be had".to_owned()))?;
        let key = SessionKey { key, algorithm: HMAC_SHA256.to_owned(), creation_timestamp: now };
        self.write(vec![records::session_key(&key)]).await
    }

    /// Has the leader write the tasks that a connector has planned here.
    pub(super) async fn send_tasks_to_leader(
        &self,
        name: &str,
        tasks: &[Settings],
        leader: Option<&str>,
    ) -> Result<()> {
        let body = serde_json::to_vec(tasks).map_err(|error| HerderError::Failed(error.to_string()))?;
        self.call_leader("POST", &format!("/connectors/{}/tasks", percent_encode(name)), body, leader).await
    }

    /// Has the leader end what tasks of before may still write; does so itself if it leads.
    pub(super) async fn fence_through_leader(&self, name: &str) -> Result<()> {
        let group = self.group();
        if group.is_leader {
            return self.fence(name).await;
        }
        let path = format!("/connectors/{}/fence", percent_encode(name));
        self.call_leader("PUT", &path, Vec::new(), group.leader_url.as_deref()).await
    }

    async fn call_leader(&self, method: &str, path: &str, body: Vec<u8>, leader: Option<&str>) -> Result<()> {
        let leader = leader.ok_or_else(|| HerderError::Unavailable("no leader is known".to_owned()))?;
        let headers = self.signature(&body)?;
        let client = RestClient::new(leader, None).map_err(|error| HerderError::Failed(error.to_string()))?;
        let client = client.with_tls(self.config.rest.client_tls.clone());
        let sent = client.send(method, path, &headers, body.into()).await;
        let (status, answer) = sent.map_err(|error| HerderError::Failed(error.to_string()))?;
        if status < 400 { Ok(()) } else { Err(answered(status, &answer)) }
    }

    fn signature(&self, body: &[u8]) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let state = self.configs.state();
        let Some(key) = state.session_key.as_ref().filter(|_| self.group.read().signs) else { return Ok(headers) };
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.key), body);
        let value = HeaderValue::try_from(BASE64.encode(signature));
        headers.insert(SIGNATURE, value.map_err(|error| HerderError::Failed(error.to_string()))?);
        headers.insert(ALGORITHM, HeaderValue::from_static(HMAC_SHA256));
        Ok(headers)
    }

    /// Ends what tasks of before may still write, and notes how many there are now.
    ///
    /// # Errors
    /// 404, 400 for a sink, 409 when this worker does not lead or the tasks were planned anew meanwhile.
    pub(crate) async fn fence(&self, name: &str) -> Result<()> {
        self.must_lead()?;
        self.refresh_configs().await?;
        let found = {
            let state = self.configs.state();
            let settings = state.config(name).cloned().ok_or_else(|| HerderError::no_connector(name))?;
            if self.kind_of(&settings) != ConnectorType::Source {
                return Err(HerderError::BadRequest(format!("Connector {name} is not a source connector")));
            }
            let (count, record) = (state.task_count(name), state.task_count_record(name));
            (settings, count, record, state.task_generation(name), state.is_pending_fencing(name))
        };
        let (settings, count, record, generation, pending) = found;
        if !pending {
            return Ok(());
        }
        // One task before and after has one transactional id: the new one fences the old one by itself.
        if let Some(before) = record.filter(|before| *before != 1 || count != 1) {
            let settings = self.config.providers.resolve(&settings)?;
            self.worker.fence_zombies(name, &settings, before).await?;
            self.refresh_configs().await?;
            if self.configs.state().task_generation(name) != generation {
                return Err(HerderError::Answered {
                    status: 409,
                    code: 409,
                    message: "Fencing failed because new task configurations were generated for the connector"
                        .to_owned(),
                });
            }
        }
        self.write(vec![records::fencing(name, count)]).await
    }
}

/// The error that another worker has told.
pub(crate) fn answered(status: u16, body: &[u8]) -> HerderError {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = value.get("error_code").and_then(serde_json::Value::as_i64).unwrap_or(i64::from(status));
    let message = value.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason is given").to_owned();
    HerderError::Answered { status, code, message }
}
