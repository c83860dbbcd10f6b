//! Writing `bootstrap.checkpoint`: the records that a new cluster begins with.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use milena_protocol::messages::{FeatureLevelRecord, UserScramCredentialRecord};
use milena_protocol::record::{BatchBuilder, BatchOptions};

use super::{BOOTSTRAP_FILE, KraftError, encode};
use crate::scram::{ScramCredential, ScramMechanism};

/// Writes the file into `directory`, durably, with levels of features and credentials of users.
///
/// # Errors
/// [`KraftError`]: the file cannot be written, or something does not fit its format.
pub fn write_bootstrap(
    directory: &Path,
    features: &[(String, i16)],
    users: &[(String, ScramMechanism, ScramCredential)],
    timestamp_ms: i64,
) -> Result<(), KraftError> {
    let path = directory.join(BOOTSTRAP_FILE);
    let mut builder = BatchBuilder::new(BatchOptions { leader_epoch: 0, ..BatchOptions::default() });
    for (name, level) in features {
        let record = FeatureLevelRecord { name: name.clone(), feature_level: *level };
        builder.append(timestamp_ms, None, Some(&encode(12, &record)?), &[]);
    }
    for (user, mechanism, credential) in users {
        let record = UserScramCredentialRecord {
            name: user.clone(),
            mechanism: mechanism.code(),
            salt: Bytes::copy_from_slice(&credential.salt),
            stored_key: Bytes::copy_from_slice(&credential.stored_key),
            server_key: Bytes::copy_from_slice(&credential.server_key),
            iterations: credential.iterations,
        };
        builder.append(timestamp_ms, None, Some(&encode(11, &record)?), &[]);
    }
    let batch = builder.build().map_err(|error| KraftError::Record {
        path: path.clone(),
        offset: 0,
        reason: error.to_string(),
    })?;
    replace(&path, &batch).map_err(|source| KraftError::File { path, source })
}

/// Writes a file whole or not at all. Only its owner may read it: it holds credentials.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary: PathBuf = path.with_extension("checkpoint.tmp");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}
