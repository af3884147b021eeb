"""FastMCP's OAuthProxy before the stand-in for an identity provider, with its fastest settings."""

import argparse
import os
import socket
import sys

# Lines of the log cost more than what they tell of.
os.environ["FASTMCP_LOG_LEVEL"] = "WARNING"

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import OAuthProxy
from fastmcp.server.auth.providers.debug import DebugTokenVerifier
from key_value.aio.stores.memory import MemoryStore

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8000)
parser.add_argument("--sign-in", required=True, metavar="URL")
parser.add_argument("--client-id", required=True)
parser.add_argument("--client-secret", required=True)
options = parser.parse_args()

listener = socket.create_server(("127.0.0.1", options.port), backlog=1024)
url = f"http://127.0.0.1:{listener.getsockname()[1]}"

auth = OAuthProxy(
    upstream_authorization_endpoint=f"{options.sign_in}/authorize",
    upstream_token_endpoint=f"{options.sign_in}/token",
    upstream_client_id=options.client_id,
    upstream_client_secret=options.client_secret,
    # It is asked for no sign-in and no refresh, and costs nothing.
    token_verifier=DebugTokenVerifier(required_scopes=["read"], scopes=["read"]),
    base_url=url,
    client_storage=MemoryStore(),
)
server = FastMCP("bench-server", auth=auth)


@server.tool
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


app = server.http_app(path="/mcp")
config = uvicorn.Config(
    app, loop="uvloop", http="httptools", access_log=False, log_level="warning"
)
print(f"URL {url}/mcp", file=sys.stderr, flush=True)
uvicorn.Server(config).run(sockets=[listener])
