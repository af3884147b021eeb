#!/usr/bin/env bash
# mcp 2.3.0 (Python): over HTTP+SSE a request cannot be cancelled before its POST is answered.
#
# When the 202 of a POST comes is the server's own affair (MCP 2024-11-05, HTTP with SSE). sse_client
# sends no message before the one ahead has its 202. A call has a time-out of one second here, and
# its 202 comes at once, after 3 seconds or after 8. `notifications/cancelled` waits for the 202, and
# so does the caller, who hears of the time-out that late. After five seconds of that the client gives
# up: the server never hears that the call was cancelled. 1.30.0 sends its POSTs one by one too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check mcp==2.3.0
cat >"$folder/one.py" <<'EOF'
import asyncio
import json
import sys
import time

from mcp import ClientSession, MCPError
from mcp.client.sse import sse_client

WITHHELD = float(sys.argv[1])
SERVER = {"name": "stub", "version": "1"}
AGREED = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": SERVER}
seen = []


class Stub:
    """One session, which never answers a call."""

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                if head.startswith("get "):
                    self.stream = writer
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                    writer.write(b"event: endpoint\ndata: /messages\n\n")
                    continue
                length = int(head.split("content-length:")[1].split()[0])
                await self.take(json.loads(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    async def take(self, message):
        method = message["method"]
        if method == "initialize":
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": AGREED}
            self.stream.write(f"event: message\ndata: {json.dumps(answer)}\n\n".encode())
        elif method == "tools/call":
            self.called = time.monotonic()
            await asyncio.sleep(WITHHELD)
            self.note("202 sent")
        elif method == "notifications/cancelled":
            self.note("cancelled")

    def note(self, what):
        seen.append(f"{what} after {round(time.monotonic() - self.called)} s")


async def call():
    stub = Stub()
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sse"
    async with sse_client(url) as streams, ClientSession(*streams) as session:
        await session.initialize()
        try:
            await session.call_tool("stub", {}, read_timeout_seconds=1)
        except MCPError:
            stub.note("caller told")
        await asyncio.sleep(WITHHELD + 1)


asyncio.run(call())
print(", ".join(sorted(seen)))
EOF
call() { timeout 60 "$folder/venv/bin/python" "$folder/one.py" "$1" 2>/dev/null; }
once=$(call 0)
three=$(call 3)
eight=$(call 8)
echo "mcp 2.3.0, a call with a time-out of one second"
echo "$once"
echo "$three"
echo "$eight"
[ "$once" = "202 sent after 0 s, caller told after 1 s, cancelled after 1 s" ] &&
  [ "$three" = "202 sent after 3 s, caller told after 3 s, cancelled after 3 s" ] &&
  [ "$eight" = "202 sent after 8 s, caller told after 6 s" ] ||
  { echo "this is no longer so" >&2; exit 1; }
