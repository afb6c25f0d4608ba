//! Rows that wait to be written many at a time: one statement for 32 rows costs hardly more than
//! one for a single row, and the rows of these tables may come in any order within a transaction.

use super::sql::{self, Arg};
use super::{audit, collection, event, journal, log, task, vault};
use mandate_types::{ExecutionId, InvocationId, TaskId, TenantId};
use sqlx::sqlite::SqliteConnection;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The tables with such rows, in the order in which they refer to each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Tasks,
    Keys,
    Executions,
    Contents,
    Invocations,
    Steps,
    /// Of steps that are there, or wait themselves.
    Answers,
    Records,
    Logs,
    Events,
    Audit,
}

const TABLES: [Table; 11] = [
    Table::Tasks,
    Table::Keys,
    Table::Executions,
    Table::Contents,
    Table::Invocations,
    Table::Steps,
    Table::Answers,
    Table::Records,
    Table::Logs,
    Table::Events,
    Table::Audit,
];

impl Table {
    /// Name, columns, and the tuple of one row.
    fn shape(self) -> (&'static str, &'static str, Cow<'static, str>) {
        fn marks(width: usize) -> Cow<'static, str> {
            Cow::Owned(format!("({})", vec!["?"; width].join(", ")))
        }
        match self {
            Self::Tasks => ("tasks", task::COLUMNS, marks(task::WIDTH)),
            Self::Keys => (
                "idempotency_keys",
                "principal, key, request, task, at",
                marks(5),
            ),
            Self::Executions => ("executions", journal::EXECUTION_COLUMNS, marks(8)),
            Self::Contents => ("contents", vault::CONTENT_COLUMNS, marks(4)),
            Self::Invocations => ("invocations", journal::INVOCATION_COLUMNS, marks(27)),
            Self::Steps => ("steps", journal::STEP_COLUMNS, journal::STEP_TUPLE.into()),
            Self::Answers => ("steps", "", marks(9)),
            Self::Records => ("records", collection::COLUMNS, marks(9)),
            Self::Logs => ("logs", log::COLUMNS, marks(8)),
            Self::Events => ("events", event::COLUMNS, marks(7)),
            Self::Audit => ("audit", audit::COLUMNS, marks(7)),
        }
    }
}

/// What a waiting row is, for writes that need it to be there.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    Task(&'a TaskId),
    Execution(&'a ExecutionId),
    Invocation(&'a InvocationId),
    Record(&'a str, &'a TenantId, &'a str),
}

/// The statements, by table and number of rows; kept for as long as the writer lives.
pub(super) type Texts = HashMap<(Table, usize), Arc<str>>;

/// The most rows of one statement.
const MOST: usize = 32;

fn text(texts: &mut Texts, table: Table, rows: usize) -> Arc<str> {
    let made = texts.entry((table, rows)).or_insert_with(|| {
        let (name, columns, tuple) = table.shape();
        let tuples = vec![tuple.as_ref(); rows].join(", ");
        let known = match table {
            Table::Answers => return journal::answer_steps(&tuples).into(),
            Table::Contents => vault::CONTENT_KNOWN,
            _ => "",
        };
        format!("INSERT INTO {name} ({columns}) VALUES {tuples}{known}").into()
    });
    Arc::clone(made)
}

/// The waiting rows of a batch.
#[derive(Default)]
pub(super) struct Bulk<'a> {
    rows: HashMap<Table, Vec<Cow<'a, [Arg]>>>,
    keys: HashSet<Key<'a>>,
}

impl<'a> Bulk<'a> {
    pub(super) fn add(&mut self, table: Table, key: Option<Key<'a>>, row: Cow<'a, [Arg]>) {
        self.rows.entry(table).or_default().push(row);
        self.keys.extend(key);
    }

    /// Whether the row is still waiting, so that it must be written before it is changed.
    pub(super) fn waits(&self, key: &Key<'a>) -> bool {
        self.keys.contains(key)
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.keys.clear();
    }

    /// Writes what waits; [`sqlx::Error::RowNotFound`] if there was an answer to a step that waits
    /// for none.
    pub(super) async fn flush(
        &mut self,
        conn: &mut SqliteConnection,
        texts: &mut Texts,
    ) -> Result<(), sqlx::Error> {
        self.keys.clear();
        for table in TABLES {
            let Some(rows) = self.rows.get_mut(&table) else {
                continue;
            };
            let mut rest = rows.as_slice();
            while !rest.is_empty() {
                // Powers of two, so that a few prepared statements serve every number of rows.
                let count = MOST.min(1 << rest.len().ilog2());
                let (chunk, later) = rest.split_at(count);
                rest = later;
                let args: Vec<Arg> = chunk.iter().flat_map(|row| row.iter().cloned()).collect();
                let written = sql::run_text(conn, text(texts, table, count), &args).await?;
                if table == Table::Answers && written != count as u64 {
                    return Err(sqlx::Error::RowNotFound);
                }
            }
            rows.clear();
        }
        Ok(())
    }
}
