#!/usr/bin/env bash
# Five hosts list the tools of the first page, and no others: crewai-tools 1.15.30 (mcpadapt 0.1.19),
# crewai 1.15.30 (its own client), semantic-kernel 1.45.0, llama-index-tools-mcp 0.6.0 and
# mcp-haystack 2.1.1.
#
# A server may answer `tools/list` in pages, and says so by `nextCursor`; how large they are is its
# own affair (MCP 2025-11-25, Pagination). These hosts do not look at it. Nothing is logged: what the
# other pages have is not there for the model. langchain-mcp-adapters 0.3.2 reads all of them.
# Seen in autogen-ext 0.7.5 and smolagents 1.26.0 too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'kill $! 2>/dev/null || true; rm -rf "$folder"' EXIT
pip=(-m pip install -q --disable-pip-version-check --no-compile)
python3 -m venv "$folder/one"
"$folder/one/bin/python" "${pip[@]}" --no-deps -r "$here/../tests/peers/hosts/requirements-1x.txt"
python3 -m venv "$folder/two"
"$folder/two/bin/python" "${pip[@]}" mcp==2.3.0 llama-index-tools-mcp==0.6.0 mcp-haystack==2.1.1
cat >"$folder/list.py" <<'EOF'
import asyncio
import os
import sys

URL, HOST = sys.argv[1:]


async def langchain():
    from langchain_mcp_adapters.client import MultiServerMCPClient

    server = {"transport": "streamable_http", "url": URL}
    return [tool.name for tool in await MultiServerMCPClient({"stub": server}).get_tools()]


async def crewai_tools():
    from crewai_tools.adapters.mcp_adapter import MCPServerAdapter

    adapter = MCPServerAdapter({"url": URL, "transport": "streamable-http"})
    return [tool.name for tool in adapter.tools]


async def crewai():
    from crewai.mcp import MCPClient
    from crewai.mcp.transports.http import HTTPTransport

    client = MCPClient(HTTPTransport(url=URL))
    await client.connect()
    return [tool["name"] for tool in await client.list_tools()]


async def semantic_kernel():
    from semantic_kernel import Kernel
    from semantic_kernel.connectors.mcp import MCPStreamableHttpPlugin

    plugin = MCPStreamableHttpPlugin(name="stub", url=URL)
    await plugin.connect()
    return list(Kernel().add_plugin(plugin).functions)


async def llama_index():
    from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

    tools = await McpToolSpec(BasicMCPClient(URL)).to_tool_list_async()
    return [tool.metadata.name for tool in tools]


async def haystack():
    from haystack_integrations.tools.mcp import MCPToolset, StreamableHttpServerInfo

    server = StreamableHttpServerInfo(url=URL)
    tools = await asyncio.to_thread(lambda: MCPToolset(server_info=server, eager_connect=True))
    return [tool.name for tool in tools]


async def main():
    print(f"{HOST}:", *await globals()[HOST](), flush=True)
    # Some have threads of their own, and no end.
    os._exit(0)


asyncio.run(main())
EOF
export CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true HAYSTACK_TELEMETRY_ENABLED=false
python3 "$here/stub_server.py" '{"type": "object", "properties": {}}' 0 2 >"$folder/port" &
while ! [ -s "$folder/port" ]; do sleep 0.1; done
url="http://127.0.0.1:$(head -1 "$folder/port")/mcp"
list() { timeout 120 "$folder/$1/bin/python" "$folder/list.py" "$url" "$2" 2>/dev/null | tail -1; }
seen=$(
  for host in langchain crewai_tools crewai semantic_kernel; do list one $host; done
  for host in llama_index haystack; do list two $host; done
)
echo "the tools are stub and stub_2, on two pages"
echo "$seen"
expected='langchain: stub stub_2
crewai_tools: stub
crewai: stub
semantic_kernel: stub
llama_index: stub
haystack: stub'
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
