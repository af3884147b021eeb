//! Settings of every kind of field, from the environment.

use mcp::guard::{Environment, EnvironmentErrorKind, FromEnv, Secret};

#[derive(Debug, FromEnv)]
#[env(crate = mcp)]
pub struct Settings {
    #[env("MY_API_KEY", file)]
    key: Secret<String>,
    #[env("MY_API_BASE", default = "https://api.example.com")]
    base: String,
    #[env("MY_API_TIMEOUT")]
    timeout: Option<u64>,
    #[env("MY_API_OLD_KEY")]
    old_key: Option<Secret<String>>,
    #[env("MY_API_PIN", file)]
    r#type: std::option::Option<mcp::guard::Secret<u32>>,
}

#[test]
fn settings_are_read_from_the_environment() {
    let environment =
        Environment::from_pairs([("MY_API_KEY", "settings-marked-key"), ("MY_API_TIMEOUT", "30")]);
    let settings = Settings::from_env(&environment).unwrap();
    assert!(settings.key.matches("settings-marked-key"));
    assert_eq!((settings.base.as_str(), settings.timeout), ("https://api.example.com", Some(30)));
    assert!(settings.old_key.is_none() && settings.r#type.is_none());
    assert!(!format!("{settings:?}").contains("marked"));

    let wrong = Environment::from_pairs([("MY_API_TIMEOUT", "soon"), ("MY_API_PIN", "hunter2")]);
    let error = Settings::from_env(&wrong).unwrap_err();
    assert_eq!(error.kind(), EnvironmentErrorKind::Unset);
    let expected = "set the variables MY_API_KEY: missing, empty or not UTF-8; \
                    MY_API_TIMEOUT is not of the type u64; MY_API_PIN is not of the type u32";
    assert_eq!(error.to_string(), expected);
}
