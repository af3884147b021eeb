//! What is sealed before it reaches Redis.

use portcullis::guard::keys::{KeyRing, new_key};
use portcullis::store::Sealed;
use portcullis_store::contract;
use portcullis_tests::secrets::{SECRETS, fill, found, spellings};

use super::server::Redis;
use super::{open, open_case};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sealed_redis_keeps_the_contract() {
    let redis = Redis::start(&[]);
    contract::holds(async |clock| {
        Sealed::new(open_case(&redis, clock).await, KeyRing::ephemeral().unwrap())
    })
    .await;
}

#[tokio::test]
async fn e23_a_sealed_redis_and_its_files_hold_no_secret_in_any_spelling() {
    let arguments = ["--appendonly", "yes", "--rdbcompression", "no"];
    let (sealed, unsealed) = (Redis::start(&arguments), Redis::start(&arguments));
    let key = new_key().unwrap();
    fill(Sealed::new(open(&sealed.url()).await, KeyRing::from_text(key.expose()).unwrap())).await;
    fill(open(&unsealed.url()).await).await;
    for redis in [&sealed, &unsealed] {
        assert_eq!(redis.cli(&["SAVE"]), "OK");
    }
    let (sealed, unsealed) = (sealed.files(), unsealed.files());
    let [log, dump] = ["incr.aof", "dump.rdb"].map(|name| {
        let is_named = |(path, _): &&(String, Vec<u8>)| path.ends_with(name);
        [&sealed, &unsealed].map(|files| &files.iter().find(is_named).unwrap().1)
    });
    for [sealed, unsealed] in [log, dump] {
        for secret in SECRETS {
            assert_eq!(found(unsealed, secret), spellings(secret).len(), "they can be found");
            assert_eq!(found(sealed, secret), 0, "{secret}");
        }
    }
}
