//! `jdbc:` URLs as the users of Java's drivers write them.
//!
//! ```text
//! jdbc:mysql://[user[:password]@]host[:3306][,host2..]/[database][?key=value&..]     also jdbc:mariadb:
//! jdbc:postgresql://host[:5432][,host2..]/database[?..]   jdbc:postgresql:database   jdbc:postgresql:/
//! jdbc:sqlite:/absolute/file   jdbc:sqlite:relative/file   jdbc:sqlite:file:x.db?mode=ro   jdbc:sqlite::memory:
//! ```
//!
//! The password is in none of the texts that come out of here: neither in errors nor in what is printed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dialect::Dialect;
use crate::plugin::Settings;

/// Where a database is and how to talk to it.
#[derive(Clone)]
pub struct JdbcUrl {
    /// Which database.
    pub dialect: Dialect,
    /// Hosts with ports in the order in which they are tried; none for SQLite.
    pub hosts: Vec<(String, u16)>,
    /// Name of the database, or SQLite's file.
    pub database: Option<String>,
    /// User.
    pub user: Option<String>,
    password: Option<String>,
    properties: BTreeMap<String, String>,
}

/// Prints no password.
impl std::fmt::Debug for JdbcUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The URL without user, password and properties.
impl std::fmt::Display for JdbcUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let database = self.database.as_deref().unwrap_or_default();
        if self.dialect == Dialect::Sqlite {
            return write!(f, "jdbc:sqlite:{database}");
        }
        let hosts: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        write!(f, "jdbc:{}://{}/{database}", self.dialect.url_name(), hosts.join(","))
    }
}

/// Why a URL cannot be used; the text does not repeat the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

/// Settings `connection.<name>` that are not properties of the driver.
const NOT_PROPERTIES: &[&str] = &["url", "user", "password", "attempts", "backoff.ms", "urls"];

impl JdbcUrl {
    /// The database of a connector's settings: `connection.url`, `connection.user`, `connection.password`, further
    /// `connection.<property>`, `dialect.name`.
    ///
    /// # Errors
    /// A URL that is missing or wrong.
    pub fn from_settings(settings: &Settings) -> Result<JdbcUrl, UrlError> {
        let text = settings.get("connection.url").map(|url| url.trim()).filter(|url| !url.is_empty());
        let text = text.ok_or_else(|| UrlError("connection.url is missing".to_owned()))?;
        let mut url = JdbcUrl::parse(text)?;
        if let Some(name) = settings.get("dialect.name").filter(|name| !name.is_empty()) {
            let dialect = Dialect::from_class(name).ok_or_else(|| UrlError(no_dialect(name)))?;
            if dialect != url.dialect {
                return Err(UrlError(format!("dialect.name {name} does not go with the connection.url")));
            }
        }
        for (key, value) in settings {
            let Some(name) = key.strip_prefix("connection.") else { continue };
            match name {
                "user" if !value.is_empty() => url.user = Some(value.clone()),
                "password" if !value.is_empty() => url.password = Some(value.clone()),
                _ if NOT_PROPERTIES.contains(&name) => {}
                _ => {
                    url.properties.insert(name.to_owned(), value.clone());
                }
            }
        }
        Ok(url)
    }

    /// What a URL says.
    ///
    /// # Errors
    /// A URL of another database, or one that is none.
    pub fn parse(text: &str) -> Result<JdbcUrl, UrlError> {
        let rest = text.strip_prefix("jdbc:").ok_or_else(|| UrlError("The URL must start with jdbc:".to_owned()))?;
        let (name, rest) = rest.split_once(':').ok_or_else(|| {
            UrlError("The URL must be jdbc:<database>:.., such as jdbc:mysql://localhost:3306/mydb".to_owned())
        })?;
        match name.to_ascii_lowercase().as_str() {
            "mysql" | "mariadb" => JdbcUrl::with_hosts(Dialect::MySql, rest, 3306),
            "postgresql" | "postgres" => JdbcUrl::with_hosts(Dialect::Postgres, rest, 5432),
            "sqlite" => JdbcUrl::sqlite(rest),
            other => Err(UrlError(no_dialect(other))),
        }
    }

    /// The password; to be given to a driver and to nobody else.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// A property of the driver, its name in any case.
    pub fn property(&self, name: &str) -> Option<&str> {
        let exact = self.properties.get(name);
        exact
            .or_else(|| self.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
            .map(String::as_str)
    }

    /// The first of these properties that is set.
    pub fn first_property(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.property(name))
    }

    /// A property that is a truth value.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        match self.property(name).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "1" | "") => true,
            Some("false" | "no" | "0") => false,
            _ => default,
        }
    }

    /// A property that is a time; 0 and what is no number mean that there is no limit.
    pub fn duration(&self, name: &str, unit: Duration) -> Option<Duration> {
        let count: u32 = self.property(name)?.trim().parse().ok()?;
        (count > 0).then(|| unit * count)
    }

    /// Properties that nothing here looks at.
    pub fn unknown_properties(&self) -> Vec<&str> {
        let known = self.dialect.known_properties();
        let is_known = |key: &&str| known.iter().any(|known| known.eq_ignore_ascii_case(key));
        self.properties.keys().map(String::as_str).filter(|key| !is_known(key)).collect()
    }

    fn empty(dialect: Dialect) -> JdbcUrl {
        JdbcUrl { dialect, hosts: Vec::new(), database: None, user: None, password: None, properties: BTreeMap::new() }
    }

    fn sqlite(rest: &str) -> Result<JdbcUrl, UrlError> {
        let mut url = JdbcUrl::empty(Dialect::Sqlite);
        // An URI keeps its query, which is SQLite's own; of a plain name the query are properties.
        let file = if rest.starts_with("file:") { rest } else { url.take_query(rest)? };
        url.database = Some(if file.is_empty() { ":memory:".to_owned() } else { file.to_owned() });
        Ok(url)
    }

    fn with_hosts(dialect: Dialect, rest: &str, port: u16) -> Result<JdbcUrl, UrlError> {
        let mut url = JdbcUrl::empty(dialect);
        let rest = url.take_query(rest)?;
        let rest = ["loadbalance:", "replication:", "sequential:", "failover:"]
            .iter()
            .find_map(|prefix| rest.strip_prefix(prefix))
            .unwrap_or(rest);
        let Some(authority) = rest.strip_prefix("//") else {
            // jdbc:postgresql:database, jdbc:postgresql:/
            url.hosts.push(("localhost".to_owned(), port));
            url.set_database(rest.trim_start_matches('/'))?;
            return Ok(url);
        };
        let (authority, database) = authority.split_once('/').unwrap_or((authority, ""));
        let hosts = match authority.rsplit_once('@') {
            Some((login, hosts)) => {
                let (user, password) = login.split_once(':').map_or((login, None), |(user, word)| (user, Some(word)));
                url.user = Some(decode(user)?).filter(|user| !user.is_empty());
                url.password = password.map(decode).transpose()?;
                hosts
            }
            None => authority,
        };
        for host in hosts.split(',') {
            url.hosts.push(parse_host(host.trim(), port)?);
        }
        url.set_database(database)?;
        Ok(url)
    }

    fn set_database(&mut self, text: &str) -> Result<(), UrlError> {
        self.database = Some(decode(text)?).filter(|name| !name.is_empty());
        Ok(())
    }

    /// Takes the properties after `?`; user and password are no longer among them.
    fn take_query<'a>(&mut self, text: &'a str) -> Result<&'a str, UrlError> {
        let Some((rest, query)) = text.split_once('?') else { return Ok(text) };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match decode(key)?.as_str() {
                "user" => self.user = Some(value),
                "password" => self.password = Some(value),
                key => {
                    self.properties.insert(key.to_owned(), value);
                }
            }
        }
        Ok(rest)
    }
}

fn no_dialect(name: &str) -> String {
    format!("There is no driver for {name}; there are mysql, mariadb, postgresql and sqlite")
}

/// `host`, `host:port`, `[::1]:port`, and MySQL's `address=(host=..)(port=..)`.
fn parse_host(text: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    if let Some(fields) = text.strip_prefix("address=") {
        let field = |name: &str| {
            let fields = fields.trim_start_matches('(').trim_end_matches(')').split(")(");
            fields.filter_map(|pair| pair.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let host = field("host").map_or("localhost", |(_, host)| host);
        let port = field("port").map_or(Ok(default_port), |(_, port)| parse_port(port))?;
        return Ok((host.to_owned(), port));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map_or(Ok(default_port), parse_port)?;
    let host = if host.is_empty() { "localhost" } else { host };
    Ok((host.to_owned(), port))
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    text.trim().parse().map_err(|_| UrlError("The port in the URL is no number from 0 to 65535".to_owned()))
}

/// `%xx` as the byte it stands for.
fn decode(text: &str) -> Result<String, UrlError> {
    let wrong = || UrlError("The URL holds a % that two hexadecimal digits must follow".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(wrong);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> JdbcUrl {
        JdbcUrl::parse(text).expect(text)
    }

    fn host(name: &str, port: u16) -> (String, u16) {
        (name.to_owned(), port)
    }

    #[test]
    fn mysql_urls_name_host_database_and_properties() {
        let url = parse("jdbc:mysql://localhost:3306/mydb?useSSL=false&serverTimezone=Asia%2FSeoul");
        assert_eq!((url.dialect, &url.hosts), (Dialect::MySql, &vec![host("localhost", 3306)]));
        assert_eq!(url.database.as_deref(), Some("mydb"));
        assert!(!url.flag("useSSL", true));
        assert_eq!(url.property("servertimezone"), Some("Asia/Seoul"));
    }

    #[test]
    fn all_hosts_are_kept_and_ports_have_defaults() {
        assert_eq!(parse("jdbc:mariadb:loadbalance://a,b:1/").hosts, [host("a", 3306), host("b", 1)]);
        assert_eq!(parse("jdbc:postgresql://[::1]:7/x").hosts, [host("::1", 7)]);
        assert_eq!(parse("jdbc:mysql://address=(host=h)(port=9)/x").hosts, [host("h", 9)]);
        let url = parse("jdbc:postgresql:shop");
        assert_eq!((url.hosts, url.database.as_deref()), (vec![host("localhost", 5432)], Some("shop")));
        assert_eq!(parse("jdbc:postgresql:/").database, None);
    }

    #[test]
    fn sqlite_urls_are_files() {
        assert_eq!(parse("jdbc:sqlite:/a/b.db").database.as_deref(), Some("/a/b.db"));
        assert_eq!(parse("jdbc:sqlite:file:x.db?mode=ro").database.as_deref(), Some("file:x.db?mode=ro"));
        assert_eq!(parse("jdbc:sqlite::memory:").database.as_deref(), Some(":memory:"));
        let url = parse("jdbc:sqlite:x.db?busy_timeout=5");
        assert_eq!((url.database.as_deref(), url.property("busy_timeout")), (Some("x.db"), Some("5")));
    }

    #[test]
    fn settings_win_over_the_url_and_other_settings_are_properties() {
        let settings: Settings = [
            ("connection.url", "jdbc:mysql://root:a%40b@h/d"),
            ("connection.password", "secret"),
            ("connection.sslMode", "REQUIRED"),
            ("connection.attempts", "7"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        let url = JdbcUrl::from_settings(&settings).expect("a URL");
        assert_eq!((url.user.as_deref(), url.password()), (Some("root"), Some("secret")));
        assert_eq!(url.property("sslMode"), Some("REQUIRED"));
        assert_eq!(url.property("attempts"), None);
        assert_eq!(parse("jdbc:mysql://root:a%40b@h/d").password(), Some("a@b"));
    }

    #[test]
    fn no_text_holds_the_password() {
        let url = parse("jdbc:postgresql://u:geheim@h/d?password=geheim&ssl=true");
        assert!(!format!("{url} {url:?}").contains("geheim"));
        for wrong in
            ["geheim", "jdbc:oracle:thin:geheim@h", "jdbc:mysql://u:geheim@h:port/", "jdbc:mysql://u:geheim%g@h/"]
        {
            let error = JdbcUrl::parse(wrong).expect_err("no URL");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }

    #[test]
    fn databases_without_a_driver_are_named() {
        let error = JdbcUrl::parse("jdbc:oracle:thin:@h:1521/x").expect_err("no driver").to_string();
        assert_eq!(error, "There is no driver for oracle; there are mysql, mariadb, postgresql and sqlite");
    }
}
