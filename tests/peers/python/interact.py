"""What Python clients hear of a function that runs, and answer to it.

    python interact.py CLIENT --url URL [--sse] [--token TOKEN] [--protocol VERSION]
    python interact.py CLIENT [--protocol VERSION] --stdio COMMAND [ARGS...]

CLIENT is `fastmcp` or `mcp`, the official SDK's own. Against the fixtures called `interaction` it
lists, calls, reads, prompts and completes; it hears progress, the log and a changed list, answers an
elicitation, and cancels a call. It prints one JSON object on stdout.

VERSION is `2026-07-28` (the default) or `legacy` (`initialize`). With --sse URL is that of a stream of
HTTP+SSE, which is legacy.
"""

import argparse
import asyncio
import json
from contextlib import asynccontextmanager

import fastmcp
import mcp
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from httpx2 import AsyncClient
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import listen
from mcp_types import ElicitResult, PromptReference

LOG_LEVEL = "io.modelcontextprotocol/logLevel"


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=["fastmcp", "mcp"])
    parser.add_argument("--url")
    parser.add_argument("--sse", action="store_true")
    parser.add_argument("--token")
    parser.add_argument("--protocol", default="2026-07-28")
    parser.add_argument("--stdio", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if bool(args.url) == bool(args.stdio):
        parser.error("give either --url or --stdio")
    return args


class Heard:
    """What the client was told, and asked."""

    def __init__(self):
        self.progress = []
        self.log = []
        self.asked = []
        self.changed = asyncio.Event()
        self.running = asyncio.Event()

    async def on_progress(self, progress, total, message):
        self.progress.append([progress, total])

    async def on_running(self, progress, total, message):
        self.running.set()

    async def on_log(self, params):
        self.log.append([params.level, params.data])

    async def on_message(self, message):
        if "tools/list_changed" in str(getattr(getattr(message, "root", message), "method", "")):
            self.changed.set()

    async def answer(self, message, schema):
        self.asked.append([message, sorted(schema["properties"])])
        return {"name": "Ann"}


def bearer(args):
    return {"authorization": f"Bearer {args.token}"} if args.token else {}


@asynccontextmanager
async def connect_mcp(args, heard):
    async def answer(context, params):
        return ElicitResult(
            action="accept", content=await heard.answer(params.message, params.requested_schema)
        )

    options = {
        "mode": args.protocol,
        "elicitation_callback": answer,
        "logging_callback": heard.on_log,
        "message_handler": heard.on_message,
    }
    if args.stdio:
        command, *rest = args.stdio
        server = mcp.StdioServerParameters(command=command, args=rest)
        async with mcp.Client(server, **options) as client:
            yield client
    elif args.sse:
        async with mcp.Client(sse_client(args.url, headers=bearer(args)), **options) as client:
            yield client
    else:
        async with AsyncClient(headers=bearer(args), timeout=30) as http:
            server = streamable_http_client(args.url, http_client=http)
            async with mcp.Client(server, **options) as client:
                yield client


@asynccontextmanager
async def connect_fastmcp(args, heard):
    async def answer(message, response_type, params, context):
        return await heard.answer(message, params.requested_schema)

    if args.stdio:
        command, *rest = args.stdio
        transport = StdioTransport(command, rest, keep_alive=False)
    elif args.sse:
        transport = SSETransport(args.url, auth=args.token)
    else:
        transport = StreamableHttpTransport(args.url, auth=args.token)
    client = fastmcp.Client(
        transport,
        mode=args.protocol,
        elicitation_handler=answer,
        log_handler=heard.on_log,
        message_handler=heard.on_message,
    )
    async with client:
        yield client


async def call(args, client, name, on_progress=None):
    meta = {LOG_LEVEL: "info"} if args.protocol == "2026-07-28" else None
    if args.client == "fastmcp":
        result = await client.call_tool_mcp(name, {}, progress_handler=on_progress, meta=meta)
    else:
        result = await client.call_tool(name, {}, progress_callback=on_progress, meta=meta)
    return result.content[0].text


async def complete(args, client):
    reference = PromptReference(type="ref/prompt", name="greet")
    result = await client.complete(reference, {"name": "name", "value": "an"})
    return (result if args.client == "fastmcp" else result.completion).values


async def changed(args, client, heard):
    if args.protocol == "legacy":
        await call(args, client, "toggle")
        await asyncio.wait_for(heard.changed.wait(), 10)
    else:
        async with listen(client.session, tools_list_changed=True) as events:
            await call(args, client, "toggle")
            await asyncio.wait_for(anext(aiter(events)), 10)
    return True


async def cancelled(args, client, heard):
    task = asyncio.create_task(call(args, client, "sleep", heard.on_running))
    await asyncio.wait_for(heard.running.wait(), 10)
    task.cancel()
    try:
        await task
        return "answered"
    except asyncio.CancelledError:
        return await asyncio.wait_for(call(args, client, "dropped"), 10)


async def interact(args, client, heard):
    tools = await client.list_tools()
    read = await client.read_resource("memo://1")
    prompt = await client.get_prompt("greet", {"name": "Ann"})
    report = {
        "protocol_version": client.protocol_version,
        "tools": sorted(tool.name for tool in getattr(tools, "tools", tools)),
        "read": getattr(read, "contents", read)[0].text,
        "prompt": prompt.messages[0].content.text,
        "completed": await complete(args, client),
        "counted": await call(args, client, "count", heard.on_progress),
        "noted": await call(args, client, "note"),
        "asked": await call(args, client, "ask"),
        "changed": await changed(args, client, heard),
        "cancelled": await cancelled(args, client, heard),
    }
    return report | {"progress": heard.progress, "log": heard.log, "questions": heard.asked}


async def main():
    args, heard = parse_args(), Heard()
    connect = {"fastmcp": connect_fastmcp, "mcp": connect_mcp}[args.client]
    async with connect(args, heard) as client:
        print(json.dumps(await interact(args, client, heard)))


asyncio.run(main())
