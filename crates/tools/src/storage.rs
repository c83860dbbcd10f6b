//! `kafka-storage`: ids and data directories, without a running broker.
//!
//! Milena formats its directories itself at the first start; `format` is there for scripts that
//! were written for Kafka, and writes the same `meta.properties`. `--add-scram` and `--feature` go into
//! `bootstrap.checkpoint`, in Kafka's format, which the first start reads.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use milena_metadata::kraft::write_bootstrap;
use milena_metadata::{ScramCredential, ScramMechanism};
use milena_protocol::Uuid;
use milena_stdx::Properties;

use crate::Outcome;
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;

const USAGE: &str = "usage: kafka-storage [-h] {info,format,random-uuid} ...";
const META_PROPERTIES: &str = "meta.properties";
const METADATA_VERSION: &str = "4.3-IV0";

const SYNTAX: Syntax = Syntax {
    purpose: "Works on data directories: info, format or random-uuid, followed by options.",
    options: &[
        Opt::one("config", "file", "The server's properties file.").or("-c"),
        Opt::one("cluster-id", "id", "The cluster's id.").or("-t"),
        Opt::flag("ignore-formatted", "Leave directories alone that are formatted already.").or("-g"),
        Opt::flag("standalone", "Accepted; a single node needs nothing of it.").or("-s"),
        Opt::flag("no-initial-controllers", "Accepted; there is no controller quorum.").or("-N"),
        Opt::one("initial-controllers", "id@host:port:dir", "Accepted; there is no controller quorum.").or("-I"),
        Opt::one("release-version", "version", "Accepted; the newest is always used.").or("-r"),
        Opt::many("feature", "name=level", "The level that a feature begins with.").or("-f"),
        Opt::many(
            "add-scram",
            "mechanism=[...]",
            "A user that the cluster begins with: SCRAM-SHA-256=[name=alice,password=...].",
        )
        .or("-S"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    match options.words.first().map(String::as_str) {
        Some("random-uuid") => {
            terminal.line(&Uuid::random().to_string());
            Ok(0)
        }
        Some("info") => info(&options, terminal),
        Some("format") => format(&options, terminal),
        Some(other) => Err(wrong(&format!("invalid choice: '{other}' (choose from 'info', 'format', 'random-uuid')"))),
        None => Err(wrong("too few arguments")),
    }
}

fn wrong(message: &str) -> Failure {
    Failure::ArgumentError { usage: USAGE.to_owned(), message: message.to_owned() }
}

fn server_properties(options: &Parsed) -> Result<Properties, Failure> {
    let path = options.value("config").ok_or_else(|| wrong("argument --config/-c is required"))?;
    Properties::load(path).map_err(|error| Failure::io(error.to_string()))
}

fn log_dirs(properties: &Properties) -> Vec<PathBuf> {
    let listed = properties.get("log.dirs").or_else(|| properties.get("log.dir")).unwrap_or("/tmp/kafka-logs");
    let mut dirs: Vec<PathBuf> =
        listed.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from).collect();
    dirs.extend(properties.get("metadata.log.dir").map(PathBuf::from));
    dirs.sort();
    dirs.dedup();
    dirs
}

/// Why `dir` cannot be looked into.
fn problem_of(dir: &Path) -> String {
    let problem = if dir.exists() { "is not a directory" } else { "does not exist" };
    format!("{} {problem}", dir.display())
}

fn info(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let dirs = log_dirs(&server_properties(options)?);
    let (found, missing): (Vec<PathBuf>, Vec<PathBuf>) = dirs.into_iter().partition(|dir| dir.is_dir());
    let mut problems: Vec<String> = missing.iter().map(|dir| problem_of(dir)).collect();
    if !found.is_empty() {
        let plural = if found.len() == 1 { "directory" } else { "directories" };
        terminal.line(&format!("Found log {plural}:"));
        for dir in &found {
            terminal.line(&format!("  {}", dir.display()));
        }
        terminal.line("");
    }
    let mut metadata = None;
    for dir in &found {
        match Properties::load(dir.join(META_PROPERTIES)) {
            Ok(properties) => metadata = Some(properties),
            Err(_) => problems.push(format!("{} is not formatted.", dir.display())),
        }
    }
    if let Some(properties) = metadata {
        let mut entries: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
        entries.sort();
        terminal.line(&format!("Found metadata: {{{}}}", entries.join(", ")));
        terminal.line("");
    }
    if problems.is_empty() {
        return Ok(0);
    }
    let plural = if problems.len() == 1 { "problem" } else { "problems" };
    terminal.line(&format!("Found {plural}:"));
    for problem in problems {
        terminal.line(&format!("  {problem}"));
    }
    terminal.line("");
    Ok(1)
}

fn format(options: &Parsed, terminal: &mut Terminal) -> Outcome {
    let properties = server_properties(options)?;
    let cluster_id = options.value("cluster-id").ok_or_else(|| wrong("argument --cluster-id/-t is required"))?;
    let node_id = properties.get("node.id").or_else(|| properties.get("broker.id")).unwrap_or("1").trim().to_owned();
    let users = options.values("add-scram").into_iter().map(user).collect::<Result<Vec<_>, _>>()?;
    let features = features(options)?;
    let dirs = log_dirs(&properties);
    let formatted: Vec<&PathBuf> = dirs.iter().filter(|dir| dir.join(META_PROPERTIES).exists()).collect();
    for dir in &formatted {
        check_cluster_id(dir, cluster_id)?;
    }
    if let (Some(dir), false) = (formatted.first(), options.has("ignore-formatted")) {
        terminal.error_line(&format!(
            "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
            dir.display()
        ));
        return Ok(1);
    }
    if formatted.len() == dirs.len() {
        terminal.line("All of the log directories are already formatted.");
        return Ok(0);
    }
    for dir in dirs.iter().filter(|dir| !dir.join(META_PROPERTIES).exists()) {
        terminal.line(&format!(
            "Formatting metadata directory {} with metadata.version {METADATA_VERSION}.",
            dir.display()
        ));
        write_meta_properties(dir, cluster_id, &node_id)
            .map_err(|error| Failure::io(format!("{}: {error}", dir.display())))?;
    }
    if !users.is_empty() || !features.is_empty() {
        let directory = metadata_dir(&properties);
        let now_ms = jiff::Timestamp::now().as_millisecond();
        write_bootstrap(&directory, &features, &users, now_ms).map_err(|error| Failure::io(error.to_string()))?;
    }
    Ok(0)
}

/// The directory whose `bootstrap.checkpoint` the server reads at its first start.
fn metadata_dir(properties: &Properties) -> PathBuf {
    let listed = properties.get("log.dirs").or_else(|| properties.get("log.dir")).unwrap_or("/tmp/kafka-logs");
    let first = listed.split(',').map(str::trim).find(|dir| !dir.is_empty()).unwrap_or(listed);
    PathBuf::from(properties.get("metadata.log.dir").unwrap_or(first))
}

fn features(options: &Parsed) -> Result<Vec<(String, i16)>, Failure> {
    let parse = |text: &str| {
        let cannot = || Failure::illegal_argument(format!("Can't parse feature=level string {text}"));
        let (name, level) = text.split_once('=').ok_or_else(cannot)?;
        Ok((name.trim().to_owned(), level.trim().parse().map_err(|_| cannot())?))
    };
    options.values("feature").into_iter().map(parse).collect()
}

/// Reads `SCRAM-SHA-256=[name=alice,iterations=8192,salt="...",password=secret]`.
fn user(text: &str) -> Result<(String, ScramMechanism, ScramCredential), Failure> {
    let wrong = |what: &str| Failure::illegal_argument(format!("{what} in the --add-scram argument"));
    let (mechanism, settings) = text.split_once('=').ok_or_else(|| wrong("No '=' found"))?;
    let mechanism = ScramMechanism::from_name(mechanism.trim())
        .ok_or_else(|| Failure::illegal_argument(format!("The add-scram mechanism {mechanism} is not supported")))?;
    let settings = settings.trim().strip_prefix('[').and_then(|settings| settings.strip_suffix(']'));
    let settings = settings.ok_or_else(|| wrong("No brackets around the settings"))?;
    let (mut name, mut password, mut salt) = (None, None, None);
    let (mut salted_password, mut iterations) = (None, ScramMechanism::ITERATIONS_MIN);
    for setting in settings.split(',') {
        let (key, value) = setting.split_once('=').ok_or_else(|| wrong("A setting without '='"))?;
        let value = value.trim().trim_matches('"');
        let bytes = || BASE64.decode(value).map_err(|error| wrong(&format!("{key} is not base64 ({error})")));
        match key.trim() {
            "name" => name = Some(value.to_owned()),
            "password" => password = Some(value.to_owned()),
            "salt" => salt = Some(bytes()?),
            "saltedpassword" => salted_password = Some(bytes()?),
            "iterations" => iterations = value.parse().map_err(|_| wrong("iterations is not a number"))?,
            other => return Err(wrong(&format!("Unknown setting {other}"))),
        }
    }
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| wrong("You must supply 'name'"))?;
    if !(ScramMechanism::ITERATIONS_MIN..=ScramMechanism::ITERATIONS_MAX).contains(&iterations) {
        let (least, most) = (ScramMechanism::ITERATIONS_MIN, ScramMechanism::ITERATIONS_MAX);
        return Err(wrong(&format!("The 'iterations' value must be >= {least} and <= {most}")));
    }
    let credential = match (password, salted_password) {
        (Some(password), None) => {
            let salt = salt.unwrap_or_else(crate::configs::scram::salt);
            ScramCredential::of_password(mechanism, salt, &password, iterations)
        }
        (None, Some(salted)) => {
            let salt = salt.ok_or_else(|| wrong("You must supply 'salt' with 'saltedpassword'"))?;
            ScramCredential::of_salted_password(mechanism, salt, &salted, iterations)
        }
        _ => return Err(wrong("You must supply one of 'password' or 'saltedpassword'")),
    };
    Ok((name, mechanism, credential))
}

fn check_cluster_id(dir: &Path, cluster_id: &str) -> Result<(), Failure> {
    let path = dir.join(META_PROPERTIES);
    let properties = Properties::load(&path).map_err(|error| Failure::io(error.to_string()))?;
    match properties.get("cluster.id").filter(|found| *found != cluster_id) {
        None => Ok(()),
        Some(found) => Err(Failure::Exception {
            class: "java.lang.RuntimeException",
            message: format!("Invalid cluster.id in: {}. Expected {cluster_id}, but read {found}", path.display()),
        }),
    }
}

fn write_meta_properties(dir: &Path, cluster_id: &str, node_id: &str) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let directory_id = Uuid::random();
    let text = format!("cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={node_id}\nversion=1\n");
    let temporary = dir.join("meta.properties.tmp");
    fs::write(&temporary, text)?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(temporary, dir.join(META_PROPERTIES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> (u8, String, String) {
        let (mut terminal, out, err) = Terminal::captured();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let code = crate::run_with("kafka-storage.sh", words, &mut terminal);
        (code, out.text(), err.text())
    }

    #[test]
    fn format_then_info_then_format_again() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let config = home.path().join("server.properties");
        fs::write(&config, format!("node.id=1\nlog.dirs={}\n", data.display())).unwrap();
        let config = config.to_string_lossy().into_owned();
        let id = "XWG-yjhzQlyDafb_Kt1suA";

        let (code, out, _) = command(&["format", "-t", id, "-c", &config]);
        assert_eq!(
            (code, out),
            (0, format!("Formatting metadata directory {} with metadata.version 4.3-IV0.\n", data.display()))
        );
        let (code, out, _) = command(&["info", "-c", &config]);
        assert_eq!(code, 0);
        let begin =
            format!("Found log directory:\n  {}\n\nFound metadata: {{cluster.id={id}, directory.id=", data.display());
        assert!(out.starts_with(&begin) && out.ends_with(", node.id=1, version=1}\n\n"), "{out}");
        let (code, _, err) = command(&["format", "-t", id, "-c", &config]);
        assert_eq!(
            (code, err),
            (
                1,
                format!(
                    "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.\n",
                    data.display()
                )
            )
        );
        assert_eq!(command(&["format", "-t", id, "-c", &config, "--ignore-formatted"]).0, 0);
        let (code, _, err) = command(&["format", "-t", "other", "-c", &config, "-g"]);
        assert!(code == 1 && err.contains(&format!("Expected other, but read {id}")), "{err}");
    }

    #[test]
    fn users_of_the_first_start_are_read_and_refused() {
        let (name, mechanism, credential) =
            user("SCRAM-SHA-512=[name=alice,iterations=8192,salt=c2FsdA==,password=pw]").expect("a user");
        assert_eq!((name.as_str(), mechanism, credential.iterations), ("alice", ScramMechanism::Sha512, 8192));
        let expected = ScramCredential::of_password(ScramMechanism::Sha512, b"salt".to_vec(), "pw", 8192);
        assert_eq!(credential, expected);
        for wrong in [
            "SCRAM-SHA-1=[name=a,password=b]",
            "SCRAM-SHA-256=name=a",
            "SCRAM-SHA-256=[name=a]",
            "SCRAM-SHA-256=[password=a]",
            "SCRAM-SHA-256=[name=a,password=b,iterations=1]",
            "SCRAM-SHA-256=[name=a,saltedpassword=b]",
        ] {
            assert!(user(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn random_ids_have_22_characters() {
        let (code, out, _) = command(&["random-uuid"]);
        assert_eq!((code, out.trim_end().len()), (0, 22));
        assert_eq!(command(&[]).0, 1);
    }
}
