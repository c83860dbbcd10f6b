//! The command line of `ksql`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::definition::definition;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Format {
    /// The server's answers as they are.
    Json,
    /// Tables.
    Tabular,
}

impl Format {
    /// As users write it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "JSON",
            Format::Tabular => "TABULAR",
        }
    }
}

/// What the command line says.
#[derive(Debug, Parser)]
#[command(name = "ksql", version, about = "The shell of streaming SQL")]
pub struct Options {
    /// Where the SQL server is
    #[arg(default_value = "http://localhost:8088")]
    pub server: String,
    /// Execute these statements and exit
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    pub execute: Option<String>,
    /// Execute the statements of this file and exit; `-` is standard input
    #[arg(short, long, visible_alias = "script-file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A properties file: ssl.truststore.location (PEM), and properties that every statement is executed with
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// How results are printed
    #[arg(long, value_enum, ignore_case = true, default_value = "TABULAR")]
    pub output: Format,
    /// End every query after this many rows
    #[arg(long, value_name = "ROWS")]
    pub query_row_limit: Option<u64>,
    /// End every query after this many milliseconds
    #[arg(long, value_name = "MS")]
    pub query_timeout: Option<u64>,
    /// A variable for statements, used as ${NAME}; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = definition)]
    pub define: Vec<(String, String)>,
    /// Name for a server that asks
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Password for a server that asks; prompted for when only the name is given
    #[arg(short, long, requires = "user")]
    pub password: Option<String>,
    /// A token for a server, or a proxy before it, that asks for one
    #[arg(short, long, value_name = "TOKEN", conflicts_with_all = ["user", "confluent_api_key"])]
    pub token: Option<String>,
    /// As --user
    #[arg(long, value_name = "KEY", requires = "confluent_api_secret", conflicts_with = "user")]
    pub confluent_api_key: Option<String>,
    /// As --password
    #[arg(long, value_name = "SECRET", requires = "confluent_api_key")]
    pub confluent_api_secret: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["ksql"].iter().chain(words))
    }

    #[test]
    fn the_address_may_stand_behind_two_dashes() {
        let options = read(&["--config-file", "f", "-d", "a=b=c", "--output", "json", "--", "http://h:1"]).unwrap();
        assert_eq!(options.server, "http://h:1");
        assert_eq!(options.define, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(options.output, Format::Json);
        assert_eq!(read(&[]).unwrap().server, "http://localhost:8088");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        assert!(read(&["-e", "SHOW STREAMS;", "-f", "x.sql"]).is_err());
        assert!(read(&["-p", "secret"]).is_err());
        assert!(read(&["-d", "1a=b"]).is_err());
    }
}
