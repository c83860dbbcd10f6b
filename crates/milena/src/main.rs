//! The `milena` binary: which command was meant, and off to it.
//!
//! ```text
//! milena server [server.properties] [--override key=value]...   everything in one process
//! milena kafka-topics ...                                       a tool by subcommand
//! milena schema-registry ...                                    the schema registry alone
//! milena rest-proxy ...                                         the REST Proxy alone
//! milena connect-distributed ..., connect-standalone ...        a Connect worker alone
//! milena connector list ...                                     what a Connect worker does
//! milena ksql-server ...                                        the server of streaming SQL alone
//! milena ksql ...                                               the shell of streaming SQL
//! milena ksql-test-runner ..., run-ksql-test ...                tests of streaming SQL, without a server
//! kafka-topics.sh ...                                           the same tool by the name of a symbolic link
//! ```
//!
//! Deliberately absent: anything a test of a library crate would want to reach. This crate only wires.

mod cli;
mod connect;
mod connector;
mod daemon;
mod install_tools;
mod logging;
mod process;
mod rest_proxy;
mod schema_registry;
mod server;
mod sql_server;
mod sql_test_runner;
mod standalone;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use milena_connect::config::worker::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    match cli::command_of(Path::new(&program), rest) {
        cli::Command::Tool { name, arguments } => milena_tools::run(&name, arguments),
        cli::Command::SqlTool { name, arguments } => milena_sql_tools::run(&name, arguments),
        cli::Command::Server(arguments) => server::run(&arguments),
        cli::Command::SchemaRegistry(arguments) => schema_registry::run(&arguments),
        cli::Command::RestProxy(arguments) => rest_proxy::run(&arguments),
        cli::Command::ConnectDistributed(arguments) => connect::run(&arguments, Mode::Distributed),
        cli::Command::ConnectStandalone(arguments) => connect::run(&arguments, Mode::Standalone),
        cli::Command::Connector(arguments) => connector::run(&arguments),
        cli::Command::SqlServer(arguments) => sql_server::run(&arguments),
        cli::Command::SqlTestRunner(arguments) => sql_test_runner::run(&arguments),
        cli::Command::RunSqlTests(arguments) => sql_test_runner::run_directory(&arguments),
        cli::Command::StopServers => process::stop_servers(),
        cli::Command::StopSchemaRegistries => process::stop_schema_registries(),
        cli::Command::StopRestProxies => process::stop_rest_proxies(),
        cli::Command::StopSqlServers => process::stop_sql_servers(),
        cli::Command::InstallTools { directory } => install_tools::run(&directory),
        cli::Command::Exit { message, code } => {
            if code == 0 {
                print!("{message}");
            } else {
                eprint!("{message}");
            }
            ExitCode::from(code)
        }
    }
}
