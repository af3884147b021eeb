#!/usr/bin/env bash
# @modelcontextprotocol/client 2.4.0: a result with "format": "email" in its schema is lost, if the
# address is root@localhost.
#
# A domain may be one label, and what stands before the @ a quoted string (RFC 5321, 4.1.2); whether
# a format is asserted is up to whoever reads the schema (JSON Schema 2020-12 Validation, 7.2.1).
# The TypeScript SDK asserts it of `structuredContent`, and takes no such address: the caller gets
# an error in place of the result, content included. mcp 2.3.0 (Python) gives the same results.
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
import json
import sys

from mcp import Client


async def main(url, addresses):
    async with Client(url) as client:
        await client.list_tools()
        for address in addresses:
            result = await client.call_tool("stub", {"address": address})
            print(f"Python: {result.structured_content['address']}")


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
EOF
cat >one.mjs <<'EOF'
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const addresses = ["root@example.com", "root@localhost", '"the root"@example.com'];
const outputSchema = {
  type: "object",
  properties: { address: { type: "string", format: "email" } },
  required: ["address"],
};

function answer({ method, params }) {
  if (method === "initialize") {
    const serverInfo = { name: "stub", version: "1" };
    return { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo };
  }
  if (method === "tools/list") {
    return { tools: [{ name: "stub", inputSchema: { type: "object" }, outputSchema }] };
  }
  if (method !== "tools/call") return undefined;
  const structuredContent = params.arguments;
  return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
}

const server = createServer(async (req, res) => {
  if (req.method !== "POST") return res.writeHead(405).end();
  const message = JSON.parse((await req.toArray()).join(""));
  if (!("id" in message)) return res.writeHead(202).end();
  const result = answer(message);
  const outcome = result ? { result } : { error: { code: -32601, message: "Method not found" } };
  res.setHeader("content-type", "application/json");
  res.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...outcome }));
}).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}/mcp`;

const client = new Client({ name: "finding", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
await client.listTools();
for (const address of addresses) {
  const outcome = await client.callTool({ name: "stub", arguments: { address } }).then(
    (result) => result.structuredContent.address,
    (error) => error.message,
  );
  console.log(`TypeScript: ${outcome}`);
}
const python = spawn("venv/bin/python", ["one.py", url, JSON.stringify(addresses)], {
  stdio: ["ignore", "inherit", "ignore"],
});
await once(python, "exit");
process.exit(0);
EOF
seen=$(timeout 120 node one.mjs 2>/dev/null)
echo "@modelcontextprotocol/client 2.4.0, mcp 2.3.0"
echo "$seen"
refused='Structured content does not match the tool'\''s output schema: data/address must match format "email"'
expected="TypeScript: root@example.com
TypeScript: $refused
TypeScript: $refused
Python: root@example.com
Python: root@localhost
Python: \"the root\"@example.com"
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
