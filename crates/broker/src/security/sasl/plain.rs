//! PLAIN (RFC 4616): the password itself, so only ever over TLS.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;

use super::{AuthenticationFailed, jaas};
use crate::security::Principal;
use crate::security::settings::{ListenerSettings, Secret};

/// Options that are users: `user_alice="password"`.
const USER_PREFIX: &str = "user_";

/// The users of a listener with their passwords.
pub(super) fn users(settings: &ListenerSettings) -> Result<BTreeMap<String, Secret>, String> {
    let options = jaas::options(settings, settings.listener(), "plain", "PlainLoginModule")?;
    let users = options
        .into_iter()
        .filter_map(|(key, password)| Some((key.strip_prefix(USER_PREFIX)?.to_owned(), Secret::new(password))));
    Ok(users.collect())
}

/// Checks `authorization id \0 user \0 password`.
pub(super) fn authenticate(settings: &ListenerSettings, token: &[u8]) -> Result<Principal, AuthenticationFailed> {
    let failed = |message: &str| AuthenticationFailed(format!("Authentication failed: {message}"));
    let text = std::str::from_utf8(token).map_err(|_| failed("the token is not UTF-8"))?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [authorization_id, user, password] = parts[..] else {
        return Err(failed("expected an authorization id, a user and a password"));
    };
    if user.is_empty() {
        return Err(failed("username not specified"));
    }
    if password.is_empty() {
        return Err(failed("password not specified"));
    }
    if !authorization_id.is_empty() && authorization_id != user {
        return Err(failed("Client requested an authorization id that is different from username"));
    }
    let users = users(settings).map_err(|message| {
        tracing::error!(listener = settings.listener(), %message, "the users of PLAIN cannot be read");
        failed("Invalid username or password")
    })?;
    let expected = users.get(user);
    let same = same_secret(expected.map_or("", Secret::reveal), password);
    if same && expected.is_some() { Ok(Principal::user(user)) } else { Err(failed("Invalid username or password")) }
}

/// Compares in a time that depends neither on where the first difference is nor on the length.
pub(super) fn same_secret(left: &str, right: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    verify_slices_are_equal(digest(left).as_ref(), digest(right).as_ref()).is_ok()
}
