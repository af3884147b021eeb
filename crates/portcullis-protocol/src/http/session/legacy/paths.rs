//! The paths of HTTP+SSE.

use portcullis_auth::EndpointPath;

/// The paths of HTTP+SSE: where streams are opened, each with the path to which their messages are
/// sent.
pub(in crate::http) struct EventStreams(Vec<[String; 2]>);

impl EventStreams {
    /// Those beside the endpoint at `path`, and those below it: there the resource of the metadata,
    /// which is the endpoint's URL, is one to which clients take them to belong.
    pub(in crate::http) fn around(path: &EndpointPath) -> Self {
        let below = path.as_str();
        let beside = below.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut folders = vec![beside, below];
        // They are the same for an endpoint at the root.
        folders.dedup();
        let paths = |folder| ["sse", "messages"].map(|name| format!("{folder}/{name}"));
        Self(folders.into_iter().map(paths).collect())
    }

    /// All of them.
    pub(in crate::http) fn paths(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flatten()
    }

    /// Where the messages of a stream go that is opened at `path`, with or without a slash at its end;
    /// nowhere if none is.
    pub(in crate::http) fn messages_of(&self, path: &str) -> Option<&str> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let found = self.0.iter().find(|[stream, _]| stream == path)?;
        let [_, messages] = found;
        Some(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_beside_the_endpoint_and_below_it() {
        for (endpoint, streams) in [
            ("/mcp", &["/sse", "/mcp/sse"][..]),
            ("/team/mcp", &["/team/sse", "/team/mcp/sse"]),
            ("/", &["/sse"]),
        ] {
            let paths = EventStreams::around(&EndpointPath::parse(endpoint).unwrap());
            assert_eq!(paths.paths().count(), 2 * streams.len());
            for stream in streams {
                let messages = stream.replace("sse", "messages");
                assert_eq!(paths.messages_of(stream), Some(&*messages));
                assert_eq!(paths.messages_of(&format!("{stream}/")), Some(&*messages));
                assert_eq!(paths.messages_of(&messages), None);
            }
        }
    }
}
