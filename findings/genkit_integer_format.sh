#!/usr/bin/env bash
# @genkit-ai/mcp 1.42.0 (genkit 1.42.0): a format that it does not know makes a tool impossible
# to call.
#
# JSON Schema lets a schema name any `format`, and asks nobody to know it (2020-12 Validation,
# 7.2.3). Genkit compiles a tool's schema with Ajv in strict mode at the first call: `uint32`,
# which Rust's schemars writes for every u32, is an error then, and the call never leaves the
# host. The tool is listed as usual. The text reads like a warning: "unknown format … ignored".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stub=$(cd "$(dirname "$0")" && pwd)/stub_server.py
cd "$folder"
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional @genkit-ai/mcp@1.42.0 genkit@1.42.0 @cfworker/json-schema@4.1.6
cat >one.mjs <<'EOF'
import { createMcpHost } from "@genkit-ai/mcp";
import { genkit } from "genkit";

const host = createMcpHost({ name: "finding", mcpServers: { stub: { url: process.argv[2] } } });
const tools = await host.getActiveTools(genkit({}));
try {
  console.log(tools.length, "listed;", await tools[0]({ count: 1 }));
} catch (error) {
  console.log(tools.length, "listed;", error.message);
}
process.exit(0);
EOF
call() {
  mkfifo "$1.out"
  python3 "$stub" "{\"type\":\"object\",\"properties\":{\"count\":{\"type\":\"integer\",$2\"minimum\":0}}}" >"$1.out" &
  exec 3<"$1.out"
  read -r port <&3
  node one.mjs "http://127.0.0.1:$port/mcp"
  kill $!
}
plain=$(call plain '')
format=$(call format '"format":"uint32",')
echo "@genkit-ai/mcp 1.42.0"
echo "without a format: $plain"
echo "with uint32:      $format"
[ "$plain" = "1 listed; done" ] &&
  [ "$format" = '1 listed; unknown format "uint32" ignored in schema at path "#/properties/count"' ] ||
  { echo "this is no longer so" >&2; exit 1; }
