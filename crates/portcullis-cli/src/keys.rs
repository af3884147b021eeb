//! `portcullis keys`: keys that seal what a server stores.

use std::path::{Path, PathBuf};

use portcullis::guard::Environment;
use portcullis::guard::keys::{KEY_FILE_VARIABLE, KEYS_VARIABLE, KeyFile, KeyId, new_key};

use crate::arguments::OfFile;
use crate::{Error, output};

pub(crate) fn create(path: Option<&Path>) -> Result<(), Error> {
    let Some(path) = path else {
        output::result(new_key()?.expose())
            .map_err(|cause| format!("the key could not be printed: {cause}; it is lost"))?;
        output::note(format_args!(
            "a new key for the variable {KEYS_VARIABLE}: keep it secret, and keep it, since nothing \
             else opens what it seals"
        ));
        return Ok(());
    };
    let id = KeyFile::new(path).create()?;
    output::note(format_args!(
        "made {} with the key {id}: keep a copy of it, since nothing else opens what it seals.\n\
         Servers find it by {KEY_FILE_VARIABLE}={}",
        path.display(),
        path.display(),
    ));
    Ok(())
}

pub(crate) fn list(of: &OfFile) -> Result<(), Error> {
    let keys = of.keys()?;
    let (states, staged) = (keys.states()?, keys.staged()?);
    let mut lines = vec![format!("{:<16}  {}", "ID", "STATE")];
    lines.extend(states.iter().map(|(id, state)| match staged == Some(*id) {
        true => format!("{id}  staged"),
        false => format!("{id}  {state}"),
    }));
    Ok(output::result(&lines.join("\n"))?)
}

pub(crate) fn stage(of: &OfFile) -> Result<(), Error> {
    let id = of.keys()?.stage()?;
    output::note(format_args!(
        "the key {id} opens, and seals from `portcullis keys rotate` on: first bring the file to \
         every replica"
    ));
    Ok(())
}

pub(crate) fn rotate(of: &OfFile) -> Result<(), Error> {
    let id = of.keys()?.rotate()?;
    output::note(format_args!("the key {id} seals from now on; the keys before it still open"));
    Ok(())
}

pub(crate) fn revoke(of: &OfFile, id: &str) -> Result<(), Error> {
    let id: KeyId = id.parse()?;
    of.keys()?.revoke(id)?;
    output::note(format_args!("the key {id} is revoked: what it sealed cannot be opened any more"));
    Ok(())
}

impl OfFile {
    fn keys(&self) -> Result<KeyFile, Error> {
        let environment = Environment::process();
        let named = match &self.file {
            Some(file) => Some(file.clone()),
            None => environment.variable(KEY_FILE_VARIABLE).map(PathBuf::from),
        };
        let file = named.ok_or_else(|| match environment.variable(KEYS_VARIABLE) {
            Some(_) => format!(
                "this works on a file of keys, not on {KEYS_VARIABLE}: put what the variable holds \
                 into a file with mode 0600, and name it by --file PATH"
            ),
            None => {
                format!("no file of keys is named: write --file PATH, or set {KEY_FILE_VARIABLE}")
            }
        })?;
        Ok(KeyFile::new(file))
    }
}
