use std::fmt;
use std::sync::Arc;

use super::Unknown;
use super::rules::Rule;
use crate::component::selector::Selector;
use crate::error::Error;
use crate::operation::Core;

/// Shows and hides components of a server that runs, for everybody at once.
///
/// [`Server::visibility`](crate::Server::visibility) gives one; it can be cloned and kept, in a
/// route's handler for instance. The last matching rule wins; those of a
/// session or principal come after all of these. Clients whose lists change are told so, and no
/// others.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::tags;
///
/// # #[tool(tags("beta"))] async fn forecast() -> &'static str { "sunny" }
/// # fn main() -> Result<(), portcullis::Error> {
/// let server = Server::builder("weather").no_auth().components(components![forecast]).build()?;
/// let visibility = server.visibility();
/// visibility.disable(tags(["beta"]))?;
/// assert!(visibility.disable(tags(["betta"])).is_err()); // no component has this tag
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Visibility(pub(crate) Arc<Core>);

impl Visibility {
    /// Shows what `selector` selects, to whom the checks allow it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it speaks of what no component has or is.
    pub fn enable(&self, selector: Selector) -> Result<(), Error> {
        self.check(&selector)?;
        self.add(&Rule::enable(selector))
    }

    /// Hides what `selector` selects.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn disable(&self, selector: Selector) -> Result<(), Error> {
        self.check(&selector)?;
        self.add(&Rule::disable(selector))
    }

    /// Hides everything, of the kinds that `selector` names if it does, but what it selects.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn only(&self, selector: Selector) -> Result<(), Error> {
        self.check(&selector)?;
        self.add(&Rule::only(selector))
    }

    fn check(&self, selector: &Selector) -> Result<(), Error> {
        let entries = || self.0.catalogue.entries().map(|entry| entry.selected());
        match selector.unmet(entries).as_slice() {
            [] => Ok(()),
            unmet => Err(Error::Refused(unmet.join("; "))),
        }
    }

    fn add(&self, rules: &[Rule]) -> Result<(), Error> {
        let change = |own: &mut Vec<Rule>| {
            // A repeated rule moves to the end.
            own.retain(|rule| !rules.contains(rule));
            own.extend_from_slice(rules);
        };
        self.0.shown.change(&self.0.catalogue, change).map_err(|Unknown| {
            Error::Refused(
                "the lock on the visibility rules is poisoned: restart the server".to_owned(),
            )
        })
    }
}

impl fmt::Debug for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visibility")
    }
}
