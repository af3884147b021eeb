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
        | ProblemKind::InvalidForm
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
