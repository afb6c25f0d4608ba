//! Log lines and spans as they are asked for: the newest so many, told in the order of their time.

use super::{TelemetryDb, rows};
use crate::series::{Edge, LogLine, LogQuery, Range, SeriesError, Span, SpanQuery};
use crate::sqlite::sql::{Arg, Columns as _, Sql};
use mandate_types::TenantId;

/// Lines that are read at once in search of words.
const PAGE: usize = 2_000;
/// Lines that are looked at in search of words.
const MOST_SEARCHED: usize = 1_000_000;
/// The most lines or spans of an answer.
const MOST_LINES: usize = 10_000;

fn within(sql: &mut Sql, tenant: &TenantId, service: Option<&String>, time: &str, range: Range) {
    sql.clause(" WHERE tenant = ?", Arg::text(tenant.as_str()));
    if let Some(service) = service {
        sql.clause(" AND service = ?", Arg::text(service));
    }
    sql.clause(&format!(" AND {time} >= ?"), range.start.into());
    sql.clause(&format!(" AND {time} < ?"), range.end.into());
}

fn wanted(limit: usize) -> Result<usize, SeriesError> {
    if (1..=MOST_LINES).contains(&limit) {
        return Ok(limit);
    }
    Err(SeriesError::Invalid(format!(
        "limit: expected 1–{MOST_LINES}, found {limit}"
    )))
}

impl TelemetryDb {
    pub(super) async fn read_logs(
        &self,
        tenant: &TenantId,
        query: LogQuery,
    ) -> Result<Vec<LogLine>, SeriesError> {
        let limit = wanted(query.limit)?;
        let words = Words::new(query.text.as_deref().unwrap_or_default());
        let page = if words.none() { limit } else { PAGE };
        let mut found = Vec::new();
        let mut searched = 0;
        let mut before: Option<(i64, i64)> = None;
        loop {
            let mut sql =
                Sql::new("SELECT time, hash, service, severity, message, labels FROM logs");
            within(
                &mut sql,
                tenant,
                query.service.as_ref(),
                "time",
                query.range,
            );
            if let Some(severity) = query.at_least {
                sql.clause(" AND severity >= ?", Arg::Int(severity as i64));
            }
            if let Some((time, hash)) = before {
                sql.push(" AND (time, hash) < ");
                sql.list([Arg::Int(time), Arg::Int(hash)]);
            }
            sql.clause(
                " ORDER BY time DESC, hash DESC LIMIT ?",
                Arg::count(page as u64),
            );
            let rows = sql.all(&self.readers).await?;
            for row in &rows {
                let line = rows::read_log(row)?;
                if words.are_in(&line.message) {
                    found.push(line);
                    if found.len() == limit {
                        break;
                    }
                }
            }
            searched += rows.len();
            let Some(last) = rows
                .last()
                .filter(|_| rows.len() == page && found.len() < limit)
            else {
                break;
            };
            if searched >= MOST_SEARCHED {
                return Err(SeriesError::Invalid(format!(
                    "{MOST_SEARCHED} lines were searched and there are more: ask for a shorter range, a service, or a severity"
                )));
            }
            before = Some((last.get_int("time")?, last.get_int("hash")?));
        }
        found.reverse();
        Ok(found)
    }

    pub(super) async fn read_spans(
        &self,
        tenant: &TenantId,
        query: SpanQuery,
    ) -> Result<Vec<Span>, SeriesError> {
        let limit = wanted(query.limit)?;
        let mut sql = Sql::new(&format!("SELECT {} FROM spans", rows::SPAN));
        within(
            &mut sql,
            tenant,
            query.service.as_ref(),
            "start",
            query.range,
        );
        if let Some(trace) = &query.trace_id {
            sql.clause(" AND trace = ?", Arg::text(trace));
        }
        if query.errors_only {
            sql.push(" AND error = 1");
        }
        sql.clause(
            " ORDER BY start DESC, id DESC LIMIT ?",
            Arg::count(limit as u64),
        );
        let rows = sql.all(&self.readers).await?;
        let spans: Result<Vec<Span>, _> = rows.iter().rev().map(rows::read_span).collect();
        Ok(spans?)
    }

    pub(super) async fn read_topology(&self, tenant: &TenantId) -> Result<Vec<Edge>, SeriesError> {
        let mut sql = Sql::new("SELECT DISTINCT caller, callee FROM edges");
        sql.clause(
            " WHERE tenant = ? ORDER BY caller, callee",
            Arg::text(tenant.as_str()),
        );
        let mut edges = Vec::new();
        for row in sql.all(&self.readers).await? {
            edges.push(Edge {
                caller: row.get_text("caller")?,
                callee: row.get_text("callee")?,
            });
        }
        Ok(edges)
    }
}

/// Words that must all begin a word of a text; case does not matter.
struct Words(Vec<String>);

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

impl Words {
    fn new(text: &str) -> Self {
        Self(words(text).map(str::to_lowercase).collect())
    }

    fn none(&self) -> bool {
        self.0.is_empty()
    }

    fn are_in(&self, text: &str) -> bool {
        if self.none() {
            return true;
        }
        let text = text.to_lowercase();
        self.0
            .iter()
            .all(|wanted| words(&text).any(|word| word.starts_with(wanted.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_words_begin() {
        let found = |wanted: &str| {
            Words::new(wanted).are_in("Connection refused: db-7 (timeouts=3, Größe 5)")
        };
        for there in [
            "refused",
            "CONNECTION refused",
            "timeout",
            "db-7",
            "größe",
            "",
            "  ",
        ] {
            assert!(found(there), "{there}");
        }
        for absent in ["fused", "refused accepted", "8"] {
            assert!(!found(absent), "{absent}");
        }
    }
}
