//! Services inside, which are named.

use url::Url;

use super::https::{AUTHORITY, Https};
use super::{CREATED, loopback};
use crate::ErrorChain;
use crate::address::NotPublic;
use crate::fetch::destination::Destinations;
use crate::fetch::{Fetch, FetchError, Refusal};

/// Judges as a client that may ask `host` on a private network.
fn inside(host: &str) -> Destinations {
    Fetch::builder().allow_private_host(host).build().unwrap().destinations
}

#[test]
fn s05_a_private_host_is_the_only_one_and_only_over_https() {
    for (host, url, judged) in [
        ("idp.corp.internal", "https://idp.corp.internal:8443/jwks", Ok(())),
        ("IDP.corp.internal", "https://idp.CORP.internal/", Ok(())),
        ("idp", "https://idp/", Ok(())),
        ("10.0.0.7", "https://10.0.0.7/", Ok(())),
        ("fd12::7", "https://[fd12::7]/", Err(Refusal::OtherHost)),
        ("[fd12::7]", "https://[fd12::7]/", Ok(())),
        ("idp.corp.internal", "http://idp.corp.internal/", Err(Refusal::Scheme)),
        ("idp.corp.internal", "https://a@idp.corp.internal/", Err(Refusal::Credentials)),
        ("idp.corp.internal", "https://idp.corp.internal./", Err(Refusal::OtherHost)),
        ("idp.corp.internal", "https://other.corp.internal/", Err(Refusal::OtherHost)),
        ("idp.corp.internal", "https://example.com/", Err(Refusal::OtherHost)),
        ("idp.corp.internal", "https://10.0.0.7/", Err(Refusal::OtherHost)),
        ("10.0.0.7", "https://10.0.0.8/", Err(Refusal::OtherHost)),
        ("10.0.0.7", "https://[::ffff:10.0.0.7]/", Err(Refusal::OtherHost)),
        ("127.0.0.1", "https://127.0.0.1/", Err(Refusal::Address(NotPublic::Loopback))),
        (
            "169.254.169.254",
            "https://169.254.169.254/",
            Err(Refusal::Address(NotPublic::CloudMetadata)),
        ),
        ("169.254.0.1", "https://169.254.0.1/", Err(Refusal::Address(NotPublic::Reserved))),
    ] {
        let Ok(built) = Fetch::builder().allow_private_host(host).build() else {
            assert_eq!(host, "fd12::7", "an address of version 6 is in brackets");
            continue;
        };
        let url = Url::parse(url).unwrap();
        assert_eq!(built.destinations.judge(&url), judged, "{host}: {url}");
    }
    for host in ["", "idp:8443", "https://idp", "idp/jwks", "a b"] {
        let built = Fetch::builder().allow_private_host(host).build();
        assert!(matches!(built, Err(FetchError::Misconfigured(_))), "{host:?}");
    }
}

#[test]
fn s01_a_private_name_leads_to_private_networks_and_to_nothing_worse() {
    let inside = inside("idp.corp.internal");
    let judge =
        |address: &str| inside.judge_resolved("idp.corp.internal", address.parse().unwrap());
    for address in ["10.0.0.7", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::7", "8.8.8.8"] {
        assert_eq!(judge(address), Ok(()), "{address}");
    }
    for address in [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "169.254.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd00:c1::a9fe:a9fe",
        "fd20:ce::254",
        "fe80::1",
        "224.0.0.1",
        "64:ff9b::a00:7",
    ] {
        assert!(judge(address).is_err(), "{address}");
    }
    let outside = Fetch::builder().build().unwrap().destinations;
    assert!(outside.judge_resolved("idp.corp.internal", "10.0.0.7".parse().unwrap()).is_err());
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_alone() {
    let url = Https::serve(|_| vec![CREATED.to_owned()]).await.url("127.0.0.1", "/");
    let own = loopback().trust_only(AUTHORITY).build().unwrap();
    assert_eq!(own.get(&url).await.unwrap().status, 201);
    let unknown = loopback().build().unwrap().get(&url).await.unwrap_err();
    assert!(matches!(unknown, FetchError::Failed(_)), "{unknown:?}");
    assert_eq!(unknown.to_string(), "the exchange failed: no connection could be made");
    assert!(ErrorChain::new(&unknown).to_string().contains("certificate"), "the log says why");
    for no_authority in ["", "not PEM", include_str!("../../../vectors/tls/server.key")] {
        let built = loopback().trust_only(no_authority).build();
        assert!(matches!(built, Err(FetchError::Misconfigured(_))));
    }
}
