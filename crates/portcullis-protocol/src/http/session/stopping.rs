//! What a server takes that stops.

use http::StatusCode;
use serde_json::{Value, json};

use crate::http::test_server::{Edge, call};

#[tokio::test]
async fn a_server_that_stops_takes_what_runs_there_needs_and_begins_nothing() {
    let edge = Edge::new();
    let id = edge.begin_in("2025-03-26", "alice").await;
    edge.app.stop();
    let send = async |body: &Value| edge.send("POST", "alice", Some(&id), body).await.status();
    let params = json!({"protocolVersion": "2025-03-26", "capabilities": {}});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled"});
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for begins in [call(), ping, initialize, json!([call()]), json!([cancelled])] {
        assert_eq!(send(&begins).await, StatusCode::SERVICE_UNAVAILABLE, "{begins}");
    }
    let answer = json!({"jsonrpc": "2.0", "id": "x", "result": {}});
    for goes_on in [cancelled, answer] {
        assert_eq!(send(&goes_on).await, StatusCode::ACCEPTED, "{goes_on}");
    }
    assert!(edge.service.asked().is_empty());
    assert_eq!(edge.stream("alice", &id).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // A stream that was let in before the server was told to stop begins no more.
    let edge = Edge::new();
    let id = edge.begin("alice").await;
    edge.app.sessions().stop();
    assert_eq!(edge.stream("alice", &id).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}
