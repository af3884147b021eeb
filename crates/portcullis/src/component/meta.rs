//! The keys of `_meta` (MCP 2026-07-28, Base Protocol, `_meta`).

use portcullis_protocol::model::Meta;
use serde::Serialize;

use crate::component::tool_error::ToolError;

/// The longest key.
const MAX_KEY_BYTES: usize = 256;
/// Keys without a prefix that the specification uses itself.
const RESERVED: [&str; 4] = ["progressToken", "traceparent", "tracestate", "baggage"];
/// What prefixes of the specification hold.
const PROTOCOLS: [&str; 2] = ["modelcontextprotocol", "mcp"];

/// What is wrong with a key, and how to mend it.
pub(crate) fn problem_with_key(key: &str) -> Option<&'static str> {
    let (prefix, name) = match key.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_name = |text: &str, between: &[u8]| {
        is_end(text.bytes().next())
            && is_end(text.bytes().next_back())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || between.contains(&byte))
    };
    let is_label = |label: &str| {
        is_name(label, b"-") && label.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    let fine = key.len() <= MAX_KEY_BYTES
        && is_name(name, b"-_.")
        && prefix.is_none_or(|prefix| prefix.split('.').all(is_label));
    if !fine {
        return Some(
            "a key of `_meta` is a name of letters, digits, `-`, `_` and `.`, if need be after a \
             prefix, such as `com.example/team`",
        );
    }
    let is_reserved = prefix.map_or(RESERVED.contains(&name), is_reserved);
    is_reserved.then_some("the protocol uses this key itself: write a prefix of your own")
}

/// As 2025-06-18 has it, where what comes before a further label is reserved, and as it is since
/// 2025-11-25, for the second label.
fn is_reserved(prefix: &str) -> bool {
    let is_protocols = |label: &str| PROTOCOLS.iter().any(|own| own.eq_ignore_ascii_case(label));
    let mut labels = prefix.split('.').enumerate().peekable();
    while let Some((at, label)) = labels.next() {
        if is_protocols(label) && (at == 1 || labels.peek().is_some()) {
            return true;
        }
    }
    false
}

/// Adds `value` to the `_meta` of something that a function answers with.
///
/// # Errors
///
/// Internal, for a key that is malformed or reserved, and for a value that cannot be written as JSON.
pub(crate) fn add(meta: &mut Meta, key: String, value: &impl Serialize) -> Result<(), ToolError> {
    if let Some(problem) = problem_with_key(&key) {
        return Err(ToolError::internal(format!("`_meta` key {key:?}: {problem}")));
    }
    meta.insert(key, serde_json::to_value(value)?);
    Ok(())
}

/// The method `with_meta` of something that a function answers with, whose `_meta` is at `$meta`.
macro_rules! with_meta {
    ($(#[$doc:meta])* |$own:ident| $meta:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// Internal, for a key that is malformed or the protocol's own, and for a value that cannot be
        /// written as JSON.
        pub fn with_meta(
            mut self,
            key: impl Into<String>,
            value: &impl serde::Serialize,
        ) -> Result<Self, crate::ToolError> {
            let $own = &mut self;
            crate::component::meta::add($meta.get_or_insert_default(), key.into(), value)?;
            Ok(self)
        }
    };
}
pub(crate) use with_meta;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_protocol_are_refused_and_those_of_others_are_taken() {
        for fine in [
            "team",
            "ui",
            "openai/outputTemplate",
            "com.example/team",
            "com.example.mcp/team",
            "com.ex-ample.v2/a_b.c-d",
            "example/1",
        ] {
            assert_eq!(problem_with_key(fine), None, "{fine}");
        }
        for reserved in [
            "progressToken",
            "traceparent",
            "io.modelcontextprotocol/serverInfo",
            "IO.ModelContextProtocol/serverInfo",
            "dev.mcp/x",
            "org.modelcontextprotocol.api/x",
            "com.mcp.tools/x",
            "mcp.dev/x",
            "api.modelcontextprotocol.org/x",
            "a.b.mcp.c/x",
        ] {
            let problem = problem_with_key(reserved);
            assert!(problem.is_some_and(|text| text.contains("itself")), "{reserved}");
        }
        for malformed in [
            "",
            "/",
            "/a",
            "a/",
            "-a",
            "a-",
            "a b",
            "a\n",
            "é",
            ".a/b",
            "a./b",
            "1a/b",
            "a/b/c",
            "a_b/c",
            "com.example//x",
        ] {
            let problem = problem_with_key(malformed);
            assert!(problem.is_some_and(|text| text.contains("a name of")), "{malformed}");
        }
        assert!(problem_with_key(&"a".repeat(MAX_KEY_BYTES + 1)).is_some());
    }

    #[test]
    fn a_function_writes_no_key_of_the_protocol() {
        let mut meta = Meta::new();
        assert!(add(&mut meta, "io.modelcontextprotocol/serverInfo".into(), &1).is_err());
        assert!(meta.is_empty());
        add(&mut meta, "team".into(), &"a").unwrap();
        assert_eq!(meta["team"], "a");
    }
}
