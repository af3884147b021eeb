//! Tasks, as the extension `io.modelcontextprotocol/tasks` writes them (SEP-2663).

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::json_rpc;
use crate::answer::outcome::Requests;
use crate::message::envelope::RequestId;
use crate::model::{Task, TaskState};

/// A task with the members that its state has: flat, beside the other members of the result.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskShape<'a> {
    result_type: &'static str,
    task_id: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<&'a str>,
    created_at: &'a str,
    last_updated_at: &'a str,
    ttl_ms: u64,
    poll_interval_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_requests: Option<Requests<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Value>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

impl<'a> TaskShape<'a> {
    fn of(task: &'a Task, result_type: &'static str, meta: Option<&'a RawValue>) -> Self {
        Self {
            result_type,
            task_id: &task.id,
            status: task.state.as_str(),
            status_message: task.message.as_deref(),
            created_at: &task.created_at,
            last_updated_at: &task.updated_at,
            ttl_ms: task.ttl_ms,
            poll_interval_ms: task.poll_interval_ms,
            input_requests: None,
            result: None,
            error: None,
            meta,
        }
    }
}

/// The `CreateTaskResult` of a call: nothing of what its state has is in it.
pub(super) fn created(id: &RequestId, task: &Task, meta: Option<&RawValue>) -> Vec<u8> {
    json_rpc::result(id, &TaskShape::of(task, "task", meta))
}

/// The `GetTaskResult` of `tasks/get`.
pub(super) fn found(id: &RequestId, task: &Task, meta: Option<&RawValue>) -> Vec<u8> {
    let mut shape = TaskShape::of(task, "complete", meta);
    match &task.state {
        TaskState::Working | TaskState::Cancelled => {}
        TaskState::InputRequired(requests) => shape.input_requests = Some(Requests(requests)),
        TaskState::Completed(result) => shape.result = Some(result),
        TaskState::Failed(error) => shape.error = Some(error),
    }
    json_rpc::result(id, &shape)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::InputRequest;

    fn task(state: TaskState) -> Task {
        Task {
            id: "t".to_owned(),
            state,
            message: None,
            created_at: "2026-07-28T12:34:56Z".to_owned(),
            updated_at: "2026-07-28T12:34:57Z".to_owned(),
            ttl_ms: 60_000,
            poll_interval_ms: 500,
        }
    }

    fn written(
        write: fn(&RequestId, &Task, Option<&RawValue>) -> Vec<u8>,
        state: TaskState,
    ) -> Value {
        let meta = RawValue::from_string(r#"{"m":1}"#.to_owned()).unwrap();
        let mut json: Value =
            serde_json::from_slice(&write(&RequestId::Number(7), &task(state), Some(&meta)))
                .unwrap();
        json["result"].take()
    }

    #[test]
    fn a_task_is_found_with_what_its_state_has_and_created_with_nothing_of_it() {
        let request = InputRequest { method: "roots/list", params: json!({}) };
        let result = RawValue::from_string(r#"{"content":[]}"#.to_owned()).unwrap();
        let states = [
            (TaskState::Working, json!({"status": "working"})),
            (TaskState::Cancelled, json!({"status": "cancelled"})),
            (
                TaskState::InputRequired(vec![("roots".into(), request)]),
                json!({
                    "status": "input_required",
                    "inputRequests": {"roots": {"method": "roots/list", "params": {}}},
                }),
            ),
            (
                TaskState::Completed(result),
                json!({"status": "completed", "result": {"content": []}}),
            ),
            (
                TaskState::Failed(json!({"code": -32603})),
                json!({"status": "failed", "error": {"code": -32603}}),
            ),
        ];
        for (state, own) in states {
            let mut expected = json!({
                "resultType": "task",
                "taskId": "t",
                "status": own["status"],
                "createdAt": "2026-07-28T12:34:56Z",
                "lastUpdatedAt": "2026-07-28T12:34:57Z",
                "ttlMs": 60_000,
                "pollIntervalMs": 500,
                "_meta": {"m": 1},
            });
            assert_eq!(written(created, state.clone()), expected);
            expected["resultType"] = json!("complete");
            for (name, value) in own.as_object().unwrap() {
                expected[name] = value.clone();
            }
            assert_eq!(written(found, state), expected);
        }
    }
}
