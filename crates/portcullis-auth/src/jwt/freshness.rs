//! How long a fetched key set is used before it is fetched again.

use std::time::Duration;

use portcullis_guard::fetch::Fetched;

const DEFAULT: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a key set is fresh: one hour unless its answer says otherwise, five minutes at least and
/// a day at most.
pub(super) fn of(fetched: &Fetched) -> Duration {
    fetched.max_age().unwrap_or(DEFAULT).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_respected_within_bounds() {
        for (header, seconds) in [
            (None, 3_600),
            (Some("public, max-age=7200"), 7_200),
            (Some("max-age=0"), 300),
            (Some("max-age=99999999999999999999999"), 86_400),
            (Some("max-age=86401"), 86_400),
            (Some("no-store, max-age=7200"), 300),
            (Some("max-age=soon"), 3_600),
        ] {
            let cache_control = header.map(str::to_owned);
            let fetched = Fetched {
                status: 200,
                cache_control,
                content_type: None,
                headers: Default::default(),
                body: Default::default(),
            };
            assert_eq!(of(&fetched).as_secs(), seconds, "{header:?}");
        }
    }
}
