//! Key files: strict lines, rotation, and files that change while they are watched.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests lay out files, and read what was written"
)]

use std::path::PathBuf;

use super::*;
use crate::{Environment, seal};

/// A key that is known, in both spellings.
pub(crate) const KNOWN: (&str, [u8; 32]) =
    ("8a32caa555d10204 valid pck1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", KNOWN_BYTES);

const KNOWN_BYTES: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];

fn line() -> String {
    new_key().unwrap().expose().clone()
}

fn kind(text: &str) -> KeyErrorKind {
    KeyRing::from_text(text).unwrap_err().kind()
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    (folder, path)
}

#[test]
fn lines_are_read_strictly() {
    let key = line();
    let (id, secret) = (&key[..16], key.rsplit(' ').next().unwrap());
    assert!(
        KeyRing::from_text(&format!("\u{feff}# a comment, with a comma\n\n  {key} \r\n")).is_ok()
    );
    for bad in [
        format!("{id} valid"),
        format!("{id} Valid {secret}"),
        format!("{id} valid {secret} more"),
        format!("{} valid {secret}", id.to_uppercase().replace(char::is_numeric, "A")),
        format!("{} valid {secret}", &id[1..]),
        format!("+{} valid {secret}", &id[1..]),
        format!("{id} valid {}", &secret[5..]),
        format!("{id} valid {}", secret.replace("pck1_", "pck2_")),
        format!("{id} valid {}", &secret[..secret.len() - 1]),
        format!("{id} valid {secret}A"),
        format!("{id} valid {secret}="),
        secret.to_owned(),
        KNOWN.0.replacen("8a32caa5", "8A32CAA5", 1),
        // The key of another line.
        format!("{id} valid {}", line().rsplit(' ').next().unwrap()),
    ] {
        let error = KeyRing::from_text(&format!("# Keys\n{bad}")).unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::Malformed, "{bad}");
        assert!(error.to_string().starts_with("line 2: "), "{error}");
        assert!(!error.to_string().contains(&secret[5..20]), "{error}");
    }
    assert_eq!(kind(""), KeyErrorKind::Empty);
    assert_eq!(kind("# nothing\n"), KeyErrorKind::Empty);
    assert_eq!(kind(&format!("{key}\n{key}")), KeyErrorKind::Duplicate);
    assert_eq!(kind(&key.replace(" valid ", " retained ")), KeyErrorKind::NoValidKey);
    assert_eq!(kind(&format!("{id} revoked")), KeyErrorKind::NoValidKey);
    assert_eq!(kind(&vec![line(); 65].join("\n")), KeyErrorKind::Duplicate);
    let many: Vec<_> = (0..65).map(|_| line()).collect();
    assert_eq!(kind(&many.join("\n")), KeyErrorKind::Malformed);
    assert!(KeyRing::from_text(&many[1..].join(",")).is_ok());
}

#[test]
fn an_id_is_derived_and_stays() {
    assert_eq!(KeyRing::from_text(KNOWN.0).unwrap().sealing_key().to_string(), KNOWN.0[..16]);
}

#[test]
fn a_key_is_not_shown() {
    let (key, other) = (line(), line().replace(" valid ", " retained "));
    let keys = KeyRing::from_text(&format!("{key}\n{other}")).unwrap();
    let shown = format!("{keys:?}");
    let (id, other) = (&key[..16], &other[..16]);
    assert_eq!(shown, format!("KeyRing{{KeyId({id}): Valid, KeyId({other}): Retained}}"));
}

#[test]
fn n28_there_are_no_keys_by_default() {
    let (_folder, path) = file();
    KeyFile::new(&path).create().unwrap();
    let key = line();
    let path = path.to_str().unwrap();
    let of = |pairs: &[(&str, &str)]| {
        let environment = Environment::from_pairs(pairs.iter().copied());
        KeyRing::from_env(&environment).map(drop).map_err(|error| error.kind())
    };
    assert_eq!(of(&[]), Err(KeyErrorKind::Missing));
    assert_eq!(of(&[(KEYS_VARIABLE, ""), (KEY_FILE_VARIABLE, "")]), Err(KeyErrorKind::Missing));
    assert_eq!(
        of(&[(KEYS_VARIABLE, &key), (KEY_FILE_VARIABLE, path)]),
        Err(KeyErrorKind::Ambiguous)
    );
    assert_eq!(of(&[(KEYS_VARIABLE, &key)]), Ok(()));
    assert_eq!(of(&[(KEY_FILE_VARIABLE, path)]), Ok(()));
    assert_eq!(of(&[(KEY_FILE_VARIABLE, "/nowhere/keys")]), Err(KeyErrorKind::Unusable));
    assert_eq!(of(&[(KEYS_VARIABLE, "secret-api-key")]), Err(KeyErrorKind::Malformed));
    let missing = KeyRing::from_env(&Environment::default()).unwrap_err().to_string();
    assert!(missing.contains("portcullis keys new --file"), "{missing}");
}

#[test]
fn a_rotated_file_seals_with_the_new_key_and_opens_with_the_old() {
    let (_folder, path) = file();
    let file = KeyFile::new(&path);
    let first = file.create().unwrap();
    let binding = seal::Binding::new("state", ["a"]);
    let sealed = seal::seal(&KeyRing::from_file(&path).unwrap(), &binding, b"a").unwrap();

    let second = file.rotate().unwrap();
    let keys = KeyRing::from_file(&path).unwrap();
    assert_eq!(keys.sealing_key(), second);
    assert!(seal::open(&keys, &binding, &sealed).is_ok());

    assert_eq!(file.revoke(second).unwrap_err().kind(), KeyErrorKind::InUse);
    assert_eq!(file.revoke(KeyId::from_bytes([7; 8])).unwrap_err().kind(), KeyErrorKind::Unknown);
    file.revoke(first).unwrap();
    let keys = KeyRing::from_file(&path).unwrap();
    let error = seal::open(&keys, &binding, &sealed).unwrap_err();
    assert_eq!((error.kind(), error.key_id()), (seal::SealErrorKind::RevokedKey, Some(first)));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("pck1_").count(), 1, "the bytes of a revoked key are gone");
}

#[test]
fn e07_a_ring_follows_its_file_and_a_bad_file_changes_nothing() {
    let (_folder, path) = file();
    let file = KeyFile::new(&path);
    let first = file.create().unwrap();
    let keys = KeyRing::from_file(&path).unwrap();
    let clone = keys.clone();
    let reread = || match &keys.0 {
        Source::File(file) => file.reread(),
        Source::Text(_) => panic!("keys of a file"),
    };
    let second = file.rotate().unwrap();
    assert_eq!(keys.sealing_key(), first, "a change counts once it was seen twice");
    reread().unwrap();
    assert_eq!(clone.sealing_key(), second);

    for bad in ["", "# no key", &line()[..20], &line().replace("valid", "retained")] {
        std::fs::write(&path, bad).unwrap();
        assert!(reread().is_err(), "{bad}");
        assert_eq!(keys.sealing_key(), second, "{bad}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(reread().is_err());
    assert_eq!(keys.states().len(), 2);
    let third = file.create().unwrap();
    reread().unwrap();
    assert!(clone.states().eq([(third, KeyState::Valid)]));
}

#[test]
fn a_staged_key_opens_until_it_is_rotated_to() {
    let (_folder, path) = file();
    let file = KeyFile::new(&path);
    let first = file.create().unwrap();
    let staged = file.stage().unwrap();
    assert_eq!(KeyRing::from_file(&path).unwrap().sealing_key(), first);
    assert_eq!(file.stage().unwrap_err().kind(), KeyErrorKind::Full);
    assert_eq!(file.rotate().unwrap(), staged);
    let expected = [(staged, KeyState::Valid), (first, KeyState::Retained)];
    assert_eq!(file.states().unwrap(), expected);
    assert_ne!(file.rotate().unwrap(), staged, "a new one, as none is staged any more");
}

#[test]
fn a_change_that_fails_leaves_the_file_as_it_is() {
    let (folder, path) = file();
    let file = KeyFile::new(&path);
    assert_eq!(file.rotate().unwrap_err().kind(), KeyErrorKind::Unusable, "absent");
    let id = file.create().unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(file.create().unwrap_err().kind(), KeyErrorKind::Exists);
    assert_eq!(file.revoke(id).unwrap_err().kind(), KeyErrorKind::InUse);
    let names = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names(), 1, "nothing is left beside it");
    // Where the next file would be written, a folder is.
    std::fs::create_dir(folder.path().join(".keys.next")).unwrap();
    assert_eq!(file.rotate().unwrap_err().kind(), KeyErrorKind::Unusable);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn no_rotation_of_many_at_once_is_lost() {
    let (_folder, path) = file();
    KeyFile::new(&path).create().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let file = KeyFile::new(&path);
            std::thread::spawn(move || (0..4).all(|_| file.rotate().is_ok()))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    assert_eq!(KeyFile::new(&path).states().unwrap().len(), 33);
}

#[cfg(unix)]
#[test]
fn e23_a_key_file_is_its_owners_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, path) = file();
    let file = KeyFile::new(&path);
    file.create().unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let set = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(mode(), 0o600);
    file.rotate().unwrap();
    assert_eq!(mode(), 0o600);
    for exposed in [0o604, 0o602, 0o601, 0o620, 0o644, 0o660, 0o666] {
        set(exposed);
        let error = KeyRing::from_file(&path).unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::Exposed, "{exposed:o}");
        assert_eq!(file.rotate().unwrap_err().kind(), KeyErrorKind::Exposed);
    }
    // Nor is it taken up while a server runs.
    set(0o600);
    let keys = KeyRing::from_file(&path).unwrap();
    let sealing = keys.sealing_key();
    let Source::File(watched) = &keys.0 else { panic!("keys of a file") };
    std::fs::write(&path, line()).unwrap();
    set(0o644);
    assert!(watched.reread().is_err());
    assert_eq!(keys.sealing_key(), sealing);
    set(0o600);
    watched.reread().unwrap();
    assert_ne!(keys.sealing_key(), sealing);

    let second = folder.path().join("second");
    std::fs::hard_link(&path, &second).unwrap();
    assert_eq!(KeyRing::from_file(&path).unwrap_err().kind(), KeyErrorKind::Exposed);
    assert_eq!(file.rotate().unwrap_err().kind(), KeyErrorKind::Exposed);
    std::fs::remove_file(second).unwrap();
    // Only root can give something away.
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
        let error = KeyRing::from_file(&path).unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::Exposed);
        assert!(error.to_string().contains("belongs to user 65534"), "{error}");
        file.rotate().unwrap();
        assert_eq!(file.states().unwrap().len(), 2, "root changes the file of a service");
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    KeyRing::from_file(&path).unwrap();

    // The group of a service may read it, before and after.
    set(0o640);
    file.rotate().unwrap();
    assert_eq!(mode(), 0o640);

    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(KeyRing::from_file(&link).is_ok(), "as Kubernetes mounts secrets");
    assert_eq!(KeyFile::new(&link).rotate().unwrap_err().kind(), KeyErrorKind::Unusable);
    assert_eq!(KeyFile::new(&link).create().unwrap_err().kind(), KeyErrorKind::Exists);
    assert_eq!(KeyRing::from_file(folder.path()).unwrap_err().kind(), KeyErrorKind::Unusable);
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(KeyRing::from_file(&path).unwrap_err().kind(), KeyErrorKind::Unusable);
}
