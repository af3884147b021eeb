//! The command `portcullis`.

fn main() -> std::process::ExitCode {
    portcullis_cli::run()
}
