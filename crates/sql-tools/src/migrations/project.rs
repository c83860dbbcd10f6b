//! The directory of a project: settings and files.

use std::fs;
use std::path::{Path, PathBuf};

use milena_stdx::properties::Properties;

use super::{Failure, Result};
use crate::client::{Access, SqlClient};

const CONFIG_FILE: &str = "ksql-migrations.properties";
const DIRECTORY: &str = "migrations";
/// Digits of a version in the name of its file.
const VERSION_DIGITS: usize = 6;
const VERSION_MAX: u32 = 999_999;

/// A project.
pub struct Project {
    settings: Properties,
    directory: PathBuf,
    headers: Vec<(String, String)>,
}

/// A file of statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub version: u32,
    /// The description, with blanks for underscores.
    pub name: String,
    pub path: PathBuf,
}

impl Migration {
    /// By the name of a file, `V000001__Add_users.sql`.
    fn of(path: &Path) -> Option<Migration> {
        let (version, name) = path.file_name()?.to_str()?.strip_prefix('V')?.strip_suffix(".sql")?.split_once("__")?;
        let is_version = version.len() == VERSION_DIGITS && version.bytes().all(|byte| byte.is_ascii_digit());
        let version = version.parse().ok().filter(|number| is_version && *number > 0)?;
        (!name.is_empty()).then(|| Migration { version, name: name.replace('_', " "), path: path.to_owned() })
    }

    /// The statements.
    pub fn text(&self) -> Result<String> {
        fs::read_to_string(&self.path).map_err(|source| failed(&self.path, source))
    }
}

/// `new-project`
pub fn create(path: &Path, url: &str) -> Result<()> {
    println!("Creating new migrations project at {}", path.display());
    let migrations = path.join(DIRECTORY);
    for directory in [path, &migrations] {
        if directory.is_dir() {
            println!("{} already exists. Skipping directory creation.", directory.display());
            continue;
        }
        println!("Creating directory: {}", directory.display());
        fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    }
    let config = path.join(CONFIG_FILE);
    println!("Creating file: {}", config.display());
    if config.exists() {
        return Err(Failure::words(format!("Failed to create file. File already exists: {}", config.display())));
    }
    let settings = initial_settings(url);
    println!("Writing to config file: {settings}");
    fs::write(&config, settings + "\n").map_err(|source| failed(&config, source))?;
    println!("Migrations project directory created successfully");
    Ok(())
}

/// The settings of a new project: the server, and what else there is.
fn initial_settings(url: &str) -> String {
    format!(
        "ksql.server.url={url}\n\n\
         # Names and topics of what remembers the migrations:\n\
         # ksql.migrations.stream.name=MIGRATION_EVENTS\n\
         # ksql.migrations.table.name=MIGRATION_SCHEMA_VERSIONS\n\
         # ksql.migrations.stream.topic.name=\n\
         # ksql.migrations.table.topic.name=\n\
         # ksql.migrations.topic.replicas=1\n\n\
         # For https with certificates of your own, a file in PEM form:\n\
         # ssl.truststore.location=\n\n\
         # For a server that asks who it is:\n\
         # ksql.auth.basic.username=\n# ksql.auth.basic.password=\n\n\
         # Where the files are, if not in {DIRECTORY} beside this one:\n\
         # ksql.migrations.dir.override="
    )
}

impl Project {
    /// By the file with its settings.
    pub fn load(path: &Path) -> Result<Project> {
        let settings = Properties::load(path)?;
        let beside = || path.parent().unwrap_or(Path::new(".")).join(DIRECTORY);
        let directory = settings.get("ksql.migrations.dir.override").map_or_else(beside, PathBuf::from);
        Ok(Project { settings, directory, headers: Vec::new() })
    }

    /// Takes headers for requests from a property file.
    pub fn load_headers(&mut self, path: &Path) -> Result<()> {
        let file = Properties::load(path)?;
        self.headers = file.entries().iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
        Ok(())
    }

    /// A setting, or what it is usually.
    pub fn setting<'a>(&'a self, name: &str, usual: &'a str) -> &'a str {
        self.settings.get(name).filter(|value| !value.is_empty()).unwrap_or(usual)
    }

    /// The server.
    pub fn client(&self) -> Result<SqlClient> {
        let url = self.settings.get("ksql.server.url").ok_or_else(|| Failure::words("ksql.server.url is not set"))?;
        let user = self.settings.get("ksql.auth.basic.username").filter(|name| !name.is_empty());
        let password = self.setting("ksql.auth.basic.password", "");
        let access = Access {
            credentials: user.map(|user| (user.to_owned(), password.to_owned())),
            trust_store: self.settings.get("ssl.truststore.location").map(PathBuf::from),
            headers: self.headers.clone(),
            ..Access::default()
        };
        Ok(SqlClient::new(url, &access)?)
    }

    /// The files, by version.
    pub fn migrations(&self) -> Result<Vec<Migration>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(|source| failed(&self.directory, source))? {
            let path = entry.map_err(|source| failed(&self.directory, source))?.path();
            match Migration::of(&path) {
                Some(migration) => found.push(migration),
                None => println!("Skipping file that is not named V<six digits>__<name>.sql: {}", path.display()),
            }
        }
        found.sort_by_key(|migration| migration.version);
        match found.windows(2).find(|pair| pair[0].version == pair[1].version) {
            Some(pair) => Err(Failure::words(format!("There are two files of version {}", pair[0].version))),
            None => Ok(found),
        }
    }

    /// `create`
    pub fn create_file(&self, version: Option<u32>, description: &str) -> Result<()> {
        let files = self.migrations()?;
        let version = version.unwrap_or_else(|| files.last().map_or(1, |last| last.version + 1));
        if !(1..=VERSION_MAX).contains(&version) {
            return Err(Failure::words(format!("Versions are numbers from 1 to {VERSION_MAX}, not {version}")));
        }
        if let Some(taken) = files.iter().find(|file| file.version == version) {
            let path = taken.path.display();
            return Err(Failure::words(format!("Found existing migrations file for version {version}: {path}")));
        }
        let name = description.replace(' ', "_");
        let path = self.directory.join(format!("V{version:0VERSION_DIGITS$}__{name}.sql"));
        if Migration::of(&path).is_none() {
            return Err(Failure::words(format!("'{description}' cannot be part of the name of a file")));
        }
        println!("Creating migration file: {}", path.display());
        fs::write(&path, "").map_err(|source| failed(&path, source))?;
        println!("Migration file successfully created");
        Ok(())
    }
}

fn failed(path: &Path, source: std::io::Error) -> Failure {
    Failure::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_version_and_name() {
        let found = Migration::of(Path::new("/p/migrations/V000012__Add_users.sql")).unwrap();
        assert_eq!((found.version, found.name.as_str()), (12, "Add users"));
        for name in
            ["V12__a.sql", "V000000__a.sql", "V000001__.sql", "V000001_a.sql", "V000001__a.txt", "V+00001__a.sql"]
        {
            assert_eq!(Migration::of(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn new_files_get_the_next_version() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), "http://h:1").unwrap();
        assert!(create(directory.path(), "http://h:1").is_err());
        let project = Project::load(&directory.path().join(CONFIG_FILE)).unwrap();
        project.create_file(None, "Initial setup").unwrap();
        project.create_file(Some(7), "later").unwrap();
        project.create_file(None, "last").unwrap();
        assert!(project.create_file(Some(7), "again").is_err());
        assert!(project.create_file(None, "a/b").is_err());
        let versions: Vec<u32> = project.migrations().unwrap().iter().map(|file| file.version).collect();
        assert_eq!(versions, [1, 7, 8]);
        assert_eq!(project.client().unwrap().url(), "http://h:1");
    }
}
