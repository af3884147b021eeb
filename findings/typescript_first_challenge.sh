#!/usr/bin/env bash
# @modelcontextprotocol/client 2.4.0 and mcp 2.3.0 (Python): behind a challenge of another scheme the
# one does not find where to sign in, and the other does.
#
# A 401 may carry several challenges, in one header or in several, in any order (RFC 9110, 11.6.1):
# a gateway that takes Kerberos tickets or passwords as well adds its own. The TypeScript SDK looks
# at the scheme of the first one. Unless that is Bearer or DPoP it reads none of them, so that
# `resource_metadata` and `scope` (RFC 9728, 5.1) are lost; it looks at the well-known addresses, and
# where the metadata is elsewhere it tries to register at the MCP server itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @modelcontextprotocol/client@2.4.0
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check mcp==2.3.0
cat >one.py <<'EOF'
import asyncio
import sys

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata


class Nothing:
    async def get_tokens(self):
        return None

    get_client_info = get_tokens


async def connect(url):
    client = OAuthClientMetadata(redirect_uris=["http://127.0.0.1:1/callback"])
    auth = OAuthClientProvider(server_url=url, client_metadata=client, storage=Nothing())
    async with httpx2.AsyncClient(auth=auth) as http:
        await http.post(url, json={})


asyncio.run(connect(sys.argv[1]))
EOF
cat >one.mjs <<'EOF'
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

let challenges;
let asked;

const server = createServer((req, res) => {
  asked.push(`${req.method} ${req.url}`);
  if (req.url === "/mcp") {
    const named = challenges.map((text) => text.replace("Bearer", `Bearer resource_metadata="${origin}/metadata"`));
    return res.writeHead(401, { "www-authenticate": named }).end();
  }
  if (req.url !== "/metadata") return res.writeHead(404).end();
  const document = { resource: `${origin}/mcp`, authorization_servers: [`${origin}/issuer`] };
  res.setHeader("content-type", "application/json").end(JSON.stringify(document));
}).listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${server.address().port}`;

async function typescript(url) {
  const authProvider = {
    redirectUrl: "http://127.0.0.1:1/callback",
    clientMetadata: { redirect_uris: ["http://127.0.0.1:1/callback"] },
    clientInformation: () => undefined,
    saveClientInformation() {},
    tokens: () => undefined,
  };
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
  await new Client({ name: "finding", version: "1" }).connect(transport).catch(() => {});
}

async function python(url) {
  await once(spawn("venv/bin/python", ["one.py", url], { stdio: "ignore" }), "exit");
}

for (challenges of [["Bearer"], ["Bearer, Negotiate"], ["Negotiate, Bearer"], ["Negotiate", "Bearer"]]) {
  const found = [];
  for (const connect of [typescript, python]) {
    asked = [];
    await connect(`${origin}/mcp`);
    if (asked.includes("GET /metadata")) found.push(`${connect.name} found it`);
    else found.push(`${connect.name} ended with ${asked.at(-1)}`);
  }
  console.log(`${challenges.join(" | ")}: ${found.join(", ")}`);
}
process.exit(0);
EOF
seen=$(timeout 120 node one.mjs 2>/dev/null)
echo "@modelcontextprotocol/client 2.4.0, mcp 2.3.0; Bearer names the metadata"
echo "$seen"
expected='Bearer: typescript found it, python found it
Bearer, Negotiate: typescript found it, python found it
Negotiate, Bearer: typescript ended with POST /register, python found it
Negotiate | Bearer: typescript ended with POST /register, python found it'
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
