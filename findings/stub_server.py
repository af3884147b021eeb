"""The least MCP server: one tool or some, in sessions of 2025-11-25.

    python stub_server.py INPUT_SCHEMA [REFUSED [PAGES]]

Prints its port, then the arguments of each call. The call number REFUSED is answered 429. The list
of tools has PAGES pages, with one tool each.
"""

import itertools
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCHEMA = json.loads(sys.argv[1])
REFUSED = int(sys.argv[2]) if len(sys.argv) > 2 else None
PAGES = int(sys.argv[3]) if len(sys.argv) > 3 else 1
CALLS = itertools.count(1)


class Stub(BaseHTTPRequestHandler):
    def answer(self, status, message=None):
        body = json.dumps(message).encode() if message else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Mcp-Session-Id", "stub")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, params = request["method"], request.get("params", {})
        if method == "initialize":
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "stub", "version": "1"},
            }
        elif method == "tools/list":
            page = int(params.get("cursor", 1))
            name = "stub" if page == 1 else f"stub_{page}"
            result = {"tools": [{"name": name, "description": "A stub.", "inputSchema": SCHEMA}]}
            if page < PAGES:
                result["nextCursor"] = str(page + 1)
        elif method == "tools/call":
            print(json.dumps(params.get("arguments")), flush=True)
            if next(CALLS) == REFUSED:
                error = {"code": -32000, "message": "Too many requests"}
                return self.answer(429, {"jsonrpc": "2.0", "id": request["id"], "error": error})
            result = {"content": [{"type": "text", "text": "done"}]}
        elif "id" in request:
            error = {"code": -32601, "message": "Method not found"}
            return self.answer(200, {"jsonrpc": "2.0", "id": request["id"], "error": error})
        else:
            return self.answer(202)
        self.answer(200, {"jsonrpc": "2.0", "id": request["id"], "result": result})

    def do_GET(self):
        self.answer(405)

    def do_DELETE(self):
        self.answer(200)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
print(server.server_address[1], flush=True)
server.serve_forever()
