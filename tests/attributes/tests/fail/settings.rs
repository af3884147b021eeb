use portcullis::guard::{FromEnv, Secret};

#[derive(FromEnv)]
struct Unnamed {
    port: u16,
}

#[derive(FromEnv)]
struct SecretWithDefault {
    #[env("KEY", default = "hunter2hunter2")]
    key: Secret<String>,
}

#[derive(FromEnv)]
struct OptionWithDefault {
    #[env("PORT", default = "8000")]
    port: Option<u16>,
}

#[derive(FromEnv)]
struct NumberAsDefault {
    #[env("PORT", default = 8000)]
    port: u16,
}

#[derive(FromEnv)]
struct UnknownOption {
    #[env("PORT", optional)]
    port: u16,
}

#[derive(FromEnv)]
struct NoName {
    #[env("MY PORT")]
    port: u16,
}

#[derive(FromEnv)]
struct Twice {
    #[env("PORT")]
    port: u16,
    #[env("PORT")]
    admin_port: u16,
}

#[derive(FromEnv)]
struct NoText {
    #[env("PORTS")]
    ports: Vec<u16>,
}

#[derive(FromEnv)]
struct Tuple(u16);

#[derive(FromEnv)]
enum Choice {
    One,
}

fn main() {}
