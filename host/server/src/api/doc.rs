//! The OpenAPI document: the host's own routes from their handlers, and what the active
//! plugins' collections and tools add to them.

use super::Api;
use super::error::PROBLEM_JSON;
use axum::Json;
use axum::Router;
use axum::extract::State;
use mandate_kernel::{Catalogue, RouteTarget};
use mandate_plugin::manifest::Reply;
use mandate_types::Problem;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The frame of the document: who speaks, how to sign in, and what problems look like.
pub fn outline() -> OpenApi {
    let mut more = Vec::new();
    Problem::schemas(&mut more);
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of this host; the administrator's is in the data directory",
        ))
        .build();
    let password = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some(
            "For webhooks only: any user, and a token as the password",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .schema("Problem", Problem::schema())
        .schemas_from_iter(more)
        .security_scheme("token", SecurityScheme::Http(token))
        .security_scheme("password", SecurityScheme::Http(password))
        .build();
    let info = InfoBuilder::new()
        .title("Mandate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A host for sandboxed operations agents. Errors are RFC 9457 problems. Listings have `items` and, unless it is the last page, a `cursor`. Events come over the WebSocket `/ws`.",
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            "token",
            Vec::<String>::new(),
        )]))
        .build()
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn problems(list: &[(u16, &str)]) -> Responses {
    let one = |(status, description): &(u16, &str)| {
        let content = ContentBuilder::new()
            .schema(Some(RefOr::<utoipa::openapi::Schema>::Ref(
                Ref::from_schema_name("Problem"),
            )))
            .build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content(PROBLEM_JSON, content)
            .build();
        (status.to_string(), RefOr::T(response))
    };
    list.iter().map(one).collect()
}

const READS: &[(u16, &str)] = &[
    (401, "No token, or one that is not known"),
    (403, "The role does not allow it"),
    (422, "A parameter is wrong; `fields` names it"),
    (
        429,
        "Too many requests; `Retry-After` says when to try again",
    ),
    (500, "A mistake of the host's"),
    (
        503,
        "The host is stopping, busy, or its database does not answer",
    ),
];
const FINDS: &[(u16, &str)] = &[(404, "It does not exist, for this caller")];
const CHANGES: &[(u16, &str)] = &[
    (400, "The body is not JSON"),
    (408, "The body did not arrive in time"),
    (409, "The present state does not allow it"),
    (412, "It changed since the caller read it"),
    (413, "The body is too large"),
    (415, "The body has another type"),
    (428, "`If-Match` is missing"),
    (507, "The disk is full; nothing was changed"),
];

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $($list:expr),+;)+) => {$(
        $(#[$doc])*
        pub enum $name {}

        impl IntoResponses for $name {
            fn responses() -> Responses {
                problems(&[$($list),+].concat())
            }
        }
    )+};
}

refusals! {
    /// What a listing may be refused for.
    Reads = READS;
    /// What looking for one thing may be refused for.
    Finds = READS, FINDS;
    /// What a change may be refused for.
    Changes = READS, FINDS, CHANGES;
}

/// The host's own part of the document, as JSON.
#[derive(Default)]
pub struct Document {
    base: Value,
    paths: Vec<String>,
}

impl Document {
    /// Of what the routes say of themselves.
    pub fn new(openapi: &OpenApi) -> Self {
        let mut base = serde_json::to_value(openapi).unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            Value::Null
        });
        name_operations(&mut base);
        Self {
            base,
            paths: openapi.paths.paths.keys().cloned().collect(),
        }
    }

    /// The methods of a documented path, as `GET,POST`; empty when it is not documented.
    pub fn methods(&self, path: &str) -> String {
        let item = self
            .base
            .get("paths")
            .and_then(|paths| paths.get(path)?.as_object());
        let known = item.into_iter().flat_map(Map::keys);
        let mut methods: Vec<String> = known
            .filter(|key| matches!(key.as_str(), "get" | "post" | "put" | "delete"))
            .map(|key| key.to_ascii_uppercase())
            .collect();
        methods.sort();
        methods.join(",")
    }

    /// Up to four known paths that `path` may have been meant for.
    pub fn near(&self, path: &str) -> Vec<&str> {
        let words: Vec<&str> = path
            .split('/')
            .filter(|word| !matches!(*word, "" | "api" | "v1"))
            .collect();
        let Some(first) = words.first() else {
            return Vec::new();
        };
        let alike = |known: &str| {
            known.split('/').any(|word| {
                !matches!(word, "" | "api" | "v1")
                    && (word == *first
                        || word.trim_end_matches('s') == first.trim_end_matches('s')
                        || (first.len() > 3 && word.starts_with(first)))
            })
        };
        self.paths
            .iter()
            .map(String::as_str)
            .filter(|known| alike(known))
            .take(4)
            .collect()
    }

    fn with(&self, catalogue: &Catalogue) -> Value {
        let mut document = self.base.clone();
        let mut schemas = Map::new();
        for entry in catalogue.collections() {
            let name = &entry.declared.name;
            schemas.insert(
                format!("records.{name}"),
                body_schema(name, &entry.declared.schema),
            );
        }
        if let Some(known) = document
            .pointer_mut("/components/schemas")
            .and_then(Value::as_object_mut)
        {
            known.extend(schemas);
        }
        if let Some(paths) = document
            .pointer_mut("/paths")
            .and_then(Value::as_object_mut)
        {
            for (name, target) in catalogue.routes() {
                match target {
                    RouteTarget::Collection(collection) => {
                        paths.insert(format!("/api/v1/{name}"), collection_path(name, collection));
                        paths.insert(
                            format!("/api/v1/{name}/{{id}}"),
                            record_path(name, collection),
                        );
                    }
                    RouteTarget::Tool(tool) => {
                        let described = catalogue
                            .tool(tool)
                            .and_then(|(active, short)| active.loaded.description.tool(short));
                        let Some(described) = described else { continue };
                        let path = json!({"post": {
                            "tags": [name], "summary": described.summary,
                            "requestBody": {"required": true, "content": {"application/json": {
                                "schema": body_schema(tool, &described.arguments)}}},
                            "responses": {"200": answer("ToolAnswer"), "default": refused()},
                        }});
                        paths.insert(format!("/api/v1/{name}"), path);
                    }
                }
            }
            paths.extend(webhook_paths(catalogue));
        }
        document
    }
}

/// The webhooks of the active plugins, each with what its tool takes.
fn webhook_paths(catalogue: &Catalogue) -> Map<String, Value> {
    let mut paths = Map::new();
    for active in catalogue.plugins() {
        let name = active.name();
        for webhook in &active.loaded.manifest.webhooks {
            let Some(described) = active.loaded.description.tool(&webhook.tool) else {
                continue;
            };
            let (status, schema) = match webhook.reply {
                Reply::Result => ("200", "ToolAnswer"),
                Reply::Accepted => ("202", "Accepted"),
            };
            let body = body_schema(&format!("{name}.{}", webhook.tool), &described.arguments);
            let path = json!({"post": {
                "tags": ["webhooks"], "summary": described.summary,
                "security": [{"token": []}, {"password": []}],
                "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
                "responses": {status: answer(schema), "default": refused()},
            }});
            paths.insert(format!("/api/v1/webhooks/{name}/{}", webhook.path), path);
        }
    }
    paths
}

/// Handlers of different resources have the same names; in the document each needs its own.
fn name_operations(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut());
    for operation in items
        .filter_map(Value::as_object_mut)
        .flat_map(|item| item.values_mut())
    {
        let tag = operation
            .pointer("/tags/0")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if let (Some(tag), Some(Value::String(id))) = (tag, operation.get_mut("operationId")) {
            *id = format!("{tag}_{id}");
        }
    }
}

/// A plugin's schema, with a name of its own to which its references are relative.
fn body_schema(name: &str, schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members
            .entry("$id")
            .or_insert_with(|| json!(format!("urn:mandate:schema:{name}")));
    }
    schema
}

fn answer(schema: &str) -> Value {
    json!({"description": "Done", "content": {"application/json": {
        "schema": {"$ref": format!("#/components/schemas/{schema}")}}}})
}

fn refused() -> Value {
    json!({"description": "A problem", "content": {PROBLEM_JSON: {
        "schema": {"$ref": "#/components/schemas/Problem"}}}})
}

fn body_of(collection: &str) -> Value {
    json!({"required": true, "content": {"application/json": {
        "schema": {"$ref": format!("#/components/schemas/records.{collection}")}}}})
}

fn collection_path(name: &str, collection: &str) -> Value {
    json!({
        "get": {
            "tags": [name],
            "summary": format!("Lists records, as GET /api/v1/records/{collection} does"),
            "responses": {"200": {"description": "A page of records", "content": {"application/json": {
                "schema": {"type": "object", "required": ["items"], "properties": {
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Record"}},
                    "cursor": {"type": "string"}}}}}}, "default": refused()},
        },
        "post": {
            "tags": [name],
            "summary": format!("Creates a record, as POST /api/v1/records/{collection} does"),
            "requestBody": body_of(collection),
            "responses": {"201": answer("Record"), "default": refused()},
        },
    })
}

fn record_path(name: &str, collection: &str) -> Value {
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let version =
        json!({"name": "If-Match", "in": "header", "required": true, "schema": {"type": "string"}});
    json!({
        "parameters": id,
        "get": {
            "tags": [name], "summary": "One record",
            "responses": {"200": answer("Record"), "default": refused()},
        },
        "put": {
            "tags": [name], "summary": "Replaces a record's document",
            "parameters": [version], "requestBody": body_of(collection),
            "responses": {"200": answer("Record"), "default": refused()},
        },
        "delete": {
            "tags": [name], "summary": "Removes a record", "parameters": [version],
            "responses": {"204": {"description": "Removed"}, "default": refused()},
        },
    })
}

/// The OpenAPI document, with what the active plugins add.
pub async fn get(State(api): State<Api>) -> Json<Value> {
    Json(api.document().with(&api.kernel.catalogue()))
}

/// The browsable page.
pub fn page() -> Router<Api> {
    SwaggerUi::new("/docs")
        .config(Config::new(["/openapi.json"]))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa_axum::router::OpenApiRouter;
    use utoipa_axum::routes;

    fn document() -> Document {
        let router: OpenApiRouter<Api> = OpenApiRouter::with_openapi(outline())
            .routes(routes!(
                super::super::tasks::submit,
                super::super::tasks::list
            ))
            .routes(routes!(super::super::tasks::get))
            .routes(routes!(super::super::tokens::list));
        Document::new(&router.into_openapi())
    }

    #[test]
    fn paths_that_were_meant_are_found() {
        let document = document();
        assert_eq!(
            document.near("/tasks"),
            ["/api/v1/tasks", "/api/v1/tasks/{id}"]
        );
        assert_eq!(document.near("/api/v1/token"), ["/api/v1/tokens"]);
        assert!(document.near("/api/v1/x").is_empty() && document.near("/").is_empty());
    }

    #[test]
    fn methods_and_names_come_from_the_handlers() {
        let document = document();
        assert_eq!(document.methods("/api/v1/tasks"), "GET,POST");
        assert_eq!(document.methods("/api/v1/nothing"), "");
        let id = |path: &str| document.base["paths"][path]["get"]["operationId"].clone();
        assert_eq!(
            (id("/api/v1/tasks"), id("/api/v1/tokens")),
            ("tasks_list".into(), "tokens_list".into())
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let base = document().with(&Catalogue::default());
        let text = base.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(base.pointer(pointer).is_some(), "{pointer}");
        }
        assert!(base["openapi"].as_str().unwrap().starts_with("3.1"));
    }
}
