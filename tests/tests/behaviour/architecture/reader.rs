//! Reads which modules a crate has and which of them use which, from its tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The names from a crate's root to a module or an item.
type Names = Vec<String>;

/// The files of a crate that are compiled without tests, by module, and the paths that they write.
#[derive(Default)]
pub(super) struct Crate {
    modules: BTreeSet<Names>,
    /// Paths from `crate`, in the module where they are written.
    paths: Vec<(Names, Names)>,
    /// What `use` brings into a module, by its name there.
    imports: BTreeMap<Names, Names>,
}

/// The rooms of a crate or of a folder in it: its topmost modules.
pub(super) struct Rooms {
    pub(super) names: BTreeSet<String>,
    /// The user, what it uses, and one module in which it does.
    pub(super) arrows: BTreeMap<(String, String), String>,
}

impl Crate {
    /// Reads `src/lib.rs` and every module that it declares.
    pub(super) fn read(src: &Path) -> Self {
        let mut house = Self::default();
        house.read_file(&src.join("lib.rs"), src, &[]);
        house
    }

    /// The rooms below `root`, which is empty for the whole crate: folders and files. What
    /// `root` re-exports leads on to where it is declared; its own file is no room.
    pub(super) fn rooms(&self, root: &[&str]) -> Rooms {
        let root: Names = root.iter().map(ToString::to_string).collect();
        let room_of = |names: &Names| names.strip_prefix(&*root)?.first().cloned();
        let names: BTreeSet<_> = self.modules.iter().filter_map(room_of).collect();
        let mut arrows = BTreeMap::new();
        for (module, path) in &self.paths {
            let Some(from) = room_of(module) else { continue };
            let Some(to) = self.declared(&root, path).as_ref().and_then(room_of) else { continue };
            if from != to && names.contains(&from) {
                arrows.entry((from, to)).or_insert_with(|| module.join("::"));
            }
        }
        Rooms { names, arrows }
    }

    /// Where that which `root` may only re-export is declared; nothing for items of its own.
    fn declared(&self, root: &Names, path: &Names) -> Option<Names> {
        let mut path = path.clone();
        // A chain of re-exports has an end in what compiles.
        for _ in 0..8 {
            path.strip_prefix(&**root)?;
            let mut lengths = root.len() + 1..=path.len();
            if self.modules.contains(path.get(..root.len() + 1)?) {
                return Some(path);
            }
            // Behind the name, or that of a module written out in the root's own file.
            path = lengths.find_map(|length| self.imports.get(&path[..length]))?.clone();
        }
        None
    }

    fn read_file(&mut self, file: &Path, folder: &Path, module: &[String]) {
        let text = std::fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let tokens: TokenStream =
            text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.read_tokens(tokens, folder, module);
    }

    fn read_tokens(&mut self, tokens: TokenStream, folder: &Path, module: &[String]) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = &*tokens;
        while let [token, after @ ..] = rest {
            rest = match token {
                TokenTree::Punct(_) if is_sign(token, '#') && is_for_tests(after) => {
                    after_item(&after[1..])
                }
                TokenTree::Ident(word) if word == "mod" => match after {
                    [TokenTree::Ident(name), body, following @ ..] => {
                        self.read_module(&name.to_string(), body, folder, module);
                        following
                    }
                    _ => after,
                },
                // Not `use<…>` of a return type.
                TokenTree::Ident(word)
                    if word == "use" && !after.first().is_some_and(|t| is_sign(t, '<')) =>
                {
                    let end = after.iter().position(|token| is_sign(token, ';'));
                    let (tree, following) = after.split_at(end.unwrap_or(after.len()));
                    self.read_use(tree, &[], module);
                    following
                }
                TokenTree::Ident(word) if ["crate", "self", "super"].iter().any(|w| word == w) => {
                    let (written, following) = path(rest);
                    self.note(&written, module);
                    following
                }
                TokenTree::Group(group) => {
                    self.read_tokens(group.stream(), folder, module);
                    after
                }
                _ => after,
            };
        }
    }

    fn read_module(&mut self, name: &str, body: &TokenTree, folder: &Path, module: &[String]) {
        let module: Names = module.iter().cloned().chain([name.to_owned()]).collect();
        let folder = folder.join(name);
        if let TokenTree::Group(group) = body {
            return self.read_tokens(group.stream(), &folder, &module);
        }
        self.modules.insert(module.clone());
        self.read_file(&file_of(&folder), &folder, &module);
    }

    /// Reads `a::{b, c as d}` after `prefix`.
    fn read_use(&mut self, tree: &[TokenTree], prefix: &[String], module: &[String]) {
        let (names, rest) = path(tree);
        let written: Names = prefix.iter().cloned().chain(names).collect();
        if let Some(group) = rest.first().and_then(|token| group(token, Delimiter::Brace)) {
            for branch in group.split(|token| is_sign(token, ',')) {
                self.read_use(branch, &written, module);
            }
            return;
        }
        // `self` at the end of a path is what stands before it.
        let written = match &*written {
            [before @ .., last] if last == "self" && !before.is_empty() => before.to_vec(),
            _ => written,
        };
        let name = match rest {
            [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "as" => name.to_string(),
            _ => written.last().cloned().unwrap_or_default(),
        };
        if let Some(path) = self.note(&written, module) {
            self.imports.insert(module.iter().cloned().chain([name]).collect(), path);
        }
    }

    /// Notes a path that is written in `module`, where names without `crate` before them are
    /// children; those of other crates lead nowhere.
    fn note(&mut self, written: &[String], module: &[String]) -> Option<Names> {
        let mut path = if written.first()? == "crate" { Names::new() } else { module.to_vec() };
        for name in written {
            match &**name {
                "crate" | "self" => {}
                "super" => drop(path.pop()),
                name => path.push(name.to_owned()),
            }
        }
        self.paths.push((module.to_vec(), path.clone()));
        Some(path)
    }
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn group(token: &TokenTree, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => {
            Some(group.stream().into_iter().collect())
        }
        _ => None,
    }
}

/// The names of a path, and the tokens behind it.
fn path(mut tokens: &[TokenTree]) -> (Names, &[TokenTree]) {
    let mut names = Names::new();
    while let [TokenTree::Ident(name), after @ ..] = tokens {
        names.push(name.to_string());
        match after {
            [first, second, following @ ..] if is_sign(first, ':') && is_sign(second, ':') => {
                tokens = following;
            }
            _ => return (names, after),
        }
    }
    (names, tokens)
}

/// Whether an attribute leaves what follows out of what is shipped.
fn is_for_tests(attribute: &[TokenTree]) -> bool {
    let condition = |tokens: &[TokenTree]| match tokens {
        [TokenTree::Ident(cfg), condition] if cfg == "cfg" => {
            group(condition, Delimiter::Parenthesis)
        }
        _ => None,
    };
    let Some(condition) = attribute
        .first()
        .and_then(|token| group(token, Delimiter::Bracket))
        .and_then(|tokens| condition(&tokens))
    else {
        return false;
    };
    let for_tests = |token: &TokenTree| {
        matches!(token, TokenTree::Ident(word)
            if ["doc", "doctest", "fuzzing", "test"].iter().any(|name| word == name))
    };
    match &*condition {
        [word] => for_tests(word),
        [TokenTree::Ident(all), TokenTree::Group(parts)] if all == "all" => {
            parts.stream().into_iter().any(|part| for_tests(&part))
        }
        _ => false,
    }
}

/// The tokens behind an item, a statement, a field or an argument.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let word = |token: &TokenTree| match token {
        TokenTree::Ident(word) => word.to_string(),
        _ => String::new(),
    };
    let is_before = |token: &TokenTree| {
        is_sign(token, '#')
            || matches!(token, TokenTree::Group(_))
            || ["async", "extern", "pub", "unsafe"].contains(&&*word(token))
    };
    let start = tokens.iter().position(|token| !is_before(token)).unwrap_or(tokens.len());
    let kind: Vec<_> = tokens[start..].iter().take(2).map(word).collect();
    let kind: Vec<_> = kind.iter().map(String::as_str).collect();
    let is_end = |token: &TokenTree| match &*kind {
        ["const", "fn"] | ["enum" | "fn" | "impl" | "mod" | "struct" | "trait", _] => {
            is_sign(token, ';') || group(token, Delimiter::Brace).is_some()
        }
        ["const" | "let" | "static" | "type" | "use", _] => is_sign(token, ';'),
        _ => is_sign(token, ',') || is_sign(token, ';'),
    };
    let end = tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1);
    &tokens[end..]
}

fn file_of(folder: &Path) -> PathBuf {
    let file = folder.with_extension("rs");
    if file.exists() { file } else { folder.join("mod.rs") }
}
