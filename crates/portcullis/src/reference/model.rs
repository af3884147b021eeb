//! What happens in a world, from the documentation.

use super::answers::{Answer, Asked, join};
use super::world::{Caller, Check, Component, Deny, Kind, Name, Rule, Selector, Step, Word, World};

/// A world after some of its steps.
pub(super) struct Reference<'w> {
    world: &'w World,
    server: Vec<Rule>,
    own: Vec<(Owner, Rule)>,
}

/// What becomes of a use.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Use {
    /// The function of the component at this place runs.
    Runs(usize),
    /// As if there were no such thing.
    Absent,
    /// These scopes are missing.
    Challenged(Vec<Name>),
    /// What a check's author has to say.
    Told,
}

/// Whose rules they are.
#[derive(Clone, PartialEq)]
enum Owner {
    Process,
    /// A session belongs to its principal.
    Session(u8, Option<(Name, Option<Name>)>),
    Principal(Name, Option<Name>),
}

/// What stands before a component.
#[derive(Clone, Copy)]
pub(super) enum Requirement<'w> {
    Caller,
    Check(&'w Check),
}

impl<'w> Reference<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self { world, server: world.rules.clone(), own: Vec::new() }
    }

    /// Takes a step; false if there is nothing that the rules could be kept for.
    pub(super) fn step(&mut self, step: &Step) -> bool {
        let owner = match step {
            Step::Server(rule) => {
                self.server.push(rule.clone());
                return true;
            }
            Step::Own(by, _) | Step::Reset(by) => owner(&self.world.callers[*by]),
        };
        let Some(owner) = owner else { return false };
        match step {
            Step::Own(_, rule) => self.own.push((owner, rule.clone())),
            Step::Reset(_) | Step::Server(_) => self.own.retain(|(whose, _)| *whose != owner),
        }
        true
    }

    /// Which components the lists show to a caller.
    pub(super) fn listed(&self, caller: &Caller) -> Vec<usize> {
        let all = 0..self.world.components.len();
        all.filter(|at| is_listed(self.denied(caller, &self.world.components[*at]).as_ref()))
            .collect()
    }

    /// Whether the lists would show it if there were the server's rules alone.
    pub(super) fn listed_by_server(&self, caller: &Caller, component: &Component) -> bool {
        let shown = self.shown_by_server(component);
        is_listed(self.denied_if(shown, caller, component).as_ref())
    }

    /// What becomes of a use of the component at this place.
    ///
    /// Of a URI the resource answers that has it. Without one every template that matches has to
    /// allow, and the first answers.
    pub(super) fn used(&self, caller: &Caller, at: usize) -> Use {
        let mut answering = None;
        for at in self.matching(at) {
            if let Some(denied) = self.denied(caller, &self.world.components[at]) {
                return denied;
            }
            answering.get_or_insert(at);
        }
        answering.map_or(Use::Absent, Use::Runs)
    }

    /// What answers, or has to allow, where the component at this place is used.
    pub(super) fn matching(&self, at: usize) -> Vec<usize> {
        let components = &self.world.components;
        let uri = match components[at].kind {
            Kind::Tool | Kind::Prompt => return vec![at],
            Kind::Resource | Kind::Template => components[at].uri(),
        };
        let of_kind =
            |kind: Kind| (0..components.len()).filter(move |at| components[*at].kind == kind);
        let fixed = of_kind(Kind::Resource).find(|at| components[*at].key == uri);
        match fixed {
            Some(fixed) => vec![fixed],
            None => {
                of_kind(Kind::Template).filter(|at| is_like(uri, components[*at].key)).collect()
            }
        }
    }

    /// What a caller gets who may not use the component; nothing for one who may.
    fn denied(&self, caller: &Caller, component: &Component) -> Option<Use> {
        self.denied_if(self.shown(caller, component), caller, component)
    }

    fn denied_if(&self, shown: bool, caller: &Caller, component: &Component) -> Option<Use> {
        if !shown {
            return Some(Use::Absent);
        }
        if caller.stdio {
            return None;
        }
        let requirements = self.requirements(component);
        let Some(token) = &caller.token else {
            return (!requirements.is_empty()).then_some(Use::Absent);
        };
        let asked = Asked { world: self.world, token, component };
        let mut missing = Vec::new();
        for requirement in requirements {
            let Requirement::Check(check) = requirement else { continue };
            let denied = match asked.answer(check) {
                Answer::Yes => continue,
                Answer::Lacks(scopes) if self.deny(component) == Deny::Challenge => {
                    join(&mut missing, scopes);
                    continue;
                }
                Answer::Speaks => Use::Told,
                Answer::Lacks(_) | Answer::No | Answer::Unknown | Answer::Broke => Use::Absent,
            };
            return Some(if missing.is_empty() { denied } else { Use::Challenged(missing) });
        }
        (!missing.is_empty()).then_some(Use::Challenged(missing))
    }

    /// All that is required of callers over HTTP: by the server, by taking a caller, by its own
    /// checks.
    pub(super) fn requirements(&self, component: &'w Component) -> Vec<Requirement<'w>> {
        let applying =
            |checks: &'w [Check]| checks.iter().filter(|check| applies(check, component));
        let mut requirements = Vec::new();
        requirements.extend(applying(&self.world.middleware).map(Requirement::Check));
        requirements.extend(component.takes_caller.then_some(Requirement::Caller));
        // Its author asked for something, if only for somebody.
        requirements.extend(component.checks.iter().map(Requirement::Check));
        requirements
    }

    /// Whether one of the requirements is met by itself.
    pub(super) fn meets(
        &self,
        caller: &Caller,
        component: &Component,
        requirement: Requirement<'_>,
    ) -> bool {
        let Some(token) = &caller.token else { return false };
        let asked = Asked { world: self.world, token, component };
        match requirement {
            Requirement::Caller => true,
            Requirement::Check(check) => asked.answer(check) == Answer::Yes,
        }
    }

    /// What the component says, else the strictest of what is said for its tags, else what is
    /// said for all.
    pub(super) fn deny(&self, component: &Component) -> Deny {
        if let Some(deny) = component.deny {
            return deny;
        }
        let of_tags = self.world.deny_tagged.iter().filter(|(tag, _)| component.tags.contains(tag));
        let of_tags: Vec<Deny> = of_tags.map(|(_, deny)| *deny).collect();
        if of_tags.is_empty() {
            self.world.deny
        } else if of_tags.contains(&Deny::Hide) {
            Deny::Hide
        } else {
            Deny::Challenge
        }
    }

    /// Whether the server's rules show it.
    pub(super) fn shown_by_server(&self, component: &Component) -> bool {
        let mut shown = true;
        for rule in &self.server {
            shown = says(rule, component).unwrap_or(shown);
        }
        shown
    }

    /// Whether the rules show it: the server's, and after all of these the caller's own.
    fn shown(&self, caller: &Caller, component: &Component) -> bool {
        let mut shown = self.shown_by_server(component);
        let Some(me) = owner(caller) else { return shown };
        for (_, rule) in self.own.iter().filter(|(owner, _)| *owner == me) {
            shown = says(rule, component).unwrap_or(shown);
        }
        shown
    }
}

/// What would be challenged is not a secret.
fn is_listed(denied: Option<&Use>) -> bool {
    matches!(denied, None | Some(Use::Challenged(_)))
}

fn owner(caller: &Caller) -> Option<Owner> {
    if caller.stdio {
        return Some(Owner::Process);
    }
    let principal = caller.token.as_ref().map(|token| (token.subject, token.client));
    match caller.session {
        Some(session) => Some(Owner::Session(session, principal)),
        None => principal.map(|(subject, client)| Owner::Principal(subject, client)),
    }
}

/// What a rule says of a component, if it says anything.
fn says(rule: &Rule, component: &Component) -> Option<bool> {
    let of_its_kinds =
        rule.selector.kinds.as_ref().is_none_or(|kinds| kinds.contains(&component.kind));
    match (rule.word, selects(&rule.selector, component)) {
        (Word::Enable | Word::Only, true) => Some(true),
        (Word::Disable, true) => Some(false),
        (Word::Only, false) if of_its_kinds => Some(false),
        (Word::Enable | Word::Disable | Word::Only, false) => None,
    }
}

fn selects(selector: &Selector, component: &Component) -> bool {
    let Selector { tags, names, keys, kinds } = selector;
    if let Some(tags) = tags
        && !tags.iter().any(|tag| component.tags.contains(tag))
    {
        return false;
    }
    if let Some(names) = names
        && !names.contains(&component.key)
    {
        return false;
    }
    if let Some(keys) = keys
        && !keys.contains(&(component.kind, component.key))
    {
        return false;
    }
    kinds.as_ref().is_none_or(|kinds| kinds.contains(&component.kind))
}

/// Whether a check requires anything for this component: `restrict_tag` lets those without the
/// tag through, and several of it do.
fn applies(check: &Check, component: &Component) -> bool {
    match check {
        Check::Tag(tag, _) => component.tags.contains(tag),
        Check::AllOf(checks) => checks.iter().any(|check| applies(check, component)),
        _ => true,
    }
}

/// Whether a URI is one of a template: each variable is a segment.
fn is_like(uri: Name, template: Name) -> bool {
    let (uri, template): (Vec<&str>, Vec<&str>) =
        (uri.split('/').collect(), template.split('/').collect());
    uri.len() == template.len()
        && uri.iter().zip(&template).all(|(part, of)| part == of || of.starts_with('{'))
}
