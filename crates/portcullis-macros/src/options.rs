//! The options in the parentheses of an attribute.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::token::Paren;
use syn::{Expr, Ident, LitStr, Path, Result, Token, parenthesized, parse_quote};

use crate::kind::Kind;

/// The options in the parentheses of an attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) uri: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) mime_type: Option<LitStr>,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) checks: Vec<Expr>,
    pub(crate) validations: Vec<Expr>,
    pub(crate) hints: Vec<Ident>,
    pub(crate) deny: Option<Ident>,
    /// `optional`, `required` or `when_begun`.
    pub(crate) task: Option<Ident>,
    pub(crate) icons: Vec<Expr>,
    /// By their keys.
    pub(crate) meta: Vec<(LitStr, Expr)>,
    pub(crate) size: Option<Expr>,
    pub(crate) annotations: Option<Annotations>,
    portcullis: Option<Path>,
}

/// The annotations of a resource.
#[derive(Default)]
pub(crate) struct Annotations {
    /// `user` or `assistant`.
    pub(crate) audience: Vec<Ident>,
    pub(crate) priority: Option<Expr>,
    pub(crate) last_modified: Option<Expr>,
}

impl Options {
    pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> Result<Self> {
        (|input: ParseStream<'_>| {
            let mut options = Self::default();
            if kind == Kind::Resource {
                options.uri = Some(uri(input)?);
            }
            let nested = syn::meta::parser(|meta| options.read(kind, &meta));
            Parser::parse2(nested, input.parse()?)?;
            Ok(options)
        })
        .parse2(tokens)
    }

    /// Where the crate `portcullis` is.
    pub(crate) fn portcullis(&self) -> Path {
        self.portcullis.clone().unwrap_or_else(|| parse_quote! { ::portcullis })
    }

    fn read(&mut self, kind: Kind, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let option = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
        match option.as_str() {
            "name" => set(&mut self.name, meta),
            "title" => set(&mut self.title, meta),
            "description" => set(&mut self.description, meta),
            "mime_type" if kind == Kind::Resource => set(&mut self.mime_type, meta),
            "tags" => {
                if meta.input.peek(Token![=]) {
                    return Err(meta.error("tags go into parentheses: `tags(\"admin\")`"));
                }
                self.tags.extend(list::<LitStr>(meta)?);
                Ok(())
            }
            "auth" => {
                if !self.checks.is_empty() {
                    return Err(
                        meta.error("duplicate option: write `auth = [a, b]` to require both")
                    );
                }
                if meta.input.peek(Paren) {
                    return Err(meta.error("write `auth = check`, or `auth = [a, b]`"));
                }
                match meta.value()?.parse()? {
                    Expr::Array(several) if several.elems.is_empty() => {
                        let message = "`auth = []` requires nothing: name a check, or leave it out";
                        return Err(syn::Error::new_spanned(several, message));
                    }
                    Expr::Array(several) => self.checks.extend(several.elems),
                    one => self.checks.push(one),
                }
                Ok(())
            }
            "validate" => {
                if !self.validations.is_empty() {
                    return Err(meta.error("duplicate option: write `validate = [a, b]` for both"));
                }
                if meta.input.peek(Paren) {
                    return Err(meta.error("write `validate = function`, or `validate = [a, b]`"));
                }
                match meta.value()?.parse()? {
                    Expr::Array(several) if several.elems.is_empty() => {
                        let message =
                            "`validate = []` judges nothing: name a function, or leave it out";
                        return Err(syn::Error::new_spanned(several, message));
                    }
                    Expr::Array(several) => self.validations.extend(several.elems),
                    one => self.validations.push(one),
                }
                Ok(())
            }
            "icons" => {
                if !self.icons.is_empty() {
                    return Err(meta.error("duplicate option: write `icons = [a, b]` for both"));
                }
                match meta.value()?.parse()? {
                    Expr::Array(several) => self.icons.extend(several.elems),
                    one => self.icons.push(one),
                }
                Ok(())
            }
            "meta" => {
                if meta.input.peek(Token![=]) {
                    return Err(meta.error("write `meta(\"com.example/key\" = value)`"));
                }
                self.meta.extend(
                    list::<Member>(meta)?.into_iter().map(|Member(key, value)| (key, value)),
                );
                Ok(())
            }
            "size" if kind == Kind::Resource => expression(&mut self.size, meta),
            "deny" => {
                if self.deny.is_some() {
                    return Err(meta.error("duplicate option"));
                }
                let value = meta.value()?;
                if value.peek(LitStr) {
                    return Err(value.error("write it without quotes: `deny = challenge`"));
                }
                let deny: Ident = value.parse()?;
                if deny != "hide" && deny != "challenge" {
                    let message = "write `deny = hide` or `deny = challenge`";
                    return Err(syn::Error::new(deny.span(), message));
                }
                self.deny = Some(deny);
                Ok(())
            }
            "task" if kind == Kind::Tool => {
                if self.task.is_some() {
                    return Err(meta.error("duplicate option"));
                }
                self.task = Some(task(meta)?);
                Ok(())
            }
            "crate" => {
                if self.portcullis.is_some() {
                    return Err(meta.error("duplicate option"));
                }
                let value = meta.value()?;
                if value.peek(LitStr) {
                    return Err(value.error("write it without quotes: `crate = path`"));
                }
                self.portcullis = Some(value.call(Path::parse_mod_style)?);
                Ok(())
            }
            "annotations" if kind == Kind::Tool => {
                self.hints.extend(list::<Ident>(meta)?);
                self.hints.iter().try_for_each(known_hint)
            }
            "annotations" if kind == Kind::Resource => {
                let annotations = self.annotations.get_or_insert_default();
                meta.parse_nested_meta(|meta| annotations.read(&meta))
            }
            _ => Err(meta.error(format!(
                "unknown option: #[{}] takes {}",
                kind.attribute(),
                kind.options()
            ))),
        }
    }
}

impl Annotations {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let option = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
        match option.as_str() {
            "audience" => {
                self.audience.extend(list::<Ident>(meta)?);
                let unknown =
                    self.audience.iter().find(|role| *role != "user" && *role != "assistant");
                unknown.map_or(Ok(()), |role| {
                    let message = "an audience is `user` or `assistant`";
                    Err(syn::Error::new(role.span(), message))
                })
            }
            "priority" => expression(&mut self.priority, meta),
            "last_modified" => expression(&mut self.last_modified, meta),
            _ => Err(meta.error(
                "unknown annotation: a resource has audience(…), priority and last_modified",
            )),
        }
    }
}

/// `"key" = value`.
struct Member(LitStr, Expr);

impl syn::parse::Parse for Member {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self(key, input.parse()?))
    }
}

fn expression(option: &mut Option<Expr>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if option.is_some() {
        return Err(meta.error("duplicate option"));
    }
    *option = Some(meta.value()?.parse()?);
    Ok(())
}

fn uri(input: ParseStream<'_>) -> Result<LitStr> {
    let uri: LitStr = input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            "the first option of a resource is its URI: #[resource(\"config://app\")]",
        )
    })?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(uri)
}

fn set(option: &mut Option<LitStr>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if option.is_some() {
        return Err(meta.error("duplicate option"));
    }
    *option = Some(meta.value()?.parse()?);
    Ok(())
}

/// How the calls of a tool go on as tasks: `task` by itself says that it is optional.
fn task(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let message = "write `task`, `task = required` or `task = when_begun`";
    if meta.input.peek(Paren) {
        return Err(meta.error(message));
    }
    if !meta.input.peek(Token![=]) {
        return Ok(Ident::new("optional", proc_macro2::Span::call_site()));
    }
    let value = meta.value()?;
    let support: Ident = value.parse().map_err(|error| syn::Error::new(error.span(), message))?;
    match support == "required" || support == "when_begun" {
        true => Ok(support),
        false => Err(syn::Error::new(support.span(), message)),
    }
}

/// The items of `option(a, b)`.
pub(crate) fn list<T: syn::parse::Parse>(meta: &ParseNestedMeta<'_>) -> Result<Vec<T>> {
    let content;
    parenthesized!(content in meta.input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

fn known_hint(hint: &Ident) -> Result<()> {
    if matches!(
        hint.to_string().as_str(),
        "read_only" | "destructive" | "additive" | "idempotent" | "open_world" | "closed_world"
    ) {
        return Ok(());
    }
    Err(syn::Error::new(
        hint.span(),
        "unknown annotation: use read_only, destructive, additive, idempotent, open_world or closed_world",
    ))
}
