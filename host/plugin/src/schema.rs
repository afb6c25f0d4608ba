//! JSON Schemas that plugins bring: compiled so that none can fetch, loop or explode, and
//! problems told as fields and what was expected of them.

mod cost;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError};
use mandate_types::FieldProblem;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// The most bytes of a schema's JSON text.
pub const MAX_SCHEMA_BYTES: usize = 256 << 10;
/// How deep a schema may be nested.
pub const MAX_SCHEMA_DEPTH: usize = 32;
/// How many problems of one value are told.
const MAX_PROBLEMS: usize = 20;
/// How deep a value may be nested: recursive schemas cost more with each level.
const MAX_VALUE_DEPTH: usize = 64;

/// Why a schema is not taken. The pointer is where in the schema; empty is the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if pointer.is_empty() { String::new() } else { format!("at `{pointer}`: ") })]
pub struct SchemaError {
    /// JSON Pointer into the schema.
    pub pointer: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl SchemaError {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// A compiled schema; cheap to clone.
#[derive(Clone)]
pub struct Validator(Arc<jsonschema::Validator>);

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

/// Nothing is ever fetched: a `$ref` that leads out of the schema is an error.
struct Nowhere;

impl jsonschema::Retrieve for Nowhere {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is outside the schema; a schema must be whole in itself").into())
    }
}

/// Compiles `schema`. Patterns run in linear time; nothing is fetched.
///
/// # Errors
/// [`SchemaError`] when it is not a JSON Schema, is larger than [`MAX_SCHEMA_BYTES`], deeper
/// than [`MAX_SCHEMA_DEPTH`], refers to anything outside itself, or would take unbounded work.
pub fn compile_schema(schema: &Value) -> Result<Validator, SchemaError> {
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return Err(SchemaError::new(
            "",
            "expected a JSON Schema, which is an object",
        ));
    }
    let depth = mandate_types::json::depth(schema);
    if depth > MAX_SCHEMA_DEPTH {
        return Err(SchemaError::new(
            "",
            format!(
                "is nested {depth} levels deep, the most is {MAX_SCHEMA_DEPTH}: use `$defs` and `$ref`"
            ),
        ));
    }
    let bytes = schema.to_string().len();
    if bytes > MAX_SCHEMA_BYTES {
        return Err(SchemaError::new(
            "",
            format!("is {bytes} bytes long, the most is {MAX_SCHEMA_BYTES}"),
        ));
    }
    cost::check(schema)?;
    on_large_stack(|| {
        jsonschema::options()
            .with_retriever(Nowhere)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(1 << 20)
                    .dfa_size_limit(2 << 20),
            )
            .should_validate_formats(true)
            // Compiling a pattern that somebody sends may take what it likes.
            .with_format("regex", |_| true)
            .build(schema)
            .map(|validator| Validator(Arc::new(validator)))
            .map_err(|error| SchemaError::new(error.instance_path().as_str(), error.to_string()))
    })
}

/// The compiler recurses along references; a worker's stack is too small for the most we take.
fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, SchemaError> + Send,
) -> Result<T, SchemaError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn_scoped(scope, work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SchemaError::new("", "cannot be compiled")),
            Err(error) => Err(SchemaError::new(
                "",
                format!("cannot be compiled now: {error}"),
            )),
        }
    })
}

/// Checks `value` against a compiled schema.
///
/// # Errors
/// Up to 20 problems, each with the JSON Pointer of the field and what was expected there.
pub fn validate(validator: &Validator, value: &Value) -> Result<(), Vec<FieldProblem>> {
    if mandate_types::json::depth(value) > MAX_VALUE_DEPTH {
        let expected = format!("at most {MAX_VALUE_DEPTH} levels of nesting");
        return Err(vec![FieldProblem {
            field: String::new(),
            expected,
        }]);
    }
    if validator.0.is_valid(value) {
        return Ok(());
    }
    let problems: Vec<FieldProblem> = validator
        .0
        .iter_errors(value)
        .take(MAX_PROBLEMS)
        .map(|error| problem(&error))
        .collect();
    Err(problems)
}

fn problem(error: &ValidationError<'_>) -> FieldProblem {
    use ValidationErrorKind as Kind;
    let path = error.instance_path().as_str();
    let below = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    let (field, expected) = match error.kind() {
        Kind::Type { kind } => (path.to_owned(), types(kind)),
        Kind::Required { property } => (
            below(property.as_str().unwrap_or_default()),
            "a value; it is required".to_owned(),
        ),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => (
            below(unexpected.first().map_or("", String::as_str)),
            "no such property".to_owned(),
        ),
        Kind::Enum { options } => (path.to_owned(), format!("one of {}", list(options))),
        Kind::Constant { expected_value } => (path.to_owned(), format!("{expected_value}")),
        Kind::Minimum { limit } => (path.to_owned(), format!("at least {limit}")),
        Kind::Maximum { limit } => (path.to_owned(), format!("at most {limit}")),
        Kind::ExclusiveMinimum { limit } => (path.to_owned(), format!("more than {limit}")),
        Kind::ExclusiveMaximum { limit } => (path.to_owned(), format!("less than {limit}")),
        Kind::MinLength { limit } => (path.to_owned(), format!("at least {limit} characters")),
        Kind::MaxLength { limit } => (path.to_owned(), format!("at most {limit} characters")),
        Kind::MinItems { limit } => (path.to_owned(), format!("at least {limit} items")),
        Kind::MaxItems { limit } => (path.to_owned(), format!("at most {limit} items")),
        Kind::UniqueItems => (path.to_owned(), "items that are all different".to_owned()),
        Kind::Pattern { pattern } => (
            path.to_owned(),
            format!("a text that matches the pattern `{pattern}`"),
        ),
        Kind::Format { format } => (path.to_owned(), format!("a text of the format `{format}`")),
        Kind::FalseSchema => (path.to_owned(), "nothing here".to_owned()),
        // Masked: what was sent can be large or secret, and the sender has it.
        _ => (
            path.to_owned(),
            format!("a value that satisfies the schema: {}", error.masked()),
        ),
    };
    FieldProblem { field, expected }
}

fn types(kind: &TypeKind) -> String {
    let named = |name: String| match name.as_str() {
        "array" | "integer" | "object" => format!("an {name}"),
        "null" => name,
        _ => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(one) => named(one.to_string()),
        TypeKind::Multiple(several) => several
            .iter()
            .map(|one| named(one.to_string()))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn list(options: &Value) -> String {
    let Some(options) = options.as_array() else {
        return options.to_string();
    };
    let mut shown: Vec<String> = options.iter().take(20).map(Value::to_string).collect();
    if options.len() > shown.len() {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(schema: Value) -> String {
        compile_schema(&schema).unwrap_err().to_string()
    }

    fn problems(schema: Value, value: Value) -> Vec<(String, String)> {
        let validator = compile_schema(&schema).unwrap();
        let problems = validate(&validator, &value).unwrap_err();
        problems
            .into_iter()
            .map(|p| (p.field, p.expected))
            .collect()
    }

    #[test]
    fn a_time_is_a_time() {
        let schema = json!({"properties": {"at": {"type": "string", "format": "date-time"}}});
        let noon = problems(schema.clone(), json!({"at": "noon"}));
        assert_eq!(
            noon,
            [(
                "/at".to_owned(),
                "a text of the format `date-time`".to_owned()
            )]
        );
        let validator = compile_schema(&schema).unwrap();
        for good in ["2026-11-21T17:10:04Z", "2026-11-21T17:10:04.228343+02:00"] {
            assert!(validate(&validator, &json!({"at": good})).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_problem_names_the_field_and_what_was_expected() {
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {"a": {"type": "string"}, "n": {"type": "integer", "minimum": 1},
                           "e": {"enum": ["x", "y"]}, "p": {"pattern": "^[a-z]+$"}}
        });
        let one = |value| problems(schema.clone(), value).remove(0);
        assert_eq!(
            one(json!({})),
            ("/a".into(), "a value; it is required".into())
        );
        assert_eq!(one(json!({"a": 1})), ("/a".into(), "a string".into()));
        assert_eq!(
            one(json!({"a": "", "n": 0})),
            ("/n".into(), "at least 1".into())
        );
        assert_eq!(
            one(json!({"a": "", "e": "z"})),
            ("/e".into(), "one of \"x\", \"y\"".into())
        );
        assert_eq!(
            one(json!({"a": "", "q/": 1})),
            ("/q~1".into(), "no such property".into())
        );
        assert!(one(json!({"a": "", "p": "A"})).1.contains("^[a-z]+$"));
        assert_eq!(one(json!([])).1, "an object");
    }

    #[test]
    fn nothing_is_fetched() {
        for reference in [
            "http://127.0.0.1/x",
            "file:///etc/passwd",
            "other.json",
            "//host/x",
        ] {
            let message = refused(json!({"properties": {"a": {"$ref": reference}}}));
            assert!(
                message.contains("/properties/a/$ref") && message.contains(reference),
                "{message}"
            );
        }
        let message = refused(json!({"$schema": "http://127.0.0.1/meta"}));
        assert!(message.contains("$schema"), "{message}");
    }

    #[test]
    fn data_that_looks_like_a_reference_is_data() {
        let schema = json!({"properties": {"$ref": {"type": "string"}}, "default": {"$ref": "http://x"},
                            "enum": [{"$ref": "http://x"}]});
        assert!(
            validate(
                &compile_schema(&schema).unwrap(),
                &json!({"$ref": "http://x"})
            )
            .is_ok()
        );
    }

    #[test]
    fn size_and_depth_are_capped() {
        let mut deep = json!({"type": "string"});
        for _ in 0..MAX_SCHEMA_DEPTH {
            deep = json!({"items": deep});
        }
        assert!(refused(deep).contains("levels deep"));
        assert!(
            refused(json!({"description": "x".repeat(MAX_SCHEMA_BYTES)})).contains("bytes long")
        );
        let mut value = json!(1);
        for _ in 0..MAX_VALUE_DEPTH {
            value = json!([value]);
        }
        assert!(problems(json!({}), value).remove(0).1.contains("nesting"));
    }

    #[test]
    fn patterns_run_in_linear_time() {
        assert!(compile_schema(&json!({"pattern": "(?=a)b"})).is_err());
        let validator = compile_schema(&json!({"pattern": "^(a+)+$"})).unwrap();
        assert!(validate(&validator, &json!(format!("{}b", "a".repeat(50_000)))).is_err());
    }

    #[test]
    fn not_a_schema() {
        assert!(refused(json!({"type": "strin"})).contains("/type"));
        assert!(refused(json!("string")).contains("object"));
    }
}
