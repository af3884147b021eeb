//! Icons of components, links and the server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_protocol::model;

/// The longest https URL of an icon.
const MAX_URL_BYTES: usize = 2_048;
/// The longest `data:` URI of an icon: it is in every list.
const MAX_DATA_BYTES: usize = 32 * 1024;

/// An icon of a component, a link or the server, for clients that show one (MCP 2025-11-25, Icons).
///
/// Its source is an https URL or a `data:` URI with an image of at most 32 KiB; a server with any other
/// does not build. Clients are told of icons since 2025-11-25. They fetch the URL, so whoever serves
/// it learns their addresses: let it be your own origin.
///
/// # Example
///
/// ```
/// use portcullis::Tool;
/// use portcullis::component::{Icon, Theme};
///
/// let tool = Tool::new("search")
///     .icon("https://example.com/search.png")
///     .icon(Icon::new("https://example.com/dark.svg").mime_type("image/svg+xml").any_size().theme(Theme::Dark))
///     .icon(Icon::data([0x89, b'P', b'N', b'G'], "image/png").size(48, 48))
///     .handler(|_call| async { "found" });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an icon belongs to a component, a link or the server"]
pub struct Icon(pub(crate) model::Icon);

/// The background that an icon is for.
///
/// Exhaustive: the specification has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// A light one.
    Light,
    /// A dark one.
    Dark,
}

impl Icon {
    /// The icon at `src`: an https URL, or a `data:` URI in base64.
    pub fn new(src: impl Into<String>) -> Self {
        let src = src.into();
        Self(model::Icon { src, mime_type: None, sizes: Vec::new(), theme: None })
    }

    /// An icon that lists hold by themselves: the bytes of an image, such as `image/png`.
    pub fn data(bytes: impl AsRef<[u8]>, mime_type: &str) -> Self {
        let icon = Self::new(format!("data:{mime_type};base64,{}", STANDARD.encode(bytes)));
        icon.mime_type(mime_type)
    }

    /// Its media type, where the server of the URL says none.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.0.mime_type = Some(mime_type.into());
        self
    }

    /// Adds a size at which it can be shown, in pixels. Default: any.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.0.sizes.push(format!("{width}x{height}"));
        self
    }

    /// Says that it can be shown at any size, as SVG.
    pub fn any_size(mut self) -> Self {
        self.0.sizes.push("any".to_owned());
        self
    }

    /// The background that it is for. Default: any.
    pub fn theme(mut self, theme: Theme) -> Self {
        self.0.theme = Some(match theme {
            Theme::Light => model::Theme::Light,
            Theme::Dark => model::Theme::Dark,
        });
        self
    }

    /// What is wrong with it, and how to mend it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let model::Icon { src, mime_type, .. } = &self.0;
        if mime_type.as_deref().is_some_and(|own| !is_image(own)) {
            return Some("the media type of an icon is that of an image, such as `image/png`");
        }
        match src.split_once(':') {
            Some(("https", rest)) if is_url(src, rest) => None,
            Some(("data", _)) if src.len() > MAX_DATA_BYTES => {
                Some("an icon in a `data:` URI has at most 32 KiB: give its https URL")
            }
            Some(("data", rest)) if is_data(rest) => None,
            _ => Some(
                "an icon is at an https URL, or in a `data:` URI of an image in base64, such as \
                 `data:image/png;base64,…`",
            ),
        }
    }
}

/// The icon at a URL.
impl<T: Into<String>> From<T> for Icon {
    fn from(src: T) -> Self {
        Self::new(src)
    }
}

fn is_url(url: &str, rest: &str) -> bool {
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
    url.len() <= MAX_URL_BYTES
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
        && authority.is_some_and(|host| !host.is_empty() && !host.contains('@'))
}

fn is_data(rest: &str) -> bool {
    let parts = rest.split_once(";base64,");
    parts.is_some_and(|(mime_type, data)| is_image(mime_type) && STANDARD.decode(data).is_ok())
}

fn is_image(mime_type: &str) -> bool {
    mime_type.strip_prefix("image/").is_some_and(|subtype| {
        !subtype.is_empty()
            && subtype.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_icon_is_an_https_url_or_an_image_in_itself() {
        for fine in [
            Icon::new("https://example.com/a.png?v=1").mime_type("image/png"),
            Icon::new("https://[::1]:8000/a"),
            Icon::new("data:image/svg+xml;base64,PHN2Zy8+"),
            Icon::data([0; 24_000], "image/png").size(48, 48).theme(Theme::Light),
        ] {
            assert_eq!(fine.problem(), None, "{:.60?}", fine.0.src);
        }
        for refused in [
            "http://example.com/a.png",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "HTTPS://example.com/a.png",
            "https:example.com",
            "https:///a.png",
            "https://user@example.com/a.png",
            "https://example.com/a b.png",
            "https://example.com/\"><script>",
            "data:text/html;base64,PHN2Zy8+",
            "data:image/png,raw",
            "data:image/png;base64,?",
            "data:image/;base64,PHN2Zy8+",
            "data:image/png\"onload=\"x;base64,PHN2Zy8+",
            "a.png",
            "",
        ] {
            assert!(Icon::new(refused).problem().is_some(), "{refused}");
        }
        assert!(Icon::new("https://example.com/a").mime_type("text/html").problem().is_some());
        assert!(Icon::data([0; 25_000], "image/png").problem().is_some());
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES));
        assert!(Icon::new(long).problem().is_some());
    }
}
