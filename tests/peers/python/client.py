"""FastMCP's Python client as a real peer of the server under test.

    python client.py --url URL [--token TOKEN | --sign-in PROGRAM [--refresh]] [--protocol VERSION]
    python client.py [--protocol VERSION] --stdio COMMAND [ARGS...]

Connects, lists everything, tries a fixed set of operations and prints one JSON
object on stdout; of several --url one after the other, on a line each. A refused operation is reported in that object; only a failed
connection or listing makes the exit status non-zero.

PROGRAM is node/sign_in.mjs, which is the browser that the client opens.

With --refresh the access token is made old and `whoami` called again: `refreshed` has the answer,
`refresh_tokens`, the one before and the one after, and `visits`, how often the browser was opened.

With --client-id the client was registered by its operator, under that id and, with --client-secret,
with that secret; with --document it is the website that publishes the metadata document there. Else
it registers.

VERSION is `2026-07-28` (the default: taken as given, nothing is negotiated),
`auto` (`server/discover` first, then `initialize`) or `legacy` (`initialize`).
"""

import argparse
import asyncio
import json
import time
import webbrowser

from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.shared.exceptions import MCPError


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", action="append")
    parser.add_argument("--token")
    parser.add_argument("--sign-in")
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("--client-id")
    parser.add_argument("--client-secret")
    parser.add_argument("--document")
    parser.add_argument("--protocol", default="2026-07-28")
    parser.add_argument("--stdio", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if bool(args.url) == bool(args.stdio):
        parser.error("give either --url or --stdio")
    return args


def connect(args, url):
    if args.stdio:
        command, *rest = args.stdio
        transport = StdioTransport(command, rest, keep_alive=False)
    else:
        auth = args.token
        if args.sign_in:
            browser = webbrowser.BackgroundBrowser(["node", args.sign_in, "--visit", "%s"])
            webbrowser.register("sign-in", None, browser, preferred=True)
            auth = SigningIn(
                client_id=args.client_id,
                client_secret=args.client_secret,
                client_metadata_url=args.document,
            )
        transport = StreamableHttpTransport(url, auth=auth)
    return Client(transport, mode=args.protocol)


class SigningIn(OAuth):
    """The library's own OAuth, which counts how often it opens the browser."""

    visits = 0

    async def redirect_handler(self, authorization_url):
        self.visits += 1
        await super().redirect_handler(authorization_url)


def text_of(parts):
    return "\n".join(part.text for part in parts)


async def outcome(operation):
    """What became of one operation: {"ok": text} or {"error": message, "code": number}."""
    try:
        return await operation
    except MCPError as error:
        return {"error": error.message, "code": error.code}


async def call(client, name, arguments):
    # `call_tool_mcp` returns the plain protocol result; `call_tool` would raise on `isError`.
    result = await client.call_tool_mcp(name, arguments)
    return {"error" if result.is_error else "ok": text_of(result.content)}


async def read(client, uri):
    return {"ok": text_of(await client.read_resource(uri))}


async def prompt(client, name, arguments):
    result = await client.get_prompt(name, arguments)
    return {"ok": text_of(message.content for message in result.messages)}


async def explore(client):
    report = {
        "protocol_version": client.protocol_version,
        "tools": sorted(tool.name for tool in await client.list_tools()),
        "resources": sorted(str(item.uri) for item in await client.list_resources()),
        "templates": sorted(item.uri_template for item in await client.list_resource_templates()),
        "prompts": sorted(item.name for item in await client.list_prompts()),
        "whoami": await outcome(call(client, "whoami", {})),
        "echo": await outcome(call(client, "echo", {"text": "hello"})),
        "get_profile": await outcome(call(client, "get_profile", {})),
        "delete_user": await outcome(call(client, "delete_user", {"user_id": "u-404"})),
        "secret_config": await outcome(read(client, "secret://config")),
        "secret_keys": await outcome(read(client, "secret://keys")),
        "item": await outcome(read(client, "item://1")),
        "ledger": await outcome(read(client, "ledger://1")),
        "financial_report": await outcome(prompt(client, "financial_report", {"quarter": "Q1"})),
        "fail_tool_error": await outcome(call(client, "fail_tool_error", {})),
    }
    if "ok" in report["whoami"]:
        report["whoami"] = json.loads(report["whoami"]["ok"])
    if "ok" in report["echo"]:
        report["echo"] = report["echo"]["ok"]
    return report


async def refreshed(client, auth):
    before = auth.context.current_tokens.refresh_token
    # It refreshes what it believes to have ended, and nothing on a 401.
    auth.context.token_expiry_time = time.time() - 1
    whoami = json.loads((await call(client, "whoami", {}))["ok"])
    after = auth.context.current_tokens.refresh_token
    return {"whoami": whoami, "refresh_tokens": [before, after], "visits": auth.visits}


async def main():
    args = parse_args()
    for url in args.url or [None]:
        async with connect(args, url) as client:
            report = await explore(client)
            if args.refresh:
                report["refreshed"] = await refreshed(client, client.transport.auth)
            print(json.dumps(report))


asyncio.run(main())
