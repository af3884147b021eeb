#!/usr/bin/env bash
# mcp 2.3.0 (Python), @modelcontextprotocol/client 2.4.0 and @ai-sdk/mcp 2.0.99: whose first request is
# answered 429 speaks to that server in a session of 2025-11-25 from then on.
#
# They ask `server/discover` first. To the specification a 4xx that names no version is the answer of
# an old server (MCP 2026-07-28, Versioning and Compatibility), and a rate limit answers 429, too. All
# three go on with `initialize`, whatever Retry-After says, and stay in that session as long as the
# client lives, though the server would answer a second `server/discover`. After a 503, which a proxy
# sends while a server starts, the Python SDK and the AI SDK do the same, and the TypeScript SDK does
# not connect. So a busy moment decides whether a later restart, which ends sessions, is noticed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @modelcontextprotocol/client@2.4.0 @ai-sdk/mcp@2.0.99
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check mcp==2.3.0
cat >one.py <<'EOF'
import asyncio
import sys

from mcp import Client


async def main(url):
    async with Client(url) as client:
        for _ in range(3):
            await client.call_tool("stub", {})


asyncio.run(main(sys.argv[1]))
EOF
cat >one.mjs <<'EOF'
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";

import { createMCPClient } from "@ai-sdk/mcp";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const VERSION = "io.modelcontextprotocol/protocolVersion";
const capabilities = { tools: {} };
let refusal;
let seen;

function answer({ method, params }) {
  if (method === "initialize") {
    return { protocolVersion: "2025-11-25", capabilities, serverInfo: { name: "stub", version: "1" } };
  }
  const result = params?._meta?.[VERSION] ? { resultType: "complete", ttlMs: 0, cacheScope: "private" } : {};
  if (method === "server/discover") result.supportedVersions = ["2026-07-28"];
  if (method === "server/discover") result.capabilities = capabilities;
  if (method === "tools/list") result.tools = [{ name: "stub", inputSchema: { type: "object" } }];
  if (method === "tools/call") result.content = [{ type: "text", text: "done" }];
  return result;
}

/** Speaks both versions. Its first answer may be a refusal, and no other. */
const server = createServer(async (req, res) => {
  if (req.method !== "POST") return res.writeHead(405).end();
  const message = JSON.parse((await req.toArray()).join(""));
  if (refusal) {
    res.writeHead(refusal, { "retry-after": "1" }).end();
    refusal = undefined;
    return;
  }
  if (!("id" in message)) return res.writeHead(202).end();
  if (message.method === "tools/call") seen.push(message.params?._meta?.[VERSION] ?? "session");
  res.setHeader("content-type", "application/json");
  if (!message.params?._meta?.[VERSION]) res.setHeader("mcp-session-id", "stub");
  res.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result: answer(message) }));
}).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}/mcp`;

async function python() {
  await once(spawn("venv/bin/python", ["one.py", url], { stdio: "ignore" }), "exit");
}

async function typescript() {
  const client = new Client({ name: "finding", version: "1" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  for (let call = 0; call < 3; call += 1) await client.callTool({ name: "stub" });
}

async function ai() {
  const client = await createMCPClient({ transport: { type: "http", url } });
  const { stub } = await client.tools();
  for (let call = 0; call < 3; call += 1) await stub.execute({}, { toolCallId: "", messages: [] });
}

for (const status of [undefined, 429, 503]) {
  for (const client of [python, typescript, ai]) {
    refusal = status;
    seen = [];
    await client().catch((error) => seen.push(error.message));
    console.log(`${status ?? "nothing"} refused, ${client.name}: ${seen.join(", ")}`);
  }
}
process.exit(0);
EOF
seen=$(timeout 120 node one.mjs 2>/dev/null)
echo "mcp 2.3.0, @modelcontextprotocol/client 2.4.0, @ai-sdk/mcp 2.0.99; three calls each"
echo "$seen"
new='2026-07-28, 2026-07-28, 2026-07-28'
old='session, session, session'
expected="nothing refused, python: $new
nothing refused, typescript: $new
nothing refused, ai: $new
429 refused, python: $old
429 refused, typescript: $old
429 refused, ai: $old
503 refused, python: $old
503 refused, typescript: Version negotiation failed: the server answered the probe with HTTP 503
503 refused, ai: $old"
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
