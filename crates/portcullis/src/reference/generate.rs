//! Random worlds.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::world::{
    Caller, Check, Component, Datum, Deny, KINDS, Kind, Name, Rule, Says, Selector, Step, Test,
    Token, Word, World,
};

const SCOPES: [Name; 4] = ["read", "write", "admin", "audit"];
const TAGS: [Name; 3] = ["alpha", "beta", "gamma"];
const NAMES: [Name; 3] = ["fetch", "build", "erase"];
const URIS: [Name; 3] = ["item://1", "item://2", "note://a/1"];
const TEMPLATES: [Name; 3] = ["item://{id}", "item://{key}", "note://{owner}/{id}"];

pub(super) fn worlds() -> impl Strategy<Value = World> {
    // Few checks, before several components each: what is the same for two of them is told from
    // what only looks so.
    let server = vec(check(), 1..=4).prop_flat_map(|checks| {
        (
            prop::bool::weighted(0.9),
            vec(component(&checks), 1..=7),
            subsequence(checks, 0..=1),
            vec((select(&SCOPES[..]), some_of(&SCOPES)), 0..=3),
            (deny(), vec((select(&TAGS[..]), deny()), 0..=2)),
            vec(rule(), 0..=2),
            (1_usize..=3, any::<bool>()),
        )
    });
    (server, vec(caller(), 1..=2), vec(step(), 0..=3)).prop_map(|(server, callers, steps)| {
        let (authenticates, components, middleware, implied, denials, rules, rest) = server;
        let ((deny, deny_tagged), (page_size, around)) = (denials, rest);
        World {
            authenticates,
            components,
            middleware,
            implied,
            deny,
            deny_tagged,
            rules,
            page_size,
            around,
            callers,
            steps,
        }
        .settled()
    })
}

fn some_of(names: &'static [Name]) -> impl Strategy<Value = Vec<Name>> {
    subsequence(names, 1..=2)
}

fn deny() -> impl Strategy<Value = Deny> {
    prop_oneof![1 => Just(Deny::Hide), 2 => Just(Deny::Challenge)]
}

fn component(checks: &[Check]) -> impl Strategy<Value = Component> + use<> {
    let tags = subsequence(&TAGS[..], 0..=2);
    let checks = subsequence(checks.to_vec(), 0..=checks.len().min(3));
    let own = (prop::bool::weighted(0.15), checks, option::of(deny()));
    let kind = prop_oneof![2 => Just(Kind::Tool), 3 => select(&KINDS[..])];
    let strategy = (kind, 0..3_usize, tags, own);
    strategy.prop_map(|(kind, key, tags, (takes_caller, checks, deny))| {
        let keys = match kind {
            Kind::Tool | Kind::Prompt => NAMES,
            Kind::Resource => URIS,
            Kind::Template => TEMPLATES,
        };
        Component { kind, key: keys[key], tags, takes_caller, checks, deny }
    })
}

fn check() -> impl Strategy<Value = Check> {
    let alone = prop_oneof![6 => scoped(), 1 => roles(), 2 => claim(), 4 => function()];
    let nested = alone.prop_recursive(3, 8, 3, |check| {
        prop_oneof![
            2 => vec(check.clone(), 1..=3).prop_map(Check::AllOf),
            2 => vec(check.clone(), 1..=3).prop_map(Check::AnyOf),
            1 => check.prop_map(|check| Check::Not(Box::new(check))),
        ]
    });
    // What is known from scopes and tags alone goes other ways than what has to be asked.
    let mostly_scoped = prop_oneof![9 => scoped(), 1 => function()];
    prop_oneof![2 => nested, 1 => vec(mostly_scoped, 2..=4).prop_map(Check::AllOf)]
}

fn function() -> impl Strategy<Value = Check> {
    (says(), any::<bool>()).prop_map(|(says, later)| Check::Function { says, later })
}

fn scoped() -> impl Strategy<Value = Check> {
    prop_oneof![
        some_of(&SCOPES).prop_map(Check::Scopes),
        (select(&TAGS[..]), some_of(&SCOPES)).prop_map(|(tag, scopes)| Check::Tag(tag, scopes)),
    ]
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        6 => Just(Says::Yes),
        1 => Just(Says::No),
        1 => select(&TAGS[..]).prop_map(Says::Tagged),
        1 => select(&KINDS[..]).prop_map(Says::Kind),
        1 => select(&SCOPES[..]).prop_map(Says::Holds),
        1 => select(&SCOPES[..]).prop_map(Says::Needs),
        1 => Just(Says::Premium),
        1 => Just(Says::Level(5)),
        1 => Just(Says::Denies),
        1 => Just(Says::Unsure),
        1 => Just(Says::Fails),
        1 => Just(Says::Panics),
        5 => Just(Says::Speaks),
    ]
}

fn roles() -> impl Strategy<Value = Check> {
    let paths: [&[Name]; 3] = [&["roles"], &["realm_access", "roles"], &["org", "plan"]];
    (select(paths.to_vec()), some_of(&["auditor", "chief", "pro"]))
        .prop_map(|(path, roles)| Check::Roles { path, roles })
}

fn claim() -> impl Strategy<Value = Check> {
    let plans = vec![Datum::Text("pro"), Datum::Text("team"), Datum::Integer(1)];
    prop_oneof![
        Just((&["level"][..], Test::AtLeast(5))),
        Just((&["level"][..], Test::Equals(Datum::Integer(5)))),
        Just((&["premium"][..], Test::Equals(Datum::Flag(true)))),
        Just((&["groups"][..], Test::Contains(Datum::Text("staff")))),
        subsequence(plans, 1..=2).prop_map(|plans| (&["org", "plan"][..], Test::OneOf(plans))),
    ]
    .prop_map(|(path, test)| Check::Claim { path, test })
}

fn claims() -> impl Strategy<Value = Vec<(Name, Datum)>> {
    use Datum::{Flag, Halves, Integer, List, Members, Null, Text};
    let texts = |texts: &[Name]| List(texts.iter().map(|text| Text(text)).collect());
    let level = prop_oneof![
        4 => select(vec![Integer(7), Integer(5), Integer(3), Halves(10), Halves(11), Halves(9)]),
        1 => select(vec![Text("7"), List(vec![Integer(7)]), Null]),
    ];
    let premium = select(vec![Flag(true), Flag(false), Text("true"), Integer(1)]);
    let groups = select(vec![
        texts(&["staff"]),
        List(vec![Integer(1), Text("staff")]),
        List(vec![Integer(1), Text("guests")]),
        List(vec![Integer(1)]),
        texts(&[]),
        Text("staff"),
    ]);
    let roles = || {
        select(vec![
            texts(&["auditor", "chief", "pro"]),
            texts(&["auditor"]),
            List(vec![Text("auditor"), Integer(1)]),
            texts(&[]),
            Text("auditor"),
            Flag(true),
        ])
    };
    let org = select(vec![
        Members(vec![("plan", Text("pro"))]),
        Members(vec![("plan", Text("free"))]),
        Members(vec![("plan", Integer(1))]),
        Members(vec![("plan", texts(&["pro"]))]),
        Members(vec![]),
        Text("pro"),
    ]);
    let claim = prop_oneof![
        2 => level.prop_map(|value| ("level", value)),
        2 => premium.prop_map(|value| ("premium", value)),
        1 => groups.prop_map(|value| ("groups", value)),
        1 => roles().prop_map(|value| ("roles", value)),
        1 => roles().prop_map(|value| ("realm_access", Members(vec![("roles", value)]))),
        1 => org.prop_map(|value| ("org", value)),
    ];
    vec(claim, 0..=6).prop_map(|mut claims| {
        let mut known = HashSet::new();
        claims.retain(|(name, _)| known.insert(*name));
        claims
    })
}

fn caller() -> impl Strategy<Value = Caller> {
    let token = (
        select(&["alice", "bob"][..]),
        option::of(select(&["app", "web"][..])),
        subsequence(&SCOPES[..], 1..=4),
        claims(),
    );
    let token = token.prop_map(|(subject, client, scopes, claims)| Token {
        subject,
        client,
        scopes,
        claims,
    });
    let strategy = (prop::bool::weighted(0.15), option::of(0..2_u8), token.prop_map(Some));
    strategy.prop_map(|(stdio, session, token)| Caller { stdio, session, token })
}

fn rule() -> impl Strategy<Value = Rule> {
    let words =
        prop_oneof![3 => Just(Word::Enable), 2 => Just(Word::Disable), 1 => Just(Word::Only)];
    (words, selector()).prop_map(|(word, selector)| Rule { word, selector })
}

fn selector() -> impl Strategy<Value = Selector> {
    let keys = |kind: Kind| if kind == Kind::Resource { URIS } else { NAMES };
    let key = (select(&KINDS[..]), 0..3_usize).prop_map(move |(kind, at)| (kind, keys(kind)[at]));
    let name = select([NAMES, URIS, TEMPLATES].concat());
    let criteria = (
        option::weighted(0.6, some_of(&TAGS)),
        option::weighted(0.15, vec(name, 1..=2)),
        option::weighted(0.15, vec(key, 1..=2)),
        option::weighted(0.3, subsequence(&KINDS[..], 1..=2)),
    );
    criteria.prop_map(|(tags, names, keys, kinds)| Selector { tags, names, keys, kinds })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => rule().prop_map(Step::Server),
        4 => (0..2_usize, rule()).prop_map(|(by, rule)| Step::Own(by, rule)),
        1 => (0..2_usize).prop_map(Step::Reset),
    ]
}

impl World {
    /// As it can be: no two components of one name, nothing spoken of that is not there, and
    /// tokens where they belong.
    fn settled(mut self) -> Self {
        let mut known = HashSet::new();
        self.components.retain(|own| known.insert((own.kind as u8, own.key)));
        let components = &mut self.components;
        let mut spoken: Vec<Name> = self.deny_tagged.iter().map(|(tag, _)| *tag).collect();
        self.middleware.iter().for_each(|check| check.tags(&mut spoken));
        for step in &mut self.steps {
            match step {
                Step::Own(by, rule) => {
                    *by %= self.callers.len();
                    // There is no `only` for a session or principal.
                    rule.word = if rule.word == Word::Only { Word::Disable } else { rule.word };
                }
                Step::Reset(by) => *by %= self.callers.len(),
                Step::Server(_) => {}
            }
        }
        let of_steps = self.steps.iter_mut().filter_map(|step| match step {
            Step::Server(rule) | Step::Own(_, rule) => Some(rule),
            Step::Reset(_) => None,
        });
        for Rule { selector, .. } in self.rules.iter_mut().chain(of_steps) {
            spoken.extend(selector.tags.iter().flatten());
            for name in selector.names.iter_mut().flatten() {
                if !components.iter().any(|own| own.key == *name) {
                    *name = components[0].key;
                }
            }
            for key in selector.keys.iter_mut().flatten() {
                if !components.iter().any(|own| (own.kind, own.key) == *key) {
                    *key = (components[0].kind, components[0].key);
                }
            }
        }
        for tag in spoken {
            if !components.iter().any(|own| own.tags.contains(&tag)) {
                components[0].tags.push(tag);
            }
        }
        // Without tokens there are no scopes, and nothing may be said to imply them.
        self.implied.retain(|_| self.authenticates);
        for caller in &mut self.callers {
            if caller.stdio {
                *caller = Caller { stdio: true, session: None, token: None };
            } else if !self.authenticates {
                caller.token = None;
            }
        }
        self
    }
}

impl Check {
    fn tags(&self, spoken: &mut Vec<Name>) {
        match self {
            Self::Tag(tag, _) => spoken.push(tag),
            Self::AllOf(checks) | Self::AnyOf(checks) => {
                checks.iter().for_each(|check| check.tags(spoken));
            }
            Self::Not(check) => check.tags(spoken),
            Self::Scopes(_) | Self::Roles { .. } | Self::Claim { .. } | Self::Function { .. } => {}
        }
    }
}
