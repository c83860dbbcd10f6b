//! Config providers: `${file:/path:key}`, `${env:NAME}` and `${directory:/path:file}` in settings.
//!
//! Values are looked up when a connector gets its settings, and nowhere else: what is stored and shown keeps the
//! placeholders, so that secrets stay where they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use milena_stdx::Properties;
use regex::Regex;

use crate::plugin::Settings;

/// A placeholder: provider, perhaps a path, key.
static PLACEHOLDER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\{([^}]*?):(?:([^}]*?):)?([^}]*?)\}").ok());

/// Why a value cannot be looked up, or a provider is not to be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProviderError {
    /// `config.providers.<name>.class` is missing.
    #[error("config.providers.{0}.class is missing")]
    NoClass(String),
    /// A class that is not one of the three.
    #[error(
        "Invalid value {class} for configuration config.providers.{name}.class: there are FileConfigProvider, EnvVarConfigProvider and DirectoryConfigProvider"
    )]
    UnknownClass {
        /// Name of the provider.
        name: String,
        /// What was asked for.
        class: String,
    },
    /// A file that cannot be read.
    #[error("Could not read properties from file {0}")]
    Unreadable(String),
    /// A path outside of `allowed.paths`.
    #[error("The path {0} is not permitted to be accessed")]
    NotAllowed(String),
}

/// The providers of a worker, by name.
#[derive(Debug, Clone, Default)]
pub struct ConfigProviders(BTreeMap<String, Provider>);

#[derive(Debug, Clone)]
enum Provider {
    File { allowed: Vec<PathBuf> },
    Directory { allowed: Vec<PathBuf> },
    Environment { allowed: Option<String> },
}

impl ConfigProviders {
    /// The providers that `names` lists; `setting` has their settings.
    ///
    /// # Errors
    /// A provider that is not known.
    pub fn load<'a>(
        names: &[String],
        setting: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<ConfigProviders, ProviderError> {
        let mut providers = BTreeMap::new();
        for name in names {
            let of = |key: &str| setting(&format!("config.providers.{name}.{key}"));
            let class = of("class").ok_or_else(|| ProviderError::NoClass(name.clone()))?;
            let paths = || of("param.allowed.paths").unwrap_or_default().split(',').map(str::trim);
            let allowed = || paths().filter(|path| !path.is_empty()).map(PathBuf::from).collect();
            let provider = match class.rsplit('.').next().unwrap_or(class) {
                "FileConfigProvider" => Provider::File { allowed: allowed() },
                "DirectoryConfigProvider" => Provider::Directory { allowed: allowed() },
                "EnvVarConfigProvider" => {
                    Provider::Environment { allowed: of("param.allowlist.pattern").map(str::to_owned) }
                }
                _ => return Err(ProviderError::UnknownClass { name: name.clone(), class: class.to_owned() }),
            };
            providers.insert(name.clone(), provider);
        }
        Ok(ConfigProviders(providers))
    }

    /// `settings` with every placeholder replaced. What no provider knows stays as it is.
    ///
    /// # Errors
    /// A file that cannot be read or must not be.
    pub fn resolve(&self, settings: &Settings) -> Result<Settings, ProviderError> {
        settings.iter().map(|(key, value)| Ok((key.clone(), self.resolve_value(value)?))).collect()
    }

    /// One value with every placeholder replaced.
    ///
    /// # Errors
    /// As [`ConfigProviders::resolve`].
    pub fn resolve_value(&self, value: &str) -> Result<String, ProviderError> {
        let Some(pattern) = PLACEHOLDER.as_ref().filter(|_| !self.0.is_empty()) else { return Ok(value.to_owned()) };
        let mut resolved = String::with_capacity(value.len());
        let mut end = 0;
        for found in pattern.captures_iter(value) {
            let part = |index| found.get(index).map_or("", |part: regex::Match<'_>| part.as_str());
            let Some(whole) = found.get(0) else { continue };
            resolved.push_str(&value[end..whole.start()]);
            let provider = self.0.get(part(1).trim());
            let known = provider.map(|provider| provider.get(part(2).trim(), part(3).trim())).transpose()?.flatten();
            resolved.push_str(known.as_deref().unwrap_or(whole.as_str()));
            end = whole.end();
        }
        resolved.push_str(&value[end..]);
        Ok(resolved)
    }
}

/// Whether a value holds a placeholder, of whatever provider.
pub fn has_placeholder(value: &str) -> bool {
    PLACEHOLDER.as_ref().is_some_and(|pattern| pattern.is_match(value))
}

impl Provider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        match self {
            Provider::File { allowed } => {
                let path = permitted(Path::new(path), allowed)?;
                let file =
                    Properties::load(&path).map_err(|_| ProviderError::Unreadable(path.display().to_string()))?;
                Ok(file.get(key).map(str::to_owned))
            }
            Provider::Directory { allowed } => {
                let directory = permitted(Path::new(path), allowed)?;
                if key.is_empty() || key.contains('/') || key == ".." {
                    return Ok(None);
                }
                Ok(std::fs::read_to_string(directory.join(key)).ok())
            }
            Provider::Environment { allowed } => {
                let pattern = allowed.as_deref().map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
                let may = pattern.is_none_or(|pattern| pattern.is_ok_and(|pattern| pattern.is_match(key)));
                Ok(std::env::var(key).ok().filter(|_| may))
            }
        }
    }
}

/// The path without `..`, if it is under one of `allowed`; an empty list allows all.
fn permitted(path: &Path, allowed: &[PathBuf]) -> Result<PathBuf, ProviderError> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    if allowed.is_empty() || allowed.iter().any(|root| plain.starts_with(root)) {
        return Ok(plain);
    }
    Err(ProviderError::NotAllowed(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(settings: &[(&str, &str)]) -> Result<ConfigProviders, ProviderError> {
        let names = ["file".to_owned(), "dir".to_owned(), "env".to_owned()];
        let usual = [
            ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
            ("config.providers.dir.class", "org.apache.kafka.common.config.provider.DirectoryConfigProvider"),
            ("config.providers.env.class", "EnvVarConfigProvider"),
        ];
        let find = |key: &str| settings.iter().chain(&usual).find(|(known, _)| *known == key).map(|(_, value)| *value);
        ConfigProviders::load(&names, find)
    }

    #[test]
    fn placeholders_of_the_three_providers_are_replaced_and_others_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secrets.properties");
        std::fs::write(&file, "password=a\\:b\nuser = me\n").unwrap();
        std::fs::write(directory.path().join("token"), "t0ken").unwrap();
        let (file, directory) = (file.display(), directory.path().display());
        let providers = providers(&[]).unwrap();
        let resolve = |value: &str| providers.resolve_value(value).unwrap();
        assert_eq!(resolve(&format!("${{file:{file}:user}}/${{file:{file}:password}}!")), "me/a:b!");
        assert_eq!(resolve(&format!("${{dir:{directory}:token}}")), "t0ken");
        assert_eq!(resolve("${env:PATH}"), std::env::var("PATH").unwrap());
        for kept in ["${env:NO_SUCH_VARIABLE_HERE}", "${vault:x:y}", "${topic}", "$1", "${"] {
            assert_eq!(resolve(kept), kept);
        }
        assert_eq!(resolve(&format!("${{file:{file}:missing}}")), format!("${{file:{file}:missing}}"));
        let missing = providers.resolve_value("${file:/no/such/file:k}");
        assert_eq!(missing, Err(ProviderError::Unreadable("/no/such/file".to_owned())));
    }

    #[test]
    fn paths_and_variables_can_be_restricted() {
        let providers = providers(&[
            ("config.providers.file.param.allowed.paths", "/secrets, /more"),
            ("config.providers.env.param.allowlist.pattern", "MY_.*"),
        ])
        .unwrap();
        assert_eq!(
            providers.resolve_value("${file:/secrets/../etc/passwd:k}"),
            Err(ProviderError::NotAllowed("/secrets/../etc/passwd".to_owned()))
        );
        assert_eq!(providers.resolve_value("${env:PATH}").unwrap(), "${env:PATH}");
        assert_eq!(providers.resolve_value("${file:/more/x:k}"), Err(ProviderError::Unreadable("/more/x".to_owned())));
    }

    #[test]
    fn a_provider_needs_a_known_class() {
        assert!(matches!(
            providers(&[("config.providers.env.class", "com.example.Vault")]),
            Err(ProviderError::UnknownClass { .. })
        ));
        let nothing = ConfigProviders::load(&["x".to_owned()], |_| None);
        assert_eq!(nothing.unwrap_err(), ProviderError::NoClass("x".to_owned()));
    }
}
