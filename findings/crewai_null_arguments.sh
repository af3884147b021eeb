#!/usr/bin/env bash
# crewai-tools 1.15.30: what a model leaves out is sent all the same, as null.
#
# MCPServerAdapter makes a pydantic model of a tool's schema, in which every argument that is
# not required may be null, and sends the whole model: an optional argument that was left out
# arrives as null although its schema says "string", one with a default arrives as that.
# A server that checks null against the schema refuses every such call.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'kill $! 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-compile \
  -r "$here/../tests/peers/hosts/requirements-1x.txt"
cat >"$folder/one.py" <<'EOF'
import os
import sys

from crewai_tools.adapters.mcp_adapter import MCPServerAdapter

adapter = MCPServerAdapter({"url": sys.argv[1], "transport": "streamable-http"})
adapter.tools[0].run(city="Bern")
os._exit(0)
EOF
mkfifo "$folder/out"
python3 "$here/stub_server.py" '{"type":"object","required":["city"],"properties":{
  "city":{"type":"string"},"unit":{"type":"string"},"days":{"type":"integer","default":3}}}' >"$folder/out" &
exec 3<"$folder/out"
read -r port <&3
CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true timeout 120 \
  "$folder/venv/bin/python" "$folder/one.py" "http://127.0.0.1:$port/mcp" >"$folder/log" 2>&1 || cat "$folder/log"
read -r arguments <&3
echo "crewai-tools 1.15.30, called with city=Bern, sends: $arguments"
[ "$arguments" = '{"city": "Bern", "unit": null, "days": 3}' ] || { echo "this is no longer so" >&2; exit 1; }
