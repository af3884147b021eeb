//! The parts of a world: plain data that the framework does not know.

/// A server, its callers, and the steps of a test.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// Whether there is authentication over HTTP: everybody there has a token, or nobody.
    pub(super) authenticates: bool,
    pub(super) components: Vec<Component>,
    /// The checks of `AuthMiddleware`s, in their order.
    pub(super) middleware: Vec<Check>,
    /// Which scope stands for which others.
    pub(super) implied: Vec<(Name, Vec<Name>)>,
    pub(super) deny: Deny,
    pub(super) deny_tagged: Vec<(Name, Deny)>,
    pub(super) rules: Vec<Rule>,
    pub(super) page_size: usize,
    /// Whether a middleware that does nothing stands around operations.
    pub(super) around: bool,
    pub(super) callers: Vec<Caller>,
    pub(super) steps: Vec<Step>,
}

pub(super) type Name = &'static str;

#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) kind: Kind,
    /// A name, a URI or a URI template.
    pub(super) key: Name,
    pub(super) tags: Vec<Name>,
    pub(super) takes_caller: bool,
    pub(super) checks: Vec<Check>,
    pub(super) deny: Option<Deny>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tool,
    Resource,
    Template,
    Prompt,
}

pub(super) const KINDS: [Kind; 4] = [Kind::Tool, Kind::Resource, Kind::Template, Kind::Prompt];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deny {
    Hide,
    Challenge,
}

#[derive(Clone, Debug)]
pub(super) enum Check {
    Scopes(Vec<Name>),
    Tag(Name, Vec<Name>),
    Roles { path: &'static [Name], roles: Vec<Name> },
    Claim { path: &'static [Name], test: Test },
    Function { says: Says, later: bool },
    AllOf(Vec<Check>),
    AnyOf(Vec<Check>),
    Not(Box<Check>),
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    Equals(Datum),
    AtLeast(i64),
    OneOf(Vec<Datum>),
    Contains(Datum),
}

/// What the function of a check says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    Yes,
    No,
    /// Yes for components with the tag.
    Tagged(Name),
    /// Yes for components of the kind.
    Kind(Kind),
    /// Yes if the scope is granted or implied; else no.
    Holds(Name),
    /// Yes if the scope is granted or implied; else that it is missing.
    Needs(Name),
    /// Whether the claim `premium` is true; no where it is not there or something else.
    Premium,
    /// Whether the claim `level` is as high; an error where it is not an integer.
    Level(i64),
    /// What only the author knows: no.
    Denies,
    /// That it cannot tell.
    Unsure,
    Fails,
    Panics,
    /// [`SPOKEN`], to the caller.
    Speaks,
}

pub(super) const SPOKEN: &str = "The vault opens at nine.";

/// A value of a claim.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum {
    Null,
    Flag(bool),
    Integer(i64),
    /// So many halves, as a float.
    Halves(i64),
    Text(Name),
    List(Vec<Datum>),
    Members(Vec<(Name, Datum)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) word: Word,
    pub(super) selector: Selector,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Enable,
    Disable,
    Only,
}

/// All criteria that there are have to match.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    pub(super) tags: Option<Vec<Name>>,
    pub(super) names: Option<Vec<Name>>,
    pub(super) keys: Option<Vec<(Kind, Name)>>,
    pub(super) kinds: Option<Vec<Kind>>,
}

#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) stdio: bool,
    /// One of the sessions of its principal.
    pub(super) session: Option<u8>,
    pub(super) token: Option<Token>,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) subject: Name,
    pub(super) client: Option<Name>,
    pub(super) scopes: Vec<Name>,
    pub(super) claims: Vec<(Name, Datum)>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The server's rules change.
    Server(Rule),
    /// A caller's own rules change.
    Own(usize, Rule),
    /// The server forgets a caller's own rules.
    Reset(usize),
}

impl Component {
    /// The URI that a caller requests to use it.
    pub(super) fn uri(&self) -> Name {
        match self.key {
            "item://{id}" | "item://{key}" => "item://z",
            "note://{owner}/{id}" => "note://z/9",
            fixed => fixed,
        }
    }
}
