//! What `#[derive(FromEnv)]` makes of a struct.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataStruct, DeriveInput, Field, Fields, GenericArgument, Ident, LitStr, Path,
    PathArguments, Result, Token, Type, parse_quote,
};

/// The implementation of `FromEnv` for a struct.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    syn::parse2(item)
        .and_then(|item: DeriveInput| implementation(&item))
        .unwrap_or_else(syn::Error::into_compile_error)
}

fn implementation(item: &DeriveInput) -> Result<TokenStream> {
    let named = match &item.data {
        Data::Struct(DataStruct { fields: Fields::Named(fields), .. }) => &fields.named,
        _ => {
            return Err(syn::Error::new_spanned(
                &item.ident,
                "settings are a struct with named fields",
            ));
        }
    };
    if named.is_empty() {
        return Err(syn::Error::new_spanned(&item.ident, "a struct without fields reads nothing"));
    }
    if !item.generics.params.is_empty() {
        let message = "settings have no generic parameters: each variable has one type";
        return Err(syn::Error::new_spanned(&item.generics, message));
    }
    let portcullis = crate_path(&item.attrs)?;
    let settings = named.iter().map(Setting::read).collect::<Result<Vec<_>>>()?;
    let mut names = HashSet::new();
    for setting in &settings {
        if !names.insert(setting.name.value()) {
            return Err(syn::Error::new(setting.name.span(), "duplicate variable"));
        }
    }
    let ident = &item.ident;
    let fields: Vec<&Ident> = named.iter().filter_map(|field| field.ident.as_ref()).collect();
    let variables: Vec<Ident> =
        (0..settings.len()).map(|index| format_ident!("variable_{index}")).collect();
    let reads = settings.iter().map(|setting| setting.reading(&portcullis));
    Ok(quote! {
        impl #portcullis::guard::FromEnv for #ident {
            fn from_env(
                environment: &#portcullis::guard::Environment,
            ) -> ::core::result::Result<Self, #portcullis::guard::EnvironmentError> {
                let mut variables = #portcullis::guard::Variables::new(environment);
                #(let #variables = #reads;)*
                let (#(::core::option::Option::Some(#variables),)*) = (#(#variables,)*) else {
                    return ::core::result::Result::Err(variables.into_error());
                };
                ::core::result::Result::Ok(Self { #(#fields: #variables),* })
            }
        }
    })
}

/// One field, and the variable that it is read from.
struct Setting {
    name: LitStr,
    default: Option<LitStr>,
    may_be_file: Option<Ident>,
    /// The type of the value itself.
    kind: Type,
    is_optional: bool,
    is_secret: bool,
}

impl Setting {
    fn read(field: &Field) -> Result<Self> {
        let mut own = field.attrs.iter().filter(|attribute| attribute.path().is_ident("env"));
        let Some(attribute) = own.next() else {
            let message = "name its variable: #[env(\"NAME\")]";
            return Err(syn::Error::new(field.span(), message));
        };
        if let Some(second) = own.next() {
            return Err(syn::Error::new_spanned(second, "a field has one variable"));
        }
        let (required, is_optional) = inner(&field.ty, "Option");
        let (kind, is_secret) = inner(required, "Secret");
        let kind = kind.clone();
        let (name, default, may_be_file) = attribute.parse_args_with(options)?;
        if let Some(default) = &default {
            let refused = match (is_secret, is_optional) {
                (true, _) => "a secret has no default: everybody who has the program would know it",
                (_, true) => "a field with a default is never None: leave out the Option",
                (false, false) => "",
            };
            if !refused.is_empty() {
                return Err(syn::Error::new(default.span(), refused));
            }
        }
        Ok(Self { name, default, may_be_file, kind, is_optional, is_secret })
    }

    fn reading(&self, portcullis: &Path) -> TokenStream {
        let Self { name, kind, .. } = self;
        let method = match (self.is_optional, self.is_secret) {
            (false, false) => "required",
            (true, false) => "optional",
            (false, true) => "required_secret",
            (true, true) => "optional_secret",
        };
        let method = Ident::new(method, kind.span());
        let default = match &self.default {
            Some(default) => quote! { ::core::option::Option::Some(#default) },
            None => quote! { ::core::option::Option::None },
        };
        let may_be_file = self.may_be_file.is_some();
        let shown = quote! { #kind }.to_string().replace(' ', "");
        quote_spanned! { kind.span() =>
            variables.#method::<#kind>(#portcullis::guard::Variable {
                name: #name,
                kind: #shown,
                default: #default,
                may_be_file: #may_be_file,
            })
        }
    }
}

/// `"NAME", default = "…", file`.
fn options(input: ParseStream<'_>) -> Result<(LitStr, Option<LitStr>, Option<Ident>)> {
    let name: LitStr = input.parse().map_err(|error| {
        syn::Error::new(error.span(), "the variable's name comes first: #[env(\"NAME\")]")
    })?;
    if !is_name(&name.value()) {
        let message = "a variable's name has letters, digits and `_`, and begins with no digit";
        return Err(syn::Error::new(name.span(), message));
    }
    let (mut default, mut may_be_file) = (None, None);
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        let option: Ident = input.parse()?;
        match option.to_string().as_str() {
            "default" if default.is_none() => {
                input.parse::<Token![=]>()?;
                default = Some(input.parse().map_err(|error: syn::Error| {
                    let message =
                        "write the default as the variable is written: default = \"8000\"";
                    syn::Error::new(error.span(), message)
                })?);
            }
            "file" if may_be_file.is_none() => may_be_file = Some(option),
            "default" | "file" => {
                return Err(syn::Error::new(option.span(), "duplicate option"));
            }
            _ => {
                let message = "unknown option: #[env(…)] takes a name, default and file";
                return Err(syn::Error::new(option.span(), message));
            }
        }
    }
    Ok((name, default, may_be_file))
}

/// `#[env(crate = path)]` on the struct.
fn crate_path(attributes: &[Attribute]) -> Result<Path> {
    let mut path = parse_quote! { ::portcullis };
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("env")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown option: on a struct, #[env(…)] takes crate"));
            }
            path = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(path)
}

/// The type within `Option<…>` or `Secret<…>`, as it is written, and whether it is within one.
fn inner<'t>(written: &'t Type, around: &str) -> (&'t Type, bool) {
    let Type::Path(path) = written else { return (written, false) };
    let Some(last) = path.path.segments.last() else { return (written, false) };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return (written, false) };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) if last.ident == around => (inner, true),
        _ => (written, false),
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}
