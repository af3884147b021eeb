//! Which Redis is refused at the start, and what is said of it.

use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::error::ProblemKind;
use portcullis::{Error, Server};
use portcullis_store::RedisOpenErrorKind as Kind;
use portcullis_store::{RedisOpenError, RedisStore, Store};
use tempfile::TempDir;

use super::server::{Redis, until};
use super::{in_a_minute, key, value};

async fn error(url: &str) -> RedisOpenError {
    let error = RedisStore::builder(url).open().await.unwrap_err();
    let text = format!("{error} {error:?} {:?}", RedisStore::builder(url));
    assert!(!text.contains("hunter2"), "{text}");
    error
}

#[tokio::test]
async fn a_missing_and_a_wrong_password_are_told_at_the_start() {
    let redis = Redis::start(&["--requirepass", "hunter2"]);
    let address = format!("127.0.0.1:{}", redis.port());
    for login in ["", ":hunter2x@", "alice:hunter2@"] {
        let error = error(&format!("redis://{login}{address}")).await;
        assert_eq!(error.kind(), Kind::Authentication, "{login}: {error}");
    }
    let store = RedisStore::builder(&format!("redis://:hunter2@{address}")).open().await.unwrap();
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    let debug = format!("{store:?}");
    assert!(debug.contains(&address) && !debug.contains("hunter2"), "{debug}");
}

#[tokio::test]
async fn a_user_without_the_commands_is_told_at_the_start() {
    let redis = Redis::start(&[]);
    redis.cli(&["ACL", "SETUSER", "alice", "on", ">hunter2", "~*", "+@all", "-evalsha"]);
    redis.cli(&["ACL", "SETUSER", "bob", "on", ">hunter2", "~other:*", "+@all"]);
    // What the advice in the error says.
    let advice = "~portcullis:* +info +cluster|info +eval +evalsha +script|load +get +set +del \
                  +mget +zadd +zrem +zscan +zrangebyscore +pttl +pexpire";
    let rights: Vec<_> = advice.split_whitespace().collect();
    redis.cli(&[&["ACL", "SETUSER", "carol", "on", ">hunter2"], &rights[..]].concat());
    let url = |user: &str| format!("redis://{user}:hunter2@127.0.0.1:{}", redis.port());
    for user in ["alice", "bob"] {
        let error = error(&url(user)).await;
        assert_eq!(error.kind(), Kind::Permission, "{user}: {error}");
        assert!(error.to_string().contains(&advice.replace("portcullis:", "PREFIX")), "{error}");
    }
    let store = RedisStore::builder(&url("carol")).open().await.unwrap();
    let owner = portcullis_store::RecordOwner::new("test", ["alice"]);
    store.put(&owner.key(["one"]), value("one"), in_a_minute()).await.unwrap();
    assert_eq!(store.list(&owner, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_replica_is_refused() {
    let primary = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    assert_eq!(error(&replica.url()).await.kind(), Kind::Replica);
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_unless_it_is_accepted_by_name() {
    let redis = Redis::start(&["--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(error(&redis.url()).await.kind(), Kind::Eviction);
    assert!(RedisStore::builder(&redis.url()).dangerously_accept_eviction().open().await.is_ok());
}

#[tokio::test]
async fn a_server_is_not_built_with_a_redis_that_nothing_seals() {
    let redis = Redis::start(&[]);
    let store = async |is_accepted: bool| {
        let builder = RedisStore::builder(&redis.url());
        let builder = if is_accepted { builder.dangerously_unsealed() } else { builder };
        builder.open().await.unwrap()
    };
    let server = || Server::builder("test").no_auth();
    let Err(Error::Build(error)) = server().store(store(false).await).build() else {
        panic!("it was built")
    };
    let kinds: Vec<_> = error.problems().iter().map(|problem| problem.kind()).collect();
    assert_eq!(kinds, [ProblemKind::UnsealedStore]);
    server().store(store(true).await).build().unwrap();
}

#[tokio::test]
async fn databases_and_clusters_that_cannot_work_are_refused() {
    let redis = Redis::start(&[]);
    assert!(RedisStore::builder(&format!("{}/1", redis.url())).open().await.is_ok());
    assert_eq!(error(&format!("{}/99", redis.url())).await.kind(), Kind::Database);
    // A node that has a part of the keys at most.
    let node = Redis::start(&["--cluster-enabled", "yes"]);
    assert_eq!(error(&node.url()).await.kind(), Kind::Cluster);
    assert_eq!(error(&format!("{}/1", node.url())).await.kind(), Kind::Database);
}

/// Its own part may hold what the start tries, while half of the records are elsewhere.
#[tokio::test]
async fn one_of_several_nodes_of_a_cluster_is_refused_whatever_is_tried() {
    let nodes = [(); 2].map(|()| Redis::start(&["--cluster-enabled", "yes"]));
    for (node, slots) in nodes.iter().zip([["0", "8191"], ["8192", "16383"]]) {
        node.cli(&["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]);
    }
    nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    until("the cluster is ready", || {
        let info = nodes[0].cli(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_size:2")
    });
    for _ in 0..8 {
        assert_eq!(error(&nodes[0].url()).await.kind(), Kind::Cluster);
    }
}

#[tokio::test]
async fn an_absent_redis_is_told_soon() {
    let port = {
        let mut redis = Redis::start(&[]);
        redis.kill();
        redis.port()
    };
    let since = Instant::now();
    let error = error(&format!("redis://:hunter2@127.0.0.1:{port}")).await;
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

#[tokio::test]
async fn what_is_no_redis_is_no_store() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt;
                let _ = stream.write_all(b"HTTP/1.1 400 hunter2\r\n\r\n").await;
            });
        }
    });
    let error = error(&format!("redis://:hunter2@{address}")).await;
    assert!([Kind::Unusable, Kind::Unreachable].contains(&error.kind()), "{error}");
}

#[tokio::test]
async fn addresses_and_options_are_checked_before_anybody_is_asked() {
    for url in [
        "",
        "127.0.0.1",
        "http://hunter2@127.0.0.1",
        "redis+unix:///run/redis.sock?pass=hunter2",
        "redis://:hunter2@127.0.0.1/one",
        "redis://:hunter2@127.0.0.1:99999",
        "redis://127.0.0.1/?password=hunter2",
        "redis://127.0.0.1/?protocol=resp2",
        "rediss://:hunter2@127.0.0.1/#insecure",
        "redis://:hunter2@0.0.0.0",
    ] {
        assert_eq!(error(url).await.kind(), Kind::Address, "{url}");
    }
    let builder = || RedisStore::builder("redis://127.0.0.1:1");
    for wrong in [
        builder().prefix(""),
        builder().prefix("{a}"),
        builder().timeout(Duration::ZERO),
        builder().timeout(Duration::from_secs(61)),
        builder().ca_certificate("no certificate"),
    ] {
        assert_eq!(wrong.open().await.unwrap_err().kind(), Kind::Option);
    }
    let wrong = RedisStore::builder("rediss://127.0.0.1:1").ca_certificate("-----BEGIN");
    assert_eq!(wrong.open().await.unwrap_err().kind(), Kind::Option);
}

#[tokio::test]
async fn a_port_without_tls_and_one_with_it_are_told_apart_in_the_advice() {
    let redis = Redis::start(&[]);
    let url = format!("rediss://127.0.0.1:{}", redis.port());
    let open = RedisStore::builder(&url).timeout(Duration::from_millis(500)).open();
    let error = open.await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("And does this port speak TLS?"), "{error}");
    let error = self::error("redis://127.0.0.1:1").await;
    assert!(error.to_string().contains("And does it want TLS?"), "{error}");
}

/// A certificate authority, and a certificate for `localhost` that it signed.
fn certificates(folder: &TempDir) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(folder.path()).output();
        let output = output.expect("openssl is not there: ./test --install installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for (name, more) in [
        ("ca", ""),
        ("other", ""),
        (
            "server",
            " -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost",
        ),
    ] {
        openssl(&format!(
            "req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name}{more}"
        ));
    }
}

#[tokio::test]
async fn over_tls_the_certificate_and_the_name_have_to_be_right() {
    let folder = tempfile::tempdir().unwrap();
    certificates(&folder);
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let redis = Redis::start(&[
        "--tls-port",
        "{port}",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
    ]);
    let pem = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let builder = |scheme: &str, host: &str| {
        RedisStore::builder(&format!("{scheme}://{host}:{}", redis.port()))
    };
    let store = builder("rediss", "localhost").ca_certificate(pem("ca.pem")).open().await.unwrap();
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    assert_eq!(store.get(&key("a")).await, Ok(Some(value("one"))));

    for wrong in [
        builder("rediss", "localhost").ca_certificate(pem("other.pem")),
        builder("rediss", "localhost"),
        builder("rediss", "127.0.0.1").ca_certificate(pem("ca.pem")),
        builder("redis", "localhost"),
    ] {
        let error = wrong.timeout(Duration::from_millis(500)).open().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    }
}
