//! A real server beside its model.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{Stream, StreamExt};
use portcullis_protocol::{
    Arguments, Changed, Exchange, InputResponses, Operation, Outcome, Page, RpcError, Service,
};
use serde_json::Value;

use super::model::{Reference, Use};
use super::serve::{self, Runs};
use super::world::{Caller, Component, Deny, KINDS, Kind, Rule, SPOKEN, Step, Word, World};
use crate::component::context::Context;
use crate::operation::{EngineService, changes};
use crate::server::Server;

/// What is different, in a few words.
pub(super) type Disagreement = String;

pub(super) struct Trial<'w> {
    world: &'w World,
    reference: Reference<'w>,
    server: Server,
    served: EngineService,
    runs: Runs,
    callers: Vec<(&'w Caller, Exchange)>,
}

/// Says what is different, if something is.
macro_rules! agree {
    ($found:expr, $expected:expr, $($what:tt)+) => {{
        let (found, expected) = (&$found, &$expected);
        if found != expected {
            let what = format!($($what)+);
            return Err(format!("{what}: is {found:?}, should be {expected:?}"));
        }
    }};
}

impl<'w> Trial<'w> {
    pub(super) fn begin(world: &'w World) -> Result<Self, Disagreement> {
        let runs: Runs = Arc::new(world.components.iter().map(|_| AtomicUsize::new(0)).collect());
        let server = serve::server(world, &runs).map_err(|error| error.to_string())?;
        let served = EngineService(Arc::clone(&server.engine));
        let callers = world.callers.iter().map(|caller| (caller, serve::exchange(caller)));
        let callers = callers.collect();
        Ok(Self { world, reference: Reference::new(world), server, served, runs, callers })
    }

    /// Runs the world to its end.
    pub(super) async fn run(mut self) -> Result<(), Disagreement> {
        let watched = self.callers.iter();
        let mut watched: Vec<_> =
            watched.map(|(_, exchange)| Box::pin(changes(&self.served.0, exchange))).collect();
        for watched in &mut watched {
            agree!(next(watched).await, None, "told before anything has changed");
        }
        self.compare().await?;
        for step in &self.world.steps {
            let before: Vec<_> = self.listed();
            self.step(step).await?;
            for ((watched, before), after) in watched.iter_mut().zip(before).zip(self.listed()) {
                let changed = changed(&before, &after);
                let expected = (changed != Changed::default()).then_some(changed);
                agree!(next(watched).await, expected, "told after {step:?}");
            }
            self.compare().await.map_err(|found| format!("after {step:?}: {found}"))?;
        }
        Ok(())
    }

    /// For each caller, which keys of each kind are listed.
    fn listed(&self) -> Vec<[Vec<&'w str>; 4]> {
        let callers = self.callers.iter().map(|(caller, _)| self.reference.listed(caller));
        callers.map(|listed| KINDS.map(|kind| self.keys(&listed, kind))).collect()
    }

    fn keys(&self, listed: &[usize], kind: Kind) -> Vec<&'w str> {
        let components = listed.iter().map(|at| &self.world.components[*at]);
        components.filter(|own| own.kind == kind).map(|own| own.key).collect()
    }

    async fn step(&mut self, step: &Step) -> Result<(), Disagreement> {
        let expected = self.reference.step(step);
        let context = |by: &usize| {
            Context::new(
                Arc::new(self.callers[*by].1.clone()),
                Arc::clone(&self.served.0.facilities),
                portcullis_guard::OperationId::new(),
            )
        };
        let done = match step {
            Step::Server(Rule { word, selector }) => {
                let (visibility, selector) = (self.server.visibility(), serve::selected(selector));
                match word {
                    Word::Enable => visibility.enable(selector).is_ok(),
                    Word::Disable => visibility.disable(selector).is_ok(),
                    Word::Only => visibility.only(selector).is_ok(),
                }
            }
            Step::Own(by, Rule { word, selector }) => {
                let (context, selector) = (context(by), serve::selected(selector));
                match word {
                    Word::Enable => context.enable_components(selector).await.is_ok(),
                    Word::Disable | Word::Only => {
                        context.disable_components(selector).await.is_ok()
                    }
                }
            }
            Step::Reset(by) => context(by).reset_visibility().await.is_ok(),
        };
        agree!(done, expected, "whether {step:?} is possible");
        Ok(())
    }

    async fn compare(&self) -> Result<(), Disagreement> {
        self.compare_table()?;
        for (caller, exchange) in &self.callers {
            let compared = async {
                let listed = self.reference.listed(caller);
                for kind in KINDS {
                    let keys = self.keys(&listed, kind);
                    agree!(self.list(kind, exchange).await?, keys, "the list of {kind:?}s");
                }
                for (at, component) in self.world.components.iter().enumerate() {
                    let is_listed = listed.contains(&at);
                    self.compare_one(at, component, is_listed, caller, exchange).await.map_err(
                        |found| format!("{:?} {}: {found}", component.kind, component.key),
                    )?;
                }
                Ok(())
            };
            compared.await.map_err(|found: Disagreement| format!("{caller:?}: {found}"))?;
        }
        Ok(())
    }

    async fn compare_one(
        &self,
        at: usize,
        component: &'w Component,
        is_listed: bool,
        caller: &Caller,
        exchange: &Exchange,
    ) -> Result<(), Disagreement> {
        let used = self.used(component, exchange).await?;
        agree!(used, self.reference.used(caller, at), "its use");
        if self.reference.matching(at) == [at] {
            let is_there = used == Use::Runs(at) || matches!(used, Use::Challenged(_));
            agree!(is_there, is_listed, "whether what is listed can be used or asked for");
        }
        let cursor = URL_SAFE_NO_PAD.encode(component.key);
        let after = self.page(component.kind, Some(cursor), exchange).await;
        agree!(after.is_ok(), is_listed, "whether a cursor may name it");
        if !caller.stdio {
            self.compare_explanation(component, caller, exchange).await?;
        }
        Ok(())
    }

    async fn compare_explanation(
        &self,
        component: &'w Component,
        caller: &Caller,
        exchange: &Exchange,
    ) -> Result<(), Disagreement> {
        let key = format!("{}:{}", serve::kind(component.kind), component.key);
        let explained = self.server.explain(exchange.principal.as_deref(), &key).await;
        let explained = explained.map_err(|error| error.to_string())?;
        let rules: Vec<bool> = explained.rules.iter().map(|rule| rule.allows).collect();
        let mut expected = vec![self.reference.shown_by_server(component)];
        for requirement in self.reference.requirements(component) {
            expected.push(self.reference.meets(caller, component, requirement));
        }
        agree!(rules, expected, "its explanation");
        agree!(explained.allowed, !expected.contains(&false), "whether it is explained as allowed");
        let listed = self.reference.listed_by_server(caller, component);
        agree!(explained.listed, listed, "whether it is explained as listed");
        Ok(())
    }

    fn compare_table(&self) -> Result<(), Disagreement> {
        let table = self.server.access_table();
        let mut rows = table.rows().iter();
        for kind in KINDS {
            for component in self.world.components.iter().filter(|own| own.kind == kind) {
                let row = rows.next().ok_or("the table is too short")?;
                let what = format!("{:?} {} in the table", component.kind, component.key);
                let requirements = self.reference.requirements(component).len();
                let deny = match self.reference.deny(component) {
                    Deny::Hide => "hide",
                    Deny::Challenge => "challenge",
                };
                let hidden = requirements > 0 && !self.world.authenticates;
                agree!(*row.component, *component.key, "{what}");
                agree!(row.visible, self.reference.shown_by_server(component), "{what}: visible");
                agree!(row.requirements.len(), requirements, "{what}: requirements");
                agree!(row.hidden, hidden, "{what}: hidden");
                agree!(row.deny, deny, "{what}: deny");
            }
        }
        agree!(rows.count(), 0, "rows of the table for nothing");
        Ok(())
    }

    async fn page(
        &self,
        kind: Kind,
        cursor: Option<String>,
        exchange: &Exchange,
    ) -> Result<Page, RpcError> {
        let cursor = cursor.map(Into::into);
        let mut operation = match kind {
            Kind::Tool => Operation::ListTools { cursor },
            Kind::Resource => Operation::ListResources { cursor },
            Kind::Template => Operation::ListResourceTemplates { cursor },
            Kind::Prompt => Operation::ListPrompts { cursor },
        };
        Ok(match self.served.serve(&mut operation, Arc::new(exchange.clone())).await? {
            Outcome::Tools(page) if kind == Kind::Tool => page,
            Outcome::Resources(page) if kind == Kind::Resource => page,
            Outcome::ResourceTemplates(page) if kind == Kind::Template => page,
            Outcome::Prompts(page) if kind == Kind::Prompt => page,
            other => panic!("{other:?}"),
        })
    }

    async fn list(&self, kind: Kind, exchange: &Exchange) -> Result<Vec<String>, Disagreement> {
        let member = match kind {
            Kind::Tool | Kind::Prompt => "name",
            Kind::Resource => "uri",
            Kind::Template => "uriTemplate",
        };
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.page(kind, cursor, exchange).await;
            let page = page.map_err(|error| format!("no list of {kind:?}s: {error:?}"))?;
            for entry in page.entries(exchange.version) {
                let entry: Value = serde_json::from_str(entry).unwrap();
                keys.push(entry[member].as_str().unwrap().to_owned());
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(keys),
            }
        }
    }

    /// Uses a component, and says which function ran.
    async fn used(&self, component: &Component, exchange: &Exchange) -> Result<Use, Disagreement> {
        let counts = || self.runs.iter().map(|runs| runs.load(Ordering::Relaxed));
        let before: Vec<usize> = counts().collect();
        let name = component.uri().into();
        let input = InputResponses::default();
        let mut operation = match component.kind {
            Kind::Tool => Operation::CallTool { name, arguments: Arguments::none(), input },
            Kind::Prompt => Operation::GetPrompt { name, arguments: Arguments::none(), input },
            Kind::Resource | Kind::Template => Operation::ReadResource { uri: name, input },
        };
        let answer = self.served.serve(&mut operation, Arc::new(exchange.clone())).await;
        let mut ran = Vec::new();
        for (at, (before, after)) in before.into_iter().zip(counts()).enumerate() {
            ran.extend(std::iter::repeat_n(at, after - before));
        }
        let used = observed(component, answer)?;
        match (used, ran.as_slice()) {
            (None, [at]) => Ok(Use::Runs(*at)),
            (Some(used), []) => Ok(used),
            (used, ran) => Err(format!("{ran:?} ran, but the answer is {used:?}")),
        }
    }
}

/// What an answer says: nothing if it is that of the function.
fn observed(
    component: &Component,
    answer: Result<Outcome, RpcError>,
) -> Result<Option<Use>, Disagreement> {
    let absent = match component.kind {
        Kind::Tool => RpcError::Unknown { kind: "tool", name: component.key.to_owned() },
        Kind::Prompt => RpcError::Unknown { kind: "prompt", name: component.key.to_owned() },
        Kind::Resource | Kind::Template => {
            RpcError::ResourceNotFound { uri: component.uri().to_owned() }
        }
    };
    let text = |value: &Value| value.to_string();
    Ok(match answer {
        Ok(Outcome::ToolCalled(result)) => {
            let content = serde_json::to_value(&result.content).map_err(|e| e.to_string())?;
            match result.is_error {
                true if content[0]["text"] == SPOKEN => Some(Use::Told),
                true => return Err(format!("a tool failed: {}", text(&content))),
                false => None,
            }
        }
        Ok(Outcome::ResourceRead(_) | Outcome::PromptGot(_)) => None,
        Err(RpcError::Denied(message)) if message == SPOKEN => Some(Use::Told),
        Err(RpcError::InsufficientScope(scopes)) => {
            let name = |scope: &str| {
                let known = ["read", "write", "admin", "audit"];
                known.into_iter().find(|known| *known == scope).unwrap()
            };
            Some(Use::Challenged(scopes.iter().map(name).collect()))
        }
        Err(error) if error == absent => Some(Use::Absent),
        other => return Err(format!("an answer like no other: {other:?}")),
    })
}

/// What is told next, if anything is. The clock only goes on when there is nothing to do.
async fn next(watched: &mut (impl Stream<Item = Changed> + Unpin)) -> Option<Changed> {
    tokio::time::timeout(Duration::from_millis(1), watched.next()).await.ok().flatten()
}

fn changed(before: &[Vec<&str>; 4], after: &[Vec<&str>; 4]) -> Changed {
    let [tools, resources, templates, prompts] =
        [0, 1, 2, 3].map(|kind: usize| before[kind] != after[kind]);
    Changed { tools, resources: resources || templates, prompts }
}
