//! How the pages on which people sign in look: a title, a logo and colours.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_auth::AuthProviderError;
use portcullis_guard::text::quoted;

/// The longest title, in characters.
const MAX_TITLE: usize = 60;
/// The largest logo, in bytes: every page carries it.
const MAX_LOGO: usize = 32 * 1024;
/// The lightest and the darkest ground on which browsers show pages.
const LIGHT_GROUND: Rgb = Rgb([0xff; 3]);
const DARK_GROUND: Rgb = Rgb([0x1e; 3]);
const BLACK: Rgb = Rgb([0; 3]);
const WHITE: Rgb = Rgb([0xff; 3]);
/// What tells a control from its ground (WCAG 2.2, 1.4.11).
const CONTRAST_OF_CONTROLS: f64 = 3.0;

/// How the pages of a sign-in look. What they say, and in which order, stays.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as auth;
/// #     pub use portcullis_oauth as danger;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::Branding;
/// use portcullis::danger::LoginProvider;
/// use portcullis::guard::Secret;
///
/// # const LOGO: &[u8] = b"\x89PNG\r\n\x1a\n";
/// let branding = Branding::new()
///     .title("Example Ltd")
///     .logo(LOGO) // include_bytes!("logo.png")
///     .accent_color("#7a1fa2");
/// let provider = LoginProvider::new()
///     .name("Reports")
///     .user("alice", Secret::new("dev-password-alice".to_owned()))
///     .branding(branding);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Branding {
    title: Option<String>,
    logo: Option<Vec<u8>>,
    accent_color: Option<String>,
    dark_accent_color: Option<String>,
}

impl Branding {
    /// The look without a title and a logo, and with a blue colour.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who runs the server: it stands above each page, beside the logo, and in the title of the window.
    /// What the server is called is the provider's `name`.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// A logo: a PNG, JPEG or WebP image of 32 KiB at most, which stands above the page 48 pixels
    /// high. It is part of the page, so that no other server learns who signs in. An SVG image is
    /// refused: it can hold scripts.
    pub fn logo(mut self, image: impl Into<Vec<u8>>) -> Self {
        self.logo = Some(image.into());
        self
    }

    /// The colour of the main button and of what has the focus, as `#rrggbb`.
    ///
    /// Where it could not be told from a light or a dark ground, a darker or a lighter shade is taken
    /// there (3:1, WCAG 2.2, 1.4.11), and the text on it is black or white, whichever is easier to read.
    pub fn accent_color(mut self, color: impl Into<String>) -> Self {
        self.accent_color = Some(color.into());
        self
    }

    /// The colour in dark mode. Default: the [`accent_color`](Self::accent_color).
    pub fn dark_accent_color(mut self, color: impl Into<String>) -> Self {
        self.dark_accent_color = Some(color.into());
        self
    }

    /// # Errors
    ///
    /// When the title is empty or too long, the logo is no image or too large, or a
    /// colour is malformed.
    pub(crate) fn look(&self) -> Result<Look, AuthProviderError> {
        Ok(Look {
            title: self.title.as_deref().map(title).transpose()?,
            style: self.style()?,
            logo: self.logo.as_deref().map(data_url).transpose()?,
        })
    }

    /// A shade for each ground, and the text on it.
    fn style(&self) -> Result<String, AuthProviderError> {
        let light = self.accent_color.as_deref();
        let dark = self.dark_accent_color.as_deref().or(light);
        let light = light.map(|color| shades(color, LIGHT_GROUND, BLACK)).transpose()?;
        let dark = dark.map(|color| shades(color, DARK_GROUND, WHITE)).transpose()?;
        let dark = dark.map(|dark| format!("@media (prefers-color-scheme: dark) {{ {dark} }}\n"));
        Ok(light.map(|light| format!("{light}\n")).into_iter().chain(dark).collect())
    }
}

impl fmt::Debug for Branding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branding")
            .field("title", &self.title)
            .field("logo", &self.logo.as_ref().map(Vec::len))
            .field("accent_color", &self.accent_color)
            .field("dark_accent_color", &self.dark_accent_color)
            .finish()
    }
}

/// A branding as pages take it.
#[derive(Clone, Default)]
pub(crate) struct Look {
    /// Text.
    pub(crate) title: Option<String>,
    /// CSS.
    pub(crate) style: String,
    /// A `data:` URL.
    pub(crate) logo: Option<String>,
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("style", &self.style).finish_non_exhaustive()
    }
}

fn data_url(image: &[u8]) -> Result<String, AuthProviderError> {
    if image.len() > MAX_LOGO {
        let text = format!(
            "the logo has {} bytes, and every page carries it: make it smaller than {MAX_LOGO}",
            image.len()
        );
        return Err(AuthProviderError::new(text));
    }
    let media_type = media_type(image).ok_or_else(|| {
        AuthProviderError::new("the logo is no PNG, JPEG or WebP image: give the bytes of one")
    })?;
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(image)))
}

/// By how it begins, which is what browsers look at too.
fn media_type(image: &[u8]) -> Option<&'static str> {
    let webp = image.starts_with(b"RIFF") && image.get(8..12) == Some(b"WEBP");
    match image {
        _ if image.starts_with(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        _ if image.starts_with(b"\xff\xd8\xff") => Some("image/jpeg"),
        _ if webp => Some("image/webp"),
        _ => None,
    }
}

fn title(text: &str) -> Result<String, AuthProviderError> {
    match text.trim() {
        "" => Err(AuthProviderError::new("the title of the branding is empty")),
        long if long.chars().count() > MAX_TITLE => {
            let text = format!("the title of the branding has more than {MAX_TITLE} characters");
            Err(AuthProviderError::new(text))
        }
        title => Ok(title.to_owned()),
    }
}

/// CSS for what is coloured on `ground`.
fn shades(color: &str, ground: Rgb, towards: Rgb) -> Result<String, AuthProviderError> {
    let color = Rgb::parse(color).ok_or_else(|| {
        let text = format!("the accent colour {} is not like #1a56a8", quoted(color));
        AuthProviderError::new(text)
    })?;
    let accent = color.apart_from(ground, towards);
    let text = if accent.contrast(WHITE) >= accent.contrast(BLACK) { WHITE } else { BLACK };
    Ok(format!(":root {{ --act: {accent}; --act-text: {text} }}"))
}

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rgb([u8; 3]);

impl Rgb {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The first shade on the way `towards` that can be told from `ground`.
    fn apart_from(self, ground: Self, towards: Self) -> Self {
        let shades = (0..=20_u16).map(|step| self.mixed(towards, step, 20));
        let mut enough = shades.filter(|shade| shade.contrast(ground) >= CONTRAST_OF_CONTROLS);
        enough.next().unwrap_or(towards)
    }

    /// `parts` of `all` are of the other colour.
    fn mixed(self, other: Self, parts: u16, all: u16) -> Self {
        let mixed = |(own, other): (u8, u8)| {
            let sum = u16::from(own) * (all - parts) + u16::from(other) * parts;
            u8::try_from(sum / all).unwrap_or(u8::MAX)
        };
        let [red, green, blue] = self.0;
        let [other_red, other_green, other_blue] = other.0;
        Self([(red, other_red), (green, other_green), (blue, other_blue)].map(mixed))
    }

    /// From 1 to 21 (WCAG 2.2, contrast ratio).
    fn contrast(self, other: Self) -> f64 {
        let (own, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        own.max(other) / own.min(other)
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            match channel <= 0.040_45 {
                true => channel / 12.92,
                false => ((channel + 0.055) / 1.055).powf(2.4),
            }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(text: &str) -> Rgb {
        Rgb::parse(text).unwrap()
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
        assert!((WHITE.contrast(WHITE) - 1.0).abs() < 1e-9);
        // The lightest grey that is said to pass 4.5:1 on white.
        assert!(rgb("#767676").contrast(WHITE) >= 4.5 && rgb("#777777").contrast(WHITE) < 4.5);
    }

    #[test]
    fn every_colour_is_seen_on_both_grounds_and_read_upon() {
        let channels = [0_u8, 0x20, 0x55, 0x80, 0xaa, 0xdd, 0xff];
        for red in channels {
            for green in channels {
                for blue in channels {
                    let color = Rgb([red, green, blue]);
                    for (ground, towards) in [(LIGHT_GROUND, BLACK), (DARK_GROUND, WHITE)] {
                        let shade = color.apart_from(ground, towards);
                        assert!(shade.contrast(ground) >= 3.0, "{color} {shade}");
                        let text = shade.contrast(WHITE).max(shade.contrast(BLACK));
                        assert!(text >= 4.5, "{color} {shade} {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_colour_that_is_seen_anyhow_stays() {
        let look = Branding::new().accent_color("#7A1FA2").look().unwrap();
        assert!(look.style.starts_with(":root { --act: #7a1fa2; --act-text: #ffffff }"));
        let yellow = Branding::new().accent_color("#ffee00").look().unwrap().style;
        let (light, dark) = yellow.split_once('\n').unwrap();
        assert!(!light.contains("#ffee00"), "{light}");
        assert!(dark.contains("--act: #ffee00; --act-text: #000000"), "{dark}");
    }

    #[test]
    fn dark_mode_may_have_a_colour_of_its_own() {
        let dark = Branding::new().dark_accent_color("#ffee00");
        let written = "@media (prefers-color-scheme: dark) { :root { --act: #ffee00; --act-text: #000000 } }\n";
        assert_eq!(dark.look().unwrap().style, written);
        let both = dark.accent_color("#7a1fa2").look().unwrap().style;
        assert!(both.starts_with(":root { --act: #7a1fa2;") && both.ends_with(written), "{both}");
        assert_eq!(Branding::new().look().unwrap().style, "");
    }

    #[test]
    fn a_title_is_a_short_text() {
        let title = |text: &str| Branding::new().title(text).look().map(|look| look.title.unwrap());
        assert_eq!(title(" R&D ").unwrap(), "R&D");
        assert_eq!(title(&"ä".repeat(MAX_TITLE)).unwrap().chars().count(), MAX_TITLE);
        for bad in ["", " ", &"a".repeat(MAX_TITLE + 1)] {
            assert!(title(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn o17_a_colour_is_nothing_else() {
        for bad in
            ["", "red", "#fff", "#12345", "#1234567", "#+12345", "#12345g", "#00}*{a:b", "#ääa"]
        {
            let error = Branding::new().accent_color(bad).look().unwrap_err();
            assert!(error.problems()[0].text().contains("#1a56a8"), "{bad}");
            assert!(Branding::new().dark_accent_color(bad).look().is_err(), "{bad}");
        }
    }

    #[test]
    fn o17_e22_a_logo_is_a_small_image_without_scripts() {
        let png = b"\x89PNG\r\n\x1a\n-".to_vec();
        let logo = |image: &[u8]| Branding::new().logo(image).look().map(|look| look.logo.unwrap());
        assert_eq!(logo(&png).unwrap(), "data:image/png;base64,iVBORw0KGgot");
        assert!(logo(b"\xff\xd8\xff\xe0").unwrap().starts_with("data:image/jpeg;"));
        assert!(logo(b"RIFF\0\0\0\0WEBPVP8 ").unwrap().starts_with("data:image/webp;"));
        for bad in [&b""[..], b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", b"RIFF"] {
            assert!(logo(bad).is_err(), "{bad:?}");
        }
        let large = |bytes: usize| [png.clone(), vec![0; bytes - png.len()]].concat();
        assert!(logo(&large(MAX_LOGO)).is_ok() && logo(&large(MAX_LOGO + 1)).is_err());
    }
}
