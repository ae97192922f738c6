//! What can go wrong in the store, and the fault a client sees for it.

use tenfold_types::{ErrorCode, Fault};

/// Why a statement, a transaction or the opening of the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached; nothing was written.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The connection broke while the commit was under way; it may or may not have been written.
    #[error("the connection broke during the commit, so its outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// Another transaction was in the way and retries ran out, or the queue of writes is full.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// No space left; nothing was written, reads go on.
    #[error("the disk of the database is full")]
    DiskFull,
    /// The disk failed or the file is damaged. In the writer this fences the process.
    #[error("the disk of the database failed: {0}")]
    Io(String),
    /// A write to disk failed earlier, so nothing is acknowledged any more.
    #[error("the store stopped taking writes after a disk failure: {0}")]
    Fenced(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The closure of the transaction panicked; it was rolled back.
    #[error("a transaction panicked and was rolled back: {0}")]
    Panicked(String),
    /// A statement failed before, so the transaction can only be rolled back.
    #[error("the transaction goes on after a failed statement: {0}")]
    Spoiled(String),
    /// A unique, foreign key, not-null or check constraint refused the row.
    #[error("a constraint refused the row: {0}")]
    Constraint(String),
    /// The statement is wrong, or its parameters are.
    #[error("a statement failed: {0}")]
    Statement(String),
    /// A column holds another type than the reader wants.
    #[error("column {column} should be {wanted} and is {found}")]
    Column {
        /// Counted from 0.
        column: usize,
        /// What the reader asked for.
        wanted: &'static str,
        /// What was there.
        found: &'static str,
    },
    /// A column's JSON does not read as the wanted type.
    #[error("column {column} does not read as the wanted document: {reason}")]
    Json {
        /// Counted from 0.
        column: usize,
        /// What the reader of JSON said.
        reason: String,
    },
    /// A value in a row is not one of those its column may have.
    #[error("a stored value is not valid: {0}")]
    Corrupt(String),
    /// A secret cannot be sealed or opened: the key is not there, or the text is not what was sealed for its row.
    #[error("secrets in the database cannot be sealed or opened: {0}")]
    Sealed(String),
    /// The schema cannot be brought up to date.
    #[error("the database schema cannot be used: {0}")]
    Schema(String),
    /// More was asked for than a limit allows.
    #[error("{what} is limited to {limit}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl StoreError {
    /// Whether nothing was written and the same transaction may succeed when run again.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unavailable(_))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        let (code, advice) = match error {
            StoreError::Unavailable(_) | StoreError::Closed => {
                (ErrorCode::Unavailable, "Try again in a moment; if it stays, check the database and its address.")
            }
            StoreError::OutcomeUnknown(_) => {
                (ErrorCode::Unavailable, "Look whether the change is there before you try again.")
            }
            StoreError::Busy(_) => (ErrorCode::Unavailable, "Try again in a moment."),
            StoreError::DiskFull => (ErrorCode::DiskFull, "Free space on the disk of the data directory."),
            StoreError::Io(_) | StoreError::Fenced(_) => (
                ErrorCode::Unavailable,
                "Check the disk, then start the server again; it verifies the record at start.",
            ),
            StoreError::Sealed(_) => (
                ErrorCode::Internal,
                "Servers of one database share their sealing keys, the older ones too; the guide says how under Secrets at rest.",
            ),
            StoreError::Constraint(_) => (ErrorCode::Conflict, "Read the current state and try again."),
            StoreError::Limit { .. } => (ErrorCode::Invalid, "Ask for less at once."),
            StoreError::Panicked(_)
            | StoreError::Spoiled(_)
            | StoreError::Statement(_)
            | StoreError::Column { .. }
            | StoreError::Json { .. }
            | StoreError::Corrupt(_)
            | StoreError::Schema(_) => {
                (ErrorCode::Internal, "This is a defect of the server; its log has the details.")
            }
        };
        Self::new(code, message).advice(advice)
    }
}
