//! Arguments that are one text or several.

/// One text, or several: scopes, roles, tags, names, or the way to a claim.
///
/// # Example
///
/// ```
/// use portcullis_auth::OneOrMany;
///
/// assert_eq!("read".into_many(), ["read"]);
/// assert_eq!(["read", "write"].into_many(), ["read", "write"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither one text nor a list of texts",
    label = "not a text, array or `Vec` of texts",
    note = "write one, `\"read\"`, or several, `[\"read\", \"write\"]`"
)]
pub trait OneOrMany {
    /// The texts, in their order.
    fn into_many(self) -> Vec<String>;
}

impl OneOrMany for &str {
    fn into_many(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl OneOrMany for String {
    fn into_many(self) -> Vec<String> {
        vec![self]
    }
}

impl<T: Into<String>, const N: usize> OneOrMany for [T; N] {
    fn into_many(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<String>> OneOrMany for Vec<T> {
    fn into_many(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}
