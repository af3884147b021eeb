//! Who may sign in.

use portcullis_auth::OneOrMany;
use portcullis_guard::text::quoted;
use serde_json::Value;

use super::identity::Identity;
use super::identity::{CHOSEN, NO_SUBJECTS};
use super::{Upstream, UpstreamError};

/// Whom a provider lets in, of all who have an account there.
///
/// It is asked once the provider has said who signed in, and it fails closed: a claim that is missing,
/// or is not what it should be, lets nobody in. Where it is given more than once, a user has to meet
/// each.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_oauth as auth; }
/// use portcullis::auth::Admit;
///
/// // Whoever has a verified address of the company, and one more by the provider's own id.
/// let staff = Admit::email_domains(["example.com"]).or(Admit::subjects(["24400320"]));
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is given to a provider by .admit()"]
pub struct Admit(Condition);

#[derive(Clone, Debug)]
enum Condition {
    Anyone,
    EmailDomains(Vec<String>),
    Subjects(Vec<String>),
    Claim(String, Vec<String>),
    /// In lower case.
    Organizations(Vec<String>),
    Either(Box<Condition>, Box<Condition>),
}

impl Admit {
    /// Everybody who has an account at the provider. It says that this is meant, so that start-up does
    /// not warn of it.
    pub fn anyone() -> Self {
        Self(Condition::Anyone)
    }

    /// Those with an email address at one of these domains, compared whole: `example.com` lets in
    /// nobody of `sub.example.com`.
    ///
    /// The provider has to say that it verified the address (`email_verified`, which is `true`). Not all
    /// do: Entra ID does not, so that nobody would get in there.
    pub fn email_domains(domains: impl OneOrMany) -> Self {
        let domains = domains.into_many().into_iter();
        Self(Condition::EmailDomains(domains.map(|domain| domain.to_ascii_lowercase()).collect()))
    }

    /// Those with one of these ids at the provider (`sub`; at GitHub the account's number).
    pub fn subjects(subjects: impl OneOrMany) -> Self {
        Self(Condition::Subjects(subjects.into_many()))
    }

    /// Those whose claim `name` is one of `values`, or a list that holds one. Values are compared as
    /// texts.
    pub fn claim(name: impl Into<String>, values: impl OneOrMany) -> Self {
        Self(Condition::Claim(name.into(), values.into_many()))
    }

    /// Active members of one of these organizations at GitHub, by their logins. It asks for the scope
    /// `read:org`. An organization that restricts applications has to allow this one.
    pub fn organizations(logins: impl OneOrMany) -> Self {
        let logins = logins.into_many().into_iter();
        Self(Condition::Organizations(logins.map(|login| login.to_ascii_lowercase()).collect()))
    }

    /// Those whom this or `other` lets in.
    pub fn or(self, other: Self) -> Self {
        Self(Condition::Either(Box::new(self.0), Box::new(other.0)))
    }

    /// The organizations that have to be asked about.
    pub(super) fn organizations_named(&self) -> Vec<String> {
        let mut named = Vec::new();
        self.0.each(&mut |condition| {
            if let Condition::Organizations(logins) = condition {
                named.extend(logins.iter().cloned());
            }
        });
        named
    }

    /// # Errors
    ///
    /// When it would let nobody in, or cannot be asked at this provider.
    pub(super) fn check(&self, is_github: bool) -> Result<(), String> {
        let mut problem = None;
        self.0.each(&mut |condition| {
            problem = problem.take().or_else(|| condition.problem(is_github));
        });
        problem.map_or(Ok(()), Err)
    }
}

impl Condition {
    fn each<'c>(&'c self, visit: &mut impl FnMut(&'c Condition)) {
        match self {
            Self::Either(one, other) => {
                one.each(visit);
                other.each(visit);
            }
            single => visit(single),
        }
    }

    fn problem(&self, is_github: bool) -> Option<String> {
        let empty = |what: &str, values: &[String]| {
            (values.is_empty() || values.iter().any(String::is_empty))
                .then(|| format!("admit(…): {what} is missing or empty, and lets nobody in"))
        };
        match self {
            Self::EmailDomains(domains) => empty("a domain", domains).or_else(|| {
                let odd = domains.iter().find(|domain| domain.contains('@'))?;
                Some(format!("admit(…): {} is no domain", quoted(odd)))
            }),
            Self::Subjects(subjects) => empty("a subject", subjects),
            Self::Claim(name, _) if name.is_empty() => {
                Some("admit(…): the name of a claim is empty".to_owned())
            }
            Self::Claim(name, _)
                if NO_SUBJECTS.iter().chain(&CHOSEN).any(|chosen| chosen == name) =>
            {
                Some(format!(
                    "admit(…): with many providers, users choose {} themselves: use email_domains, which needs \
                 a verified address, or subjects",
                    quoted(name)
                ))
            }
            Self::Claim(_, values) => empty("a value", values),
            Self::Organizations(_) if !is_github => {
                Some("admit(…): organizations are GitHub's".to_owned())
            }
            Self::Organizations(logins) => empty("an organization", logins).or_else(|| {
                let plain = |login: &str| {
                    login.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                };
                let odd = logins.iter().find(|login| !plain(login))?;
                Some(format!("admit(…): {} is no login of an organization", quoted(odd)))
            }),
            Self::Anyone | Self::Either(..) => None,
        }
    }

    fn lets_in(&self, identity: &Identity) -> bool {
        let claims = &identity.claims;
        match self {
            Self::Anyone => true,
            Self::EmailDomains(domains) => {
                let email = claims.get("email").and_then(Value::as_str).unwrap_or_default();
                let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
                claims.get("email_verified") == Some(&Value::Bool(true))
                    && domain.is_some_and(|domain| domains.contains(&domain))
            }
            Self::Subjects(subjects) => subjects.contains(&identity.subject),
            Self::Claim(name, values) => {
                let is_one = |value: &Value| {
                    value.as_str().is_some_and(|text| values.iter().any(|own| own == text))
                };
                match claims.get(name) {
                    Some(Value::Array(list)) => list.iter().any(is_one),
                    Some(value) => is_one(value),
                    None => false,
                }
            }
            Self::Organizations(logins) => {
                logins.iter().any(|login| identity.organizations.contains(login))
            }
            Self::Either(one, other) => one.lets_in(identity) || other.lets_in(identity),
        }
    }
}

impl Upstream {
    pub(super) fn admit(&self, identity: &Identity) -> Result<(), UpstreamError> {
        match self.admission.iter().all(|admit| admit.0.lets_in(identity)) {
            true => Ok(()),
            false => Err(UpstreamError::Refused(format!(
                "{} has an account at the provider, and may not sign in here: admit(…)",
                quoted(&identity.subject)
            ))),
        }
    }
}
