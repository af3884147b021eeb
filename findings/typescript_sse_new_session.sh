#!/usr/bin/env bash
# @modelcontextprotocol/client 2.4.0: over HTTP+SSE a stream that ends is opened again, and the new
# session is never initialized.
#
# A server that restarts ends its event streams. EventSource opens another by itself, as HTML asks
# of it; that is a new session, whose `endpoint` event names another URI (MCP 2024-11-05, HTTP with
# SSE). SSEClientTransport sends its messages there from then on, but the client goes on as in the
# session before: it sends no `initialize`, which must come first in a session, so that a server
# that insists on it refuses each later call. `onclose` is not called; `onerror` hears
# "SSE error: undefined".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @modelcontextprotocol/client@2.4.0
cat >one.mjs <<'EOF'
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";

import { Client, SSEClientTransport } from "@modelcontextprotocol/client";

const posts = new EventEmitter();
const initialized = new Set();
let session = 0;
let stream;

function tell(message) {
  stream.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`);
}

function open(res) {
  session += 1;
  console.log(`GET: session ${session}`);
  stream = res.writeHead(200, { "content-type": "text/event-stream" });
  stream.write(`retry: 100\nevent: endpoint\ndata: /messages/${session}\n\n`);
  // The answer says that the client has heard of the new endpoint.
  if (session > 1) tell({ id: "is anybody there", method: "ping" });
}

/** The answer to a request of that session. */
function answer({ method, params }, session) {
  if (method === "initialize") {
    initialized.add(session);
    const { protocolVersion } = params;
    const serverInfo = { name: "stub", version: "1" };
    return { result: { protocolVersion, capabilities: { tools: {} }, serverInfo } };
  }
  if (initialized.has(session)) return { result: { content: [{ type: "text", text: "done" }] } };
  return { error: { code: -32600, message: "not initialized" } };
}

const server = createServer(async (req, res) => {
  if (req.method === "GET") return open(res);
  const message = JSON.parse((await req.toArray()).join(""));
  const name = message.method ?? "answer";
  console.log(`POST: ${name}, session ${req.url.split("/").at(-1)}`);
  res.writeHead(202).end();
  posts.emit(name);
  if (message.method && "id" in message) tell({ id: message.id, ...answer(message, req.url) });
}).listen(0, "127.0.0.1");
await once(server, "listening");

const client = new Client({ name: "finding", version: "1" });
client.onclose = () => console.log("onclose");
client.onerror = (error) => console.log(`onerror: ${error.message}`);
const call = () => client.callTool({ name: "stub" }).then(
  ({ content: [{ text }] }) => console.log(text),
  (error) => console.log(`refused: ${error.message}`),
);
await client.connect(new SSEClientTransport(new URL(`http://127.0.0.1:${server.address().port}/sse`)));
await call();
const heard = once(posts, "answer");
stream.end();
await heard;
await call();
await call();
process.exit(0);
EOF
seen=$(timeout 60 node one.mjs)
echo "@modelcontextprotocol/client 2.4.0"
echo "$seen"
expected='GET: session 1
POST: initialize, session 1
POST: notifications/initialized, session 1
POST: tools/call, session 1
done
onerror: SSE error: undefined
GET: session 2
POST: answer, session 2
POST: tools/call, session 2
refused: not initialized
POST: tools/call, session 2
refused: not initialized'
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
