//! `kafka-features`: which features are supported, and at which level they are (KIP-584).

mod releases;

use std::collections::BTreeMap;

use milena_client::{Cluster, Error};
use milena_metadata::feature::METADATA_VERSION;
use milena_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, UpdateFeaturesRequest, UpdateFeaturesResponse, update_features_request,
};

use crate::Outcome;
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::session;
use crate::terminal::Terminal;

const SUBCOMMANDS: &[&str] =
    &["describe", "upgrade", "downgrade", "disable", "version-mapping", "feature-dependencies"];

const SYNTAX: Syntax = Syntax {
    purpose: "Works on features: describe, upgrade, downgrade, disable, version-mapping or feature-dependencies, followed by options.",
    options: &[
        Opt::one("bootstrap-controller", "host:port", "The controllers to connect to."),
        Opt::many("feature", "name=level", "A feature and the level it is to have."),
        Opt::one("release-version", "version", "A release of Kafka: every feature as that release has it."),
        Opt::one("metadata", "version", "").replaced_by("release-version"),
        Opt::flag("unsafe", "Downgrade even when metadata is lost."),
        Opt::flag("dry-run", "Only say what would be."),
    ],
};

/// What is done with levels; the numbers are those of UpdateFeatures.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Upgrade,
    Downgrade,
    Disable,
}

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let outcome = match options.words.first().map(String::as_str) {
        Some("version-mapping") => version_mapping(&options, terminal),
        Some("feature-dependencies") => feature_dependencies(&options, terminal),
        Some(word @ ("describe" | "upgrade" | "downgrade" | "disable")) => with_cluster(word, &options, terminal),
        Some(other) => {
            let known: Vec<String> = SUBCOMMANDS.iter().map(|known| format!("'{known}'")).collect();
            Err(wrong(&format!("invalid choice: '{other}' (choose from {})", known.join(", "))))
        }
        None => Err(wrong("too few arguments")),
    };
    match outcome {
        Err(Failure::Exception { message, .. }) => {
            terminal.error_line(&message);
            Ok(1)
        }
        other => other,
    }
}

fn wrong(message: &str) -> Failure {
    Failure::illegal_argument(format!("Command line error: {message}. Type --help for help."))
}

fn with_cluster(word: &str, options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let servers = options.value("bootstrap-server").or_else(|| options.value("bootstrap-controller"));
    if servers.is_none() {
        return Err(wrong("You must specify either --bootstrap-controller or --bootstrap-server."));
    }
    let change = match word {
        "upgrade" => Some(Change::Upgrade),
        "downgrade" => Some(Change::Downgrade),
        "disable" => Some(Change::Disable),
        _ => None,
    };
    let levels = change.map(|change| levels(change, options)).transpose()?;
    let properties = session::ClientProperties::read(options, &["command-config"], &[])?;
    let config = properties.client_config(servers, "adminclient-1")?;
    session::runtime()?.block_on(async {
        let cluster = Cluster::connect(config).await?;
        match change.zip(levels) {
            None => describe(&cluster, terminal).await,
            Some((change, levels)) => update(&cluster, change, levels, options, terminal).await,
        }
    })
}

async fn describe(cluster: &Cluster, terminal: &mut Terminal) -> Outcome {
    let request = ApiVersionsRequest {
        client_software_name: "milena".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let response: ApiVersionsResponse = cluster.send_any(&request).await?;
    Error::check(response.error_code, None)?;
    let finalized: BTreeMap<&str, i16> =
        response.finalized_features.iter().map(|feature| (feature.name.as_str(), feature.max_version_level)).collect();
    let epoch = match response.finalized_features_epoch {
        -1 => "-".to_owned(),
        epoch => epoch.to_string(),
    };
    let mut supported = response.supported_features;
    supported.sort_by(|a, b| a.name.cmp(&b.name));
    for feature in supported {
        let name = &feature.name;
        let shown = |level: i16| level_name(name, level);
        let level = finalized.get(name.as_str()).copied().unwrap_or(0);
        terminal.line(&format!(
            "Feature: {name:<40}  SupportedMinVersion: {:<15}  SupportedMaxVersion: {:<15}  FinalizedVersionLevel: {:<15}  Epoch: {epoch}",
            shown(feature.min_version),
            shown(feature.max_version),
            shown(level)
        ));
    }
    Ok(0)
}

/// A level as it is shown; those of `metadata.version` have names.
fn level_name(feature: &str, level: i16) -> String {
    if feature != METADATA_VERSION {
        return level.to_string();
    }
    releases::name_of(level).map_or_else(|| format!("UNKNOWN [{level}]"), str::to_owned)
}

/// The features named with the levels they are to have.
fn levels(change: Change, options: &Parsed) -> Result<BTreeMap<String, i16>, Failure> {
    let verb = match change {
        Change::Upgrade => "upgrade",
        Change::Downgrade => "downgrade",
        Change::Disable => "disable",
    };
    let mut levels = BTreeMap::new();
    for text in options.values("feature") {
        let (name, level) = if change == Change::Disable { (text, 0) } else { feature_and_level(text)? };
        if levels.insert(name.to_owned(), level).is_some() {
            return Err(Failure::illegal_argument(format!("Feature {name} was specified more than once.")));
        }
    }
    if let Some(release) = options.value("release-version") {
        if !levels.is_empty() {
            return Err(Failure::illegal_argument("Can not specify `release-version` with other feature flags."));
        }
        let release = releases::find(release)?;
        levels.extend(release.levels().filter(|(_, level)| *level > 0).map(|(name, level)| (name.to_owned(), level)));
    }
    if let Some(release) = options.value("metadata") {
        levels.insert(METADATA_VERSION.to_owned(), releases::find(release)?.metadata_version());
    }
    match levels.is_empty() {
        true => Err(Failure::illegal_argument(format!("You must specify at least one feature to {verb}"))),
        false => Ok(levels),
    }
}

fn feature_and_level(text: &str) -> Result<(&str, i16), Failure> {
    let cannot = |why: &str| Failure::illegal_argument(format!("Can't parse feature=level string {text}: {why}"));
    let (name, level) = text.split_once('=').ok_or_else(|| cannot("equals sign not found."))?;
    let level = level.trim().parse().map_err(|_| cannot("unable to parse level."))?;
    Ok((name.trim(), level))
}

async fn update(
    cluster: &Cluster,
    change: Change,
    levels: BTreeMap<String, i16>,
    options: &Parsed,
    terminal: &mut Terminal,
) -> Outcome {
    let upgrade_type = match (change, options.has("unsafe")) {
        (Change::Upgrade, _) => 1,
        (_, false) => 2,
        (_, true) => 3,
    };
    let updates = levels.iter().map(|(name, level)| update_features_request::FeatureUpdate {
        feature: name.clone(),
        max_version_level: *level,
        allow_downgrade: change != Change::Upgrade,
        upgrade_type,
    });
    let dry_run = options.has("dry-run");
    let request =
        UpdateFeaturesRequest { timeout_ms: 60_000, feature_updates: updates.collect(), validate_only: dry_run };
    let response: UpdateFeaturesResponse = cluster.send_controller(&request, |response| response.error_code).await?;
    let failure = Error::check(response.error_code, response.error_message.as_ref()).err();
    let mut failed = 0;
    for (name, level) in &levels {
        let own = response.results.iter().find(|result| result.feature == *name);
        let own = own.and_then(|result| Error::check(result.error_code, result.error_message.as_ref()).err());
        match own.as_ref().or(failure.as_ref()) {
            Some(error) => {
                failed += 1;
                let could_not = if dry_run { "Can not" } else { "Could not" };
                terminal.line(&format!("{could_not} {}. {error}", attempted(change, name, *level)));
            }
            None => terminal.line(&done(change, name, *level, dry_run)),
        }
    }
    if failed > 0 {
        terminal.error_line(&format!("{failed} out of {} operation(s) failed.", levels.len()));
    }
    Ok(u8::from(failed > 0))
}

fn attempted(change: Change, name: &str, level: i16) -> String {
    match change {
        Change::Upgrade => format!("upgrade {name} to {level}"),
        Change::Downgrade => format!("downgrade {name} to {level}"),
        Change::Disable => format!("disable {name}"),
    }
}

fn done(change: Change, name: &str, level: i16, dry_run: bool) -> String {
    let helper = if dry_run { "can be" } else { "was" };
    match change {
        Change::Upgrade => format!("{name} {helper} upgraded to {level}."),
        Change::Downgrade => format!("{name} {helper} downgraded to {level}."),
        Change::Disable => format!("{name} {helper} disabled."),
    }
}

fn version_mapping(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let release = releases::find(options.value("release-version").unwrap_or(releases::NEWEST))?;
    let shown = options.value("release-version").unwrap_or_else(|| release.name());
    terminal.line(&format!("{METADATA_VERSION}={} ({shown})", release.metadata_version()));
    for (name, level) in release.levels().filter(|(name, _)| *name != METADATA_VERSION) {
        terminal.line(&format!("{name}={level}"));
    }
    Ok(0)
}

fn feature_dependencies(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    for text in options.values("feature") {
        let (name, level) = feature_and_level(text)?;
        if !releases::is_feature(name) {
            return Err(Failure::illegal_argument(format!("Unknown feature: {name}")));
        }
        let shown = match name {
            METADATA_VERSION => format!(" ({})", level_name(name, level)),
            _ => String::new(),
        };
        // None of the features of a release depends on another one at any level that is still supported.
        terminal.line(&format!("{name}={level}{shown} has no dependencies."));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> (u8, String, String) {
        let (mut terminal, out, err) = Terminal::captured();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let code = crate::run_with("kafka-features", words, &mut terminal);
        (code, out.text(), err.text())
    }

    #[test]
    fn releases_are_mapped_to_levels_as_recorded() {
        assert_eq!(
            command(&["version-mapping"]).1,
            "metadata.version=30 (4.3-IV0)\nkraft.version=1\ntransaction.version=2\ngroup.version=1\n\
             eligible.leader.replicas.version=1\nshare.version=1\nstreams.version=1\n"
        );
        assert_eq!(
            command(&["version-mapping", "--release-version", "3.9"]).1,
            "metadata.version=21 (3.9)\nkraft.version=1\ntransaction.version=0\ngroup.version=0\n\
             eligible.leader.replicas.version=0\nshare.version=0\nstreams.version=0\n"
        );
        let (code, _, err) = command(&["version-mapping", "--release-version", "9.9"]);
        assert_eq!(code, 1);
        assert!(err.starts_with("Unknown metadata.version '9.9'. Supported metadata.version are: 3.3-IV3, 3.4-IV0"));
    }

    #[test]
    fn wrong_words_are_refused_as_recorded() {
        let server = ["--bootstrap-server", "x:1"];
        let refused = |words: &[&str]| command(&[words, &server].concat()).2;
        let equals = "Can't parse feature=level string group.version: equals sign not found.\n";
        assert_eq!(refused(&["upgrade", "--feature", "group.version"]), equals);
        assert_eq!(refused(&["upgrade"]), "You must specify at least one feature to upgrade\n");
        assert_eq!(command(&["feature-dependencies", "--feature", "nosuch=2"]).2, "Unknown feature: nosuch\n");
        assert_eq!(
            command(&["feature-dependencies", "--feature", "metadata.version=20"]).1,
            "metadata.version=20 (3.8-IV0) has no dependencies.\n"
        );
        assert!(command(&["describe"]).2.contains("You must specify either --bootstrap-controller"));
        assert!(command(&["bogus"]).2.contains("invalid choice: 'bogus' (choose from 'describe', 'upgrade'"));
    }
}
