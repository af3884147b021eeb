#!/usr/bin/env bash
# mcp 2.3.0 (Python): a result is lost, if a pattern of its schema has `\p{L}` or a named group.
#
# Patterns are regular expressions of ECMA-262, with Unicode (JSON Schema 2020-12 Core, 6.4): there
# `\p{L}` is any letter, and `(?<word>…)` a group with a name. The Python SDK checks the whole schema
# of a result with Python's own expressions, which have neither, whatever the value is. The tool is
# listed as usual and does its work; then its caller gets "Invalid schema for tool" in place of the
# result, content included. @modelcontextprotocol/client 2.4.0 (TypeScript) gives it.
# Seen in mcp 1.30.0 too.
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

from mcp import Client


async def main(url):
    async with Client(url) as client:
        for tool in (await client.list_tools()).tools:
            try:
                print((await client.call_tool(tool.name, {})).structured_content["word"])
            except Exception as error:
                print(str(error).splitlines()[0])


asyncio.run(main(sys.argv[1]))
EOF
cat >one.mjs <<'EOF'
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { promisify } from "node:util";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const patterns = { plain: "^[a-z]+$", letters: "^\\p{L}+$", named: "^(?<word>[a-z]+)$" };

function answer({ method, params }) {
  if (method === "initialize") {
    const serverInfo = { name: "stub", version: "1" };
    return { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo };
  }
  if (method === "tools/list") {
    const tools = Object.entries(patterns).map(([name, pattern]) => ({
      name,
      inputSchema: { type: "object" },
      outputSchema: { type: "object", properties: { word: { type: "string", pattern } } },
    }));
    return { tools };
  }
  if (method !== "tools/call") return undefined;
  const structuredContent = { word: params.name };
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
for (const { name } of (await client.listTools()).tools) {
  const outcome = await client.callTool({ name }).then(
    (result) => result.structuredContent.word,
    (error) => error.message,
  );
  console.log(`TypeScript: ${outcome}`);
}
const { stdout } = await promisify(execFile)("venv/bin/python", ["one.py", url]);
console.log(stdout.trim().replace(/^/gm, "Python: "));
process.exit(0);
EOF
seen=$(timeout 120 node one.mjs 2>/dev/null)
echo "mcp 2.3.0, @modelcontextprotocol/client 2.4.0"
echo "$seen"
expected="TypeScript: plain
TypeScript: letters
TypeScript: named
Python: plain
Python: Invalid schema for tool letters: '^\\\\p{L}+\$' is not a 'regex'
Python: Invalid schema for tool named: '^(?<word>[a-z]+)\$' is not a 'regex'"
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
