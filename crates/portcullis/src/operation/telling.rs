//! What functions tell and ask their clients before an answer passes here.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::component::telling::Examined;
use crate::operation::credentials::{self, CredentialsInResults};
use crate::operation::redaction;

/// Examines what is told and asked as results are examined.
pub(crate) struct ExaminedAsResults {
    credentials: CredentialsInResults,
    /// Whether the log has said that something was told which looks like a credential.
    held_credential: AtomicBool,
}

impl ExaminedAsResults {
    pub(crate) fn new(credentials: CredentialsInResults) -> Self {
        Self { credentials, held_credential: AtomicBool::default() }
    }
}

impl Examined for ExaminedAsResults {
    fn examine(&self, mut data: Value) -> Option<Value> {
        redaction::redact_value(&mut data);
        if self.credentials == CredentialsInResults::Off {
            return Some(data);
        }
        let Some(kind) = credentials::find_in(&data) else { return Some(data) };
        let blocks = self.credentials == CredentialsInResults::Block;
        if !self.held_credential.swap(true, Ordering::Relaxed) || blocks {
            tracing::warn!(
                kind,
                blocked = blocks,
                "progress, a message for a client's log or a question looks as if it held a credential"
            );
        }
        (!blocks).then_some(data)
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use portcullis_guard::Secret;
    use serde_json::json;

    use super::*;
    use crate::component::{LogLevel, Progress};
    use crate::testing::{TestAnswer, TestClient};
    use crate::{Components, Server, Tool};

    async fn told(found: CredentialsInResults, text: &'static str) -> TestAnswer {
        let tool = Tool::new("tell").handler(move |call: crate::component::Call| async move {
            call.context.log(LogLevel::Info, json!({"where": [text]}));
            call.context.report_progress(Progress::new(1).message(text));
            "told"
        });
        let server = Server::builder("test").no_auth().components(Components::new().with(tool));
        let server = server.credentials_in_results(found).build().unwrap();
        TestClient::new(&server).call("tell", json!({})).await
    }

    #[tokio::test]
    async fn e08_a_secret_that_is_known_is_in_nothing_that_is_told() {
        let _known = Secret::known("told-and-never-seen-5b1c".to_owned());
        let text = "it is told-and-never-seen-5b1c, is it not";
        let answer = told(CredentialsInResults::Warn, text).await;
        let [log, progress] = answer.told() else { panic!("{:?}", answer.told()) };
        for message in [log, progress] {
            assert!(!message.to_string().contains("never-seen"), "{message}");
            assert!(message.to_string().contains("is it not"), "{message}");
        }
    }

    #[tokio::test]
    async fn what_looks_like_a_credential_is_told_unless_that_is_blocked() {
        const CREDENTIAL: &str = "postgres://app:hunter2@db/app";
        for found in [CredentialsInResults::Off, CredentialsInResults::Warn] {
            let answer = told(found, CREDENTIAL).await;
            assert_eq!(answer.told().len(), 2);
            assert!(answer.told().iter().all(|told| told.to_string().contains("hunter2")));
        }
        let examined = ExaminedAsResults::new(CredentialsInResults::Block);
        assert_eq!(examined.examine(json!({"within": [{CREDENTIAL: 1}]})), None, "as a name");
        assert!(examined.examine(json!({"within": [{"postgres://db/app": 1}]})).is_some());
        let answer = told(CredentialsInResults::Block, CREDENTIAL).await;
        let [progress] = answer.told() else { panic!("{:?}", answer.told()) };
        assert_eq!(progress["params"].get("message"), None, "that it goes on is told");
        assert_eq!(answer.text(), Some("told"));
    }
}
