#!/usr/bin/env bash
# fastmcp 4.1.6, its client: a form is answered with null for what was left out, and under other names.
#
# What is accepted matches the form that the server sent (MCP 2026-07-28, Elicitation, Response
# Actions). The handler of the client is given a dataclass made of that form and returns one of it,
# which is how the documentation of FastMCP answers. All of its fields are sent: an optional one that
# nobody filled in as null, though its schema says "string", and each under its name in Python: for
# `first-name` the server gets `first_name`, for `class` it gets `class_`, and what is required is
# missing. A handler that returns a dict has it sent as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $! 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check fastmcp==4.1.6
cat >"$folder/server.py" <<'EOF'
"""One tool, which asks for a form and prints how that was answered."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer

TEXT = {"type": "string"}
FORM = {
    "type": "object",
    "properties": {"first-name": TEXT, "class": TEXT, "nickname": TEXT},
    "required": ["first-name", "class"],
}
QUESTION = {"mode": "form", "message": "Who are you?", "requestedSchema": FORM}
LISTED = {"ttlMs": 0, "cacheScope": "private"}


def result(method, params):
    if method == "server/discover":
        return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **LISTED}
    if method == "tools/list":
        return {"tools": [{"name": "stub", "inputSchema": {"type": "object"}}], **LISTED}
    if "inputResponses" in params:
        print(json.dumps(params["inputResponses"]["form"]["content"]), flush=True)
        return {"content": [{"type": "text", "text": "done"}]}
    asked = {"form": {"method": "elicitation/create", "params": QUESTION}}
    return {"resultType": "input_required", "inputRequests": asked}


class Stub(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        outcome = {"resultType": "complete", **result(request["method"], request["params"])}
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": outcome}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Stub)
print(server.server_address[1], flush=True)
server.serve_forever()
EOF
cat >"$folder/client.py" <<'EOF'
import asyncio
import sys
from dataclasses import MISSING, fields

from fastmcp import Client


async def a_dataclass(message, response_type, params, context):
    required = [field.name for field in fields(response_type) if field.default is MISSING]
    return response_type(**dict.fromkeys(required, "Ann"))


async def a_dict(message, response_type, params, context):
    return dict.fromkeys(params.requested_schema["required"], "Ann")


async def main(url):
    for handler in (a_dataclass, a_dict):
        async with Client(url, elicitation_handler=handler) as client:
            await client.call_tool("stub", {})


asyncio.run(main(sys.argv[1]))
EOF
mkfifo "$folder/out"
python3 "$folder/server.py" >"$folder/out" &
exec 3<"$folder/out"
read -r port <&3
timeout 120 "$folder/venv/bin/python" "$folder/client.py" "http://127.0.0.1:$port/mcp" >"$folder/log" 2>&1 ||
  { cat "$folder/log" >&2; exit 1; }
read -r dataclass <&3
read -r dict <&3
echo "fastmcp 4.1.6: of first-name, class and nickname the last one may be left out"
echo "a dataclass is sent as $dataclass"
echo "a dict is sent as      $dict"
[ "$dataclass" = '{"first_name": "Ann", "class_": "Ann", "nickname": null}' ] &&
  [ "$dict" = '{"first-name": "Ann", "class": "Ann"}' ] ||
  { echo "this is no longer so" >&2; exit 1; }
