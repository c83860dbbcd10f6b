//! JSON Web Tokens: who they are for, who made them, and until when.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::jaas;
use crate::security::settings::ListenerSettings;

/// Algorithms with public keys; a shared secret cannot come from a public set of keys.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// The principal's name.
    pub(super) subject: String,
    /// The end of the token's validity.
    pub(super) expires_at_ms: i64,
}

/// What a signed token must say.
#[derive(Debug, Clone)]
pub(super) struct Expectations {
    issuer: Option<String>,
    audiences: Vec<String>,
    clock_skew_s: i64,
    subject_claim: String,
    scope_claim: String,
}

impl Expectations {
    /// The settings of a listener.
    ///
    /// # Errors
    /// An issuer or an audience is neither expected nor explicitly waived.
    pub(super) fn of(settings: &ListenerSettings, mechanism: &str) -> Result<Expectations, String> {
        let get = |key: &str| settings.of_mechanism(mechanism, key);
        let waived = |key: &str| get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let audiences: Vec<String> = get("sasl.oauthbearer.expected.audience")
            .map(|text| text.split(',').map(|audience| audience.trim().to_owned()).collect())
            .unwrap_or_default();
        let issuer = get("sasl.oauthbearer.expected.issuer").map(str::to_owned);
        if audiences.is_empty() && !waived("sasl.oauthbearer.allow.unverified.audience") {
            return Err(
                "set sasl.oauthbearer.expected.audience, or sasl.oauthbearer.allow.unverified.audience=true".to_owned()
            );
        }
        if issuer.is_none() && !waived("sasl.oauthbearer.allow.unverified.issuer") {
            return Err(
                "set sasl.oauthbearer.expected.issuer, or sasl.oauthbearer.allow.unverified.issuer=true".to_owned()
            );
        }
        let skew = get("sasl.oauthbearer.clock.skew.seconds").and_then(|text| text.parse().ok());
        Ok(Expectations {
            issuer,
            audiences,
            clock_skew_s: skew.unwrap_or(30),
            subject_claim: get("sasl.oauthbearer.sub.claim.name").unwrap_or("sub").to_owned(),
            scope_claim: get("sasl.oauthbearer.scope.claim.name").unwrap_or("scope").to_owned(),
        })
    }
}

/// The id of the key that a token was signed with.
pub(super) fn key_id(token: &str) -> Result<Option<String>, String> {
    jsonwebtoken::decode_header(token).map(|header| header.kid).map_err(|error| error.to_string())
}

/// Checks a signed token.
pub(super) fn signed(token: &str, keys: &JwkSet, expectations: &Expectations, now_ms: i64) -> Result<Claims, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(format!("algorithm {:?} is not accepted", header.alg));
    }
    let fitting = keys.keys.iter().filter(|key| header.kid.is_none() || key.common.key_id == header.kid);
    let mut reason = "no key of the identity provider fits".to_owned();
    for jwk in fitting {
        let Ok(key) = DecodingKey::from_jwk(jwk) else { continue };
        // Claims are checked below, with the broker's clock.
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        match jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(decoded) => return check(&decoded.claims, expectations, now_ms),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn check(claims: &Map<String, Value>, expected: &Expectations, now_ms: i64) -> Result<Claims, String> {
    let skew_ms = expected.clock_skew_s.saturating_mul(1000);
    let checked = check_times(claims, &expected.subject_claim, skew_ms, now_ms)?;
    if let Some(issuer) = &expected.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err("the issuer is another than expected".to_owned());
    }
    let audiences = texts(claims.get("aud"))?;
    if !expected.audiences.is_empty() && !audiences.iter().any(|audience| expected.audiences.contains(audience)) {
        return Err("the audience is another than expected".to_owned());
    }
    texts(claims.get(&expected.scope_claim))?;
    Ok(checked)
}

fn check_times(claims: &Map<String, Value>, subject_claim: &str, skew_ms: i64, now_ms: i64) -> Result<Claims, String> {
    let expires_at_ms = time(claims, "exp")?.ok_or("the token has no expiration time")?;
    if expires_at_ms.saturating_add(skew_ms) <= now_ms {
        return Err("the token has expired".to_owned());
    }
    if time(claims, "nbf")?.is_some_and(|from| from.saturating_sub(skew_ms) > now_ms) {
        return Err("the token is not valid yet".to_owned());
    }
    if time(claims, "iat")?.is_some_and(|at| at.saturating_sub(skew_ms) > now_ms || at > expires_at_ms) {
        return Err("the token was issued in the future or after its end".to_owned());
    }
    let subject = claims.get(subject_claim).and_then(Value::as_str).filter(|subject| !subject.trim().is_empty());
    let subject = subject.ok_or_else(|| format!("the token has no claim {subject_claim}"))?;
    Ok(Claims { subject: subject.to_owned(), expires_at_ms })
}

/// Seconds since 1970, perhaps with a fraction, as milliseconds.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds.is_finite() => Ok(Some((seconds * 1000.0) as i64)),
            _ => Err(format!("the claim {name} is not a number")),
        },
    }
}

/// One text or a list of texts; a text of scopes may have several, separated by blanks.
fn texts(value: Option<&Value>) -> Result<Vec<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(list)) => {
            let texts: Option<Vec<String>> = list.iter().map(|text| text.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| "a list of claims holds something else than texts".to_owned())
        }
        Some(_) => Err("a claim is neither a text nor a list of texts".to_owned()),
    }
}

/// Checks a token without a signature.
pub(super) fn unsecured(token: &str, options: &jaas::Options, now_ms: i64) -> Result<Claims, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, ""] = parts[..] else { return Err("expected a token without a signature".to_owned()) };
    let object = |part: &str| -> Result<Map<String, Value>, String> {
        let bytes = BASE64_URL.decode(part.trim_end_matches('=')).map_err(|_| "the token is not base64".to_owned())?;
        serde_json::from_slice(&bytes).map_err(|_| "the token is not JSON".to_owned())
    };
    if object(header)?.get("alg").and_then(Value::as_str) != Some("none") {
        return Err("expected the algorithm none".to_owned());
    }
    let claims = object(payload)?;
    let option = |name: &str| options.get(name).map(String::as_str);
    let subject_claim = option("unsecuredValidatorPrincipalClaimName").unwrap_or("sub");
    let skew = option("unsecuredValidatorAllowableClockSkewMs").and_then(|text| text.parse().ok()).unwrap_or(0);
    let checked = check_times(&claims, subject_claim, skew, now_ms)?;
    let scope_claim = option("unsecuredValidatorScopeClaimName").unwrap_or("scope");
    let scopes = texts(claims.get(scope_claim))?;
    let required = option("unsecuredValidatorRequiredScope").unwrap_or("");
    match required.split_whitespace().find(|scope| !scopes.iter().any(|has| has == scope)) {
        Some(missing) => Err(format!("the token lacks the scope {missing}")),
        None => Ok(checked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn expectations() -> Expectations {
        Expectations {
            issuer: Some("idp".to_owned()),
            audiences: vec!["kafka".to_owned()],
            clock_skew_s: 30,
            subject_claim: "sub".to_owned(),
            scope_claim: "scope".to_owned(),
        }
    }

    fn checked(claims: Value) -> Result<Claims, String> {
        check(claims.as_object().expect("an object"), &expectations(), NOW)
    }

    fn good() -> Value {
        serde_json::json!({"sub": "alice", "iss": "idp", "aud": ["x", "kafka"], "exp": NOW / 1000 + 60, "scope": "a b"})
    }

    #[test]
    fn a_token_for_us_is_taken() {
        let claims = checked(good()).expect("a valid token");
        assert_eq!(claims, Claims { subject: "alice".to_owned(), expires_at_ms: NOW + 60_000 });
    }

    #[test]
    fn every_claim_can_spoil_a_token() {
        let spoil: &[(&str, Value)] = &[
            ("iss", "other".into()),
            ("iss", Value::Null),
            ("aud", "other".into()),
            ("aud", Value::Null),
            ("exp", (NOW / 1000 - 31).into()),
            ("exp", Value::Null),
            ("exp", "soon".into()),
            ("sub", Value::Null),
            ("sub", " ".into()),
            ("nbf", (NOW / 1000 + 31).into()),
            ("iat", (NOW / 1000 + 40).into()),
            ("scope", 7.into()),
        ];
        for (claim, value) in spoil {
            let mut claims = good();
            claims[*claim] = value.clone();
            assert!(checked(claims).is_err(), "{claim}={value}");
        }
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let mut claims = good();
        claims["exp"] = (NOW / 1000 - 29).into();
        claims["nbf"] = (NOW / 1000 - 40).into();
        assert!(checked(claims).is_ok());
    }

    #[test]
    fn an_unsecured_token_has_no_signature_and_the_algorithm_none() {
        let token = |header: &str, payload: &Value, signature: &str| {
            format!("{}.{}.{signature}", BASE64_URL.encode(header), BASE64_URL.encode(payload.to_string()))
        };
        let none = jaas::Options::new();
        let good = good();
        assert!(unsecured(&token(r#"{"alg":"none"}"#, &good, ""), &none, NOW).is_ok());
        assert!(unsecured(&token(r#"{"alg":"none"}"#, &good, "x"), &none, NOW).is_err());
        assert!(unsecured(&token(r#"{"alg":"HS256"}"#, &good, ""), &none, NOW).is_err());
        let scopes = jaas::Options::from([("unsecuredValidatorRequiredScope".to_owned(), "a c".to_owned())]);
        assert!(unsecured(&token(r#"{"alg":"none"}"#, &good, ""), &scopes, NOW).is_err());
    }
}
