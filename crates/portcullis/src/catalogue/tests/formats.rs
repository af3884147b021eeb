//! What each `format` of JSON Schema takes and refuses.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{takes, written};
use crate::catalogue::input_schema::tests::compile;
use crate::component::argument::Argument;
use crate::component::format::FORMATS;
use crate::component::parameter::Args;
use crate::error::ProblemKind;

/// A format, what it takes, and what it refuses.
const TEXTS: [(&str, &[&str], &[&str]); 17] = [
    (
        "date",
        &["2026-11-29", "2024-02-29", "2000-02-29", "0000-01-01", "9999-12-31"],
        &[
            "",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-1-1",
            "26-01-01",
            "2026-11-29Z",
            " 2026-11-29",
            "2026-11-29\n",
            "２０２６-11-29",
            "20261129",
            "2026-W48-7",
        ],
    ),
    (
        "date-time",
        &[
            "2026-11-29T10:00:00Z",
            "2026-11-29t10:00:00z",
            "2026-11-29T10:00:00.123456789+05:30",
            "2026-11-29T00:00:00-23:59",
            "1990-12-31T23:59:60Z",
            "1990-12-31T15:59:60-08:00",
        ],
        &[
            "",
            "2026-11-29",
            "2026-11-29T10:00:00",
            "2026-11-29 10:00:00Z",
            "2026-11-29T24:00:00Z",
            "2026-11-29T10:60:00Z",
            "2026-11-29T10:00:61Z",
            "1990-12-31T12:00:60Z",
            "2026-11-29T10:00:00+24:00",
            "2026-11-29T10:00:00+05:60",
            "2026-02-29T10:00:00Z",
            "2026-11-29T10:00Z",
            "2026-11-29T10:00:00.Z",
            "2026-11-29T10:00:00Z\n",
        ],
    ),
    (
        "time",
        &["10:00:00Z", "23:59:60Z", "10:00:00.5-08:00"],
        &["", "10:00", "10:00:00", "24:00:00Z", "22:59:60Z", "10:00:00z+1"],
    ),
    (
        "duration",
        &["P1D", "PT1H30M", "P1Y2M3DT4H5M6S", "P4W"],
        &["", "P", "1D", "PT", "P1D2H", "P1W2D", "-P1D", "P1.5D"],
    ),
    (
        "email",
        &[
            "a@example.com",
            "a.b+c@example.co.uk",
            "\"a b\"@example.com",
            "a@localhost",
            "a@xn--bcher-kva.example",
        ],
        &[
            "",
            "a",
            "a@",
            "@example.com",
            "a@b@example.com",
            "a@-example.com",
            "a..b@example.com",
            ".a@example.com",
            "a@example..com",
            "a b@example.com",
            "a@example.com\n",
            "ä@example.com",
            "a@bücher.example",
            "a@example.com, b@example.com",
            "Ann <a@example.com>",
            "<a@example.com>",
            "a@example.com\r\nBcc: b@example.com",
        ],
    ),
    (
        "hostname",
        &["example.com", "a", "xn--bcher-kva.example", "1.example"],
        &[
            "",
            "-a.example",
            "a-.example",
            "a..b",
            "a_b.example",
            "bücher.example",
            "example.com:80",
            "a b",
        ],
    ),
    (
        "ipv4",
        &["127.0.0.1", "0.0.0.0", "255.255.255.255"],
        &["", "1", "127.1", "0177.0.0.1", "256.0.0.1", "::1", "1.2.3.4 "],
    ),
    (
        "ipv6",
        &["::1", "fe80::1", "::ffff:1.2.3.4"],
        &["", "1.2.3.4", "[::1]", "fe80::1%eth0", ":::1", "12345::"],
    ),
    (
        "uri",
        &[
            "https://example.com/a?b#c",
            "urn:isbn:0451450523",
            "mailto:a@example.com",
            "javascript:x",
            "https://[::1]/",
        ],
        &[
            "",
            "example.com",
            "/a",
            "//example.com",
            "https://exa mple.com/",
            "https://bücher.example/",
            "https://a/%zz",
            "1a:b",
            ":a",
        ],
    ),
    (
        "uri-reference",
        &["", "/a", "//example.com", "a?b", "#c", "https://example.com/"],
        &["a b", "\\a", "%zz", "é"],
    ),
    ("iri", &["https://bücher.example/é", "https://example.com/"], &["", "/é", "https://a b/"]),
    ("iri-reference", &["/é", "é"], &["a b", "\\a"]),
    (
        "uuid",
        &[
            "2eb8aa08-aa98-11ea-b4aa-73b441d16380",
            "2EB8AA08-AA98-11EA-B4AA-73B441D16380",
            "00000000-0000-0000-0000-000000000000",
        ],
        &[
            "",
            "2eb8aa08aa9811eab4aa73b441d16380",
            "{2eb8aa08-aa98-11ea-b4aa-73b441d16380}",
            "urn:uuid:2eb8aa08-aa98-11ea-b4aa-73b441d16380",
            "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
            "2eb8aa08-aa98-11ea-b4aa-73b441d1638g",
            "2eb8aa08-aa98-11ea-b4aa73b441d163-80",
            "2eb8aa08-aa98-11ea-b4aa-73b441d16380\n",
        ],
    ),
    ("uri-template", &["", "/a/{b}", "/a{?b,c}"], &["/a/{b", "/a/b}", "{}"]),
    ("json-pointer", &["", "/a/b~0~1", "/"], &["a", "#/a", "/~2", "/~"]),
    ("relative-json-pointer", &["0", "1/a", "0#"], &["", "/a", "-1/a", "01/a", "0##"]),
    ("regex", &["^a+$", ""], &["[a", "(", "*"]),
];

#[test]
fn trial_d4_each_format_takes_what_its_specification_says_and_no_more() {
    assert_eq!(
        TEXTS.map(|(format, ..)| format).iter().collect::<BTreeSet<_>>(),
        FORMATS.iter().collect()
    );
    let mut wrong = Vec::new();
    for (format, taken, refused) in TEXTS {
        let by_type = compile::<String>(Argument::new("x").format(format)).unwrap();
        let property = json!({"type": "string", "format": format});
        let by_schema = written(json!({"type": "object", "properties": {"x": property}})).unwrap();
        for schema in [by_type, by_schema] {
            assert_eq!(schema.schema()["properties"]["x"], property, "as shown");
            for text in taken {
                if !takes(&schema, &json!({ "x": text })) {
                    wrong.push(format!("{format} refuses {text:?}"));
                }
            }
            for text in refused {
                let sent = json!({ "x": text });
                let Err(told) = schema.accept(sent.as_object().unwrap().clone()) else {
                    wrong.push(format!("{format} takes {text:?}"));
                    continue;
                };
                let rule = told.strip_prefix("argument `x`: is not a");
                assert!(rule.is_some_and(|rule| rule.ends_with("(format)")), "{text:?}: {told}");
                assert!(text.len() < 3 || !told.contains(text), "{told}");
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn trial_d4_a_format_that_nothing_enforces_does_not_build() {
    for format in ["colour", "idn-email", "idn-hostname", "password", "Email", ""] {
        let problems =
            compile::<String>(Argument::new("x").format(format)).map(|_| ()).unwrap_err();
        assert_eq!(problems[0].kind(), ProblemKind::InvalidConstraint);
        assert!(problems[0].to_string().contains("is not enforced"), "{}", problems[0]);
        let property = json!({"type": "string", "format": format});
        let deep = json!({"type": "array", "items": {"anyOf": [property, {"type": "null"}]}});
        for property in [property, deep] {
            let refused = written(json!({"type": "object", "properties": {"x": property}}));
            assert!(refused.map(|_| ()).unwrap_err().contains("is not enforced"), "{format}");
        }
    }
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Own {
        #[schemars(extend("format" = "colour"))]
        colour: String,
        address: Option<std::net::IpAddr>,
    }
    let problem = compile::<Args<Own>>(Argument::new("x")).map(|_| ()).unwrap_err();
    assert!(problem[0].to_string().contains("/properties/colour/format"), "{}", problem[0]);
    assert!(compile::<Own>(Argument::new("x")).is_err());
    assert!(compile::<std::net::IpAddr>(Argument::new("x")).is_ok(), "the type refuses others");
    let elsewhere = compile::<u8>(Argument::new("x").format("date")).map(|_| ()).unwrap_err();
    assert!(elsewhere[0].to_string().contains("`format` applies to string"), "{}", elsewhere[0]);
}
