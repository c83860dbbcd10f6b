//! From the command line to a command.
//!
//! The name of the program decides first (`kafka-topics.sh` is a symbolic link to this binary), the first argument next.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

/// What a command line asks for.
pub enum Command {
    /// One of the `kafka-*` tools.
    Tool {
        /// Its name without `.sh`.
        name: String,
        /// Everything behind the name.
        arguments: Vec<OsString>,
    },
    /// One of the `ksql*` tools.
    SqlTool {
        /// Its name.
        name: String,
        /// Everything behind the name.
        arguments: Vec<OsString>,
    },
    /// Start the systems and serve until told to stop.
    Server(ServerArguments),
    /// Start the schema registry alone.
    SchemaRegistry(SchemaRegistryArguments),
    /// Start the REST Proxy alone.
    RestProxy(RestProxyArguments),
    /// Start a Connect worker that shares its work with others.
    ConnectDistributed(ConnectArguments),
    /// Start a Connect worker of its own.
    ConnectStandalone(ConnectArguments),
    /// Ask or tell a Connect worker.
    Connector(ConnectorArguments),
    /// Start the server of streaming SQL alone.
    SqlServer(SqlServerArguments),
    /// Run a test of streaming SQL in this process.
    SqlTestRunner(SqlTestRunnerArguments),
    /// Run tests of streaming SQL that are statements from beginning to end.
    RunSqlTests(RunSqlTestsArguments),
    /// Stop the servers of this machine (`kafka-server-stop`).
    StopServers,
    /// Stop the schema registries of this machine that run alone (`schema-registry-stop`).
    StopSchemaRegistries,
    /// Stop the REST Proxies of this machine that run alone (`kafka-rest-stop`).
    StopRestProxies,
    /// Stop the SQL servers of this machine that run alone (`ksql-server-stop`).
    StopSqlServers,
    /// Make symbolic links under the tools' usual names.
    InstallTools {
        /// Where to put them.
        directory: PathBuf,
    },
    /// Nothing to run: help, a version, or a mistake to tell.
    Exit {
        /// The text for the user.
        message: String,
        /// 0 for what was asked for, 2 for a mistake.
        code: u8,
    },
}

/// Arguments of `milena server` and of `kafka-server-start`.
#[derive(Debug, Default, Args)]
pub struct ServerArguments {
    /// A Kafka server.properties file
    pub properties_file: Option<PathBuf>,
    /// One setting that wins over the file and the environment; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Where the data lives (default: ./milena-data, or log.dirs of the file)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The systems to run, separated by commas
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Vec<String>,
    /// Start in the background: returns when the server is ready, or says why it is not
    #[arg(long)]
    pub daemon: bool,
    /// Leave the terminal's session; for the process that --daemon starts
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// Arguments of `milena schema-registry` and of `schema-registry-start`.
#[derive(Debug, Default, Args)]
pub struct SchemaRegistryArguments {
    /// A schema-registry.properties file
    pub properties_file: Option<PathBuf>,
    /// One setting that wins over the file and the environment; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Arguments of `milena rest-proxy` and of `kafka-rest-start`.
#[derive(Debug, Default, Args)]
pub struct RestProxyArguments {
    /// A kafka-rest.properties file
    pub properties_file: Option<PathBuf>,
    /// One setting that wins over the file and the environment; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Arguments of `milena ksql-server` and of `ksql-server-start`.
#[derive(Debug, Default, Args)]
pub struct SqlServerArguments {
    /// A ksql-server.properties file
    pub properties_file: Option<PathBuf>,
    /// One setting that wins over the file and the environment; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Headless mode: a file with the statements, as ksql.queries.file
    #[arg(long, value_name = "FILE")]
    pub queries_file: Option<PathBuf>,
}

/// Arguments of `milena connect-distributed` and `milena connect-standalone`.
#[derive(Debug, Default, Args)]
pub struct ConnectArguments {
    /// The worker's properties file
    pub properties_file: Option<PathBuf>,
    /// Standalone: files of connectors, as properties or JSON
    pub connector_files: Vec<PathBuf>,
    /// One setting that wins over the file and the environment; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Start in the background
    #[arg(long)]
    pub daemon: bool,
}

/// Arguments of `milena connector`.
#[derive(Debug, Args)]
pub struct ConnectorArguments {
    /// Where the worker's API is
    #[arg(long, short, default_value = "http://localhost:8083")]
    pub url: String,
    /// name:password for a worker that asks
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub user: Option<String>,
    #[command(subcommand)]
    pub verb: ConnectorVerb,
}

/// What is asked of a Connect worker.
#[derive(Debug, Subcommand)]
pub enum ConnectorVerb {
    /// All connectors with their states
    List,
    /// Make a connector from a file: properties or JSON
    Create {
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// The states of a connector and its tasks
    Status {
        /// The connector
        name: String,
    },
    /// The settings of a connector
    Config {
        /// The connector
        name: String,
    },
    /// Keep everything open, but do nothing
    Pause {
        /// The connector
        name: String,
    },
    /// Go on
    Resume {
        /// The connector
        name: String,
    },
    /// End its tasks until it is resumed
    Stop {
        /// The connector
        name: String,
    },
    /// Start a connector and its tasks anew
    Restart {
        /// The connector
        name: String,
        /// Only what has failed
        #[arg(long)]
        only_failed: bool,
    },
    /// Delete a connector; its offsets stay
    Delete {
        /// The connector
        name: String,
    },
    /// The last lines about a connector in the worker that is asked
    Logs {
        /// The connector
        name: String,
    },
    /// The kinds of connectors that there are
    Plugins,
}

/// Arguments of `milena ksql-test-runner`.
#[derive(Debug, Args)]
pub struct SqlTestRunnerArguments {
    /// A file with the statements
    #[arg(short, long, value_name = "FILE")]
    pub sql_file: PathBuf,
    /// A file with the input records: {"inputs": [...]}
    #[arg(short, long, value_name = "FILE")]
    pub input_file: PathBuf,
    /// A file with the records that are expected: {"outputs": [...]}
    #[arg(short, long, value_name = "FILE")]
    pub output_file: PathBuf,
}

/// Arguments of `milena run-ksql-test`.
#[derive(Debug, Args)]
pub struct RunSqlTestsArguments {
    /// A directory with files of tests (*.sql), which may have directories in it; -td for short
    #[arg(long, value_name = "DIR")]
    pub test_directory: PathBuf,
    /// A directory for temporary files; -tf for short. None are written, as all state is in memory
    #[arg(long, value_name = "DIR")]
    pub temp_folder: Option<PathBuf>,
}

/// What `milena server` runs unless told otherwise.
const SERVER_ROLES: [&str; 6] = ["broker", "console", "schema-registry", "rest-proxy", "connect", "ksql-server"];
/// What `milena broker` and `kafka-server-start` run.
const BROKER_ROLES: [&str; 2] = ["broker", "console"];

#[derive(Parser)]
#[command(name = "milena", version, about = "The whole Kafka platform in one binary")]
#[command(after_help = "Every kafka-* tool is a command too: milena kafka-topics --help; \
    and so is the shell of streaming SQL: milena ksql --help")]
struct CommandLine {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Start all systems in one process
    Server(ServerArguments),
    /// Start the Kafka broker alone
    Broker(ServerArguments),
    /// Start the schema registry alone, with any Kafka cluster behind it
    SchemaRegistry(SchemaRegistryArguments),
    /// Start the REST Proxy alone, with any Kafka cluster behind it
    RestProxy(RestProxyArguments),
    /// Start a Connect worker that shares its work with others, with any Kafka cluster behind it
    ConnectDistributed(ConnectArguments),
    /// Start a Connect worker of its own, with its connectors from files
    ConnectStandalone(ConnectArguments),
    /// List, make, watch and change connectors of a Connect worker
    Connector(ConnectorArguments),
    /// Start the server of streaming SQL alone, with any Kafka cluster behind it
    #[command(name = "ksql-server")]
    SqlServer(SqlServerArguments),
    /// Run a test of streaming SQL: statements, input records and expected records in files
    #[command(name = "ksql-test-runner")]
    SqlTestRunner(SqlTestRunnerArguments),
    /// Run the tests of streaming SQL in files that are statements from beginning to end
    #[command(name = "run-ksql-test")]
    RunSqlTests(RunSqlTestsArguments),
    /// Make symbolic links kafka-topics, kafka-topics.sh, ... to this binary
    InstallTools {
        /// The directory for the links, for example /usr/local/bin
        directory: PathBuf,
    },
}

/// Names by which this binary starts or stops a server, or tests statements, when called through a symbolic link.
pub const SERVER_SCRIPTS: &[&str] = &[
    "kafka-server-start",
    "kafka-server-stop",
    "schema-registry-start",
    "schema-registry-stop",
    "kafka-rest-start",
    "kafka-rest-stop",
    "connect-distributed",
    "connect-standalone",
    "ksql-server-start",
    "ksql-server-stop",
    "ksql-test-runner",
    "run-ksql-test",
];

/// Decides what `program arguments...` asks for.
pub fn command_of(program: &Path, arguments: Vec<OsString>) -> Command {
    if let Some(command) = program.file_name().and_then(|name| named_command(&name.to_string_lossy(), &arguments)) {
        return command;
    }
    if let Some(first) = arguments.first()
        && let Some(command) = named_command(&first.to_string_lossy(), &arguments[1..])
    {
        return command;
    }
    subcommand(program, arguments)
}

/// The command that goes by `name`, with or without `.sh`, if it is the name of a tool or of a server script.
fn named_command(name: &str, arguments: &[OsString]) -> Option<Command> {
    let name = name.strip_suffix(".sh").unwrap_or(name);
    if milena_tools::TOOLS.contains(&name) {
        return Some(Command::Tool { name: name.to_owned(), arguments: arguments.to_vec() });
    }
    if milena_sql_tools::TOOLS.contains(&name) {
        return Some(Command::SqlTool { name: name.to_owned(), arguments: arguments.to_vec() });
    }
    match name {
        "kafka-server-start" => Some(server_start(arguments)),
        "kafka-server-stop" => Some(Command::StopServers),
        "schema-registry-start" => Some(start_alone("schema-registry", arguments)),
        "schema-registry-stop" => Some(Command::StopSchemaRegistries),
        "kafka-rest-start" => Some(start_alone("rest-proxy", arguments)),
        "kafka-rest-stop" => Some(Command::StopRestProxies),
        "ksql-server-stop" => Some(Command::StopSqlServers),
        "connect-distributed" | "connect-standalone" => Some(start_connect(name, arguments)),
        "ksql-server-start" => Some(start_alone("ksql-server", arguments)),
        "ksql-test-runner" => Some(start_alone("ksql-test-runner", arguments)),
        "run-ksql-test" => Some(run_sql_tests(arguments)),
        _ => None,
    }
}

/// `schema-registry-start schema-registry.properties`, `kafka-rest-start kafka-rest.properties`
fn start_alone(system: &str, arguments: &[OsString]) -> Command {
    let line = ["milena".into(), system.into()].into_iter().chain(arguments.iter().cloned());
    parse(line.collect())
}

/// `run-ksql-test -td tests -tf temporary`: short names of two letters, which the parser of arguments does not know.
fn run_sql_tests(arguments: &[OsString]) -> Command {
    let known = arguments.iter().map(|argument| match argument.to_str() {
        Some("-td") => "--test-directory".into(),
        Some("-tf") => "--temp-folder".into(),
        _ => argument.clone(),
    });
    parse(["milena".into(), "run-ksql-test".into()].into_iter().chain(known).collect())
}

/// `connect-standalone [-daemon] worker.properties [connector.properties]...`
fn start_connect(mode: &str, arguments: &[OsString]) -> Command {
    let known =
        arguments.iter().map(|argument| if argument == "-daemon" { "--daemon".into() } else { argument.clone() });
    let line = ["milena".into(), mode.into()].into_iter().chain(known);
    match parse(line.collect()) {
        // The scripts of the original end with 1 when they are called without a file, or for help.
        Command::Exit { message, .. } => Command::Exit { message, code: 1 },
        command => command,
    }
}

/// `kafka-server-start [-daemon] server.properties [--override key=value]...`
fn server_start(arguments: &[OsString]) -> Command {
    let known =
        arguments.iter().map(|argument| if argument == "-daemon" { "--daemon".into() } else { argument.clone() });
    let line = ["milena".into(), "broker".into()].into_iter().chain(known);
    parse(line.collect())
}

fn subcommand(program: &Path, arguments: Vec<OsString>) -> Command {
    let line = std::iter::once(program.as_os_str().to_owned()).chain(arguments);
    parse(line.collect())
}

fn parse(line: Vec<OsString>) -> Command {
    match CommandLine::try_parse_from(line) {
        Ok(parsed) => match parsed.command {
            Subcommands::Server(arguments) => Command::Server(with_roles(arguments, &SERVER_ROLES)),
            Subcommands::Broker(arguments) => Command::Server(with_roles(arguments, &BROKER_ROLES)),
            Subcommands::SchemaRegistry(arguments) => Command::SchemaRegistry(arguments),
            Subcommands::RestProxy(arguments) => Command::RestProxy(arguments),
            Subcommands::ConnectDistributed(arguments) => Command::ConnectDistributed(arguments),
            Subcommands::ConnectStandalone(arguments) => Command::ConnectStandalone(arguments),
            Subcommands::Connector(arguments) => Command::Connector(arguments),
            Subcommands::SqlServer(arguments) => Command::SqlServer(arguments),
            Subcommands::SqlTestRunner(arguments) => Command::SqlTestRunner(arguments),
            Subcommands::RunSqlTests(arguments) => Command::RunSqlTests(arguments),
            Subcommands::InstallTools { directory } => Command::InstallTools { directory },
        },
        Err(error) => {
            Command::Exit { message: error.render().to_string(), code: if error.use_stderr() { 2 } else { 0 } }
        }
    }
}

fn with_roles(mut arguments: ServerArguments, usual: &[&str]) -> ServerArguments {
    if arguments.roles.is_empty() {
        arguments.roles = usual.iter().map(|role| (*role).to_owned()).collect();
    }
    arguments
}

#[cfg(test)]
mod tests;
