//! Which records a query wants: `field=value`, or `field.comparison=value`.
//!
//! The comparisons are `equal` (the same as none), `not_equal`, `less`, `at_most`, `greater`,
//! `at_least`, `one_of` (a list with commas), `contains` (for lists of texts, where it is also
//! meant by none) and `missing` (`true` or `false`). A field called like a parameter (`limit`)
//! is meant by its full form (`limit.equal`).

use super::input::Params;
use mandate_store::{Collection, Comparison, Condition, FieldKind, Order, RecordQuery};
use mandate_types::{Problem, TenantId};
use serde_json::Value;

const COMPARISONS: &str =
    "equal, not_equal, less, at_most, greater, at_least, one_of, contains or missing";

/// The query that `params` ask for, in the tenants that the caller may see.
///
/// # Errors
/// 422 that names the parameter. Fields that are not indexed are named by the store.
pub fn query(
    collection: &Collection,
    tenants: Option<Vec<TenantId>>,
    mut params: Params,
) -> Result<RecordQuery, Problem> {
    let order = params
        .text("order")?
        .map(|text| match text.strip_prefix('-') {
            Some(field) => Order {
                field: field.to_owned(),
                descending: true,
            },
            None => Order {
                field: text,
                descending: false,
            },
        });
    let (text, limit, cursor) = (params.text("q")?, params.limit()?, params.text("cursor")?);
    let conditions = params
        .rest()
        .iter()
        .map(|(name, text)| condition(collection, name, text))
        .collect::<Result<_, _>>()?;
    let collection = collection.name.clone();
    Ok(RecordQuery {
        collection,
        tenants,
        conditions,
        text,
        order,
        limit,
        cursor,
    })
}

fn condition(collection: &Collection, name: &str, text: &str) -> Result<Condition, Problem> {
    let (field, operator) = name.split_once('.').unwrap_or((name, ""));
    let kind = match field {
        "id" | "created_at" | "updated_at" => Some(FieldKind::Text),
        "version" => Some(FieldKind::Number),
        _ => collection
            .indexed
            .iter()
            .find(|known| known.name == field)
            .map(|known| known.kind),
    };
    let Some(kind) = kind else {
        let mut known = vec!["id", "version", "created_at", "updated_at"];
        known.extend(collection.indexed.iter().map(|field| field.name.as_str()));
        let field: String = field.chars().take(80).collect();
        return Err(Problem::invalid_field(
            field,
            format!(
                "q, order, limit, cursor, tenant, or an indexed field of `{}`: {}",
                collection.name,
                known.join(", ")
            ),
        ));
    };
    let single = |comparison| Ok((comparison, value(name, kind, text)?));
    let (comparison, value) = match operator {
        "" if kind == FieldKind::Texts => single(Comparison::Contains)?,
        "" | "equal" => single(Comparison::Equal)?,
        "not_equal" => single(Comparison::NotEqual)?,
        "less" => single(Comparison::Less)?,
        "at_most" => single(Comparison::AtMost)?,
        "greater" => single(Comparison::Greater)?,
        "at_least" => single(Comparison::AtLeast)?,
        "contains" => single(Comparison::Contains)?,
        "one_of" => {
            let items = text.split(',').map(|item| value(name, kind, item.trim()));
            (
                Comparison::OneOf,
                Value::Array(items.collect::<Result<_, _>>()?),
            )
        }
        "missing" => match text {
            "true" => (Comparison::Equal, Value::Null),
            "false" => (Comparison::NotEqual, Value::Null),
            _ => return Err(Problem::invalid_field(name, "true or false")),
        },
        _ => {
            let name: String = name.chars().take(80).collect();
            return Err(Problem::invalid_field(
                name,
                format!("`{field}.` and a comparison: {COMPARISONS}"),
            ));
        }
    };
    Ok(Condition {
        field: field.to_owned(),
        comparison,
        value,
    })
}

/// A text of a query as the field's kind.
fn value(name: &str, kind: FieldKind, text: &str) -> Result<Value, Problem> {
    let wrong = |expected: &str| Problem::invalid_field(name, expected);
    match kind {
        FieldKind::Text | FieldKind::Texts => Ok(Value::from(text)),
        FieldKind::Boolean => text
            .parse()
            .map(Value::Bool)
            .map_err(|_| wrong("true or false")),
        FieldKind::Number => match text.parse::<i64>() {
            Ok(whole) => Ok(Value::from(whole)),
            Err(_) => {
                let number = text.parse().ok().and_then(serde_json::Number::from_f64);
                number.map(Value::Number).ok_or_else(|| wrong("a number"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_store::IndexedField;
    use mandate_types::PluginName;
    use serde_json::json;

    fn collection() -> Collection {
        let field = |name: &str, kind| IndexedField {
            name: name.to_owned(),
            kind,
        };
        Collection {
            name: "incidents".into(),
            owner: PluginName::parse("incident").unwrap(),
            schema: json!({}),
            id_pattern: "INC-{8}".into(),
            indexed: vec![
                field("state", FieldKind::Text),
                field("severity", FieldKind::Number),
                field("open", FieldKind::Boolean),
                field("tags", FieldKind::Texts),
                field("limit", FieldKind::Number),
            ],
            full_text: vec!["title".into()],
            retired: false,
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<RecordQuery, Problem> {
        let pairs = pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        query(&collection(), None, Params::new(pairs))
    }

    fn only(name: &str, text: &str) -> (Comparison, Value) {
        let query = read(&[(name, text)]).unwrap();
        (
            query.conditions[0].comparison,
            query.conditions[0].value.clone(),
        )
    }

    #[test]
    fn values_have_the_kind_of_their_field() {
        assert_eq!(only("state", "5"), (Comparison::Equal, json!("5")));
        assert_eq!(
            only("severity.at_least", "5"),
            (Comparison::AtLeast, json!(5))
        );
        assert_eq!(only("severity.less", "0.5"), (Comparison::Less, json!(0.5)));
        assert_eq!(only("open", "true"), (Comparison::Equal, json!(true)));
        assert_eq!(only("tags", "db"), (Comparison::Contains, json!("db")));
        assert_eq!(
            only("state.one_of", "a, b"),
            (Comparison::OneOf, json!(["a", "b"]))
        );
        assert_eq!(
            only("state.missing", "true"),
            (Comparison::Equal, Value::Null)
        );
        assert_eq!(
            only("created_at.greater", "2026-01-01T00:00:00Z").0,
            Comparison::Greater
        );
    }

    #[test]
    fn words_order_and_page() {
        let query = read(&[
            ("q", "disk full"),
            ("order", "-severity"),
            ("limit", "3"),
            ("cursor", "c"),
        ])
        .unwrap();
        assert_eq!(query.text.as_deref(), Some("disk full"));
        assert_eq!(
            query.order,
            Some(Order {
                field: "severity".into(),
                descending: true
            })
        );
        assert_eq!((query.limit, query.cursor.as_deref()), (3, Some("c")));
        let field = read(&[("limit.equal", "3")]).unwrap();
        assert_eq!((field.limit, field.conditions.len()), (50, 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, text, expected) in [
            ("colour", "red", "severity"),
            ("severity", "high", "a number"),
            ("open", "yes", "true or false"),
            ("state.like", "x", "one_of"),
            ("state.missing", "x", "true or false"),
        ] {
            let problem = read(&[(name, text)]).unwrap_err();
            assert!(
                problem.fields[0].expected.contains(expected),
                "{name}: {problem:?}"
            );
        }
    }
}
