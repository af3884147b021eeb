#!/usr/bin/env bash
# schemars 1.2.3: documentation changes the form of a schema.
#
# An enum of plain variants is `{"type": "string", "enum": […]}`. Once a single variant has a
# doc comment it is a `oneOf` of the rest as an `enum` and that variant as a `const`, moved to
# the end: another form and another order for the same values. Clients that read `enum` alone
# no longer find the values.
#
# Integers: u8 and i8 have `minimum` and `maximum`; u32 has `minimum: 0` and `format: "uint32"`,
# i64 `format: "int64"` alone. JSON Schema has no such formats, so 4294967296 is a valid u32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'EOF'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
schemars = { version = "=1.2.3", default-features = false, features = ["derive", "std"] }
serde_json = "=1.0.154"

[workspace]
EOF
cat >"$folder/src/main.rs" <<'EOF'
#![allow(dead_code)]
use schemars::{JsonSchema, schema_for};

#[derive(JsonSchema)]
enum Bare {
    Low,
    High,
    Off,
}

#[derive(JsonSchema)]
enum Documented {
    Low,
    /// As much as there is.
    High,
    Off,
}

#[derive(JsonSchema)]
struct Numbers {
    byte: u8,
    word: u32,
    long: i64,
}

fn main() {
    let mut bare = schema_for!(Bare);
    let mut documented = schema_for!(Documented);
    for schema in [&mut bare, &mut documented] {
        schema.remove("$schema");
        schema.remove("title");
    }
    println!("bare: {}", serde_json::to_string(&bare).unwrap());
    println!("documented: {}", serde_json::to_string(&documented).unwrap());
    let numbers = schema_for!(Numbers);
    println!("numbers: {}", numbers.get("properties").unwrap());
}
EOF
seen=$(cd "$folder" && cargo run -q)
printf 'schemars 1.2.3\n%s\n' "$seen"
expected='bare: {"type":"string","enum":["Low","High","Off"]}
documented: {"oneOf":[{"type":"string","enum":["Low","Off"]},{"description":"As much as there is.","type":"string","const":"High"}]}
numbers: {"byte":{"format":"uint8","maximum":255,"minimum":0,"type":"integer"},"long":{"format":"int64","type":"integer"},"word":{"format":"uint32","minimum":0,"type":"integer"}}'
diff <(echo "$expected") <(echo "$seen") || { echo "this is no longer so" >&2; exit 1; }
