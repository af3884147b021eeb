//! What stands before a component: all the checks that apply to it, compiled.

use std::sync::Arc;

use portcullis_auth::{Check, Reduced, Scopes, Target};

use crate::component::Deny;
use crate::component::verdict::RuleId;

/// Which layer a check is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    /// `.middleware(AuthMiddleware::new(…))`.
    Server,
    /// `auth = …`.
    Component,
}

/// One check before a component.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// Which of the [`Rules`] it is.
    pub(crate) rule: RuleId,
    pub(crate) layer: Layer,
    pub(crate) need: Need,
}

impl Gate {
    /// Whether its check wants to see the arguments.
    pub(crate) fn reads_arguments(&self) -> bool {
        match &self.need {
            Need::Answer(check) | Need::Local(check) => check.reads_arguments(),
            Need::Caller | Need::Scopes(_) => false,
        }
    }
}

/// What a gate needs.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// Somebody who calls.
    Caller,
    /// These scopes.
    Scopes(Scopes),
    /// The check's answer.
    Answer(Arc<dyn Check>),
    /// The check's answer, over stdio too.
    Local(Arc<dyn Check>),
}

/// The gates before a component, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    pub(crate) gates: Vec<Gate>,
    /// The equivalence class of the gates: one number for all components with the same gates,
    /// where the token's scopes alone decide.
    pub(crate) class: Option<usize>,
    /// Whether a check wants to see the arguments.
    pub(crate) reads_arguments: bool,
}

impl Gates {
    /// Compiles the checks of one component.
    pub(crate) fn compile(
        target: Target<'_>,
        needs_caller: bool,
        server: &[Arc<dyn Check>],
        own: &[Arc<dyn Check>],
        deny: Deny,
        rules: &mut Rules,
    ) -> Self {
        let of_server = server.iter().map(|check| (Layer::Server, check));
        let of_component = own.iter().map(|check| (Layer::Component, check));
        let mut gates = Vec::new();
        for (layer, check) in of_server {
            gates.extend(gate(target, layer, check, rules));
        }
        if needs_caller {
            let rule = rules.add("a caller".to_owned());
            gates.push(Gate { rule, layer: Layer::Component, need: Need::Caller });
        }
        for (layer, check) in of_component {
            gates.extend(gate(target, layer, check, rules));
        }
        let class = rules.class(deny, &gates);
        let reads_arguments = gates.iter().any(Gate::reads_arguments);
        Self { gates, class, reads_arguments }
    }
}

fn gate(
    target: Target<'_>,
    layer: Layer,
    check: &Arc<dyn Check>,
    rules: &mut Rules,
) -> Option<Gate> {
    let need = match (check.reduce(target), layer) {
        _ if check.over_stdio() => Need::Local(Arc::clone(check)),
        (Reduced::Allows, Layer::Server) => return None,
        // Its author asked for something, if only for somebody.
        (Reduced::Allows, Layer::Component) => Need::Caller,
        (Reduced::Scopes(scopes), _) => Need::Scopes(scopes),
        (Reduced::Dynamic, _) => Need::Answer(Arc::clone(check)),
    };
    let requirement = check.requirement();
    let text = match layer {
        Layer::Server => format!("{requirement} (server)"),
        Layer::Component => requirement,
    };
    Some(Gate { rule: rules.add(text), layer, need })
}

/// The texts of all rules of a server, and the classes of gates.
#[derive(Debug)]
pub(crate) struct Rules {
    texts: Vec<String>,
    classes: Vec<Class>,
}

/// What the gates of a class have in common: what a denial of theirs says, which decides whether
/// lists show it, and each rule, with the scopes that it needs. For components with other
/// tags, the same rule may need other scopes.
type Class = (Deny, Vec<(RuleId, Option<Scopes>)>);

impl Default for Rules {
    fn default() -> Self {
        Self { texts: vec!["visibility".to_owned()], classes: Vec::new() }
    }
}

impl Rules {
    pub(crate) fn text(&self, rule: RuleId) -> &str {
        self.texts.get(rule.index()).map_or("", String::as_str)
    }

    /// How many classes of gates there are.
    pub(crate) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The texts of the rules, in the order of their numbers.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    fn add(&mut self, text: String) -> RuleId {
        let known = self.texts.iter().position(|own| *own == text);
        let index = known.unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        RuleId::at(index)
    }

    fn class(&mut self, deny: Deny, gates: &[Gate]) -> Option<usize> {
        let by_token = gates.iter().map(|gate| match &gate.need {
            Need::Caller => Some((gate.rule, None)),
            Need::Scopes(scopes) => Some((gate.rule, Some(scopes.clone()))),
            Need::Answer(_) | Need::Local(_) => None,
        });
        let class: Class = (deny, by_token.collect::<Option<_>>()?);
        let known = self.classes.iter().position(|own| *own == class);
        Some(known.unwrap_or_else(|| {
            self.classes.push(class);
            self.classes.len() - 1
        }))
    }
}
