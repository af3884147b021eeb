//! The parameters of a function, and the constraints of `#[arg(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Expr, ExprLit, ExprUnary, FnArg, Ident, Lit, LitInt, LitStr, Pat, PatType, Result,
    Type,
};

use crate::options::list;

/// What `#[arg(…)]` takes.
const KNOWN: &str = "description, pattern, ge, gt, le, lt, min_length, max_length, min_items, max_items, unique_items, min_properties, max_properties, format, one_of, default, path_like, complete, header, and secret with its reason";

/// One parameter of a component's function.
pub(crate) struct Parameter {
    pub(crate) name: LitStr,
    pub(crate) kind: Type,
    /// The method calls on its `Argument`.
    pub(crate) constraints: TokenStream,
    /// The function that completes it.
    pub(crate) completion: Option<Expr>,
}

impl Parameter {
    /// Reads a parameter, and strips the attributes that only this macro understands.
    pub(crate) fn take(argument: &mut FnArg) -> Result<Self> {
        let argument = match argument {
            FnArg::Typed(argument) => argument,
            other @ FnArg::Receiver(_) => {
                return Err(syn::Error::new_spanned(
                    other,
                    "a component is a free function: it takes no `self`",
                ));
            }
        };
        if let Type::Reference(reference) = &*argument.ty {
            let message = "an argument must be owned: take `String` rather than `&str`";
            return Err(syn::Error::new_spanned(reference, message));
        }
        let name = name(&argument.pat)?;
        let attributes = std::mem::take(&mut argument.attrs);
        let (own, others): (Vec<_>, Vec<_>) = attributes.into_iter().partition(|attribute| {
            attribute.path().is_ident("arg") || attribute.path().is_ident("doc")
        });
        if let Some(chosen) = others.iter().find(|other| other.path().is_ident("cfg")) {
            let message = "a parameter is there in every build: write the function twice, each with its `cfg`";
            return Err(syn::Error::new_spanned(chosen, message));
        }
        argument.attrs = others;
        Self::read(name, argument, &own)
    }

    fn read(name: LitStr, argument: &PatType, attributes: &[Attribute]) -> Result<Self> {
        let mut calls = TokenStream::new();
        if let Some(description) = doc_comment(attributes) {
            calls.extend(quote! { .description(#description) });
        }
        let (mut secret, mut completion) = (Secret::default(), None);
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("arg")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("complete") {
                    return complete(&mut completion, &meta);
                }
                if !secret.read(&meta)? {
                    calls.extend(constraint(&meta)?);
                }
                Ok(())
            })?;
        }
        calls.extend(secret.call()?);
        Ok(Self { name, kind: (*argument.ty).clone(), constraints: calls, completion })
    }
}

/// Reads `complete = function`.
fn complete(completion: &mut Option<Expr>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if completion.is_some() {
        return Err(meta.error("duplicate option: one function completes an argument"));
    }
    *completion = Some(meta.value()?.parse()?);
    Ok(())
}

/// `secret, reason = "…"`, which belong together.
#[derive(Default)]
struct Secret {
    asked: Option<Ident>,
    reason: Option<LitStr>,
}

impl Secret {
    /// Reads one of the two; returns whether it was one.
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<bool> {
        if meta.path.is_ident("secret") {
            self.asked = meta.path.get_ident().cloned();
        } else if meta.path.is_ident("reason") {
            self.reason = Some(meta.value()?.parse()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn call(self) -> Result<Option<TokenStream>> {
        match (self.asked, self.reason) {
            (Some(_), Some(reason)) => Ok(Some(quote! { .secret(#reason) })),
            (None, None) => Ok(None),
            (Some(secret), None) => Err(syn::Error::new(
                secret.span(),
                "say why the tool asks for a secret: #[arg(secret, reason = \"…\")]",
            )),
            (None, Some(reason)) => Err(syn::Error::new(
                reason.span(),
                "`reason` belongs to a secret: #[arg(secret, reason = \"…\")]",
            )),
        }
    }
}

/// The doc comment among `attributes`, as one text.
pub(crate) fn doc_comment(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(
        |attribute| {
            let syn::Meta::NameValue(doc) = &attribute.meta else { return None };
            let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &doc.value else { return None };
            Some(line.value().trim().to_owned())
        },
    );
    let text = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn constraint(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let Some(option) = meta.path.get_ident() else { return Err(unknown(meta)) };
    Ok(match option.to_string().as_str() {
        "description" | "pattern" | "format" | "header" => {
            let text: LitStr = meta.value()?.parse()?;
            quote! { .#option(#text) }
        }
        "unique_items" | "path_like" => quote! { .#option() },
        "min_length" | "max_length" | "min_items" | "max_items" | "min_properties"
        | "max_properties" => {
            let count: LitInt = meta.value()?.parse()?;
            quote! { .#option(#count) }
        }
        "ge" | "gt" | "le" | "lt" | "default" => {
            let value = widen(meta.value()?.parse()?, false);
            quote! { .#option(#value) }
        }
        "one_of" => {
            let values = list::<Expr>(meta)?.into_iter().map(|value| widen(value, false));
            quote! { .#option([#(#values),*]) }
        }
        _ => return Err(unknown(meta)),
    })
}

fn unknown(meta: &ParseNestedMeta<'_>) -> syn::Error {
    let written = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
    let meant = meant(&written).map(|name| format!("write `{name}` for `{written}`; "));
    let meant = meant.unwrap_or_default();
    meta.error(format!("unknown constraint: {meant}#[arg(…)] takes {KNOWN}"))
}

/// Our name for a constraint that is called `written` elsewhere: in JSON Schema, in other
/// frameworks, in Rust.
fn meant(written: &str) -> Option<&'static str> {
    let plain = written.replace('_', "").to_lowercase();
    Some(match plain.as_str() {
        "min" | "minimum" | "atleast" | "gte" => "ge",
        "max" | "maximum" | "atmost" | "lte" => "le",
        "exclusivemin" | "exclusiveminimum" | "above" | "morethan" => "gt",
        "exclusivemax" | "exclusivemaximum" | "below" | "lessthan" => "lt",
        "minlength" | "minlen" => "min_length",
        "maxlength" | "maxlen" => "max_length",
        "minitems" => "min_items",
        "maxitems" => "max_items",
        "uniqueitems" | "unique" | "distinct" => "unique_items",
        "minproperties" => "min_properties",
        "maxproperties" => "max_properties",
        "regex" | "regexp" | "matches" => "pattern",
        "enum" | "oneof" | "choices" | "values" | "options" => "one_of",
        "doc" | "help" | "desc" => "description",
        "completion" | "completes" | "autocomplete" | "suggest" => "complete",
        _ => return None,
    })
}

/// An integer without a suffix would be an `i32`. One that only a `u64` holds is one.
fn widen(value: Expr, is_negative: bool) -> Expr {
    match value {
        Expr::Lit(ExprLit { attrs, lit: Lit::Int(number) }) if number.suffix().is_empty() => {
            let is_signed = is_negative || number.base10_parse::<i64>().is_ok();
            let suffix = if is_signed { "i64" } else { "u64" };
            let text = format!("{}{suffix}", number.base10_digits());
            let number = LitInt::new(&text, number.span());
            Expr::Lit(ExprLit { attrs, lit: Lit::Int(number) })
        }
        Expr::Unary(unary) => {
            Expr::Unary(ExprUnary { expr: Box::new(widen(*unary.expr, true)), ..unary })
        }
        other => other,
    }
}

/// The name that clients see. A leading underscore tells the compiler that the function does not
/// use the argument. Clients do not need it, and some fail to load the server because of it.
fn name(pattern: &Pat) -> Result<LitStr> {
    match pattern {
        Pat::Ident(pattern) => {
            let name = pattern.ident.to_string();
            let name = name.trim_start_matches("r#").trim_start_matches('_');
            if name.is_empty() {
                let message = "a parameter needs a name without its underscores: clients see it";
                return Err(syn::Error::new(pattern.ident.span(), message));
            }
            Ok(LitStr::new(name, pattern.ident.span()))
        }
        // `Args(input)`: what is given has no name outside.
        Pat::TupleStruct(_) => Ok(LitStr::new("input", Span::call_site())),
        other => {
            Err(syn::Error::new_spanned(other, "a parameter needs a plain name: clients see it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    #[test]
    fn trial_c5_clients_see_a_name_without_leading_underscores() {
        let shown = |pattern: &str| {
            let pattern = Pat::parse_single.parse_str(pattern).unwrap();
            name(&pattern).map(|name| name.value()).map_err(|error| error.to_string())
        };
        for (written, name) in [
            ("limit", "limit"),
            ("_limit", "limit"),
            ("__limit_", "limit_"),
            ("r#type", "type"),
            ("mut _at", "at"),
            ("Args(all)", "input"),
        ] {
            assert_eq!(shown(written).unwrap(), name, "{written}");
        }
        let nameless = "a parameter needs a name without its underscores: clients see it";
        assert_eq!(shown("__").unwrap_err(), nameless);
        assert!(shown("_").is_err());
    }
}
