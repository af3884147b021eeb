//! What the library calls things, and what they are called on the command line.

/// The words of the library's messages, each with its flag.
const FLAGS: [(&str, &str); 11] = [
    ("a real verifier", "--auth jwt"),
    ("public_url", "--public-url URL"),
    ("trusted_proxies", "--trusted-proxy ADDRESS"),
    ("PORTCULLIS_LISTEN", "--listen ADDRESS"),
    ("PORTCULLIS_KEY_FILE", "--key-file FILE"),
    (".auth(", "--auth jwt"),
    (".issuer(", "--issuer ISSUER"),
    (".audience(", "--audience AUDIENCE"),
    ("JWT_JWKS_URI", "--jwks URL or --public-key FILE"),
    ("path \"", "--path PATH"),
    (".path(", "--path PATH"),
];

/// The flags for what `message` says has to be set, if there are any.
pub(crate) fn for_message(message: &str) -> Option<String> {
    let flags = FLAGS.iter().filter(|(word, _)| message.contains(word)).map(|(_, flag)| *flag);
    let flags = flags.collect::<Vec<_>>().join(", ");
    (!flags.is_empty()).then(|| format!("on the command line: {flags}"))
}
