//! What is stored, and where.

use std::sync::Arc;

use portcullis::Error;
use portcullis::error::ProblemKind;
use portcullis::guard::SystemClock;
use portcullis::prelude::*;
use portcullis::store::FileStore;

/// Answer.
#[tool]
async fn answer() -> String {
    "42".to_owned()
}

#[test]
fn a_server_is_not_built_with_a_store_that_nothing_seals() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileStore::open(folder.path().join("state/store.redb"), Arc::new(SystemClock));
    let server = || Server::builder("test").no_auth().components(components![answer]);

    let Err(Error::Build(error)) = server().store(open().unwrap()).build() else {
        panic!("it was built")
    };
    let kinds: Vec<_> = error.problems().iter().map(|problem| problem.kind()).collect();
    assert_eq!(kinds, [ProblemKind::UnsealedStore]);
    server().store(open().unwrap().dangerously_unsealed()).build().unwrap();
}
