//! What `#[tool]`, `#[resource]` and `#[prompt]` make of a function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, Result, ReturnType};

use crate::kind::Kind;
use crate::options::{Annotations, Options};
use crate::parameter::{Parameter, doc_comment};

/// The function, as it was, and the struct that declares it.
pub(crate) fn component(kind: Kind, options: TokenStream, function: TokenStream) -> TokenStream {
    let mut function: ItemFn = match syn::parse2(function) {
        Ok(function) => function,
        Err(error) => {
            let message = format!("#[{}] belongs on an async function", kind.attribute());
            return syn::Error::new(error.span(), message).into_compile_error();
        }
    };
    let parameters: Vec<Result<Parameter>> =
        function.sig.inputs.iter_mut().map(Parameter::take).collect();
    let declaration = declaration(kind, options, &function, parameters)
        .unwrap_or_else(syn::Error::into_compile_error);
    quote! { #function #declaration }
}

fn declaration(
    kind: Kind,
    options: TokenStream,
    function: &ItemFn,
    parameters: Vec<Result<Parameter>>,
) -> Result<TokenStream> {
    check_signature(kind, function)?;
    let options = Options::parse(kind, options)?;
    let parameters = parameters.into_iter().collect::<Result<Vec<_>>>()?;
    let (ident, visibility) = (&function.sig.ident, &function.vis);
    let portcullis = options.portcullis();
    let new = new(kind, &options, function);
    let about = about(&options, function);
    let completed = completions(kind, &parameters)?;
    let declared = parameters.iter().map(|Parameter { kind, name, constraints, .. }| {
        let argument = quote! { #portcullis::component::Argument::new(#name) #constraints };
        quote_spanned! { kind.span() => .parameter::<#kind>(#argument) }
    });
    let variables: Vec<_> =
        (0..parameters.len()).map(|index| format_ident!("argument_{index}")).collect();
    let taken =
        parameters.iter().zip(&variables).map(|(Parameter { kind, name, .. }, variable)| {
            quote_spanned! { kind.span() => let #variable = call.take::<#kind>(#name)?; }
        });
    let call = if parameters.is_empty() {
        quote! { _call }
    } else {
        quote! { mut call }
    };
    let about_struct = format!("Declares the {} `{ident}`.", kind.attribute());
    let returned = match &function.sig.output {
        ReturnType::Type(_, returned) => returned.span(),
        ReturnType::Default => ident.span(),
    };
    let handler = quote_spanned! { returned =>
        .takes_only_parameters()
        .handler(|#call: #portcullis::component::Call| async move {
            #(#taken)*
            ::core::result::Result::<_, #portcullis::ToolError>::Ok(#ident(#(#variables),*).await)
        })
    };
    Ok(quote! {
        #[doc = #about_struct]
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #ident {}

        impl #portcullis::component::Declare for #ident {
            fn declare(self) -> #portcullis::component::Component {
                #new #about #(#declared)* #completed #handler
            }
        }
    })
}

/// The calls that add the functions which complete arguments.
fn completions(kind: Kind, parameters: &[Parameter]) -> Result<TokenStream> {
    let mut calls = TokenStream::new();
    for Parameter { name, completion, .. } in parameters {
        let Some(function) = completion else { continue };
        if kind == Kind::Tool {
            let message = "only prompts and resource templates complete their arguments: clients \
                           never ask for those of a tool";
            return Err(syn::Error::new_spanned(function, message));
        }
        calls.extend(quote_spanned! { function.span() => .complete(#name, #function) });
    }
    Ok(calls)
}

fn check_signature(kind: Kind, function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(syn::Error::new_spanned(
            signature.fn_token,
            format!("a {} is an async function: write `async fn`", kind.attribute()),
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &signature.generics,
            "a component has no generic parameters: clients see concrete types",
        ));
    }
    if matches!(signature.output, ReturnType::Default) {
        let message =
            format!("a {} needs a return type: add `{}`", kind.attribute(), kind.example());
        return Err(syn::Error::new_spanned(&signature.ident, message));
    }
    Ok(())
}

fn new(kind: Kind, options: &Options, function: &ItemFn) -> TokenStream {
    let own_name = function.sig.ident.to_string();
    let own_name = own_name.trim_start_matches("r#");
    let name = options.name.as_ref().map_or_else(|| quote! { #own_name }, |name| quote! { #name });
    let portcullis = options.portcullis();
    match (kind, &options.uri) {
        (Kind::Resource, Some(uri)) => quote! { #portcullis::Resource::new(#uri).name(#name) },
        (Kind::Prompt, _) => quote! { #portcullis::Prompt::new(#name) },
        _ => quote! { #portcullis::Tool::new(#name) },
    }
}

fn about(options: &Options, function: &ItemFn) -> TokenStream {
    let portcullis = options.portcullis();
    let mut calls = TokenStream::new();
    let documented = doc_comment(&function.attrs).map(|text| quote! { #text });
    let description = options.description.as_ref().map(|text| quote! { #text }).or(documented);
    if let Some(description) = description {
        calls.extend(quote! { .description(#description) });
    }
    if let Some(title) = &options.title {
        calls.extend(quote! { .title(#title) });
    }
    if let Some(mime_type) = &options.mime_type {
        calls.extend(quote! { .mime_type(#mime_type) });
    }
    for icon in &options.icons {
        calls.extend(quote_spanned! { icon.span() => .icon(#icon) });
    }
    for (key, value) in &options.meta {
        calls.extend(quote_spanned! { value.span() => .meta(#key, #value) });
    }
    if let Some(size) = &options.size {
        calls.extend(quote_spanned! { size.span() => .size(#size) });
    }
    if let Some(annotations) = &options.annotations {
        let annotations = self::annotations(&portcullis, annotations);
        calls.extend(quote! { .annotations(#annotations) });
    }
    for tag in &options.tags {
        calls.extend(quote! { .tag(#tag) });
    }
    for check in &options.checks {
        calls.extend(quote_spanned! { check.span() => .auth(#check) });
    }
    for function in &options.validations {
        calls.extend(quote_spanned! { function.span() => .validate(#function) });
    }
    if let Some(deny) = &options.deny {
        let variant = if deny == "hide" {
            quote! { Hide }
        } else {
            quote! { Challenge }
        };
        calls.extend(quote! { .deny(#portcullis::component::Deny::#variant) });
    }
    if let Some(task) = &options.task {
        let variant = match task.to_string().as_str() {
            "required" => quote! { Required },
            "when_begun" => quote! { WhenBegun },
            _ => quote! { Optional },
        };
        calls.extend(quote! { .task(#portcullis::component::TaskSupport::#variant) });
    }
    for hint in &options.hints {
        let variant = match hint.to_string().as_str() {
            "read_only" => quote! { ReadOnly },
            "destructive" => quote! { Destructive },
            "additive" => quote! { Additive },
            "idempotent" => quote! { Idempotent },
            "closed_world" => quote! { ClosedWorld },
            _ => quote! { OpenWorld },
        };
        calls.extend(quote! { .hint(#portcullis::component::Hint::#variant) });
    }
    calls
}

/// The annotations of a resource.
fn annotations(portcullis: &syn::Path, options: &Annotations) -> TokenStream {
    let Annotations { audience, priority, last_modified } = options;
    let mut calls = quote! { #portcullis::component::Annotations::new() };
    if !audience.is_empty() {
        let roles = audience.iter().map(|role| {
            if role == "user" {
                quote! { #portcullis::component::Role::User }
            } else {
                quote! { #portcullis::component::Role::Assistant }
            }
        });
        calls.extend(quote! { .audience([#(#roles),*]) });
    }
    if let Some(priority) = priority {
        calls.extend(quote_spanned! { priority.span() => .priority(#priority) });
    }
    if let Some(time) = last_modified {
        calls.extend(quote_spanned! { time.span() => .last_modified(#time) });
    }
    calls
}
