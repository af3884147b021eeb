//! Completions of arguments, and the functions that give them.

use std::fmt;
use std::future::Future;

use futures_util::future::BoxFuture;
use portcullis_protocol::model;

use crate::component::argument::Argument;
use crate::component::parameter::{Call, Parameter, Parameters};
use crate::component::tool_error::ToolError;

/// What an argument may become, for what is written of it so far.
///
/// A function that completes may return a `Vec` of strings as well, the best first. Clients are
/// sent 100 values at most, and told that there are more.
///
/// # Example
///
/// ```
/// use portcullis::component::{Argument, Completion};
/// use portcullis::{Context, Prompt};
///
/// async fn cities(written: String, _ctx: Context) -> Completion {
///     let known = ["Lima", "Lisbon", "London"].into_iter();
///     Completion::new(known.filter(|city| city.starts_with(&written))).total(5_000)
/// }
///
/// let weather = Prompt::new("weather")
///     .parameter::<String>(Argument::new("city"))
///     .complete("city", cities)
///     .handler(|_call| async { "What is the weather like?" });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Completion(pub(crate) model::Completion);

impl Completion {
    /// The most values that one answer has (MCP 2026-07-28, Completion).
    pub const MAX_VALUES: usize = 100;

    /// These values, the best first: the first [`MAX_VALUES`](Self::MAX_VALUES) of them.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item: Into<String>>) -> Self {
        let mut values = values.into_iter();
        let known = match values.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        };
        let first: Vec<String> = values.by_ref().take(Self::MAX_VALUES).map(Into::into).collect();
        let has_more = values.next().is_some();
        let known = if has_more { known } else { Some(first.len()) };
        let total = known.and_then(|known| u64::try_from(known).ok());
        Self(model::Completion { values: first, total, has_more })
    }

    /// How many there are altogether.
    #[must_use]
    pub fn total(mut self, total: u64) -> Self {
        self.0.has_more |= usize::try_from(total).is_ok_and(|total| total > self.0.values.len());
        self.0.total = Some(total);
        self
    }
}

/// What a function that completes may return.
#[diagnostic::on_unimplemented(
    message = "a completion cannot be `{Self}`",
    label = "not values that an argument may become",
    note = "return `Vec<String>` or `Completion`, or `Result<_, ToolError>` of one of them"
)]
pub trait IntoCompletion {
    /// The values, or what went wrong.
    ///
    /// # Errors
    ///
    /// The function's own.
    fn into_completion(self) -> Result<Completion, ToolError>;
}

impl IntoCompletion for Completion {
    fn into_completion(self) -> Result<Completion, ToolError> {
        Ok(self)
    }
}

impl<T: Into<String>> IntoCompletion for Vec<T> {
    fn into_completion(self) -> Result<Completion, ToolError> {
        Ok(Completion::new(self))
    }
}

impl<T: IntoCompletion> IntoCompletion for Result<T, ToolError> {
    fn into_completion(self) -> Result<Completion, ToolError> {
        self?.into_completion()
    }
}

/// A function that completes an argument: an async function of what is written so far, as a
/// `String`, and of up to three more that are given.
///
/// [`Context`](crate::Context), [`Caller`](crate::Caller), [`MaybeCaller`](crate::MaybeCaller) and
/// [`State<T>`](crate::State) are given as to any function of a component. An
/// [`Args<T>`](crate::component::Args) has those of the other arguments that are known already and
/// meet their schema: each member of `T` is an `Option`. What is written so far is untrusted, and
/// met no schema: anything may be in it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not complete an argument",
    label = "not a function that completes",
    note = "write `async fn cities(written: String, ctx: Context) -> Vec<String>`; after the first, \
            it takes Context, Caller, MaybeCaller, State and Args, three at most"
)]
pub trait IntoCompleter<M> {
    #[doc(hidden)]
    fn into_completer(self) -> Completer;
}

/// A function that completes, type-erased, and what it needs.
#[doc(hidden)]
pub struct Completer {
    pub(crate) parameters: Parameters,
    pub(crate) function: CompleterFunction,
}

pub(crate) type CompleterFunction =
    Box<dyn Fn(String, Call) -> BoxFuture<'static, Result<Completion, ToolError>> + Send + Sync>;

macro_rules! completers {
    ($($parameter:ident)*) => {
        impl<F, Fut, $($parameter),*> IntoCompleter<($($parameter,)*)> for F
        where
            F: Fn(String, $($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoCompletion> + Send + 'static,
            $($parameter: Parameter,)*
        {
            fn into_completer(self) -> Completer {
                let declare: &[fn(&mut Parameters)] =
                    &[$(|given| given.add::<$parameter>(Argument::new("completion"))),*];
                let mut parameters = Parameters::new();
                declare.iter().for_each(|declare| declare(&mut parameters));
                let begin = move |written: String, call: &mut Call| {
                    // A function may take nothing out of it.
                    let _ = &call;
                    Ok(self(written, $($parameter::extract(call, "completion")?),*))
                };
                let function = move |written: String, mut call: Call| -> BoxFuture<'static, _> {
                    let answer: Result<Fut, ToolError> = begin(written, &mut call);
                    Box::pin(async move { answer?.await.into_completion() })
                };
                Completer { parameters, function: Box::new(function) }
            }
        }
    };
}

completers! {}
completers! { P1 }
completers! { P1 P2 }
completers! { P1 P2 P3 }

impl fmt::Debug for Completer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completer")
    }
}

/// What the builders of prompts and resources have, and that of tools has not.
macro_rules! completion_option {
    ($builder:ident) => {
        impl $builder {
            /// Completes an argument while people write it, by what `function` returns: the best
            /// values first. An argument that is one of a few values, as with
            /// [`one_of`](crate::component::Argument::one_of) or an enum, is completed without one.
            ///
            /// Who may not use the component is told nothing. The function has the time of a handler;
            /// its errors and panics are internal ones, but for the text of a
            /// [`ToolError::new`](crate::ToolError::new). Where it takes a [`Caller`](crate::Caller),
            /// the whole component needs one. Each request counts against the rate limits of
            /// the component.
            ///
            /// # Example
            ///
            /// ```
            /// use portcullis::component::{Args, Argument};
            /// use portcullis::{Prompt, State};
            ///
            /// struct Cities(Vec<(&'static str, &'static str)>);
            ///
            /// /// The arguments that are known already.
            /// #[derive(serde::Deserialize, schemars::JsonSchema)]
            /// struct Known {
            ///     country: Option<String>,
            /// }
            ///
            /// async fn cities(written: String, Args(known): Args<Known>, all: State<Cities>) -> Vec<String> {
            ///     let there = all.0.iter().filter(|(country, _)| known.country.as_deref().is_none_or(|c| c == *country));
            ///     let names = there.map(|(_, city)| city.to_string());
            ///     names.filter(|city| city.starts_with(&written)).collect()
            /// }
            ///
            /// let weather = Prompt::new("weather")
            ///     .parameter::<String>(Argument::new("country"))
            ///     .parameter::<String>(Argument::new("city"))
            ///     .complete("city", cities)
            ///     .handler(|_call| async { "What is the weather like?" });
            /// ```
            pub fn complete<M>(
                mut self,
                argument: impl Into<String>,
                function: impl crate::component::IntoCompleter<M>,
            ) -> Self {
                self.0.complete(argument.into(), function.into_completer());
                self
            }
        }
    };
}
pub(crate) use completion_option;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_hundred_values_and_says_whether_there_are_more() {
        let of = |count: usize| Completion::new((0..count).map(|n| n.to_string())).0;
        for (count, sent, has_more) in [(0, 0, false), (100, 100, false), (101, 100, true)] {
            let completion = of(count);
            assert_eq!((completion.values.len(), completion.has_more), (sent, has_more));
            assert_eq!(completion.total, Some(count as u64));
        }
        // Of what nobody counted, it is not said how much there is.
        let endless = Completion::new(std::iter::repeat_n("x", 1_000).filter(|_| true)).0;
        assert_eq!((endless.total, endless.has_more), (None, true));
        let some = Completion::new(["a"]).total(7).0;
        assert_eq!((some.total, some.has_more), (Some(7), true));
        assert!(!Completion::new(["a"]).total(1).0.has_more);
    }
}
