#!/usr/bin/env bash
# mcp 1.30.0 (Python): one HTTP 429 ends the whole session, whatever the server does next.
#
# The second of four calls is answered 429, as an HTTP server limits rates; the server goes on.
# In 1.30.0 the status is raised in the task that reads the transport, which cancels every call
# of the session, those that would have succeeded included, with no word of 429: a bare
# CancelledError, which `except Exception` does not catch. In 2.3.0 the same answer fails that
# one call. Agents that run on 1.x and hold a session need a restart after a rate limit, unless
# it comes with status 200.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
stub=$(cd "$(dirname "$0")" && pwd)/stub_server.py
cat >"$folder/one.py" <<'EOF'
import asyncio
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def calls(url):
    async with streamable_http_client(url) as (read, write, *_), ClientSession(read, write) as session:
        await session.initialize()
        for _ in range(4):
            try:
                result = await session.call_tool("stub", {})
                print(result.content[0].text)
            except asyncio.CancelledError:
                print("cancelled")
            except Exception as error:
                print("refused:", error)


try:
    asyncio.run(calls(sys.argv[1]))
except BaseException:
    pass
EOF
calls() {
  python3 -m venv "$folder/$1"
  "$folder/$1/bin/pip" install -q --disable-pip-version-check "mcp==$1"
  mkfifo "$folder/$1.out"
  python3 "$stub" '{"type":"object","properties":{}}' 2 >"$folder/$1.out" &
  exec 3<"$folder/$1.out"
  read -r port <&3
  timeout 60 "$folder/$1/bin/python" "$folder/one.py" "http://127.0.0.1:$port/mcp" 2>/dev/null
  kill $!
}
one=$(calls 1.30.0 | paste -sd, -)
two=$(calls 2.3.0 | paste -sd, -)
echo "mcp 1.30.0: $one"
echo "mcp 2.3.0:  $two"
[ "$one" = "done,cancelled,cancelled,cancelled" ] && [ "$two" = "done,refused: Too many requests,done,done" ] ||
  { echo "this is no longer so" >&2; exit 1; }
