//! Statements that write rows.

use super::super::database::{SqlValue, TableId};
use super::super::dialect::Dialect;
use super::config::{InsertMode, SinkConfig};

/// Where rows go: a table with the names that its columns really have, those of the key first.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The table between quotes.
    pub table: String,
    /// The columns between quotes, those of the key first.
    pub columns: Vec<String>,
    /// How many of them are the key.
    pub keys: usize,
    /// The kind of database.
    pub dialect: Dialect,
}

impl Target {
    /// A table and its columns by their names.
    pub fn new(config: &SinkConfig, table: &TableId, columns: &[String], keys: usize) -> Target {
        Target {
            table: config.quote_table(table),
            columns: columns.iter().map(|name| config.quote(name)).collect(),
            keys,
            dialect: config.dialect(),
        }
    }

    fn key_columns(&self) -> &[String] {
        &self.columns[..self.keys]
    }

    fn value_columns(&self) -> &[String] {
        &self.columns[self.keys..]
    }

    /// The statement of a mode for this many rows. [`InsertMode::Update`] takes one row, whose values come before its key.
    pub fn write(&self, mode: InsertMode, rows: usize) -> String {
        match mode {
            InsertMode::Insert => self.insert(rows),
            InsertMode::Upsert => format!("{}{}", self.insert(rows), self.on_conflict()),
            InsertMode::Update => self.update(),
        }
    }

    fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let mut sql = format!("INSERT INTO {}({}) VALUES ", self.table, self.columns.join(","));
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ",(" });
            sql.push_str(&placeholders(self.dialect, row * width + 1, width));
            sql.push(')');
        }
        sql
    }

    /// What to do with rows that are there already.
    pub fn on_conflict(&self) -> String {
        let assign = |columns: &[String], value: fn(&str) -> String| -> String {
            columns.iter().map(|column| format!("{column}={}", value(column))).collect::<Vec<_>>().join(",")
        };
        match self.dialect {
            Dialect::MySql => {
                // A row that is only a key stays as it is.
                let columns = if self.value_columns().is_empty() { &self.columns[..1] } else { self.value_columns() };
                format!(" ON DUPLICATE KEY UPDATE {}", assign(columns, |column| format!("VALUES({column})")))
            }
            Dialect::Postgres | Dialect::Sqlite => {
                let keys = self.key_columns().join(",");
                if self.value_columns().is_empty() {
                    return format!(" ON CONFLICT ({keys}) DO NOTHING");
                }
                let values = assign(self.value_columns(), |column| format!("EXCLUDED.{column}"));
                format!(" ON CONFLICT ({keys}) DO UPDATE SET {values}")
            }
        }
    }

    fn update(&self) -> String {
        let assigned = if self.value_columns().is_empty() { &self.columns[..] } else { self.value_columns() };
        let set: Vec<String> = assigned
            .iter()
            .enumerate()
            .map(|(index, column)| format!("{column}={}", self.dialect.placeholder(index + 1)))
            .collect();
        format!("UPDATE {} SET {} WHERE {}", self.table, set.join(","), self.where_key(assigned.len() + 1))
    }

    /// The parameters of [`update`](Self::update): the values, then the key.
    pub fn update_parameters(&self, mut row: Vec<SqlValue>) -> Vec<SqlValue> {
        if self.value_columns().is_empty() {
            row.extend(row.clone());
        } else {
            row.rotate_left(self.keys);
        }
        row
    }

    /// Deletes the row with a key.
    pub fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE {}", self.table, self.where_key(1))
    }

    /// Deletes the rows with these keys.
    pub fn delete_all(&self, rows: usize) -> String {
        let one = |row: usize| {
            let list = placeholders(self.dialect, row * self.keys + 1, self.keys);
            if self.keys == 1 { list } else { format!("({list})") }
        };
        let keys = self.key_columns().join(",");
        let left = if self.keys == 1 { keys } else { format!("({keys})") };
        let right: Vec<String> = (0..rows).map(one).collect();
        format!("DELETE FROM {} WHERE {left} IN ({})", self.table, right.join(","))
    }

    fn where_key(&self, first: usize) -> String {
        let conditions: Vec<String> = self
            .key_columns()
            .iter()
            .enumerate()
            .map(|(index, column)| format!("{column}={}", self.dialect.placeholder(first + index)))
            .collect();
        conditions.join(" AND ")
    }

    /// Asks whether a row is there with these values in the columns for which `compared` says so.
    pub fn exists(&self, row: &[SqlValue], compared: impl Fn(usize) -> bool) -> (String, Vec<SqlValue>) {
        let (mut conditions, mut parameters) = (Vec::new(), Vec::new());
        for (index, (column, value)) in self.columns.iter().zip(row).enumerate() {
            if !compared(index) {
                continue;
            }
            if value.is_null() {
                conditions.push(format!("{column} IS NULL"));
            } else {
                parameters.push(value.clone());
                conditions.push(format!("{column}={}", self.dialect.placeholder(parameters.len())));
            }
        }
        (format!("SELECT 1 FROM {} WHERE {} LIMIT 1", self.table, conditions.join(" AND ")), parameters)
    }
}

fn placeholders(dialect: Dialect, first: usize, count: usize) -> String {
    match dialect {
        Dialect::Postgres => (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(","),
        Dialect::MySql | Dialect::Sqlite => vec!["?"; count].join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    fn target(url: &str, columns: &[&str], keys: usize) -> Target {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        Target::new(&config(&[("connection.url", url)]), &TableId::named("t"), &columns, keys)
    }

    const MYSQL: &str = "jdbc:mysql://localhost/d";
    const POSTGRES: &str = "jdbc:postgresql://localhost/d";
    const SQLITE: &str = "jdbc:sqlite:x";

    #[test]
    fn many_rows_are_one_insert() {
        let sql = target(MYSQL, &["a", "b"], 0).write(InsertMode::Insert, 2);
        assert_eq!(sql, "INSERT INTO `t`(`a`,`b`) VALUES (?,?),(?,?)");
        let sql = target(POSTGRES, &["a", "b"], 0).write(InsertMode::Insert, 2);
        assert_eq!(sql, "INSERT INTO \"t\"(\"a\",\"b\") VALUES ($1,$2),($3,$4)");
    }

    #[test]
    fn upserts_are_those_of_each_database() {
        let of = |url, columns: &[&str]| target(url, columns, 1).on_conflict();
        assert_eq!(of(MYSQL, &["k", "v"]), " ON DUPLICATE KEY UPDATE `v`=VALUES(`v`)");
        assert_eq!(of(MYSQL, &["k"]), " ON DUPLICATE KEY UPDATE `k`=VALUES(`k`)");
        assert_eq!(of(POSTGRES, &["k", "v"]), " ON CONFLICT (\"k\") DO UPDATE SET \"v\"=EXCLUDED.\"v\"");
        assert_eq!(of(POSTGRES, &["k"]), " ON CONFLICT (\"k\") DO NOTHING");
        assert_eq!(of(SQLITE, &["k", "v"]), " ON CONFLICT (\"k\") DO UPDATE SET \"v\"=EXCLUDED.\"v\"");
    }

    #[test]
    fn updates_and_deletes_are_by_key() {
        let target = target(POSTGRES, &["k", "l", "v"], 2);
        assert_eq!(target.write(InsertMode::Update, 1), "UPDATE \"t\" SET \"v\"=$1 WHERE \"k\"=$2 AND \"l\"=$3");
        let row = target.update_parameters(vec![SqlValue::Int(1), SqlValue::Int(2), SqlValue::Int(3)]);
        assert_eq!(row, [SqlValue::Int(3), SqlValue::Int(1), SqlValue::Int(2)]);
        assert_eq!(target.delete(), "DELETE FROM \"t\" WHERE \"k\"=$1 AND \"l\"=$2");
        assert_eq!(target.delete_all(2), "DELETE FROM \"t\" WHERE (\"k\",\"l\") IN (($1,$2),($3,$4))");
    }

    #[test]
    fn rows_are_looked_for_with_their_nulls() {
        let target = target(MYSQL, &["k", "v", "w"], 1);
        let row = [SqlValue::Int(1), SqlValue::Null, SqlValue::Float(0.1)];
        let (sql, parameters) = target.exists(&row, |index| index < 2);
        assert_eq!(sql, "SELECT 1 FROM `t` WHERE `k`=? AND `v` IS NULL LIMIT 1");
        assert_eq!(parameters, [SqlValue::Int(1)]);
    }
}
