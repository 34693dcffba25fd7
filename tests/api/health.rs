//! Whether the server is up, ready, and how its services are.

use serde_json::json;

use crate::support::{TestApp, wait_for};

#[test]
fn a_healthy_server_says_so() {
    let app = TestApp::spawn();
    let services = json!({
        "llm": "connected", "stt": "not_configured", "tts": "not_configured", "qdrant": "not_configured",
        "sqlite": "connected",
    });
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        app.get("/api/v1/health").expect(200).json(),
        json!({"status": "healthy", "version": version, "services": services})
    );
    assert_eq!(app.get("/livez").expect(200).json(), json!({"status": "ok"}));
    assert_eq!(app.get("/readyz").expect(200).json(), json!({"status": "ready", "degraded": []}));
}

#[test]
fn a_server_whose_database_is_gone_is_up_but_not_ready() {
    let app = TestApp::spawn();
    let (database, aside) = (app.data_dir().join("companion.db"), app.data_dir().join("aside"));
    std::fs::rename(&database, &aside).unwrap();
    wait_for("the server is not ready", || app.get("/readyz").status == 503);
    let ready = app.get("/readyz").refused(503, "service_unavailable").json();
    assert_eq!((&ready["message"], &ready["reasons"]), (&json!("Not ready"), &json!(["storage"])));
    let health = app.get("/api/v1/health").expect(200).json();
    assert_eq!(
        (&health["status"], &health["services"]["sqlite"]),
        (&json!("degraded"), &json!("disconnected"))
    );
    app.get("/livez").expect(200);
    std::fs::rename(&aside, &database).unwrap();
    wait_for("the server is ready again", || app.get("/readyz").status == 200);
}
