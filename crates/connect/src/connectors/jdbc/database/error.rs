//! Why a database did not do what it was asked.

/// What went wrong; the texts are for the user and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// There is no connection, or it was lost.
    #[error("{0}")]
    Connection(String),
    /// The database refused a statement, or the connection (a wrong password).
    #[error("{message} (SQLState {state}, code {code})")]
    Refused {
        /// What it said.
        message: String,
        /// SQLSTATE, five letters; empty for SQLite.
        state: String,
        /// The database's own code; 0 for PostgreSQL.
        code: i32,
    },
    /// A setting, or a value that cannot be sent or read.
    #[error("{0}")]
    Unusable(String),
}

impl DatabaseError {
    /// Whether the same may work later: the connection is gone, too many connections, locks, the database stops or starts.
    pub fn is_transient(&self) -> bool {
        match self {
            DatabaseError::Connection(_) => true,
            // A column was added between preparing a statement and running it.
            DatabaseError::Refused { state, message, .. } if state == "0A000" && message.contains("cached plan") => {
                true
            }
            DatabaseError::Refused { state, code, .. } => {
                // 08: connection, 40: rolled back because of others, 53: out of resources, 57P: operator, 55P03: lock.
                let class = state.get(..2).unwrap_or_default();
                matches!(class, "08" | "40" | "53")
                    || state.starts_with("57P")
                    || state == "55P03"
                    || matches!(code, 1040 | 1053 | 1203 | 1205 | 1213 | 1226 | 1927 | 3024)
                    || (state.is_empty() && matches!(code & 0xff, 5 | 6 | 10))
            }
            DatabaseError::Unusable(_) => false,
        }
    }

    /// Whether a table is missing.
    pub fn is_missing_table(&self) -> bool {
        match self {
            DatabaseError::Refused { state, code, message } => {
                matches!(state.as_str(), "42S02" | "42P01" | "3F000")
                    || *code == 1049
                    || (state.is_empty() && message.contains("no such table"))
            }
            _ => false,
        }
    }

    /// Whether a column is missing.
    pub fn is_missing_column(&self) -> bool {
        match self {
            DatabaseError::Refused { state, message, .. } => {
                matches!(state.as_str(), "42S22" | "42703")
                    || (state.is_empty()
                        && (message.contains("no such column") || message.contains("has no column named")))
            }
            _ => false,
        }
    }

    /// Whether the values of a row were refused: too long, out of range, a constraint that they break.
    pub fn is_about_data(&self) -> bool {
        match self {
            DatabaseError::Refused { state, code, .. } => {
                matches!(state.get(..2), Some("22" | "23" | "44"))
                    || matches!(code, 1264 | 1265 | 1292 | 1364 | 1366 | 1406 | 3140 | 4025)
                    || (state.is_empty() && matches!(code & 0xff, 18..=20))
            }
            DatabaseError::Unusable(_) => true,
            DatabaseError::Connection(_) => false,
        }
    }
}
