// The official TypeScript client as a real peer of the server under test.
//
//     node client.mjs --url URL [--token TOKEN | --sign-in PROGRAM [--refresh]] [--protocol VERSION]
//     node client.mjs [--protocol VERSION] --stdio COMMAND [ARGS...]
//
// Connects, lists everything, tries a fixed set of operations and prints one
// JSON object on stdout; of several --url one after the other, on a line each. A refused operation is reported in that object; only
// a failed connection or listing makes the exit status non-zero.
//
// PROGRAM is sign_in.mjs, which is the browser of the person who signs in.
//
// With --refresh the access token is made a wrong one and `whoami` called again: `refreshed` has
// the answer, `refresh_tokens`, the one before and the one after, and `visits`, how often the
// browser was opened.
//
// With --client-id the client was registered by its operator, under that id and, with
// --client-secret, with that secret; with --document it is the website that publishes the metadata
// document there. Else it registers.
//
// VERSION is a version to pin, `2026-07-28` by default (`server/discover` must
// offer it), `auto` (`server/discover`, then `initialize`) or `legacy`
// (`initialize`).

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import {
  Client,
  ProtocolError,
  SdkHttpError,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const VALUES = [
  "--token",
  "--sign-in",
  "--protocol",
  "--client-id",
  "--client-secret",
  "--document",
];

function parseArgs(argv) {
  const options = { protocol: "2026-07-28", urls: [] };
  while (argv.length > 0) {
    const flag = argv.shift();
    if (flag === "--stdio") {
      options.stdio = argv.splice(0);
    } else if (flag === "--refresh") {
      options.refresh = true;
    } else if (flag === "--url") {
      options.urls.push(argv.shift());
    } else if (VALUES.includes(flag)) {
      options[flag.slice(2)] = argv.shift();
    } else {
      throw new Error(`unknown argument ${flag}`);
    }
  }
  if (Boolean(options.urls.length) === Boolean(options.stdio?.length)) {
    throw new Error("give either --url or --stdio");
  }
  return options;
}

/** What a host adds to the library's OAuth: a memory, and the browser. */
class SigningIn {
  redirectUrl = "http://127.0.0.1:33418/callback";
  clientMetadata = {
    client_name: "portcullis-peer-node",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "none",
  };

  visits = 0;

  constructor(options) {
    this.program = options["sign-in"];
    this.clientMetadataUrl = options.document;
    const [client_id, client_secret] = [options["client-id"], options["client-secret"]];
    this.client = client_id && { client_id, client_secret };
  }

  clientInformation() {
    return this.client;
  }

  saveClientInformation(client) {
    this.client = client;
  }

  tokens() {
    return this.saved;
  }

  saveTokens(tokens) {
    this.saved = tokens;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  discoveryState() {
    return this.discovered;
  }

  saveDiscoveryState(discovered) {
    this.discovered = discovered;
  }

  async redirectToAuthorization(url) {
    this.visits += 1;
    const { stdout } = await promisify(execFile)("node", [this.program, url.href]);
    this.callback = new URL(stdout.trim()).searchParams;
  }
}

function transportFor({ stdio }, url, authProvider) {
  if (stdio) {
    const [command, ...args] = stdio;
    return new StdioClientTransport({ command, args });
  }
  return new StreamableHTTPClientTransport(new URL(url), { authProvider });
}

async function connect(options, url) {
  const mode = ["auto", "legacy"].includes(options.protocol)
    ? options.protocol
    : { pin: options.protocol };
  const client = new Client(
    { name: "portcullis-peer-node", version: "0.0.0" },
    { versionNegotiation: { mode } },
  );
  const { token, "sign-in": program } = options;
  const authProvider = program ? new SigningIn(options) : { token: async () => token };
  const transport = transportFor(options, url, authProvider);
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(program && error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(authProvider.callback);
    await client.connect(transportFor(options, url, authProvider));
  }
  return [client, authProvider];
}

const textOf = (parts) => parts.map((part) => part.text).join("\n");

/** What became of one operation: `{ok: text}` or `{error: message, code: number}`. */
async function outcome(operation) {
  try {
    return await operation;
  } catch (error) {
    if (error instanceof ProtocolError) return { error: error.message, code: error.code };
    // This client looks for a JSON-RPC error only in answers with HTTP status 200 or 400.
    if (error instanceof SdkHttpError) return { error: error.message };
    throw error;
  }
}

async function call(client, name, args) {
  const result = await client.callTool({ name, arguments: args });
  return { [result.isError ? "error" : "ok"]: textOf(result.content) };
}

async function read(client, uri) {
  return { ok: textOf((await client.readResource({ uri })).contents) };
}

async function prompt(client, name, args) {
  const { messages } = await client.getPrompt({ name, arguments: args });
  return { ok: textOf(messages.map((message) => message.content)) };
}

async function explore(client) {
  // The list methods walk every page when called without a cursor.
  const { tools } = await client.listTools();
  const { resources } = await client.listResources();
  const { resourceTemplates } = await client.listResourceTemplates();
  const { prompts } = await client.listPrompts();
  const whoami = await outcome(call(client, "whoami", {}));
  const echo = await outcome(call(client, "echo", { text: "hello" }));
  return {
    protocol_version: client.getNegotiatedProtocolVersion(),
    tools: tools.map((tool) => tool.name).sort(),
    resources: resources.map((resource) => resource.uri).sort(),
    templates: resourceTemplates.map((template) => template.uriTemplate).sort(),
    prompts: prompts.map((item) => item.name).sort(),
    whoami: "ok" in whoami ? JSON.parse(whoami.ok) : whoami,
    echo: "ok" in echo ? echo.ok : echo,
    get_profile: await outcome(call(client, "get_profile", {})),
    delete_user: await outcome(call(client, "delete_user", { user_id: "u-404" })),
    secret_config: await outcome(read(client, "secret://config")),
    secret_keys: await outcome(read(client, "secret://keys")),
    item: await outcome(read(client, "item://1")),
    ledger: await outcome(read(client, "ledger://1")),
    financial_report: await outcome(prompt(client, "financial_report", { quarter: "Q1" })),
    fail_tool_error: await outcome(call(client, "fail_tool_error", {})),
  };
}

async function refreshed(client, authProvider) {
  const before = authProvider.saved.refresh_token;
  authProvider.saved = { ...authProvider.saved, access_token: "ended" };
  const whoami = JSON.parse((await call(client, "whoami", {})).ok);
  const after = authProvider.saved.refresh_token;
  return { whoami, refresh_tokens: [before, after], visits: authProvider.visits };
}

// The library reports skipped listings with `console.debug`, which Node writes to stdout.
console.debug = console.error;

const options = parseArgs(process.argv.slice(2));
for (const url of options.stdio ? [undefined] : options.urls) {
  const [client, authProvider] = await connect(options, url);
  try {
    const report = await explore(client);
    if (options.refresh) report.refreshed = await refreshed(client, authProvider);
    console.log(JSON.stringify(report));
  } finally {
    await client.close();
  }
}
