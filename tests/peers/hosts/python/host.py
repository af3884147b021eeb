"""What the drivers of hosts in Python have in common; `../README.md` says what they do."""

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
import warnings

#: How long one step of a host may take, in seconds: some wait for ever.
PATIENCE = 20

#: How long to leave a server alone that refused, in seconds: some open a session for a call.
REST = 8

#: How many calls a rate limit may allow at most; some hosts wait by themselves.
LIMIT = 45

#: What hosts say of their own code, whatever server they are shown.
OF_THEMSELVES = (DeprecationWarning, PendingDeprecationWarning)

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", NO_COLOR="1")


class Heard(logging.Handler):
    """Keeps what is logged as a warning or worse, and what is warned of."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        line = f"{record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1]:
            line += f" | {reason(record.exc_info[1])}"
        self.lines.append(line)

    def warned(self, message, category, *_):
        if not issubclass(category, OF_THEMSELVES):
            self.lines.append(f"{category.__name__}: {message}")


class Console:
    """Standard output and error, which from now on go to a file."""

    def __init__(self):
        self.stdout = os.dup(1)
        self.file = tempfile.TemporaryFile()
        os.dup2(self.file.fileno(), 1)
        os.dup2(self.file.fileno(), 2)
        self.read = 0

    def said(self):
        sys.stdout.flush()
        sys.stderr.flush()
        text = os.pread(self.file.fileno(), 1 << 20, self.read)
        self.read += len(text)
        return text.decode(errors="replace")


def reason(error):
    """An error as a reader of its traceback sees it: causes and members of groups too."""
    texts = [f"{type(error).__name__}: {error}"]
    texts += [reason(inner) for inner in getattr(error, "exceptions", ())]
    if error.__cause__ is not None:
        texts.append(reason(error.__cause__))
    return " | ".join(texts)


async def outcome(tools, call):
    tool, arguments = call
    if tool not in tools:
        return {"error": f"{tool} is not listed"}
    try:
        return {"text": await asyncio.wait_for(tools[tool](arguments), PATIENCE)}
    # A dead session cancels the calls of its host.
    except (Exception, asyncio.CancelledError) as error:
        return {"error": reason(error)}


async def use(host, url, headers, report, calls):
    async with host(url, headers) as tools:
        report["tools"] = sorted(tools)
        report["calls"] = [[call[0], await outcome(tools, call)] for call in calls]


async def repeat(host, url, headers, report, call):
    async with host(url, headers) as tools:
        first = seen = await outcome(tools, call)
        report["before"] = 0
        while seen == first and "text" in first and report["before"] < LIMIT:
            report["before"] += 1
            seen = await outcome(tools, call)
        report["refused"], started = seen, time.monotonic()
        if seen == first:
            # It waits by itself, and has used up what ending its session needs.
            await asyncio.sleep(REST)
        while seen != first and time.monotonic() - started < 2 * PATIENCE:
            await asyncio.sleep(REST)
            seen = await outcome(tools, call)
        report["after"] = seen


def run(host):
    """Drives `host` as the command line says, and ends the process."""
    url, limited_url, token, calls, call = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    console, heard = Console(), Heard()
    logging.getLogger().addHandler(heard)
    warnings.showwarning = heard.warned
    warnings.simplefilter("always")

    def phase(step, patience):
        report = {}
        try:
            asyncio.run(asyncio.wait_for(step(report), patience))
        except (Exception, asyncio.CancelledError) as error:
            report["error"] = reason(error)
        report["warnings"], heard.lines = heard.lines, []
        report["console"] = console.said()
        return report

    reports = {
        "used": phase(lambda report: use(host, url, headers, report, json.loads(calls)), 100),
        "limited": phase(
            lambda report: repeat(host, limited_url, headers, report, json.loads(call)), 100
        ),
        "stranger": phase(lambda report: use(host, url, {}, report, []), 40),
    }
    os.write(console.stdout, json.dumps(reports).encode())
    # Threads of hosts that wait for ever do not hold the process.
    os._exit(0)
