//! The document the server has of itself, and the page that shows it.

use std::collections::{BTreeMap, BTreeSet};

use companion::domain::secret::Secret;
use serde_json::{Map, Value};

use crate::support::TestApp;

const VERBS: [&str; 5] = ["get", "head", "post", "patch", "delete"];

fn document(app: &TestApp) -> Value {
    app.get("/api/v1/openapi.json").expect(200).json()
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let item = item.as_object().unwrap().iter();
        let verbs = item.filter(|(name, _)| VERBS.contains(&name.as_str()));
        verbs.map(move |(verb, operation)| (path.as_str(), verb.as_str(), operation.as_object().unwrap()))
    })
}

/// The addresses of the list in `src/web/mod.rs`, with the methods each answers.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let source = include_str!("../../src/web/mod.rs");
    let mut found = BTreeMap::new();
    for (at, _) in source.match_indices("at(\"") {
        let (path, rest) = source[at + 4..].split_once('"').unwrap();
        let methods =
            rest.trim_start_matches([',', ' ', '\n']).split(')').next().unwrap().trim().trim_end_matches(',');
        let methods = if methods == "READ" { "GET, HEAD" } else { methods.trim_matches('"') };
        let scope = source[..at].rfind("web::scope(\"").filter(|scope| !source[*scope..at].contains(';'));
        let scope = scope.map_or("", |scope| source[scope..].split('"').nth(1).unwrap());
        let path = format!("{scope}{}", path.replace(":.*}", "}"));
        found.insert(path, methods.split(", ").map(str::to_lowercase).collect());
    }
    assert!(
        found.len() >= 14 && found.contains_key("/api/v1/chat") && found.contains_key("/livez"),
        "{found:?}"
    );
    found
}

#[test]
fn every_address_is_described_with_the_methods_it_answers_and_nothing_else_is() {
    let app = TestApp::spawn_with(|config| config.access.admin_token = Some(Secret::new("the-operators")));
    let document = document(&app);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (path, verb, _) in operations(&document) {
        described.entry(path.to_owned()).or_default().insert(verb.to_owned());
    }
    assert_eq!(described, routes());
    for (path, verbs) in described {
        let path = path.replace("{id}", "x").replace("{name}", "x").replace("{audio_id}", "x");
        let told = app
            .ask("PUT", &path, &[("authorization", "Bearer the-operators")], b"")
            .refused(405, "method_not_allowed");
        let told: BTreeSet<_> = told.header("allow").split(", ").map(str::to_lowercase).collect();
        assert_eq!(told, verbs, "{path}");
    }
}

#[test]
fn every_operation_tells_all_its_errors_and_their_shape() {
    let app = TestApp::spawn();
    let document = document(&app);
    let mut ids = BTreeSet::new();
    for (path, verb, operation) in operations(&document) {
        let place = format!("{verb} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}: another one has its id");
        let responses = operation["responses"].as_object().unwrap();
        let mut expected = vec!["413", "429", "500", "503"];
        if operation.contains_key("requestBody") {
            expected.extend(["400", "408", "415"]);
        }
        if path.starts_with("/api/") && !["health", "sign-out"].iter().any(|open| path.ends_with(open)) {
            expected.push("401");
        }
        if !["get", "head"].contains(&verb) {
            expected.extend(["403", "507"]);
        }
        if path.contains("{id}") || path.contains("{audio_id}") || path.contains("{name}") {
            expected.push("404");
        }
        for status in expected {
            assert!(responses.contains_key(status), "{place} does not tell {status}");
        }
        for (status, response) in responses {
            let content = &response["content"];
            if verb == "head" {
                assert!(content.is_null(), "{place} {status} has no body");
            } else if status.starts_with(['4', '5']) {
                let shape = &content["application/json"]["schema"]["$ref"];
                assert_eq!(shape, "#/components/schemas/ErrorBody", "{place} {status}");
            }
        }
    }
    let error = &document["components"]["schemas"]["ErrorBody"];
    assert_eq!(error["required"], serde_json::json!(["error", "message", "request_id"]));
}

#[test]
fn every_reference_leads_somewhere() {
    let app = TestApp::spawn();
    let document = document(&app);
    let text = document.to_string();
    let mut seen = 0;
    for (at, _) in text.match_indices("\"$ref\":\"#") {
        let pointer = text[at + 9..].split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn the_page_is_there_only_when_it_is_switched_on() {
    let app = TestApp::spawn();
    app.get("/api/v1/docs").refused(404, "not_found");
    let app = app.restart_with(|config| config.api_docs = true);
    let page = app.get("/api/v1/docs").expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache, no-store, must-revalidate");
    page.assert_on_every_response();
    let text = page.text();
    for outside in ["http:", "https:", "//", "<style", "onclick", "javascript:"] {
        assert!(!text.contains(outside), "{outside}");
    }
    let scripts: Vec<_> = text.split("<script").skip(1).collect();
    assert!(
        !scripts.is_empty() && scripts.iter().all(|script| script.contains("src=\"/static/docs-")),
        "{scripts:?}"
    );
    for name in text.split("\"/static/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        app.get(&format!("/static/{name}")).expect(200);
    }
}
