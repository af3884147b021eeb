"""What the identity providers in this folder have in common.

Each prints one line of JSON on stdout when it is ready, everything else on stderr:

    {"issuer": URL,
     "tokens": {"ours": an access token for us, "others": one for somebody else},
     "introspection": {"endpoint": URL, "client_id": …, "client_secret": …}, where it has one}

Then it revokes, at its own revocation endpoint, the token that each line on stdin names, says
so with an empty line, and ends when stdin closes.
"""

import base64
import hashlib
import json
import secrets
import socket
import sys
import threading
import urllib.parse
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

AUDIENCE = "https://mcp.example.com/mcp"
OTHER_AUDIENCE = "https://other.example.com/mcp"
REDIRECT_URI = "https://app.example.com/callback"


def free_origin():
    """Where a provider can listen that has to know it before."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return f"http://127.0.0.1:{held.getsockname()[1]}"


class Quiet(WSGIRequestHandler):
    def log_message(self, format, *args):
        pass


def listen(origin, application):
    """Serves a WSGI application from a thread of its own."""
    port = urllib.parse.urlsplit(origin).port
    server = make_server("127.0.0.1", port, application, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def basic(client):
    pair = f"{client['client_id']}:{client['client_secret']}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def post(url, parameters, headers):
    body = urllib.parse.urlencode(parameters).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
        text = response.read()
    return json.loads(text) if text else None


class Pkce:
    def __init__(self):
        self.verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        self.challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def code_of(location):
    answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
    if "code" not in answer:
        raise RuntimeError(f"sent back with {location}")
    return answer["code"]


def run(ready, revoke):
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        revoke(ready["tokens"][line.strip()])
        print(flush=True)
