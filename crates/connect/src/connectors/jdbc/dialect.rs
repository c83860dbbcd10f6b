//! What the SQL of the databases does not have in common.

use super::database::TableId;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// When identifiers are quoted (`quote.sql.identifiers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Always.
    Always,
    /// Never: names are what the database makes of them.
    Never,
}

impl Quoting {
    /// The value of the setting.
    pub fn from_setting(text: &str) -> Quoting {
        if text.eq_ignore_ascii_case("never") { Quoting::Never } else { Quoting::Always }
    }
}

impl Dialect {
    /// The dialect that a Java class of `dialect.name` stands for.
    pub fn from_class(name: &str) -> Option<Dialect> {
        match name.rsplit('.').next().unwrap_or(name) {
            "MySqlDatabaseDialect" | "MariaDbDatabaseDialect" => Some(Dialect::MySql),
            "PostgreSqlDatabaseDialect" => Some(Dialect::Postgres),
            "SqliteDatabaseDialect" => Some(Dialect::Sqlite),
            _ => None,
        }
    }

    /// Names of Java's classes, as `dialect.name` has them.
    pub const CLASSES: &'static [&'static str] =
        &["", "MySqlDatabaseDialect", "PostgreSqlDatabaseDialect", "SqliteDatabaseDialect"];

    /// The name in a URL.
    pub fn url_name(self) -> &'static str {
        match self {
            Dialect::MySql => "mysql",
            Dialect::Postgres => "postgresql",
            Dialect::Sqlite => "sqlite",
        }
    }

    /// Properties of the driver that have an effect, or that need none here.
    pub(super) fn known_properties(self) -> &'static [&'static str] {
        match self {
            Dialect::MySql => &[
                "useSSL",
                "requireSSL",
                "sslMode",
                "verifyServerCertificate",
                "serverSslCert",
                "trustServerCertificate",
                "serverTimezone",
                "connectionTimeZone",
                "forceConnectionTimeZoneToSession",
                "characterEncoding",
                "useUnicode",
                "connectTimeout",
                "tcpKeepAlive",
                "tinyInt1isBit",
                "transformedBitIsBoolean",
                "yearIsDateType",
                "zeroDateTimeBehavior",
                "useCursorFetch",
                "defaultFetchSize",
                "rewriteBatchedStatements",
                "allowPublicKeyRetrieval",
                "sessionVariables",
                "useCompression",
                "nullCatalogMeansCurrent",
                "nullDatabaseMeansCurrent",
                "autoReconnect",
                "useServerPrepStmts",
                "cachePrepStmts",
                "allowMultiQueries",
            ],
            Dialect::Postgres => &[
                "ssl",
                "sslmode",
                "sslrootcert",
                "sslcert",
                "sslkey",
                "currentSchema",
                "ApplicationName",
                "connectTimeout",
                "loginTimeout",
                "tcpKeepAlive",
                "targetServerType",
                "options",
                "stringtype",
                "reWriteBatchedInserts",
                "defaultRowFetchSize",
                "prepareThreshold",
                "preferQueryMode",
            ],
            Dialect::Sqlite => {
                &["busy_timeout", "journal_mode", "synchronous", "foreign_keys", "cache_size", "date_class"]
            }
        }
    }

    /// Mark around quoted identifiers.
    pub fn quote_mark(self) -> char {
        match self {
            Dialect::MySql => '`',
            Dialect::Postgres | Dialect::Sqlite => '"',
        }
    }

    /// An identifier between quotes.
    pub fn quote(self, name: &str, quoting: Quoting) -> String {
        if quoting == Quoting::Never {
            return name.to_owned();
        }
        let mark = self.quote_mark();
        let mut quoted = String::with_capacity(name.len() + 2);
        quoted.push(mark);
        for letter in name.chars() {
            if letter == mark {
                quoted.push(mark);
            }
            quoted.push(letter);
        }
        quoted.push(mark);
        quoted
    }

    /// A table's name between quotes, with catalog and schema as far as they are said.
    pub fn quote_table(self, table: &TableId, quoting: Quoting) -> String {
        let parts: Vec<String> = table.parts().map(|part| self.quote(part, quoting)).collect();
        parts.join(".")
    }

    /// Takes a name apart that may have quotes and dots: `"shop"."orders"`, `orders`, `mydb.orders`.
    pub fn parse_table(self, text: &str) -> TableId {
        let mut parts = vec![String::new()];
        let mut letters = text.trim().chars().peekable();
        let mut quoted = None;
        while let Some(letter) = letters.next() {
            let last = parts.len() - 1;
            match quoted {
                Some(mark) if letter == mark => {
                    if letters.next_if_eq(&mark).is_some() {
                        parts[last].push(mark);
                    } else {
                        quoted = None;
                    }
                }
                Some(_) => parts[last].push(letter),
                None if letter == self.quote_mark() || letter == '"' => quoted = Some(letter),
                None if letter == '.' => parts.push(String::new()),
                None => parts[last].push(letter),
            }
        }
        let name = parts.pop().unwrap_or_default();
        let (first, second) = (parts.pop(), parts.pop());
        match self {
            Dialect::MySql | Dialect::Sqlite => TableId { catalog: first, schema: None, name },
            Dialect::Postgres => TableId { catalog: second, schema: first, name },
        }
    }

    /// The placeholder of a statement's parameter; `number` counts from 1.
    pub fn placeholder(self, number: usize) -> String {
        match self {
            Dialect::Postgres => format!("${number}"),
            Dialect::MySql | Dialect::Sqlite => "?".to_owned(),
        }
    }

    /// Parameters that one statement can have.
    pub fn max_parameters(self) -> usize {
        match self {
            Dialect::MySql | Dialect::Postgres => 65_535,
            Dialect::Sqlite => 32_766,
        }
    }

    /// A query of the clock that default values of columns are made with, in one row of one column.
    pub fn current_time_query(self) -> &'static str {
        match self {
            // In whole seconds, as columns have them: a bound within a second would split rows that carry one time.
            Dialect::MySql => "SELECT CURRENT_TIMESTAMP",
            Dialect::Postgres => "SELECT CURRENT_TIMESTAMP",
            Dialect::Sqlite => "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_inside_of_names_are_doubled_and_come_back() {
        let table = TableId { catalog: Some("my.db".to_owned()), schema: None, name: "a`b".to_owned() };
        let quoted = Dialect::MySql.quote_table(&table, Quoting::Always);
        assert_eq!(quoted, "`my.db`.`a``b`");
        assert_eq!(Dialect::MySql.parse_table(&quoted), table);
    }

    #[test]
    fn names_are_taken_apart_as_the_database_means_them() {
        let schema = TableId { catalog: None, schema: Some("public".to_owned()), name: "Users".to_owned() };
        assert_eq!(Dialect::Postgres.parse_table("public.\"Users\""), schema);
        assert_eq!(Dialect::Postgres.parse_table("db.public.Users").catalog.as_deref(), Some("db"));
        assert_eq!(Dialect::Sqlite.parse_table("users"), TableId::named("users"));
        assert_eq!(Dialect::MySql.quote("x", Quoting::Never), "x");
    }
}
