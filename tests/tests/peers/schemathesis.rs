//! schemathesis against the endpoints of the sign-in: requests that their description allows, and
//! requests that it does not, of a client and a browser that the server knows and of others.

use std::fs;
use std::process::{Child, Command, Stdio};

use portcullis::testing::IdentityProvider;
use portcullis_tests::driver::{Testbed, root};
use portcullis_tests::sign_in::{ALICE, Browser, Client};
use tokio::runtime::Runtime;

use crate::TESTBED;

/// How many requests are sent at least, to both servers together.
const CASES: usize = 5_000;

/// How many of them an operation gets, beside those that each description has at its limits.
const EXAMPLES: &str = "280";

/// The description, with what a client and a browser of `testbed` hold.
fn description(testbed: &Testbed, refresh_token: &str) -> String {
    let client = Client::register(testbed);
    let url = client.authorization_url("read");
    let target = url.split_once(testbed.authority()).unwrap().1;
    let page = testbed.request(&format!("GET {target}"), &[], b"");
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap();
    let (_, request) = page.body.split_once("name=\"request\" value=\"").unwrap();
    let text = fs::read_to_string(root().join("tests/peers/schemathesis/endpoints.yaml")).unwrap();
    [
        ("THE_CLIENT", client.id.as_str()),
        ("THE_RESOURCE", testbed.url()),
        ("THE_REFRESH_TOKEN", refresh_token),
        ("THE_COOKIE", cookie),
        ("THE_REQUEST", request.split('"').next().unwrap()),
    ]
    .iter()
    .fold(text, |text, (name, value)| {
        assert!(text.contains(&format!("const: {name}}}")), "{name}");
        text.replace(&format!("const: {name}}}"), &format!("const: \"{value}\"}}"))
    })
}

/// Starts the program against `testbed`.
fn attack(testbed: &Testbed, name: &str, refresh_token: &str) -> Child {
    let folder = root().join("target/peers/schemathesis");
    let file = folder.join(format!("{name}.yaml"));
    fs::write(&file, description(testbed, refresh_token))
        .unwrap_or_else(|error| panic!("{error}\nis it there? ./test fetches it"));
    let mut command = Command::new(folder.join("bin/schemathesis"));
    command
        .arg("run")
        .arg(file)
        .args(["--url", &format!("http://{}", testbed.authority())])
        .args(["--checks", "not_a_server_error", "--phases", "coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--no-shrink", "--no-color"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .args(["--generation-database", "none"])
        // What is known of the server is put into its working directory.
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// How many requests it sent.
fn passed(attack: Child) -> usize {
    let output = attack.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let count = said.lines().find_map(|line| line.trim().split_once(" generated, "));
    let count = count.and_then(|(count, _)| count.parse().ok());
    count.unwrap_or_else(|| panic!("it does not say how many requests it sent: {said}"))
}

#[test]
fn no_request_to_the_sign_in_is_a_server_error() {
    let login = Testbed::start(TESTBED, &["--auth", "login"]);
    let client = Client::register(&login);
    let mut browser = Browser::default();
    let page = browser.open(&client.authorization_url("read"));
    let tokens = client.redeem(&browser.submit(&page, &ALICE));

    let runtime = Runtime::new().unwrap();
    let idp = runtime.block_on(IdentityProvider::start()).unwrap();
    let secret = idp.client_secret();
    let client = ["--client-id", idp.client_id(), "--client-secret", secret.expose()];
    let flags = ["--auth", "proxy", "--idp", idp.issuer(), "--allow-loopback-idp"];
    let proxy = Testbed::start(TESTBED, &[&flags[..], &client].concat());

    let attacks = [
        attack(&login, "login", tokens["refresh_token"].as_str().unwrap()),
        attack(&proxy, "proxy", "pcr_x"),
    ];
    let sent: usize = attacks.map(passed).into_iter().sum();
    assert!(sent >= CASES, "only {sent} requests were sent");
}
