//! The home of somebody who uses a client: its files, its terminal and its browser.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_tests::driver::root;
use serde_json::Value;
use tempfile::TempDir;

use crate::node;

/// How long a command may take, in seconds.
const PATIENCE: &str = "120";

/// A home of its own, where nobody has signed in yet.
pub(crate) struct Desk {
    home: TempDir,
    /// The server that is signed in at.
    pub(crate) url: String,
    /// What the client has to say of itself.
    pub(crate) identity: Identity,
}

/// How a server knows a client.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// It registers by itself.
    Registered,
    /// Its operator registered it, under this id.
    PreRegistered(&'static str),
    /// It is the website that publishes its metadata document here.
    Document(String),
}

impl Identity {
    /// As arguments: the id after the flag `registered`, or the document after `document`.
    pub(crate) fn arguments<'a>(&'a self, registered: &'a str, document: &'a str) -> Vec<&'a str> {
        match self {
            Self::Registered => Vec::new(),
            Self::PreRegistered(id) => vec![registered, id],
            Self::Document(url) => vec![document, url],
        }
    }

    /// The id of a client that its operator registered.
    pub(crate) fn id(&self) -> Option<&'static str> {
        if let Self::PreRegistered(id) = self { Some(id) } else { None }
    }

    /// What is logged of the client's id; that of a registration begins so, which is sealed.
    pub(crate) fn logged(&self) -> &str {
        match self {
            Self::Registered => "pcc_",
            Self::PreRegistered(id) => id,
            Self::Document(url) => url,
        }
    }
}

impl Desk {
    pub(crate) fn new(url: &str, identity: Identity) -> Self {
        let desk = Self { home: TempDir::new().unwrap(), url: url.to_owned(), identity };
        let walker = root().join("target/peers/node/sign_in.mjs");
        // Clients go on when the browser is there, and not when it has ended.
        let browser = format!(
            "#!/bin/sh\necho \"$1\" >>\"$HOME/visited\"\n\
             node '{}' --visit \"$1\" >>\"$HOME/browser.log\" 2>&1 </dev/null &\n",
            walker.display()
        );
        let program = desk.write("bin/xdg-open", &browser);
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        desk
    }

    /// A file in the home.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A command that knows nothing but this home.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = self.timed();
        command.arg(program).args(arguments);
        command
    }

    /// A command that wants a terminal.
    pub(crate) fn in_terminal(&self, program: &Path, arguments: &[&str]) -> Command {
        let line = [&[program.to_str().unwrap()], arguments].concat().join(" ");
        let mut command = self.timed();
        command.args(["script", "-qfec", &line, "/dev/null"]);
        command
    }

    fn timed(&self) -> Command {
        let home = self.home.path();
        let mut path = vec![home.join("bin")];
        path.extend(node().parent().map(Path::to_owned));
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut command = Command::new("timeout");
        command
            .arg(PATIENCE)
            .current_dir(home)
            .env_clear()
            .env("HOME", home)
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("BROWSER", home.join("bin/xdg-open"))
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        command
    }

    /// How many links were opened in the browser.
    pub(crate) fn visits(&self) -> usize {
        self.read("visited").lines().count()
    }

    /// What the browser could not do.
    pub(crate) fn browser_log(&self) -> String {
        self.read("browser.log")
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.home.path().join(path)).unwrap_or_default()
    }

    /// What a client has stored in `folder`.
    pub(crate) fn kept(&self, folder: &str) -> Kept {
        let mut files = Vec::new();
        find_files(&self.home.path().join(folder), &mut files);
        let texts: Vec<_> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
        let newest = |is: fn(&str) -> bool| {
            let found = texts.iter().flat_map(|text| text.split(['"', '\\'])).find(|word| is(word));
            found.unwrap_or_else(|| panic!("it is not in {files:?}")).to_owned()
        };
        Kept {
            access_token: newest(|word| word.starts_with("eyJ") && word.split('.').count() == 3),
            refresh_token: newest(|word| word.starts_with("pcr_")),
        }
    }

    /// Makes the access token in `folder` one that the server does not know, as one that has ended.
    pub(crate) fn end_access_token(&self, folder: &str) {
        let Kept { access_token, .. } = self.kept(folder);
        let (signed, _) = access_token.rsplit_once('.').unwrap();
        let ended = format!("{signed}.{}", "A".repeat(86));
        let mut files = Vec::new();
        find_files(&self.home.path().join(folder), &mut files);
        for file in files {
            if let Ok(text) = fs::read_to_string(&file) {
                fs::write(file, text.replace(&access_token, &ended)).unwrap();
            }
        }
    }
}

/// Tokens, as a client keeps them for later.
pub(crate) struct Kept {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Kept {
    /// The client that they were issued to.
    pub(crate) fn client_id(&self) -> String {
        let claims = self.access_token.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
        claims["client_id"].as_str().unwrap().to_owned()
    }
}

fn decode(text: &str) -> Vec<u8> {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn find_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_files(&path, found);
        } else {
            found.push(path);
        }
    }
}
