//! `--add-config`, `--add-config-file` and `--delete-config`.

use milena_client::admin::ConfigChange;
use milena_stdx::Properties;

use crate::failure::Failure;
use crate::options::Parsed;

/// What to change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Keys with new values.
    pub set: Vec<(String, String)>,
    /// Keys to remove.
    pub delete: Vec<String>,
}

impl Changes {
    /// Reads the options.
    ///
    /// # Errors
    /// No change at all, a malformed one, or a key both set and removed.
    pub fn of(options: &Parsed) -> Result<Changes, Failure> {
        let mut changes = Changes::default();
        if options.has("add-config") && options.has("add-config-file") {
            return Err(Failure::illegal_argument("Only one of --add-config or --add-config-file must be specified"));
        }
        if let Some(text) = options.value("add-config") {
            changes.set = parse(text)?;
        }
        if let Some(path) = options.value("add-config-file") {
            let file = Properties::load(path).map_err(|error| Failure::io(error.to_string()))?;
            changes.set = file.iter().map(|(key, value)| (key.to_owned(), value.trim_end().to_owned())).collect();
        }
        if let Some(list) = options.value("delete-config") {
            changes.delete = list.split(',').map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).collect();
        }
        if changes.set.is_empty() && changes.delete.is_empty() {
            return Err(Failure::illegal_argument(
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
            ));
        }
        Ok(changes)
    }

    /// For the configs of topics, brokers and groups.
    pub fn as_config_changes(&self) -> Vec<ConfigChange> {
        let set = self.set.iter().map(|(key, value)| ConfigChange::Set(key.clone(), value.clone()));
        set.chain(self.delete.iter().map(|key| ConfigChange::Delete(key.clone()))).collect()
    }

    /// Whether credentials are changed. Quotas and credentials are two different requests.
    ///
    /// # Errors
    /// Both at once.
    pub fn are_credentials(&self) -> Result<bool, Failure> {
        let is_credential = |key: &str| key.starts_with("SCRAM-");
        let keys: Vec<&str> =
            self.set.iter().map(|(key, _)| key.as_str()).chain(self.delete.iter().map(String::as_str)).collect();
        if keys.iter().all(|key| !is_credential(key)) {
            return Ok(false);
        }
        if keys.iter().any(|key| !is_credential(key)) {
            return Err(Failure::illegal_argument(
                "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.",
            ));
        }
        Ok(true)
    }
}

/// `k1=v1,k2=[v1,v2]`.
fn parse(text: &str) -> Result<Vec<(String, String)>, Failure> {
    split_outside_brackets(text)
        .into_iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Failure::illegal_argument("requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\".")
            })?;
            let value = value.trim();
            let value = value.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(value);
            Ok((key.trim().to_owned(), value.to_owned()))
        })
        .collect()
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_protect_commas() {
        let pairs = parse("cleanup.policy=[compact,delete], retention.ms=5,x=").unwrap();
        let expected = [("cleanup.policy", "compact,delete"), ("retention.ms", "5"), ("x", "")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(parse("novalue").is_err());
    }

    #[test]
    fn quotas_and_credentials_do_not_mix() {
        let changes = Changes {
            set: parse("SCRAM-SHA-256=[iterations=8192,password=pw],producer_byte_rate=1048576").unwrap(),
            delete: Vec::new(),
        };
        let message = changes.are_credentials().unwrap_err().message();
        assert_eq!(
            message,
            "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server."
        );
        let of = |text| Changes { set: parse(text).unwrap(), delete: Vec::new() }.are_credentials().unwrap();
        assert!(!of("consumer_byte_rate=1"));
        assert!(of("SCRAM-SHA-512=[password=pw]"));
    }
}
