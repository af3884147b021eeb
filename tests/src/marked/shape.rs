/// How the tokens and keys begin that servers issue by themselves, and what can be in them.
const PREFIXES: [(&str, &str); 4] = [
    ("eyJ", "a JSON Web Token"),
    ("pcac_", "an authorization code"),
    ("pcr_", "a refresh token"),
    ("pck1_", "a key"),
];
/// Shorter ones are words.
const MIN_DIGITS: usize = 16;

/// What is in `line` that has the shape of a token or a key. What they begin with may be within the
/// sealed id of a client by chance.
pub fn shapes(line: &str) -> impl Iterator<Item = &'static str> {
    let is_digit = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    PREFIXES.iter().filter_map(move |(prefix, what)| {
        let mut all = line.match_indices(prefix);
        let found = all.any(|(at, _)| {
            let digits = line[at + prefix.len()..].chars().take_while(|digit| is_digit(*digit));
            !line[..at].ends_with(is_digit) && digits.take(MIN_DIGITS).count() == MIN_DIGITS
        });
        found.then_some(*what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_issues_is_known_by_how_it_begins() {
        let of = |line| shapes(line).collect::<Vec<_>>();
        assert_eq!(of("token=eyJhbGciOiJFZERTQSJ9.eyJzdWIi"), ["a JSON Web Token"]);
        assert_eq!(of("\"pcr_AAECAwQFBgcICQoL\""), ["a refresh token"]);
        assert_eq!(of("?code=pcac_AAECAwQFBgcICQoL"), ["an authorization code"]);
        assert_eq!(of("key pck1_AAECAwQFBgcICQoL"), ["a key"]);
        for other in ["client=pcc_AAeyJhbGciOiJFZERTQSJ9", "pcr_token", "eyJ", "spck1_"] {
            assert_eq!(of(other), [""; 0], "{other}");
        }
    }
}
