//! How much work a schema can make of one place in a value, found before anything is compiled:
//! a schema that applies itself to the same place again would overflow the stack, and one that
//! doubles itself through references would never end.

use super::SchemaError;
use serde_json::Value;
use std::collections::HashMap;

/// How often subschemas may be applied to one place of a value.
const MAX_COST: u64 = 10_000;
/// How many schemas may be stacked on one place, each within the other: validators recurse.
const MAX_HEIGHT: u32 = 64;
/// How many references a schema may hold: compiling and dropping recurse along them.
const MAX_REFERENCES: usize = 1_000;

/// Keywords whose value is data, not schema.
const DATA: &[&str] = &["const", "enum", "default", "examples"];
/// Keywords whose value maps free names to schemas.
const MAPS: &[&str] = &[
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
];

/// Refuses references that lead outside, and schemas that would take unbounded work.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    check_meta(schema)?;
    let mut costs = Costs {
        root: schema,
        known: HashMap::new(),
        height: 0,
        references: 0,
    };
    walk(schema, &mut String::new(), &mut costs)
}

fn check_meta(schema: &Value) -> Result<(), SchemaError> {
    let Some(meta) = schema.get("$schema") else {
        return Ok(());
    };
    let known = meta.as_str().is_some_and(|uri| {
        let uri = uri.trim_end_matches('#');
        [
            "https://json-schema.org/draft/2020-12/schema",
            "https://json-schema.org/draft/2019-09/schema",
            "http://json-schema.org/draft-07/schema",
        ]
        .contains(&uri)
    });
    if known {
        Ok(())
    } else {
        Err(SchemaError::new(
            "/$schema",
            format!("`$schema` is {meta}; expected JSON Schema 2020-12, 2019-09 or draft 7"),
        ))
    }
}

/// Visits every subschema.
fn walk(schema: &Value, pointer: &mut String, costs: &mut Costs<'_>) -> Result<(), SchemaError> {
    let Value::Object(fields) = schema else {
        return Ok(());
    };
    for (key, value) in fields {
        let before = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        match (key.as_str(), value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                costs.references += 1;
                if costs.references > MAX_REFERENCES {
                    return Err(SchemaError::new(
                        "",
                        format!("has more than {MAX_REFERENCES} references"),
                    ));
                }
                if !target.starts_with('#') {
                    return Err(SchemaError::new(
                        pointer.clone(),
                        format!(
                            "`{target}` is outside the schema; refer to `#/$defs/…` instead: nothing is fetched"
                        ),
                    ));
                }
            }
            (key, _) if DATA.contains(&key) => {}
            (key, Value::Object(named)) if MAPS.contains(&key) => {
                for (name, inner) in named {
                    let before = pointer.len();
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    walk(inner, pointer, costs)?;
                    pointer.truncate(before);
                }
            }
            (_, Value::Object(_)) => walk(value, pointer, costs)?,
            (_, Value::Array(items)) => {
                for (index, inner) in items.iter().enumerate() {
                    let before = pointer.len();
                    pointer.push_str(&format!("/{index}"));
                    walk(inner, pointer, costs)?;
                    pointer.truncate(before);
                }
            }
            _ => {}
        }
        pointer.truncate(before);
    }
    if costs
        .of(schema)
        .map_err(|message| SchemaError::new(pointer.clone(), message))?
        > MAX_COST
    {
        return Err(SchemaError::new(
            pointer.clone(),
            format!(
                "applies more than {MAX_COST} schemas to one place; simplify `allOf`, `anyOf`, `oneOf` and `$ref`"
            ),
        ));
    }
    Ok(())
}

struct Costs<'a> {
    root: &'a Value,
    /// By address of the subschema, which does not move; `None` while it is being reckoned.
    known: HashMap<*const Value, Option<u64>>,
    height: u32,
    references: usize,
}

impl Costs<'_> {
    /// How many schemas are applied to one place when `schema` is.
    fn of(&mut self, schema: &Value) -> Result<u64, String> {
        let Value::Object(fields) = schema else {
            return Ok(1);
        };
        let address = std::ptr::from_ref(schema);
        match self.known.get(&address) {
            Some(Some(cost)) => return Ok(*cost),
            Some(None) => {
                return Err(
                    "refers to itself for the same place in a value, without end".to_owned(),
                );
            }
            None => {}
        }
        if self.height >= MAX_HEIGHT {
            return Err(format!(
                "stacks more than {MAX_HEIGHT} schemas on one place"
            ));
        }
        self.height += 1;
        self.known.insert(address, None);
        let mut cost = 1_u64;
        let root = self.root;
        for (key, value) in fields {
            let inner = match (key.as_str(), value) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                    // A target that is not there is told by the compiler.
                    resolve(root, target).map_or(Ok(0), |target| self.of(target))?
                }
                ("not" | "if" | "then" | "else", inner) => self.of(inner)?,
                ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => self.sum(items.iter())?,
                ("dependentSchemas" | "dependencies", Value::Object(named)) => {
                    self.sum(named.values())?
                }
                _ => 0,
            };
            cost = cost.saturating_add(inner);
        }
        self.height -= 1;
        self.known.insert(address, Some(cost));
        Ok(cost)
    }

    fn sum<'v>(&mut self, schemas: impl Iterator<Item = &'v Value>) -> Result<u64, String> {
        let mut sum = 0_u64;
        for schema in schemas {
            sum = sum.saturating_add(self.of(schema)?);
        }
        Ok(sum)
    }
}

/// The subschema that a local reference names, by pointer or anchor.
fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let fragment = target.strip_prefix('#')?;
    if fragment.is_empty() {
        return Some(root);
    }
    if fragment.starts_with('/') {
        return root.pointer(&fragment.replace("%24", "$").replace("%25", "%"));
    }
    anchored(root, fragment)
}

fn anchored<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    match schema {
        Value::Object(fields) => {
            let named = ["$anchor", "$dynamicAnchor"]
                .iter()
                .any(|key| fields.get(*key).and_then(Value::as_str) == Some(name));
            if named {
                Some(schema)
            } else {
                fields.values().find_map(|inner| anchored(inner, name))
            }
        }
        Value::Array(items) => items.iter().find_map(|inner| anchored(inner, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{compile_schema, validate};
    use serde_json::{Value, json};

    fn refused(schema: Value) -> String {
        compile_schema(&schema).unwrap_err().to_string()
    }

    #[test]
    fn a_schema_that_is_itself_is_refused() {
        assert!(refused(json!({"$ref": "#"})).contains("without end"));
        assert!(refused(json!({"allOf": [{"$ref": "#"}]})).contains("without end"));
        let pair =
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}});
        assert!(refused(pair).contains("without end"));
        assert!(
            refused(json!({"$anchor": "x", "anyOf": [{"$ref": "#x"}]})).contains("without end")
        );
        assert!(refused(json!({"dependentSchemas": {"a": {"$ref": "#"}}})).contains("without end"));
    }

    #[test]
    fn doubling_is_refused() {
        let mut definitions = serde_json::Map::new();
        for n in 0..20 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            definitions.insert(format!("d{n}"), json!({"allOf": [next, next]}));
        }
        definitions.insert("d20".to_owned(), json!({}));
        assert!(refused(json!({"$defs": definitions})).contains("simplify"));
    }

    #[test]
    fn long_chains_are_refused_or_compiled_without_overflow() {
        let chain = |length: usize, wrap: fn(Value) -> Value| {
            let mut definitions = serde_json::Map::new();
            for n in 0..length {
                definitions.insert(
                    format!("d{n}"),
                    wrap(json!({"$ref": format!("#/$defs/d{}", n + 1)})),
                );
            }
            definitions.insert(format!("d{length}"), json!({}));
            json!({"$defs": definitions, "$ref": "#/$defs/d0"})
        };
        let flat = refused(chain(500, |inner| inner));
        assert!(flat.contains("stacks more"), "{flat}");
        let many = refused(chain(2_000, |inner| json!({"items": inner})));
        assert!(many.contains("references"), "{many}");
        // The most that is taken, on a thread as small as a server's worker.
        let most = chain(900, |inner| json!({"items": inner}));
        std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || drop(compile_schema(&most).unwrap()))
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn a_tree_is_fine() {
        let tree = json!({
            "type": "object",
            "properties": {"left": {"$ref": "#"}, "right": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        });
        let validator = compile_schema(&tree).unwrap();
        assert!(validate(&validator, &json!({"left": {"right": null}})).is_ok());
        assert!(validate(&validator, &json!({"left": {"right": 1}})).is_err());
    }
}
