//! What is let pass, beside a slow model that shares no code with it: it knows what each URL was made
//! of, never reads one, and compares addresses with the first and last ones of the registries.

mod made;
mod verdict;

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use url::Url;

use self::made::{NAMES, allowed, urls, v4, v6};
use self::verdict::{Made, Meaning};
use crate::fetch::Refusal;

fn parsed(made: &Made) -> Url {
    made.text.parse().unwrap_or_else(|error| panic!("{}: {error}", made.text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_192))]

    #[test]
    fn s01_s02_s04_s05_s08_s16_a_url_is_let_pass_where_the_model_lets_it(made in urls(), allowed in allowed()) {
        prop_assert_eq!(allowed.destinations().judge(&parsed(&made)), allowed.url(&made));
    }

    #[test]
    fn s01_s04_s05_a_name_may_resolve_to_what_the_model_says(
        name in prop::sample::select(&NAMES[..]),
        address in prop_oneof![v4().prop_map(IpAddr::from), v6().prop_map(IpAddr::from)],
        allowed in allowed(),
    ) {
        let meant = (Meaning::Name(name.to_owned()), Meaning::of(address));
        let expected = match name == "localhost" && !meant.1.is_loopback() {
            true => Err(Refusal::Host),
            false => allowed.address(&meant.0, &meant.1),
        };
        prop_assert_eq!(allowed.destinations().judge_resolved(name, address), expected);
    }

    #[test]
    fn s07_a_redirect_is_followed_where_the_model_follows_it(from in urls(), to in urls(), allowed in allowed()) {
        let judged = allowed.destinations().judge_redirect(&parsed(&from), &parsed(&to));
        prop_assert_eq!(judged, allowed.redirect(&from, &to));
    }
}

/// A model that refuses everything, or a generator that never makes anything else, proves nothing.
#[test]
fn random_urls_meet_every_verdict() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::new();
    for _ in 0..8_000 {
        let (made, allowed) = (urls(), allowed()).new_tree(&mut runner).unwrap().current();
        *seen.entry(format!("{:?}", allowed.url(&made))).or_insert(0) += 1;
        let to = urls().new_tree(&mut runner).unwrap().current();
        *seen.entry(format!("to {:?}", allowed.redirect(&made, &to))).or_insert(0) += 1;
    }
    for verdict in [
        "Ok(())",
        "Credentials",
        "OtherHost",
        "Scheme",
        "Port",
        "Host",
        "Address(Loopback)",
        "Address(Reserved)",
        "Address(CloudMetadata)",
        "to Err(Redirect)",
        "to Ok(())",
    ] {
        let verdict = if verdict.contains("Ok") || verdict.starts_with("to") {
            verdict.to_owned()
        } else {
            format!("Err({verdict})")
        };
        assert!(seen.get(&verdict).is_some_and(|count| *count >= 20), "{verdict}: {seen:?}");
    }
}
