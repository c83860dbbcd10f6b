//! SCRAM credentials of users. The password never leaves this process: the server gets it salted (KIP-554).

use milena_client::{Cluster, Error};
use milena_metadata::{ScramCredential, ScramMechanism};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest, alter_user_scram_credentials_request,
    describe_user_scram_credentials_request,
};

use super::changes::Changes;
use super::entity::{QuotaEntity, Which};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Random bytes of a salt.
const SALT_BYTES: usize = 24;

/// What `[iterations=8192,password=secret]` says.
#[derive(Debug, PartialEq)]
pub(crate) struct Credential {
    pub(crate) iterations: i32,
    pub(crate) password: String,
}

impl Credential {
    /// Reads the value behind a mechanism.
    ///
    /// # Errors
    /// In the words of Kafka's tool.
    pub(crate) fn parse(mechanism: ScramMechanism, text: &str) -> Result<Credential, Failure> {
        let invalid = || {
            let name = mechanism.name().replace('-', "_");
            Failure::illegal_argument(format!("Invalid credential property {name}={text}"))
        };
        let (iterations, rest) = match text.strip_prefix("iterations=") {
            Some(rest) => {
                let (number, rest) = rest.split_once(',').ok_or_else(invalid)?;
                (number.parse::<i32>().map_err(|_| invalid())?, rest)
            }
            None => (ScramMechanism::ITERATIONS_MIN, text),
        };
        let password = rest.strip_prefix("password=").ok_or_else(invalid)?;
        // -1 asks for the default, as in the original.
        let iterations = if iterations == -1 { ScramMechanism::ITERATIONS_MIN } else { iterations };
        if iterations < ScramMechanism::ITERATIONS_MIN {
            let (name, least) = (mechanism.name(), ScramMechanism::ITERATIONS_MIN);
            return Err(Failure::illegal_argument(format!(
                "Iterations {iterations} is less than the minimum {least} required for {name}"
            )));
        }
        Ok(Credential { iterations, password: password.to_owned() })
    }

    fn upsertion(&self, user: &str, mechanism: ScramMechanism) -> alter_user_scram_credentials_request::Upsertion {
        let salt = salt();
        let salted = ScramCredential::salted_password(mechanism, &salt, &self.password, self.iterations);
        alter_user_scram_credentials_request::Upsertion {
            name: user.to_owned(),
            mechanism: mechanism.code(),
            iterations: self.iterations,
            salt: salt.into(),
            salted_password: salted.into(),
        }
    }
}

/// A fresh salt.
pub(crate) fn salt() -> Vec<u8> {
    rand::random::<[u8; SALT_BYTES]>().to_vec()
}

/// Sets and deletes the credentials that `changes` names; several of one user go one after the other.
pub async fn alter(
    cluster: &Cluster,
    entities: &[QuotaEntity],
    changes: &Changes,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let [QuotaEntity { entity_type: "user", which: Which::Named(user) }] = entities else {
        return Err(Failure::illegal_argument(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using \
             --bootstrap-server.",
        ));
    };
    let mut requests = Vec::new();
    for (key, value) in &changes.set {
        let mechanism = mechanism(key)?;
        let upsertion = Credential::parse(mechanism, value)?.upsertion(user, mechanism);
        requests.push(AlterUserScramCredentialsRequest { deletions: Vec::new(), upsertions: vec![upsertion] });
    }
    for key in &changes.delete {
        let deletion =
            alter_user_scram_credentials_request::Deletion { name: user.clone(), mechanism: mechanism(key)?.code() };
        requests.push(AlterUserScramCredentialsRequest { deletions: vec![deletion], upsertions: Vec::new() });
    }
    for request in requests {
        let first_error = |response: &milena_protocol::messages::AlterUserScramCredentialsResponse| {
            response.results.first().map_or(0, |result| result.error_code)
        };
        let response = cluster.send_controller(&request, first_error).await?;
        for result in &response.results {
            Error::check(result.error_code, result.error_message.as_ref())?;
        }
    }
    terminal.line(&format!("Completed updating config for user {user}."));
    Ok(())
}

fn mechanism(name: &str) -> Result<ScramMechanism, Failure> {
    ScramMechanism::from_name(name).ok_or_else(|| {
        Failure::illegal_argument(format!(
            "Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config \
             names: Set({name})"
        ))
    })
}

/// Shows which credentials a user has, or every user.
pub async fn describe(cluster: &Cluster, entities: &[QuotaEntity], terminal: &mut Terminal) -> Result<(), Failure> {
    let users = match entities {
        [QuotaEntity { entity_type: "user", which: Which::Named(user) }] => {
            Some(vec![describe_user_scram_credentials_request::User { name: user.clone() }])
        }
        [QuotaEntity { entity_type: "user", which: Which::All }] => None,
        _ => return Ok(()),
    };
    let response = match cluster
        .send_controller(&DescribeUserScramCredentialsRequest { users }, |response| response.error_code)
        .await
    {
        Ok(response) => response,
        // Clusters that have no such credentials have no quotas of them to show either.
        Err(Error::UnsupportedVersion { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    Error::check(response.error_code, response.error_message.as_ref())?;
    for result in response.results {
        if result.error_code == ErrorCode::ResourceNotFound.code() {
            continue;
        }
        Error::check(result.error_code, result.error_message.as_ref())?;
        let infos: Vec<String> = result
            .credential_infos
            .iter()
            .filter_map(|info| {
                let name = ScramMechanism::from_code(info.mechanism)?.name();
                Some(format!("{name}=iterations={}", info.iterations))
            })
            .collect();
        let user = result.user;
        terminal.line(&format!("SCRAM credential configs for user-principal '{user}' are {}", infos.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_refused_as_recorded() {
        let parse = |text| Credential::parse(ScramMechanism::Sha512, text);
        let credential = |iterations, password: &str| Credential { iterations, password: password.to_owned() };
        assert_eq!(parse("iterations=8192,password=p,w=x").expect("valid"), credential(8192, "p,w=x"));
        assert_eq!(parse("password=pw").expect("valid"), credential(4096, "pw"));
        assert_eq!(
            parse("iterations=4096").expect_err("refused").message(),
            "Invalid credential property SCRAM_SHA_512=iterations=4096"
        );
        assert_eq!(
            parse("iterations=3,password=pw").expect_err("refused").message(),
            "Iterations 3 is less than the minimum 4096 required for SCRAM-SHA-512"
        );
    }
}
