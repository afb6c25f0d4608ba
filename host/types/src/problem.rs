//! What a client or author is told when something was wrong: RFC 9457 problem details.

use crate::Halt;
use serde::{Deserialize, Serialize};

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// JSON Pointer into what was sent, or the parameter's name.
    pub field: String,
    /// What was expected.
    pub expected: String,
}

/// An RFC 9457 problem, sent as `application/problem+json`.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, utoipa::ToSchema,
)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// `urn:mandate:problem:<slug>`; stable, for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for all problems of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong here, and what to do.
    pub detail: String,
    /// Which fields, if it was the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// What is halted, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Box<Halt>>,
}

impl Problem {
    /// A problem of the type `slug`.
    pub fn new(status: u16, slug: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:mandate:problem:{slug}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            fields: Vec::new(),
            halt: None,
        }
    }

    /// The input is wrong.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(422, "invalid", "The request is not valid", detail)
    }

    /// One field of the input is wrong.
    pub fn invalid_field(field: impl Into<String>, expected: impl Into<String>) -> Self {
        let (field, expected) = (field.into(), expected.into());
        Self::invalid(format!("`{field}`: expected {expected}")).with_field(field, expected)
    }

    /// There is no such thing, or the caller may not know of it.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(404, "not-found", "Not found", format!("there is no {what}"))
    }

    /// The state of the thing does not allow it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "Conflict with the present state", detail)
    }

    /// An operator halted it.
    pub fn halted(halt: Halt) -> Self {
        let detail = format!("{halt}; it goes on once an operator resumes that");
        Self {
            halt: Some(Box::new(halt)),
            ..Self::new(409, "halted", "Halted by an operator", detail)
        }
    }

    /// The caller is not who may do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, "forbidden", "Not allowed", detail)
    }

    /// Who calls is not known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(401, "unauthorized", "Not signed in", detail)
    }

    /// Something behind the host does not answer now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, "unavailable", "Not available now", detail)
    }

    /// A mistake of ours; details are in the log.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(500, "internal", "Internal error", detail)
    }

    /// The same problem, naming one more field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, expected: impl Into<String>) -> Self {
        self.fields.push(FieldProblem {
            field: field.into(),
            expected: expected.into(),
        });
        self
    }
}
