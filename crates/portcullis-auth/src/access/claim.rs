//! Checks of one claim of a token.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AuthContext, Check, Decision};
use crate::{Claims, MaybeFuture, OneOrMany, Principal};

/// Begins a check of the claim at `path`.
///
/// `path` is the name of one member (whole: a dot in it means nothing), or an array of names
/// that lead into objects: `["realm_access", "roles"]`.
///
/// A claim that is missing is a denial. One of the wrong type is, too, and stays one within [`not`](crate::not): whether
/// `"true"` was meant to be `true` is nobody's guess.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Check, claim};
///
/// assert_eq!(claim("premium").equals(true).requirement(), "premium is true");
/// assert_eq!(claim("level").at_least(5).requirement(), "level is at least 5");
/// assert_eq!(claim(["org", "plan"]).one_of(["pro", "team"]).requirement(), r#"org.plan is one of "pro", "team""#);
/// assert_eq!(claim("groups").contains("staff").requirement(), r#"groups has "staff""#);
/// ```
pub fn claim(path: impl OneOrMany) -> Claim {
    Claim { path: path.into_many() }
}

/// A claim without a requirement yet: see [`claim`].
#[derive(Clone, Debug)]
#[must_use = "say what the claim has to be: .equals(…)"]
pub struct Claim {
    path: Vec<String>,
}

impl Claim {
    /// It equals `value`.
    pub fn equals(self, value: impl Into<Value>) -> ClaimCheck {
        self.checked(Test::Equals(value.into()))
    }

    /// It is a number, and at least `least`.
    #[must_use]
    pub fn at_least(self, least: i64) -> ClaimCheck {
        self.checked(Test::AtLeast(least))
    }

    /// It equals one of `values`.
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> ClaimCheck {
        self.checked(Test::OneOf(values.into_iter().map(Into::into).collect()))
    }

    /// It is an array that has `value`.
    pub fn contains(self, value: impl Into<Value>) -> ClaimCheck {
        self.checked(Test::Contains(value.into()))
    }

    fn checked(self, test: Test) -> ClaimCheck {
        ClaimCheck { path: self.path, test }
    }
}

/// Requires a claim: see [`claim`].
#[derive(Clone, Debug)]
pub struct ClaimCheck {
    path: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Equals(Value),
    AtLeast(i64),
    OneOf(Vec<Value>),
    Contains(Value),
}

impl ClaimCheck {
    fn decide(&self, principal: &Principal) -> Decision {
        let found = match find(principal.claims(), &self.path) {
            Ok(Some(found)) => found,
            Ok(None) => return Decision::deny(ClaimError::Missing.as_str()),
            Err(error) => return Decision::failed(error.as_str()),
        };
        let holds = match &self.test {
            Test::Equals(value) => equal(found, value),
            Test::AtLeast(least) => at_least(found, *least),
            Test::OneOf(values) => any(values.iter().map(|value| equal(found, value))),
            Test::Contains(value) => match found {
                Value::Array(items) => any(items.iter().map(|item| equal(item, value))),
                _ => None,
            },
        };
        match holds {
            Some(true) => Decision::Allow,
            Some(false) => Decision::deny("the claim does not match"),
            None => Decision::failed(ClaimError::WrongType.as_str()),
        }
    }
}

impl Check for ClaimCheck {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        MaybeFuture::ready(match context.principal() {
            Some(principal) => self.decide(principal),
            None => Decision::failed("no principal"),
        })
    }

    fn requirement(&self) -> String {
        let path = self.path.join(".");
        match &self.test {
            Test::Equals(value) => format!("{path} is {value}"),
            Test::AtLeast(least) => format!("{path} is at least {least}"),
            Test::OneOf(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                format!("{path} is one of {}", values.join(", "))
            }
            Test::Contains(value) => format!("{path} has {value}"),
        }
    }

    fn validate(&self) -> Result<(), String> {
        if self.path.is_empty() || self.path.iter().any(String::is_empty) {
            return Err("claim(…): the name of the claim is empty".to_owned());
        }
        match &self.test {
            Test::OneOf(values) if values.is_empty() => {
                Err(format!("claim({:?}).one_of([]) is never true", self.path.join(".")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether two values are equal; `None` for values of different types. Numbers are equal by
/// what they mean: 5 is 5.0.
fn equal(found: &Value, wanted: &Value) -> Option<bool> {
    match (found, wanted) {
        (Value::Null, Value::Null) => Some(true),
        (Value::Bool(a), Value::Bool(b)) => Some(a == b),
        (Value::String(a), Value::String(b)) => Some(a == b),
        (Value::Number(a), Value::Number(b)) => {
            let by_meaning = (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64();
            Some(a == b || by_meaning)
        }
        (Value::Array(a), Value::Array(b)) => Some(a == b),
        (Value::Object(a), Value::Object(b)) => Some(a == b),
        _ => None,
    }
}

fn at_least(found: &Value, least: i64) -> Option<bool> {
    let Value::Number(number) = found else { return None };
    if let Some(number) = number.as_i64() {
        return Some(number >= least);
    }
    if number.is_u64() {
        // Beyond an i64, and so beyond every bound.
        return Some(true);
    }
    number.as_f64().map(|number| number >= least as f64)
}

/// Whether one is true; `None` if there are some, and all are of another type.
fn any(results: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let (mut compared, mut other) = (false, false);
    for result in results {
        match result {
            Some(true) => return Some(true),
            Some(false) => compared = true,
            None => other = true,
        }
    }
    (compared || !other).then_some(false)
}

/// The value at `path`.
///
/// # Errors
///
/// When what leads to it is not an object, so that it cannot be told whether there is one.
pub(crate) fn find<'a>(
    claims: &'a Claims,
    path: &[String],
) -> Result<Option<&'a Value>, ClaimError> {
    let Some((first, rest)) = path.split_first() else { return Ok(None) };
    let mut found = claims.get(first);
    for name in rest {
        found = match found {
            None => return Ok(None),
            Some(Value::Object(members)) => members.get(name),
            Some(_) => return Err(ClaimError::WrongType),
        };
    }
    Ok(found)
}

impl Principal {
    /// The claim at `path`, as a type.
    ///
    /// Nothing is converted: `"5"` is not a number, and `"true"` is not true.
    ///
    /// # Errors
    ///
    /// When it is not there, or of another type.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis {
    /// #     pub extern crate portcullis_auth as access;
    /// #     pub extern crate portcullis_auth as auth;
    /// # }
    /// use portcullis::access::ClaimError;
    /// use portcullis::auth::Principal;
    ///
    /// let claims = serde_json::json!({"level": 5, "org": {"plan": "pro"}});
    /// let alice = Principal::new("alice").with_claims(claims.as_object().unwrap().clone());
    /// assert_eq!(alice.claim("level"), Ok(5_u64));
    /// assert_eq!(alice.claim(["org", "plan"]), Ok("pro".to_owned()));
    /// assert_eq!(alice.claim::<bool>("level"), Err(ClaimError::WrongType));
    /// assert_eq!(alice.claim::<bool>("premium"), Err(ClaimError::Missing));
    /// ```
    pub fn claim<T: DeserializeOwned>(&self, path: impl OneOrMany) -> Result<T, ClaimError> {
        let found = find(self.claims(), &path.into_many())?.ok_or(ClaimError::Missing)?;
        T::deserialize(found).map_err(|_| ClaimError::WrongType)
    }
}

/// Why a claim could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// The token has none of this name.
    Missing,
    /// It is of another type.
    WrongType,
}

impl ClaimError {
    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "the token has no such claim",
            Self::WrongType => "the claim or one of its parents has the wrong type",
        }
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for ClaimError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decide(check: &ClaimCheck, claims: Value) -> Decision {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        check.decide(&Principal::new("alice").with_claims(claims))
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_a_denial_that_not_cannot_turn() {
        let premium = claim("premium").equals(true);
        assert_eq!(decide(&premium, json!({"premium": true})), Decision::Allow);
        for wrong in [json!("true"), json!(1), json!([true]), json!({}), json!(null)] {
            let Decision::Deny(denial) = decide(&premium, json!({"premium": wrong})) else {
                panic!("{wrong}")
            };
            assert!(denial.is_failure(), "{wrong}");
        }
        let Decision::Deny(denial) = decide(&premium, json!({"premium": false})) else {
            panic!("allowed")
        };
        assert!(!denial.is_failure());
        assert!(!decide(&premium, json!({})).is_allow());
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let level = claim("level").at_least(5);
        for (value, allowed) in [
            (json!(5), true),
            (json!(4), false),
            (json!(5.5), true),
            (json!(4.9), false),
            (json!(u64::MAX), true),
            (json!(-1), false),
            (json!("9"), false),
            (json!([9]), false),
        ] {
            assert_eq!(decide(&level, json!({"level": value})).is_allow(), allowed, "{value}");
        }
        assert!(decide(&claim("level").equals(5), json!({"level": 5.0})).is_allow());
        let huge = u64::MAX - 1;
        assert!(!decide(&claim("n").equals(huge), json!({"n": u64::MAX})).is_allow());
    }

    #[test]
    fn paths_lead_into_objects_and_nothing_else() {
        let plan = claim(["org", "plan"]).one_of(["pro", "team"]);
        assert!(decide(&plan, json!({"org": {"plan": "team"}})).is_allow());
        let Decision::Deny(denial) = decide(&plan, json!({"org": "plan"})) else {
            panic!("allowed")
        };
        assert!(denial.is_failure(), "what is no object has no members, known or unknown");
        for other in [json!({"org": "plan"}), json!({"org.plan": "pro"}), json!({"org": ["plan"]})]
        {
            assert!(!decide(&plan, other).is_allow());
        }
        let url = claim("https://example.com/roles").contains("admin");
        assert!(decide(&url, json!({"https://example.com/roles": ["admin"]})).is_allow());
        assert!(!decide(&url, json!({"https://example.com/roles": "admin"})).is_allow());
        assert!(!decide(&url, json!({"https://example.com/roles": ["admins"]})).is_allow());
    }
}
