//! Memories are also found in Qdrant, where one is set up: as the embedded index finds them, and without anyone waiting for one
//! that does not answer.

use companion::config::{QdrantConfig, ServerConfig};
use companion::domain::secret::{ApiKey, Secret};
use serde_json::{Value, json};

use crate::memories::{add, listed, remember, texts};
use crate::qdrant_server::{Bridge, State};
use crate::support::{TestApp, wait_for};

const STATUS: &str = "/api/v1/admin/memory/status";

pub fn asks(url: &str, config: &mut ServerConfig) {
    config.access.admin_token = Some(Secret::new("the-operator"));
    config.outside.qdrant =
        Some(QdrantConfig { base: url.parse().unwrap(), key: None, collection: "tests".to_owned() });
}

fn with_qdrant(url: &str) -> TestApp {
    TestApp::spawn_with(|config| asks(url, config))
}

fn status(app: &TestApp) -> Value {
    app.get_with(STATUS, &[("authorization", "Bearer the-operator")]).expect(200).json()
}

/// Waits until all that was remembered by now is in Qdrant.
fn carried(app: &TestApp) {
    wait_for("the copy is whole", || {
        let status = status(app);
        status["qdrant"]["whole"] == true
            && status["qdrant"]["state"] == "connected"
            && status["outbox"]["changes"] == 0
    });
}

#[test]
fn what_is_remembered_is_found_in_qdrant_and_what_is_forgotten_leaves_it() {
    let qdrant = Bridge::start();
    let app = with_qdrant(&qdrant.url());
    let token = app.start_session().token;
    let id = remember(&app, &token, "My sister lives in Porto");
    remember(&app, &token, "I am allergic to peanuts");
    carried(&app);
    let answered = |app: &TestApp| status(app)["qdrant"]["calls"]["answered"].as_u64().unwrap();
    let before = answered(&app);
    assert_eq!(texts(&app, &token, "?q=where+does+my+sister+live"), ["My sister lives in Porto"]);
    assert!(answered(&app) > before, "Qdrant was asked");
    app.ask("DELETE", &format!("/api/v1/memories/{id}"), &[("x-companion-person", &token)], b"").expect(204);
    assert!(texts(&app, &token, "?q=sister").is_empty());
    carried(&app);
    assert!(texts(&app, &token, "?q=sister").is_empty());
    assert_eq!(app.get("/api/v1/health").expect(200).json()["services"]["qdrant"], "connected");
}
