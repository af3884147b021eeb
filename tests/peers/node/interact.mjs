// What the official TypeScript client hears of a function that runs, and answers to it.
//
//     node interact.mjs --url URL [--sse] [--token TOKEN] [--protocol VERSION]
//     node interact.mjs [--protocol VERSION] --stdio COMMAND [ARGS...]
//
// Against the fixtures called `interaction` it lists, calls, reads, prompts and completes; it hears
// progress, the log and a changed list, answers an elicitation, and cancels a call. It prints one
// JSON object on stdout.
//
// VERSION is `2026-07-28` (the default) or `legacy` (`initialize`). With --sse URL is that of a stream of
// HTTP+SSE, which is legacy.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const LOG_LEVEL = "io.modelcontextprotocol/logLevel";

function parseArgs(argv) {
  const options = { protocol: "2026-07-28" };
  while (argv.length > 0) {
    const flag = argv.shift();
    if (flag === "--stdio") {
      options.stdio = argv.splice(0);
    } else if (flag === "--sse") {
      options.sse = true;
    } else if (["--url", "--token", "--protocol"].includes(flag)) {
      options[flag.slice(2)] = argv.shift();
    } else {
      throw new Error(`unknown argument ${flag}`);
    }
  }
  return options;
}

function transportFor({ stdio, url, sse, token }) {
  if (stdio) {
    const [command, ...args] = stdio;
    return new StdioClientTransport({ command, args });
  }
  const authProvider = token && { token: async () => token };
  const Transport = sse ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(new URL(url), { authProvider });
}

/** Something that happens once. */
function event() {
  let happened;
  const promise = new Promise((resolve) => (happened = resolve));
  const within = setTimeout(() => happened("never"), 10_000);
  within.unref();
  return { promise, happened: () => happened(true) };
}

// The library reports skipped listings with `console.debug`, which Node writes to stdout.
console.debug = console.error;

const options = parseArgs(process.argv.slice(2));
const isStateless = options.protocol !== "legacy";
const heard = { progress: [], log: [], questions: [] };
const changed = event();

const client = new Client(
  { name: "portcullis-peer-node", version: "0.0.0" },
  {
    capabilities: { elicitation: {} },
    versionNegotiation: { mode: isStateless ? { pin: options.protocol } : "legacy" },
  },
);
client.setRequestHandler("elicitation/create", async ({ params }) => {
  heard.questions.push([params.message, Object.keys(params.requestedSchema.properties)]);
  return { action: "accept", content: { name: "Ann" } };
});
client.setNotificationHandler("notifications/message", ({ params }) => {
  heard.log.push([params.level, params.data]);
});
client.setNotificationHandler("notifications/tools/list_changed", () => changed.happened());
await client.connect(transportFor(options));

async function call(name, requestOptions) {
  const _meta = isStateless ? { [LOG_LEVEL]: "info" } : undefined;
  const result = await client.callTool({ name, arguments: {}, _meta }, requestOptions);
  return result.content[0].text;
}

async function toggled() {
  const subscription = isStateless ? await client.listen({ toolsListChanged: true }) : undefined;
  await call("toggle");
  const heardOf = await changed.promise;
  await subscription?.close();
  return heardOf;
}

async function cancelled() {
  const [running, controller] = [event(), new AbortController()];
  const onprogress = () => running.happened();
  const answer = call("sleep", { signal: controller.signal, onprogress }).then(
    () => "answered",
    () => call("dropped"),
  );
  await running.promise;
  controller.abort("no longer wanted");
  return answer;
}

const { tools } = await client.listTools();
const { contents } = await client.readResource({ uri: "memo://1" });
const { messages } = await client.getPrompt({ name: "greet", arguments: { name: "Ann" } });
const { completion } = await client.complete({
  ref: { type: "ref/prompt", name: "greet" },
  argument: { name: "name", value: "an" },
});
const onprogress = ({ progress, total }) => heard.progress.push([progress, total]);
const report = {
  protocol_version: client.getNegotiatedProtocolVersion(),
  tools: tools.map((tool) => tool.name).sort(),
  read: contents[0].text,
  prompt: messages[0].content.text,
  completed: completion.values,
  counted: await call("count", { onprogress }),
  noted: await call("note"),
  asked: await call("ask"),
  changed: await toggled(),
  cancelled: await cancelled(),
  ...heard,
};
console.log(JSON.stringify(report));
await client.close();
