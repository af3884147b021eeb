//! What checks answer, from their documentation.

use super::world::{Check, Component, Datum, Name, Says, Test, Token, World};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Yes,
    No,
    /// No, for want of these scopes alone.
    Lacks(Vec<Name>),
    /// No, in the author's words.
    Speaks,
    /// Nobody could tell.
    Unknown,
    /// The check broke, and all of it with it.
    Broke,
}

/// Whom and what a check is asked about.
#[derive(Clone, Copy)]
pub(super) struct Asked<'w> {
    pub(super) world: &'w World,
    pub(super) token: &'w Token,
    pub(super) component: &'w Component,
}

impl Asked<'_> {
    pub(super) fn answer(self, check: &Check) -> Answer {
        match check {
            Check::Scopes(scopes) => self.scopes(scopes),
            Check::Tag(tag, scopes) if self.component.tags.contains(tag) => self.scopes(scopes),
            Check::Tag(..) => Answer::Yes,
            Check::Roles { path, roles } => self.roles(path, roles),
            Check::Claim { path, test } => self.claim(path, test),
            Check::Function { says, .. } => self.says(*says),
            Check::AllOf(checks) => self.all_of(checks),
            Check::AnyOf(checks) => self.any_of(checks),
            Check::Not(check) => match self.answer(check) {
                Answer::Yes => Answer::No,
                Answer::No | Answer::Lacks(_) | Answer::Speaks => Answer::Yes,
                Answer::Unknown => Answer::Unknown,
                Answer::Broke => Answer::Broke,
            },
        }
    }

    /// Whether a scope of the token is this one, or leads to it by what is implied.
    fn holds(self, scope: Name) -> bool {
        let mut reached = self.token.scopes.clone();
        let mut at = 0;
        while at < reached.len() {
            let implied = self.world.implied.iter().filter(|(by, _)| *by == reached[at]);
            let new: Vec<Name> = implied.flat_map(|(_, implied)| implied.clone()).collect();
            for scope in new {
                if !reached.contains(&scope) {
                    reached.push(scope);
                }
            }
            at += 1;
        }
        reached.contains(&scope)
    }

    fn scopes(self, scopes: &[Name]) -> Answer {
        let missing: Vec<Name> =
            scopes.iter().copied().filter(|scope| !self.holds(scope)).collect();
        if missing.is_empty() { Answer::Yes } else { Answer::Lacks(missing) }
    }

    /// Up to the first that denies for another reason than scopes; asked in their order.
    fn all_of(self, checks: &[Check]) -> Answer {
        let mut missing = Vec::new();
        for check in checks {
            match self.answer(check) {
                Answer::Yes => {}
                Answer::Lacks(scopes) => join(&mut missing, scopes),
                Answer::Broke => return Answer::Broke,
                _ if !missing.is_empty() => return Answer::Lacks(missing),
                other => return other,
            }
        }
        if missing.is_empty() { Answer::Yes } else { Answer::Lacks(missing) }
    }

    /// Up to the first that allows. Scopes are only said to be missing if nothing else is, and
    /// then those of the first check that lacks fewest.
    fn any_of(self, checks: &[Check]) -> Answer {
        let mut answers = Vec::new();
        for check in checks {
            match self.answer(check) {
                end @ (Answer::Yes | Answer::Broke) => return end,
                other => answers.push(other),
            }
        }
        if answers.contains(&Answer::Unknown) {
            return Answer::Unknown;
        }
        let mut fewest: Option<Vec<Name>> = None;
        for answer in answers {
            let Answer::Lacks(scopes) = answer else { return self.first_reason(checks) };
            if fewest.as_ref().is_none_or(|fewest| scopes.len() < fewest.len()) {
                fewest = Some(scopes);
            }
        }
        fewest.map_or(Answer::Unknown, Answer::Lacks)
    }

    fn first_reason(self, checks: &[Check]) -> Answer {
        let mut answers = checks.iter().map(|check| self.answer(check));
        answers.find(|answer| !matches!(answer, Answer::Lacks(_))).unwrap()
    }

    fn says(self, says: Says) -> Answer {
        let truth = |holds: bool| if holds { Answer::Yes } else { Answer::No };
        match says {
            Says::Yes => Answer::Yes,
            Says::No | Says::Denies => Answer::No,
            Says::Tagged(tag) => truth(self.component.tags.contains(&tag)),
            Says::Kind(kind) => truth(self.component.kind == kind),
            Says::Holds(scope) => truth(self.holds(scope)),
            Says::Needs(scope) => self.scopes(&[scope]),
            Says::Premium => truth(self.find(&["premium"]) == Ok(Some(&Datum::Flag(true)))),
            Says::Level(least) => match self.find(&["level"]) {
                Ok(Some(Datum::Integer(level))) => truth(*level >= least),
                _ => Answer::Unknown,
            },
            Says::Unsure | Says::Fails => Answer::Unknown,
            Says::Panics => Answer::Broke,
            Says::Speaks => Answer::Speaks,
        }
    }

    /// The claim at a path, none, or an error where what leads to it has no members.
    fn find(&self, path: &[Name]) -> Result<Option<&Datum>, ()> {
        let mut members = &self.token.claims;
        let Some((last, before)) = path.split_last() else { return Ok(None) };
        for name in before {
            match members.iter().find(|(own, _)| own == name) {
                Some((_, Datum::Members(inner))) => members = inner,
                Some(_) => return Err(()),
                None => return Ok(None),
            }
        }
        Ok(members.iter().find(|(own, _)| own == last).map(|(_, value)| value))
    }

    /// A text is one role, a list of texts several; anything else is no role, and nobody can tell.
    fn roles(self, path: &[Name], roles: &[Name]) -> Answer {
        let own: Vec<Name> = match self.find(path) {
            Ok(Some(Datum::Text(one))) => vec![one],
            Ok(Some(Datum::List(several))) => {
                let mut own = Vec::new();
                for one in several {
                    let Datum::Text(one) = one else { return Answer::Unknown };
                    own.push(*one);
                }
                own
            }
            _ => return Answer::Unknown,
        };
        if roles.iter().all(|role| own.contains(role)) { Answer::Yes } else { Answer::No }
    }

    /// A claim that is not there is a no; one of another type is nobody's guess.
    fn claim(self, path: &[Name], test: &Test) -> Answer {
        let found = match self.find(path) {
            Ok(Some(found)) => found,
            Ok(None) => return Answer::No,
            Err(()) => return Answer::Unknown,
        };
        let truths: Vec<Option<bool>> = match test {
            Test::Equals(wanted) => vec![equal(found, wanted)],
            Test::OneOf(several) => several.iter().map(|wanted| equal(found, wanted)).collect(),
            Test::AtLeast(least) => vec![halves(found).map(|halves| halves >= least * 2)],
            Test::Contains(wanted) => match found {
                Datum::List(items) if items.is_empty() => vec![Some(false)],
                Datum::List(items) => items.iter().map(|item| equal(item, wanted)).collect(),
                _ => vec![None],
            },
        };
        if truths.contains(&Some(true)) {
            Answer::Yes
        } else if truths.contains(&Some(false)) {
            Answer::No
        } else {
            Answer::Unknown
        }
    }
}

pub(super) fn join(all: &mut Vec<Name>, more: Vec<Name>) {
    for scope in more {
        if !all.contains(&scope) {
            all.push(scope);
        }
    }
}

/// Numbers are equal by what they mean; nothing equals what is of another type.
fn equal(found: &Datum, wanted: &Datum) -> Option<bool> {
    if let (Some(found), Some(wanted)) = (halves(found), halves(wanted)) {
        return Some(found == wanted);
    }
    let same_type = std::mem::discriminant(found) == std::mem::discriminant(wanted);
    same_type.then(|| found == wanted)
}

fn halves(number: &Datum) -> Option<i64> {
    match number {
        Datum::Integer(number) => Some(number * 2),
        Datum::Halves(halves) => Some(*halves),
        _ => None,
    }
}
