use std::time::Duration;

const DEFAULT: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a key set with this `Cache-Control` is fresh (RFC 9111 §5.2.2): one hour unless
/// it says otherwise, five minutes at least and a day at most.
pub(super) fn of(cache_control: Option<&str>) -> Duration {
    let directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let mut fresh = DEFAULT;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return SHORTEST,
            "max-age" => {
                // A number too large to hold is a long time; anything else is not a number.
                let seconds = value.trim_matches('"');
                if !seconds.is_empty() && seconds.bytes().all(|digit| digit.is_ascii_digit()) {
                    fresh = Duration::from_secs(seconds.parse().unwrap_or(u64::MAX));
                }
            }
            _ => {}
        }
    }
    fresh.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_respected_within_bounds() {
        for (header, seconds) in [
            (None, 3_600),
            (Some("public, max-age=7200"), 7_200),
            (Some("Max-Age=\"600\", immutable"), 600),
            (Some("max-age=0"), 300),
            (Some("max-age=99999999999999999999999"), 86_400),
            (Some("max-age=86401"), 86_400),
            (Some("no-store, max-age=7200"), 300),
            (Some("max-age=soon"), 3_600),
            (Some("max-age=-1"), 3_600),
        ] {
            assert_eq!(of(header).as_secs(), seconds, "{header:?}");
        }
    }
}
