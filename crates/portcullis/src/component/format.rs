//! The formats of texts, and who enforces them.

/// The formats of JSON Schema (2020-12 Validation §7.3) that the validator asserts.
pub(crate) const FORMATS: [&str; 17] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uuid",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// What the schema library calls formats of types that refuse all other texts when they are read:
/// clients are not shown them, since they name no rule that a client could look up.
const OF_TYPES: [&str; 5] =
    ["ip", "double", "partial-date-time", "partial-time", "zoned-date-time"];

/// Whether a format is enforced on texts: by the validator, or by the type that has it.
pub(crate) fn is_enforced(format: &str) -> bool {
    FORMATS.contains(&format) || OF_TYPES.contains(&format)
}

/// What to do about a format that nothing enforces.
pub(crate) fn unknown(format: &str) -> String {
    format!(
        "the format {format:?} is not enforced, and clients would be shown it as a rule: \
         leave it out, or write a `pattern` or a rule (`validate`)"
    )
}
