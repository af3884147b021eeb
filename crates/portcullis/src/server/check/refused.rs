//! What an error of a build or of a start says about the rules.

use super::rules::{Finding, RULES};
use crate::error::{Error, ProblemKind, StartErrorKind};

/// The rules that the server breaks; of the others nothing is known.
pub(super) fn judge(error: &Error) -> [Finding; RULES] {
    let broken: Vec<(usize, String)> = match error {
        Error::Build(error) => {
            let problems = error.problems().iter();
            let rule = |kind| of_problem(kind).into_iter();
            problems.flat_map(|p| rule(p.kind()).map(|rule| (rule, p.to_string()))).collect()
        }
        Error::Start(error) => {
            of_start(error.kind()).into_iter().map(|rule| (rule, error.to_string())).collect()
        }
        _ => Vec::new(),
    };
    std::array::from_fn(|index| {
        let own: Vec<&str> = broken
            .iter()
            .filter(|(rule, _)| *rule == index + 1)
            .map(|(_, text)| text.as_str())
            .collect();
        match own.as_slice() {
            [] => Finding::skip("the server does not start"),
            own => Finding::fail(own.join("; "), "do what the error says"),
        }
    })
}

fn of_problem(kind: ProblemKind) -> Option<usize> {
    Some(match kind {
        ProblemKind::CredentialArgument => 1,
        ProblemKind::OfflineAccess | ProblemKind::InvalidScope => 2,
        ProblemKind::InvalidPublicUrl
        | ProblemKind::InvalidHost
        | ProblemKind::InvalidOrigin
        | ProblemKind::InvalidTrustedProxy => 3,
        ProblemKind::ExposedSecret | ProblemKind::UnsealedStore => 4,
        ProblemKind::InvalidParameter
        | ProblemKind::InvalidConstraint
        | ProblemKind::InvalidDefault
        | ProblemKind::InvalidInputSchema => 11,
        ProblemKind::InvalidRoute | ProblemKind::DuplicateRoute | ProblemKind::ReservedPath => 12,
        ProblemKind::InvalidLimits | ProblemKind::IneffectiveTimeout => 13,
        _ => return None,
    })
}

fn of_start(kind: StartErrorKind) -> Option<usize> {
    Some(match kind {
        StartErrorKind::InvalidAddress
        | StartErrorKind::InvalidPublicUrl
        | StartErrorKind::InvalidTrustedProxy
        | StartErrorKind::MissingPublicUrl
        | StartErrorKind::DevelopmentVerifierExposed
        | StartErrorKind::Unauthenticated => 3,
        StartErrorKind::UnusableAuthProvider => 7,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::component::{Argument, FormElicitation, Parameter};
    use crate::{Server, Tool};

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nobody is asked for it")]
    struct Login {
        password: String,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nobody is asked for it")]
    struct Nested {
        login: Login,
    }

    /// The rules that a server breaks whose function takes this form.
    fn broken<T: Parameter>() -> Vec<usize> {
        let tool = Tool::new("ask").parameter::<T>(Argument::new("form"));
        let tool = tool.handler(|_call| async { "done" });
        let refused = Server::builder("test").no_auth().component(tool).build().unwrap_err();
        let findings = serde_json::to_value(judge(&refused)).unwrap();
        (1..=RULES).filter(|rule| findings[rule - 1]["outcome"] == "fail").collect()
    }

    #[test]
    fn a_form_for_a_secret_breaks_the_rule_about_credentials_and_what_is_no_form_breaks_none() {
        assert_eq!(broken::<FormElicitation<Login>>(), [1]);
        assert_eq!(broken::<FormElicitation<Nested>>(), Vec::<usize>::new());
    }
}
