//! Values that are kept elsewhere: `${env:NAME}`, `${file:/path:key}` and `${dir:/path:file}` in a configuration, resolved by
//! the providers that `config.providers` names (KIP-297, KIP-632, KIP-887).
//!
//! ```text
//! config.providers=secrets
//! config.providers.secrets.class=org.apache.kafka.common.config.provider.FileConfigProvider
//! ssl.keystore.password=${secrets:/run/secrets/kafka.properties:keystore}
//! ```
//!
//! Resolved once, at the start. A value that refers to something that is not there ends the start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use milena_stdx::Properties;
use regex::{Captures, Regex};

use super::sources::Setting;
use crate::config_def::split_list;

/// Where values are kept.
enum Provider {
    /// Environment variables whose names match, if there is a pattern.
    Environment(Option<Regex>),
    /// Entries of properties files below these directories, if there are any.
    File(Vec<PathBuf>),
    /// Files of directories below these, if there are any.
    Directory(Vec<PathBuf>),
}

impl Provider {
    fn of(name: &str, settings: &BTreeMap<String, Setting>) -> Result<Provider, String> {
        let value = |key: &str| settings.get(&format!("config.providers.{name}.{key}")).map(|set| set.value.as_str());
        let class = value("class").ok_or_else(|| format!("config.providers.{name}.class is not set"))?;
        let allowed = || split_list(value("param.allowed.paths").unwrap_or("")).map(PathBuf::from).collect();
        match class.rsplit('.').next() {
            Some("EnvVarConfigProvider") => {
                let pattern = value("param.allowlist.pattern").map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
                let pattern =
                    pattern.transpose().map_err(|_| format!("the allowlist of provider {name} is no pattern"))?;
                Ok(Provider::Environment(pattern))
            }
            Some("FileConfigProvider") => Ok(Provider::File(allowed())),
            Some("DirectoryConfigProvider") => Ok(Provider::Directory(allowed())),
            _ => Err(format!("config.providers.{name}.class={class} is not available")),
        }
    }

    fn look_up(&self, path: &str, key: &str) -> Result<String, String> {
        let missing = || format!("{key} is not there");
        match self {
            Provider::Environment(allowed) => {
                let allowed = allowed.as_ref().is_none_or(|pattern| pattern.is_match(key));
                std::env::var(key).ok().filter(|_| allowed).ok_or_else(missing)
            }
            Provider::File(allowed) => {
                let path = check_allowed(Path::new(path), allowed)?;
                let properties = Properties::load(path).map_err(|error| error.to_string())?;
                properties.get(key).map(str::to_owned).ok_or_else(missing)
            }
            Provider::Directory(allowed) => {
                let directory = check_allowed(Path::new(path), allowed)?;
                if key.contains('/') {
                    return Err(format!("{key} is not the name of a file"));
                }
                let text = std::fs::read_to_string(directory.join(key)).map_err(|error| error.to_string())?;
                Ok(text.trim_end_matches('\n').to_owned())
            }
        }
    }
}

fn check_allowed<'a>(path: &'a Path, allowed: &[PathBuf]) -> Result<&'a Path, String> {
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    match allowed.is_empty() || (!climbs && allowed.iter().any(|root| path.starts_with(root))) {
        true => Ok(path),
        false => Err(format!("{} is not among the allowed paths", path.display())),
    }
}

/// Replaces every reference in the values of `settings`.
///
/// # Errors
/// The key whose value cannot be resolved, and why.
pub(super) fn resolve(settings: &mut BTreeMap<String, Setting>) -> Result<(), (String, String)> {
    let Some(names) = settings.get("config.providers").map(|set| set.value.clone()) else { return Ok(()) };
    let mut providers = BTreeMap::new();
    for name in split_list(&names) {
        let provider = Provider::of(name, settings).map_err(|reason| ("config.providers".to_owned(), reason))?;
        providers.insert(name.to_owned(), provider);
    }
    let reference = Regex::new(r"\$\{([^}:]*):(?:([^}:]*):)?([^}]*)\}").expect("a valid pattern");
    for (key, setting) in settings.iter_mut().filter(|(key, _)| !key.starts_with("config.providers")) {
        if !setting.value.contains("${") {
            continue;
        }
        let mut failure = None;
        let resolved = reference.replace_all(&setting.value, |found: &Captures<'_>| {
            let group = |index: usize| found.get(index).map_or("", |group| group.as_str());
            let Some(provider) = providers.get(group(1)) else { return group(0).to_owned() };
            provider.look_up(group(2), group(3)).unwrap_or_else(|reason| {
                failure = Some(format!("{}: {reason}", group(0)));
                String::new()
            })
        });
        let resolved = resolved.into_owned();
        match failure {
            Some(reason) => return Err((key.clone(), reason)),
            None => setting.value = resolved,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{BrokerConfig, ConfigSources};

    fn load(settings: &[(&str, &str)]) -> Result<BrokerConfig, String> {
        let sources = settings.iter().fold(ConfigSources::new(), |all, (key, value)| all.command_line(key, value));
        BrokerConfig::load(sources).map(|(config, _)| config).map_err(|error| error.to_string())
    }

    const FILE: &str = "org.apache.kafka.common.config.provider.FileConfigProvider";
    const DIRECTORY: &str = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";
    const ENVIRONMENT: &str = "org.apache.kafka.common.config.provider.EnvVarConfigProvider";

    #[test]
    fn references_are_replaced_by_what_is_kept_elsewhere() {
        let home = tempfile::tempdir().expect("temporary directory");
        let secrets = home.path().join("secrets.properties");
        std::fs::write(&secrets, "rack=r1\n").expect("write");
        std::fs::write(home.path().join("count"), "7\n").expect("write");
        let (rack, count) =
            (format!("a-${{f:{}:rack}}-b", secrets.display()), format!("${{d:{}:count}}", home.path().display()));
        let settings = [
            ("config.providers", "f, d, e"),
            ("config.providers.f.class", FILE),
            ("config.providers.d.class", DIRECTORY),
            ("config.providers.e.class", ENVIRONMENT),
            ("broker.rack", &rack),
            ("num.partitions", &count),
            ("client.quota.callback.class", "${e:PATH}${other:x}"),
        ];
        let config = load(&settings).expect("resolved");
        assert_eq!((config.broker_rack.as_deref(), config.num_partitions), (Some("a-r1-b"), 7));
        let path = std::env::var("PATH").expect("a path");
        assert_eq!(config.value("client.quota.callback.class"), Some(format!("{path}${{other:x}}").as_str()));
    }

    #[test]
    fn what_is_not_there_or_not_allowed_ends_the_start() {
        let provider = [("config.providers", "f"), ("config.providers.f.class", FILE)];
        let with = |more: &[(&'static str, &'static str)]| load(&[&provider[..], more].concat()).expect_err("refused");
        assert!(with(&[("broker.rack", "${f:/no/such/file:x}")]).contains("broker.rack"));
        let allowed = ("config.providers.f.param.allowed.paths", "/etc/kafka");
        assert!(
            with(&[allowed, ("broker.rack", "${f:/etc/kafka/../passwd:x}")]).contains("not among the allowed paths")
        );
        let unknown = load(&[("config.providers", "v"), ("config.providers.v.class", "com.example.Vault")]);
        assert!(unknown.expect_err("refused").contains("com.example.Vault is not available"));
    }
}
