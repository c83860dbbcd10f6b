//! Why records were not written, and what helps.

use super::super::database::DatabaseError;
use crate::data::DataError;

/// What stopped a batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SinkError {
    /// The database.
    #[error("{0}")]
    Database(#[from] DatabaseError),
    /// Settings that do not go with the tables: no other try helps, and no other record.
    #[error("{0}")]
    Settings(String),
    /// Another task has written these partitions: what is in `offsets.table` must be read again.
    #[error("another task has written records of {0} in the meantime")]
    Overtaken(String),
}

impl From<DataError> for SinkError {
    fn from(error: DataError) -> SinkError {
        SinkError::Settings(error.to_string())
    }
}

/// What to do about an error of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Some record is at fault: write them one by one.
    OneByOne,
    /// The same may work later.
    Later,
    /// Tables are not what they were: read again what they are.
    LookAgain,
    /// Nothing.
    None,
}

/// What helps against an error in a statement that writes rows.
pub fn remedy(error: &DatabaseError) -> Remedy {
    if error.is_transient() {
        Remedy::Later
    } else if error.is_missing_table() || error.is_missing_column() {
        Remedy::LookAgain
    } else if is_wrong_login(error) || lacks_unique_index(error) {
        Remedy::None
    } else if error.is_about_data() || state(error).starts_with("21") || is_wrong_type(error) {
        // 21: two rows of one statement that are the same row for the database and were not for us.
        Remedy::OneByOne
    } else {
        // Nobody knows: what the original does with every error.
        Remedy::Later
    }
}

/// Whether user, password or database were refused.
pub fn is_wrong_login(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Refused { state, code, .. } => {
            state.starts_with("28") || state == "3D000" || matches!(code, 1044 | 1045 | 1049 | 1698)
        }
        DatabaseError::Unusable(_) => true,
        DatabaseError::Connection(_) => false,
    }
}

/// Whether a row with this key is there already.
pub fn is_duplicate(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Refused { state, code, message } => {
            state == "23505"
                || matches!(code, 1062 | 1586)
                || (state.is_empty() && message.contains("UNIQUE constraint failed"))
        }
        _ => false,
    }
}

fn lacks_unique_index(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Refused { state, message, .. } => {
            state == "42P10" || message.contains("does not match any PRIMARY KEY or UNIQUE constraint")
        }
        _ => false,
    }
}

/// A value of a type that the column cannot hold: PostgreSQL says so before it looks at the value.
fn is_wrong_type(error: &DatabaseError) -> bool {
    matches!(state(error), "42804" | "42846")
}

fn state(error: &DatabaseError) -> &str {
    match error {
        DatabaseError::Refused { state, .. } => state,
        _ => "",
    }
}

/// The error with the setting that helps, for whoever reads it in a task's status.
pub fn explain(error: &DatabaseError, trim_sensitive: bool) -> String {
    let hint = if is_wrong_login(error) && !matches!(error, DatabaseError::Unusable(_)) {
        " Check connection.user, connection.password and the database in connection.url."
    } else if lacks_unique_index(error) {
        " insert.mode=upsert needs a primary key or unique index on the columns of the key: make one, or change pk.mode and pk.fields."
    } else if is_duplicate(error) {
        " A row with this key is there already and holds other values: set insert.mode=upsert to overwrite it."
    } else {
        ""
    };
    match error {
        DatabaseError::Refused { state, code, .. } if trim_sensitive => {
            format!(
                "The database refused a statement (SQLState {state}, code {code}; trim.sensitive.log hides more).{hint}"
            )
        }
        error if hint.is_empty() => error.to_string(),
        error => format!("{error}.{hint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(state: &str, code: i32, message: &str) -> DatabaseError {
        DatabaseError::Refused { message: message.to_owned(), state: state.to_owned(), code }
    }

    #[test]
    fn each_error_has_its_remedy() {
        assert_eq!(remedy(&DatabaseError::Connection("gone".to_owned())), Remedy::Later);
        assert_eq!(remedy(&refused("40001", 1213, "Deadlock found")), Remedy::Later);
        assert_eq!(remedy(&refused("22001", 1406, "Data too long for column 'name' at row 2")), Remedy::OneByOne);
        assert_eq!(remedy(&refused("23505", 0, "duplicate key value")), Remedy::OneByOne);
        assert_eq!(remedy(&refused("42P01", 0, "relation \"t\" does not exist")), Remedy::LookAgain);
        assert_eq!(remedy(&refused("", 1, "no such table: t")), Remedy::LookAgain);
        assert_eq!(remedy(&refused("28P01", 0, "password authentication failed")), Remedy::None);
        assert_eq!(remedy(&refused("42501", 0, "permission denied for table t")), Remedy::Later);
    }

    #[test]
    fn texts_name_the_setting_and_hide_values_when_asked_to() {
        let duplicate = refused("23505", 0, "Key (id)=(geheim) already exists");
        assert!(explain(&duplicate, false).ends_with("set insert.mode=upsert to overwrite it."));
        assert!(!explain(&duplicate, true).contains("geheim"));
        assert!(explain(&refused("28000", 1045, "Access denied"), false).contains("connection.password"));
    }
}
