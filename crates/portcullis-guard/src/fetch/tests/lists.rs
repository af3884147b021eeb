//! Allow-lists: hosts, ports, private hosts and networks.

use url::Url;

use super::{Answers, refusal};
use crate::address::NotPublic;
use crate::fetch::destination::Destinations;
use crate::fetch::{Fetch, FetchBuilder, FetchError, Refusal};

fn judge(builder: FetchBuilder, url: &str) -> Result<(), Refusal> {
    builder.build().unwrap().destinations.judge(&Url::parse(url).unwrap())
}

#[test]
fn s16_an_allow_list_means_whole_hosts_and_ports() {
    let listed = || {
        let hosts =
            ["example.com", "*.example.org", "8.8.8.8", "[2606:4700::1111]", "bücher.example"];
        Fetch::builder().allow_hosts(hosts).ports([443, 8443])
    };
    for allowed in [
        "https://example.com/",
        "https://EXAMPLE.com:8443/x?y",
        "https://a.example.org/",
        "https://a.b.example.org/",
        "https://8.8.8.8/",
        "https://134744072/",
        "https://[2606:4700::1111]/",
        "https://xn--bcher-kva.example/",
        "https://B\u{fc}cher.example/",
    ] {
        assert_eq!(judge(listed(), allowed), Ok(()), "{allowed}");
    }
    for other in [
        "https://example.com.evil.example/",
        "https://evilexample.com/",
        "https://a.example.com/",
        "https://example.com./",
        "https://example.org/",
        "https://evilexample.org/",
        "https://a.example.org.evil.example/",
        "https://ex\u{430}mple.com/",
        "https://8.8.4.4/",
        "https://[::ffff:8.8.8.8]/",
        "https://b%C3%BCchers.example/",
        "https://localhost/",
    ] {
        assert_eq!(judge(listed(), other), Err(Refusal::OtherHost), "{other}");
    }
    for port in ["https://example.com:444/", "https://example.com:22/", "https://8.8.8.8:80/"] {
        assert_eq!(judge(listed(), port), Err(Refusal::Port), "{port}");
    }
    assert_eq!(judge(listed(), "http://example.com/"), Err(Refusal::Scheme));
    assert_eq!(judge(listed(), "https://example.com@8.8.4.4/"), Err(Refusal::Credentials));
    let closed = Fetch::builder().ports([]);
    assert_eq!(judge(closed, "https://example.com/"), Err(Refusal::Port), "no port at all");
    for bad in ["", "example.com:443", "https://example.com", "*.", "*", "*.8.8.8.8", "a b", "a/b"]
    {
        let built = Fetch::builder().allow_hosts([bad]).build();
        assert!(matches!(built, Err(FetchError::Misconfigured(_))), "{bad:?}");
    }
}

#[test]
fn s16_a_name_of_the_list_that_means_something_inside_is_still_refused() {
    for name in ["localhost", "metadata", "*.internal", "intranet"] {
        let host = name.replace("*", "metadata.google");
        let builder = Fetch::builder().allow_hosts([name]);
        assert_eq!(judge(builder, &format!("https://{host}/")), Err(Refusal::Host), "{name}");
    }
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]"] {
        let builder = Fetch::builder().allow_hosts([address]);
        let judged = judge(builder, &format!("https://{address}/"));
        assert!(matches!(judged, Err(Refusal::Address(_))), "{address}: {judged:?}");
    }
}

#[tokio::test]
async fn s05_s16_a_name_of_the_list_that_resolves_to_inside_is_refused() {
    let answers = Answers::new(&[&["10.0.0.1"], &["8.8.8.8", "127.0.0.1"]]);
    let fetch = Fetch::builder().allow_hosts(["example.com"]).lookup(answers).build().unwrap();
    for _ in 0..2 {
        let refused = refusal(&fetch, "https://example.com/").await;
        assert!(matches!(refused, Refusal::Address(_)), "{refused:?}");
    }
}

fn networks(hosts: &[&str], networks: &[&str]) -> Destinations {
    let builder =
        hosts.iter().fold(Fetch::builder(), |builder, host| builder.allow_private_host(*host));
    let builder =
        networks.iter().fold(builder, |builder, network| builder.allow_private_network(*network));
    builder.build().unwrap().destinations
}

#[test]
fn s01_a_named_network_is_reached_and_no_other() {
    let open = networks(&[], &["10.1.0.0/16", "100.64.0.0/10", "fd12::/16"]);
    let url = |address: &str| Url::parse(&format!("https://{address}/")).unwrap();
    for address in ["10.1.0.0", "10.1.255.255", "100.100.1.1", "[fd12::1]", "8.8.8.8"] {
        assert_eq!(open.judge(&url(address)), Ok(()), "{address}");
    }
    for address in [
        "10.0.255.255",
        "10.2.0.0",
        "172.16.0.1",
        "192.168.1.1",
        "[fd13::1]",
        "127.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "[fe80::1]",
        "0.0.0.0",
    ] {
        assert!(matches!(open.judge(&url(address)), Err(Refusal::Address(_))), "{address}");
    }
    assert_eq!(
        open.judge_resolved("a.example.com", "10.1.2.3".parse().unwrap()),
        Ok(()),
        "whoever resolves to it"
    );
    assert_eq!(open.judge(&url("billing.internal")), Err(Refusal::Host));

    // With names, those alone, and they reach nothing else that is private.
    let named = networks(&["billing.internal", "idp.internal"], &["10.1.0.0/16"]);
    let judge = |name: &str, address: &str| named.judge_resolved(name, address.parse().unwrap());
    assert_eq!(named.judge(&url("billing.internal")), Ok(()));
    assert_eq!(named.judge(&url("idp.internal")), Ok(()));
    assert_eq!(named.judge(&url("other.internal")), Err(Refusal::OtherHost));
    assert_eq!(judge("billing.internal", "10.1.2.3"), Ok(()));
    assert_eq!(judge("billing.internal", "::ffff:10.1.2.3"), Ok(()));
    let reserved = Err(Refusal::Address(NotPublic::Reserved));
    assert_eq!(judge("billing.internal", "10.2.0.1"), reserved);
    assert_eq!(judge("example.com", "10.1.2.3"), reserved);

    let mixed =
        Fetch::builder().allow_hosts(["example.com"]).allow_private_host("billing.internal");
    let mixed = mixed.build().unwrap().destinations;
    assert_eq!(mixed.judge(&url("example.com")), Ok(()));
    assert_eq!(mixed.judge_resolved("example.com", "10.1.2.3".parse().unwrap()), reserved);
    assert_eq!(mixed.judge_resolved("billing.internal", "10.1.2.3".parse().unwrap()), Ok(()));
}

#[test]
fn s01_only_a_private_network_can_be_named() {
    for bad in [
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.1/8",
        "10.0.0.0/7",
        "172.16.0.0/11",
        "192.168.0.0/15",
        "100.64.0.0/9",
        "8.8.8.0/24",
        "127.0.0.0/8",
        "0.0.0.0/0",
        "169.254.0.0/16",
        "fe80::/10",
        "fc00::/6",
        "::/0",
        "fd00::/129",
        "2001:db8::/32",
        "a/8",
    ] {
        let built = Fetch::builder().allow_private_network(bad).build();
        assert!(matches!(built, Err(FetchError::Misconfigured(_))), "{bad:?}");
    }
    for good in ["10.0.0.0/8", "10.0.0.1/32", "172.16.0.0/12", "fc00::/7", "fd00::1/128"] {
        assert!(Fetch::builder().allow_private_network(good).build().is_ok(), "{good}");
    }
}

#[test]
fn s07_what_is_outside_does_not_redirect_to_what_is_inside() {
    let builder = Fetch::builder().allow_loopback().allow_hosts(["a.example.com", "localhost"]);
    let builder = builder.allow_private_host("b.internal").allow_private_host("c.internal");
    let destinations = builder.build().unwrap().destinations;
    let judge = |from: &str, to: &str| {
        destinations.judge_redirect(&Url::parse(from).unwrap(), &Url::parse(to).unwrap())
    };
    assert_eq!(judge("https://a.example.com/", "https://a.example.com/x"), Ok(()));
    assert_eq!(judge("https://b.internal/", "https://c.internal/"), Ok(()));
    assert_eq!(judge("https://b.internal/", "https://a.example.com/"), Ok(()));
    assert_eq!(judge("http://localhost/", "https://a.example.com/"), Ok(()));
    for (from, to) in [
        ("https://a.example.com/", "https://b.internal/"),
        ("https://a.example.com/", "https://localhost/"),
        ("https://a.example.com/", "http://localhost/"),
        ("https://localhost/", "http://localhost/"),
    ] {
        assert_eq!(judge(from, to), Err(Refusal::Redirect), "{from} {to}");
    }
    assert_eq!(judge("https://a.example.com/", "https://evil.example/"), Err(Refusal::OtherHost));

    let network = networks(&[], &["10.1.0.0/16"]);
    let judge = |from: &str, to: &str| {
        network.judge_redirect(&Url::parse(from).unwrap(), &Url::parse(to).unwrap())
    };
    assert_eq!(judge("https://10.1.0.1/", "https://10.1.0.2/"), Ok(()));
    assert_eq!(judge("https://example.com/", "https://10.1.0.1/"), Err(Refusal::Redirect));
}
