//! Which command a command line means.

use super::*;

fn command(program: &str, arguments: &[&str]) -> Command {
    command_of(Path::new(program), arguments.iter().map(OsString::from).collect())
}

#[test]
fn a_link_named_as_a_tool_runs_the_tool() {
    for program in ["kafka-topics", "/usr/local/bin/kafka-topics.sh"] {
        match command(program, &["--list"]) {
            Command::Tool { name, arguments } => {
                assert_eq!(name, "kafka-topics");
                assert_eq!(arguments, ["--list"]);
            }
            _ => panic!("{program} is not taken for a tool"),
        }
    }
}

#[test]
fn a_tool_is_a_subcommand_too() {
    match command("milena", &["kafka-topics.sh", "--list"]) {
        Command::Tool { name, arguments } => {
            assert_eq!((name.as_str(), arguments.len()), ("kafka-topics", 1));
        }
        _ => panic!("not taken for a tool"),
    }
}

#[test]
fn server_start_takes_what_the_script_takes() {
    let arguments = ["-daemon", "server.properties", "--override", "node.id=7", "--override", "log.dirs=/d"];
    match command("kafka-server-start.sh", &arguments) {
        Command::Server(server) => {
            assert_eq!(server.properties_file.as_deref(), Some(Path::new("server.properties")));
            assert_eq!(server.overrides, ["node.id=7", "log.dirs=/d"]);
            assert!(server.daemon);
        }
        _ => panic!("not taken for a server start"),
    }
}

#[test]
fn a_mistake_exits_with_2_and_help_with_0() {
    match command("milena", &["sever"]) {
        Command::Exit { message, code } => {
            assert_eq!(code, 2);
            assert!(message.contains("server"), "{message}");
        }
        _ => panic!("a typing error was accepted"),
    }
    assert!(matches!(command("milena", &["--help"]), Command::Exit { code: 0, .. }));
}

#[test]
fn a_server_runs_all_systems_and_kafka_server_start_only_kafka() {
    let roles = |program: &str, arguments: &[&str]| match command(program, arguments) {
        Command::Server(server) => server.roles,
        _ => panic!("not taken for a server start"),
    };
    assert_eq!(
        roles("milena", &["server"]),
        ["broker", "console", "schema-registry", "rest-proxy", "connect", "ksql-server"]
    );
    assert_eq!(roles("kafka-server-start", &[]), ["broker", "console"]);
    assert_eq!(roles("milena", &["server", "--roles", "broker"]), ["broker"]);
}

#[test]
fn a_registry_starts_alone_by_subcommand_and_by_link() {
    for (program, arguments) in
        [("milena", &["schema-registry", "a.properties"][..]), ("schema-registry-start", &["a.properties"][..])]
    {
        match command(program, arguments) {
            Command::SchemaRegistry(registry) => {
                assert_eq!(registry.properties_file.as_deref(), Some(Path::new("a.properties")));
            }
            _ => panic!("{program} is not taken for a registry"),
        }
    }
    assert!(matches!(command("schema-registry-stop", &[]), Command::StopSchemaRegistries));
}

#[test]
fn a_rest_proxy_starts_alone_by_subcommand_and_by_link() {
    for (program, arguments) in
        [("milena", &["rest-proxy", "a.properties"][..]), ("kafka-rest-start", &["a.properties"][..])]
    {
        match command(program, arguments) {
            Command::RestProxy(proxy) => {
                assert_eq!(proxy.properties_file.as_deref(), Some(Path::new("a.properties")));
            }
            _ => panic!("{program} is not taken for a REST Proxy"),
        }
    }
    assert!(matches!(command("kafka-rest-stop", &[]), Command::StopRestProxies));
}

#[test]
fn a_sql_server_starts_alone_by_subcommand_and_by_link() {
    for (program, arguments) in
        [("milena", &["ksql-server", "a.properties"][..]), ("ksql-server-start", &["a.properties"][..])]
    {
        match command(program, arguments) {
            Command::SqlServer(server) => {
                assert_eq!(server.properties_file.as_deref(), Some(Path::new("a.properties")));
            }
            _ => panic!("{program} is not taken for a SQL server"),
        }
    }
    assert!(matches!(command("ksql-server-stop", &[]), Command::StopSqlServers));
    match command("ksql-server-start", &["a.properties", "--queries-file", "b.sql"]) {
        Command::SqlServer(server) => assert_eq!(server.queries_file.as_deref(), Some(Path::new("b.sql"))),
        _ => panic!("a headless server is not taken for one"),
    }
}
