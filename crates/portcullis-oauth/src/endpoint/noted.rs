//! What the audit record of a request says (E11): one record for each, which the server that mounts the
//! endpoints writes.

use portcullis_auth::audit::Verdict;
use portcullis_auth::{EndpointNotes, Scopes};
use portcullis_guard::Reference;

use crate::browser::Problem;
use crate::client::Client;
use crate::connection::Connection;
use crate::error::{ErrorCode, Granted, OAuthError};
use crate::server::AuthorizationServer;
use crate::users::SignInError;

/// What happened to a request, in the word that its record has as `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    ClientRegistered,
    /// A user signed in, and allowed a client.
    SignInAllowed,
    /// A user did not allow a client.
    SignInDenied,
    /// Somebody who is not proven to be a user tried.
    SignInFailed,
    /// A user allowed a client, and goes on at the identity provider.
    SignInGoesOn,
    /// A client got its first tokens.
    CodeRedeemed,
    TokenRefreshed,
    /// A client gave back what it had.
    GrantRevoked,
    /// A user signed in to see their connections.
    ConnectionsOpened,
    /// A user took one back.
    ConnectionRevoked,
    /// A user took back all.
    SignedOutEverywhere,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::ClientRegistered => "client_registered",
            Self::SignInAllowed => "sign_in_allowed",
            Self::SignInDenied => "sign_in_denied",
            Self::SignInFailed => "sign_in_failed",
            Self::SignInGoesOn => "sign_in_goes_on",
            Self::CodeRedeemed => "code_redeemed",
            Self::TokenRefreshed => "token_refreshed",
            Self::GrantRevoked => "grant_revoked",
            Self::ConnectionsOpened => "connections_opened",
            Self::ConnectionRevoked => "connection_revoked",
            Self::SignedOutEverywhere => "signed_out_everywhere",
        }
    }
}

pub(super) fn happened(notes: &EndpointNotes, outcome: Outcome) {
    notes.note(|record| record.outcome = Some(outcome.as_str()));
}

/// Whom a request is about, once they are proven.
pub(super) fn about_user(notes: &EndpointNotes, server: &AuthorizationServer, subject: &str) {
    notes.note(|record| {
        record.issuer = Some(server.issuer.clone());
        record.subject = Some(subject.to_owned());
    });
}

/// Which client sends it, or its user.
pub(super) fn about_client(notes: &EndpointNotes, client_id: &str, client: &Client) {
    notes.note(|record| {
        record.client_id = Some(client_id.to_owned());
        record.client_name.clone_from(&client.name);
    });
}

pub(super) fn about_scopes(notes: &EndpointNotes, scopes: &Scopes) {
    notes.note(|record| record.scopes = Some(scopes.to_string()));
}

/// What a grant was.
pub(super) fn about_grant(notes: &EndpointNotes, server: &AuthorizationServer, grant: &Granted) {
    about_user(notes, server, &grant.subject);
    notes.note(|record| {
        record.client_id = Some(grant.client_id.clone());
        record.client_name.clone_from(&grant.client_name);
        record.scopes = Some(grant.scope.clone());
    });
}

/// What a user has taken back.
pub(super) fn about_connection(notes: &EndpointNotes, connection: &Connection) {
    notes.note(|record| {
        record.client_id = Some(connection.client_id.clone());
        record.client_name.clone_from(&connection.client_name);
        record.scopes = Some(connection.scopes.to_string());
    });
}

/// A password was wrong, or was not heard. Which name was tried is in the log: it may be a password, too.
pub(super) fn not_signed_in(notes: &EndpointNotes, error: SignInError) {
    let (verdict, rule) = match error {
        SignInError::Wrong => (Verdict::Denied, "password"),
        SignInError::TooMany => (Verdict::Limited, "password"),
        SignInError::Unavailable => (Verdict::Failed, "password"),
    };
    notes.note(|record| {
        record.verdict = Some(verdict);
        record.rule = Some(rule);
    });
    happened(notes, Outcome::SignInFailed);
}

/// Why a person is told, and no client.
pub(super) fn in_place(
    notes: &EndpointNotes,
    problem: Problem,
    cause: String,
    reference: Option<Reference>,
) {
    let verdict = match problem {
        Problem::Unavailable => Verdict::Failed,
        Problem::TooMany => Verdict::Limited,
        Problem::Foreign | Problem::NotSignedIn => Verdict::Denied,
        Problem::UnknownClient
        | Problem::UnknownRedirectUri
        | Problem::Malformed
        | Problem::Expired
        | Problem::Stale => Verdict::Refused,
    };
    notes.note(|record| {
        record.verdict = Some(verdict);
        record.rule = Some(problem.as_str());
        record.reason = Some(cause);
        record.reference = reference;
    });
}

/// Why it was refused. Its own text says it; the log has no other.
pub(super) fn refused(notes: &EndpointNotes, server: &AuthorizationServer, error: &OAuthError) {
    let verdict = match error.code {
        ErrorCode::InvalidClient => Verdict::Challenged,
        ErrorCode::InvalidGrant | ErrorCode::AccessDenied => Verdict::Denied,
        ErrorCode::SlowDown => Verdict::Limited,
        ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable => Verdict::Failed,
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidTarget
        | ErrorCode::InvalidRedirectUri
        | ErrorCode::InvalidClientMetadata
        | ErrorCode::UnsupportedGrantType
        | ErrorCode::UnsupportedResponseType => Verdict::Refused,
    };
    let reason = error.cause.as_deref().unwrap_or(&error.description).to_owned();
    notes.note(|record| {
        record.verdict = Some(verdict);
        record.rule = Some(error.code.as_str());
        record.reason = Some(reason);
    });
    if let Some(incident) = &error.incident {
        about_grant(notes, server, &incident.grant);
        notes.note(|record| record.outcome = Some(incident.outcome));
    }
}
