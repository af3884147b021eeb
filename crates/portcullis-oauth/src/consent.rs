//! Whether users are asked.

/// Whether a user is asked before a client gets a code, where users sign in at an identity provider.
///
/// The provider itself asks for this server, not for the client: without a page of our own, whoever
/// signed in at the provider once would sign in for any client that sends them here (the confused
/// deputy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consent {
    /// A page asks each time.
    #[default]
    EachTime,
    /// A page asks, but for what was allowed before: in the same browser, in the last 30 days, to a
    /// client that is a website, with the same redirect URI and no further scope, and by whoever
    /// signs in now; and not where a page of another website leads here.
    ///
    /// **Deployment caveat.** No browser tells a redirect of another server from a typed address
    /// (`Sec-Fetch-Site` is `none` for both). So an MCP server of an attacker, to which a user connects
    /// a client that opens the browser by itself, may lead here without a page (mix-up, RFC 9700 §4.4);
    /// a client that does not compare `iss` (RFC 9207) would then give away its code. Use it where the
    /// clients that users allow compare it.
    Remembered,
    /// No page asks for a website: an organisation decides elsewhere which clients its people use. For a
    /// program on the user's device one asks each time, since any other can claim its address.
    ///
    /// It needs clients that are known beforehand, and does not start with open registration.
    External,
}
