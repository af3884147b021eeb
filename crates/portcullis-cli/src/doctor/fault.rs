//! What can be wrong with a server, as those see it who sign in and call it.

/// One fault: a name that does not change, its likely cause, and what to do.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) fix: &'static str,
}

macro_rules! faults {
    ($($constant:ident = $name:literal, $cause:literal, $fix:literal;)*) => {
        $(pub(crate) const $constant: &Fault = &Fault { name: $name, cause: $cause, fix: $fix };)*
    };
}

pub(crate) use faults;

faults! {
    PLAIN_HTTP = "plain-http",
        "the URL is http, and leads beyond this machine: tokens could be read on the way",
        "serve https: put a reverse proxy with a certificate in front, and set its URL as public_url";
    PRIVATE_ADDRESS = "private-address",
        "the name leads to a private address, which is only called when it is named",
        "allow the host, if it is yours: --private-host HOST";
    NAME_UNKNOWN = "name-unknown",
        "the name of the host is not resolved here",
        "check the name in the URL, and the DNS of this machine";
    CERTIFICATE = "certificate",
        "the certificate of the server is not trusted: expired, for another name, or of an unknown authority",
        "renew it with the whole chain; name your own authority with --ca FILE";
    CONNECTION = "connection",
        "nothing answers at this address and port",
        "start the server, let it listen beyond loopback (PORTCULLIS_LISTEN), and open the firewall";
    TIMEOUT = "timeout",
        "no answer within ten seconds",
        "look at the log of the server and of the proxy in front: which of them waits?";
    REDIRECTED = "redirected",
        "the endpoint answers with a redirect, and clients do not send a POST and its token along",
        "give clients the URL that it leads to, or serve the endpoint at this one";
    NOT_FOUND = "not-found",
        "there is no MCP endpoint at this path",
        "check the path (/mcp by default), with and without a slash at its end";
    HOST_REFUSED = "host-refused",
        "the server does not take the Host that clients send: its public_url is another one",
        "set public_url to the URL that clients have, and let the proxy pass Host on";
    FORBIDDEN = "forbidden",
        "a request without a token gets 403: clients begin to sign in at 401 alone",
        "answer 401 with WWW-Authenticate; look for a firewall or proxy that says 403";
    SERVER_ERROR = "server-error",
        "the server, or the proxy in front, failed",
        "look at its log; 502 to 504 mean that the proxy does not reach the server";
    NOT_MCP = "not-mcp",
        "what answers is no MCP server: a web page, or a proxy's own page",
        "check the URL, and which server the proxy hands this path to";
    CHALLENGE_MISSING = "challenge-missing",
        "the 401 has no WWW-Authenticate: Bearer, so clients do not learn how to sign in",
        "send the challenge (RFC 6750, section 3); a proxy may have removed it";
    CHALLENGE_WITHOUT_METADATA = "challenge-without-metadata",
        "the challenge names no resource_metadata, and some clients look nowhere else",
        "add resource_metadata=\"URL\" to the challenge (RFC 9728, section 5.1)";
    METADATA_MISSING = "metadata-missing",
        "the protected-resource metadata is not served: the proxy hands over /mcp alone, or the server has none",
        "hand /.well-known/oauth-protected-resource and what is under it over to the server";
    METADATA_MALFORMED = "metadata-malformed",
        "a metadata document is no JSON object, or not of the form that clients read",
        "serve a JSON object as application/json; pages with status 200 stop clients";
    NULL_MEMBER = "null-member",
        "a member of a metadata document is null or empty: several clients refuse the whole document",
        "leave the member out";
    RESOURCE_SLASH = "resource-slash",
        "resource differs from the URL by a slash at its end, and clients compare both as bytes",
        "set public_url and the path so that resource is the URL that clients have";
    RESOURCE_DIFFERS = "resource-differs",
        "resource is not the URL that clients have, and they refuse metadata of another server (RFC 9728, section 3.3)",
        "set public_url to the URL that clients have: scheme, host, port and prefix";
    ISSUER_MISSING = "issuer-missing",
        "the metadata names no authorization server: nobody can sign in, and a token has to be given by hand",
        "name one in authorization_servers, or give clients a token";
    ISSUER_HTTP = "issuer-http",
        "the authorization server is http, and leads beyond this machine: clients refuse it",
        "serve it over https, and name it so";
    ISSUER_UNREACHABLE = "issuer-unreachable",
        "the authorization server cannot be reached, or fails",
        "check its URL, and its log; clients go no further";
    ISSUER_METADATA_MISSING = "issuer-metadata-missing",
        "the authorization server has no metadata at any address where clients look",
        "serve /.well-known/oauth-authorization-server or openid-configuration, before the path of the issuer";
    ISSUER_DIFFERS = "issuer-differs",
        "issuer in the metadata is not the name in authorization_servers, byte for byte (RFC 8414, section 3.3)",
        "write one of them like the other; often it is a slash at the end";
    ENDPOINT_MISSING = "endpoint-missing",
        "the metadata lacks an endpoint that clients need",
        "add authorization_endpoint and token_endpoint, as absolute URLs";
    ENDPOINT_HTTP = "endpoint-http",
        "an endpoint in the metadata is http, and leads beyond this machine",
        "set the public URL of the authorization server to its https form: behind a proxy it may not know";
    S256_MISSING = "s256-missing",
        "code_challenge_methods_supported lacks S256, and clients refuse to go on without PKCE",
        "announce S256 (RFC 8414, section 2), and enforce it";
    REGISTRATION_MISSING = "registration-missing",
        "clients can neither register nor name a metadata document: only those that were given a client id sign in",
        "turn registration or metadata documents on, or give clients an id (here: --client-id ID)";
    REGISTRATION_REFUSED = "registration-refused",
        "a client with a callback on loopback may not register",
        "read the error that it answers; allow loopback callbacks, or give clients an id";
    KEYS_UNREACHABLE = "keys-unreachable",
        "the key set of the authorization server is not served, so no signature can be verified",
        "serve it at jwks_uri, and let the MCP server reach it";
    KEYS_EMPTY = "keys-empty",
        "the key set has no key, so no signature can be verified",
        "publish the public key that signs the tokens";
    CLOCK_OFF = "clock-off",
        "the clock of the server and that of this machine differ: tokens seem expired, or not valid yet",
        "set both clocks by NTP";
    CORS_MISSING = "cors-missing",
        "pages in a browser may not read the metadata: clients that run in one cannot sign in",
        "send Access-Control-Allow-Origin: * with the metadata documents";
    AUTHORIZE_REFUSED = "authorize-refused",
        "the authorization endpoint refuses a request that is in order",
        "read the error that it answers: scopes, resource, or the callback";
    SIGN_IN_DENIED = "sign-in-denied",
        "the sign-in ended with an error",
        "read the error; for access_denied, allow the client on the page";
    STATE_DIFFERS = "state-differs",
        "the answer is of another sign-in: its state is not ours",
        "paste the address of the sign-in that was just begun";
    ISS_DIFFERS = "iss-differs",
        "iss in the answer is missing or another one, although the metadata announces it (RFC 9207)",
        "send the issuer as iss with every answer, or do not announce it";
    CODE_REFUSED = "code-refused",
        "the token endpoint refuses the code",
        "read the error; the resource, the callback and the verifier were those of the request before";
    TOKEN_MALFORMED = "token-malformed",
        "the token endpoint's answer is not of the form that clients read",
        "answer JSON with access_token, token_type Bearer and expires_in above 0 (RFC 6749, section 5.1)";
    TOKEN_ISSUER_DIFFERS = "token-issuer-differs",
        "the token is of an issuer that the server does not name",
        "get a token of the authorization server that the metadata names";
    AUDIENCE_DIFFERS = "audience-differs",
        "the token is for another server: its audience is not this resource",
        "ask for it with resource=URL (RFC 8707), or set the audience at the identity provider";
    TOKEN_EXPIRED = "token-expired",
        "the token has expired",
        "get a new one; if it is new, the clocks differ";
    TOKEN_NOT_YET = "token-not-yet",
        "the token is not valid yet",
        "the clock of the issuer is ahead: set the clocks by NTP";
    KEY_UNKNOWN = "key-unknown",
        "the key that signed the token is not in the key set of the issuer",
        "publish a key before it signs; get a new token";
    SCOPE_MISSING = "scope-missing",
        "the token lacks a scope that every request needs",
        "ask for the scopes that the challenge names";
    AUTHORIZATION_EATEN = "authorization-eaten",
        "the server answers a request with a token as one without: a proxy in front removes Authorization",
        "let the proxy pass the Authorization header on";
    TOKEN_REFUSED = "token-refused",
        "the server refuses the token, for a reason that it tells its log alone",
        "look for the reference of this request in the log of the server";
    CALL_FAILED = "call-failed",
        "the token is good, and the first call fails",
        "read the answer; look at the log of the server";
}
