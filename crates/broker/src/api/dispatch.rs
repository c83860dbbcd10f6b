//! From a frame to an outcome: header, table look-up, decoding, the handler, encoding.
//!
//! A frame that cannot be understood (unknown key, version out of range, malformed body) closes the connection, as Kafka
//! does. The one exception is ApiVersions above our range: it is answered in the format of version 0 with error 35, and
//! the client comes back with a version we know (KIP-511).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use milena_protocol::header::RequestHeader;
use milena_protocol::{ApiKey, Chunk, Chunks, DecodeError, EncodeError, Message, Reader, Request, encode_response};

use tokio_util::sync::CancellationToken;

use crate::context::{Broker, ClientSoftware, ListenerInfo, RequestContext};
use crate::flow::{RequestFlow, measured};
use crate::metrics::ErrorCodes;
use crate::security::sasl::{SaslSession, Verdict};
use crate::security::{self, Principal};

/// The versions of one API that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiVersionRange {
    /// The API.
    pub key: ApiKey,
    /// The lowest version served.
    pub min: i16,
    /// The highest version served.
    pub max: i16,
}

/// What is to be sent for one request.
pub enum Outcome {
    /// The response is ready.
    Respond(Chunks),
    /// The effects have happened; the response follows when the future ends. The next request may start meanwhile.
    Later(PendingResponse),
    /// The request has no response (`acks=0`).
    Silent,
    /// The response is ready and is the last one of the connection.
    RespondAndClose(Chunks),
    /// The connection is to be closed without a response (`acks=0` that failed).
    Close,
}

/// A response that waits for something, for example the group fsync of `acks=all`.
pub type PendingResponse = Pin<Box<dyn Future<Output = Result<Chunks, EncodeError>> + Send>>;

/// Why a frame closes its connection.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The frame ends inside the request header.
    #[error("the frame is too short for a request header")]
    TruncatedHeader,
    /// Nothing is known under this key.
    #[error("unknown API key {0}")]
    UnknownKey(i16),
    /// The API is known but not in this version.
    #[error("{} version {version} is not served", .key.name())]
    UnsupportedVersion {
        /// The API asked for.
        key: ApiKey,
        /// The version asked for.
        version: i16,
    },
    /// The body contradicts its schema.
    #[error("malformed {} request", .key.name())]
    Malformed {
        /// The API asked for.
        key: ApiKey,
        /// What was wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The client must authenticate first.
    #[error("{} request before the client was authenticated", .0.map_or("unknown", |key| key.name()))]
    NotAuthenticated(Option<ApiKey>),
    /// The client had to authenticate again and did not.
    #[error("the session of the client has expired")]
    SessionExpired,
    /// A token without a header was refused.
    #[error("failed authentication: {0}")]
    AuthenticationFailed(String),
    /// The header contradicts its schema.
    #[error("malformed request header")]
    MalformedHeader(#[source] DecodeError),
    /// A response could not be written in the format of its version.
    #[error("response cannot be encoded")]
    Encode(#[from] EncodeError),
}

/// What a connection knows about its client; every request of the connection shares it.
#[derive(Clone)]
pub struct ClientConnection {
    /// The listener that accepted the connection.
    pub listener: Arc<ListenerInfo>,
    /// The address of the client.
    pub peer: SocketAddr,
    /// What the client has been authenticated as; `User:ANONYMOUS` where a listener authenticates nobody.
    pub principal: Arc<Principal>,
    /// The SASL state, on listeners with SASL.
    pub(crate) sasl: Option<Arc<SaslSession>>,
    /// Filled by ApiVersions v3+.
    pub client_software: Arc<ArcSwapOption<ClientSoftware>>,
    /// Cancelled when the connection ends.
    pub closed: CancellationToken,
    /// What the request that is being served costs.
    pub(crate) flow: Arc<RequestFlow>,
}

impl ClientConnection {
    /// A connection that was just accepted.
    pub fn new(listener: Arc<ListenerInfo>, peer: SocketAddr) -> ClientConnection {
        ClientConnection {
            listener,
            peer,
            principal: Arc::new(Principal::anonymous()),
            sasl: None,
            client_software: Arc::new(ArcSwapOption::empty()),
            closed: CancellationToken::new(),
            flow: Arc::default(),
        }
    }

    /// Who the client is now: SASL may say so at any time.
    fn current_principal(&self) -> Arc<Principal> {
        self.sasl.as_ref().and_then(|sasl| sasl.principal()).unwrap_or_else(|| self.principal.clone())
    }

    /// The context of a frame that has no header.
    fn bare_context(&self) -> RequestContext {
        self.request_context(RequestHeader { api_key: ApiKey::SaslAuthenticate.code(), ..RequestHeader::default() })
    }

    fn request_context(&self, header: RequestHeader) -> RequestContext {
        RequestContext {
            listener: self.listener.clone(),
            client_id: header.client_id,
            peer: self.peer,
            api_version: header.api_version,
            principal: self.current_principal(),
            sasl: self.sasl.clone(),
            client_software: self.client_software.clone(),
            closed: self.closed.clone(),
            flow: self.flow.clone(),
        }
    }
}

/// Serves one request: `frame` is everything behind the length prefix.
///
/// The future ends when the effects of the request have happened and the next request of the connection may start.
///
/// # Errors
/// Every error means that the connection must be closed.
pub async fn dispatch(
    broker: &Arc<Broker>,
    connection: &ClientConnection,
    frame: Bytes,
) -> Result<Outcome, DispatchError> {
    let Some(sasl) = &connection.sasl else { return dispatch_request(broker, connection, frame).await };
    let key = peek_header(&frame).ok().and_then(|(key, ..)| ApiKey::try_from(key).ok());
    match sasl.verdict(key) {
        Verdict::Serve => {}
        Verdict::RawToken => return raw_token(connection, &frame).await,
        Verdict::OutOfOrder => return Err(DispatchError::NotAuthenticated(key)),
        Verdict::Expired => return Err(DispatchError::SessionExpired),
    }
    match dispatch_request(broker, connection, frame).await? {
        Outcome::Respond(response) if sasl.has_failed() => Ok(Outcome::RespondAndClose(response)),
        outcome => Ok(outcome),
    }
}

/// A token of SASL without a header, as it follows SaslHandshake v0. It is answered in kind.
async fn raw_token(connection: &ClientConnection, token: &[u8]) -> Result<Outcome, DispatchError> {
    let answer = security::take_token(&connection.bare_context(), token).await;
    let answer = answer.map_err(|(_, message)| DispatchError::AuthenticationFailed(message))?;
    let length = i32::try_from(answer.token.len()).unwrap_or_default();
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&answer.token);
    Ok(Outcome::Respond(Chunks { len: frame.len(), chunks: vec![Chunk::Bytes(Bytes::from(frame))] }))
}

async fn dispatch_request(
    broker: &Arc<Broker>,
    connection: &ClientConnection,
    frame: Bytes,
) -> Result<Outcome, DispatchError> {
    let (key, version, correlation_id) = peek_header(&frame)?;
    let key = ApiKey::try_from(key).map_err(|_| DispatchError::UnknownKey(key))?;
    let range = range_of(key).ok_or(DispatchError::UnknownKey(key as i16))?;
    if !(range.min..=range.max).contains(&version) {
        return unsupported_version(range, version, correlation_id);
    }
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).map_err(DispatchError::MalformedHeader)?;
    super::call(broker, connection.request_context(header), key, correlation_id, reader).await
}

/// The versions of `key` that are served, or `None` when it is not served at all.
pub fn range_of(key: ApiKey) -> Option<ApiVersionRange> {
    super::API_VERSIONS.iter().copied().find(|range| range.key == key)
}

fn peek_header(frame: &[u8]) -> Result<(i16, i16, i32), DispatchError> {
    match frame {
        [k0, k1, v0, v1, c0, c1, c2, c3, ..] => Ok((
            i16::from_be_bytes([*k0, *k1]),
            i16::from_be_bytes([*v0, *v1]),
            i32::from_be_bytes([*c0, *c1, *c2, *c3]),
        )),
        _ => Err(DispatchError::TruncatedHeader),
    }
}

fn unsupported_version(range: ApiVersionRange, version: i16, correlation_id: i32) -> Result<Outcome, DispatchError> {
    if range.key != ApiKey::ApiVersions {
        return Err(DispatchError::UnsupportedVersion { key: range.key, version });
    }
    let response = super::api_versions::unsupported_version();
    Ok(Outcome::Respond(encode_response(correlation_id, ApiKey::ApiVersions, 0, &response)?))
}

/// Decodes the body of a request.
pub(super) fn decode_body<R: Request>(reader: &mut Reader, version: i16) -> Result<R, DispatchError> {
    R::decode(reader, version).map_err(|source| DispatchError::Malformed { key: R::KEY, source })
}

/// Encodes the answer to a request of type `R`.
pub(super) fn respond<R: Request>(
    broker: &Broker,
    correlation_id: i32,
    version: i16,
    response: &R::Response,
) -> Result<Outcome, DispatchError>
where
    R::Response: Message + ErrorCodes,
{
    broker.metrics.requests.answered(R::KEY, response);
    Ok(Outcome::Respond(encode_response(correlation_id, R::KEY, version, response)?))
}

/// Runs a handler, and tells its response how long the client is throttled.
pub(super) async fn served<M: Message>(
    broker: &Broker,
    context: &RequestContext,
    handler: Pin<Box<impl Future<Output = M>>>,
) -> M {
    let mut response = measured(&context.flow, handler).await;
    context.flow.throttle(broker.quotas.worked(context, context.flow.charge()));
    response.raise_throttle_time_ms(i32::try_from(context.flow.throttle_ms()).unwrap_or(i32::MAX));
    response
}

/// Turns the rows of the table into `API_VERSIONS` and the `call` that dispatches by them.
macro_rules! api_table {
    ($($name:ident : $request:ident, $min:literal ..= $max:literal, $module:ident $(, $kind:ident)? ;)*) => {
        /// Every API that is served, in the order of the keys.
        pub const API_VERSIONS: &[ApiVersionRange] = &[
            $(ApiVersionRange { key: milena_protocol::ApiKey::$name, min: $min, max: $max },)*
        ];

        async fn call(
            broker: &std::sync::Arc<crate::context::Broker>,
            context: crate::context::RequestContext,
            key: milena_protocol::ApiKey,
            correlation_id: i32,
            mut reader: milena_protocol::Reader,
        ) -> Result<Outcome, DispatchError> {
            let version = context.api_version;
            match key {
                $(milena_protocol::ApiKey::$name => {
                    let request: milena_protocol::messages::$request = dispatch::decode_body(&mut reader, version)?;
                    drop(reader);
                    dispatch::api_call!($module $($kind)?: $request, broker, context, request, correlation_id)
                })*
                _ => Err(DispatchError::UnknownKey(key as i16)),
            }
        }
    };
}

/// Calls the handler of one row. Handlers are boxed so that an idle connection does not carry room for the largest.
macro_rules! api_call {
    ($module:ident : $request:ident, $broker:ident, $context:ident, $decoded:ident, $correlation_id:ident) => {{
        let handler = Box::pin($module::handle($broker, &$context, $decoded));
        let response = dispatch::served($broker, &$context, handler).await;
        dispatch::respond::<milena_protocol::messages::$request>(
            $broker,
            $correlation_id,
            $context.api_version,
            &response,
        )
    }};
    ($module:ident deferred : $request:ident, $broker:ident, $context:ident, $decoded:ident, $correlation_id:ident) => {
        $module::start($broker, &$context, $decoded, $correlation_id)
    };
}

pub(super) use {api_call, api_table};
