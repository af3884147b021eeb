// The official TypeScript SDK 1.x, which most hosts in TypeScript run on.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { run, textOf } from "./host.mjs";

await run(async (url, headers) => {
  const client = new Client({ name: "portcullis-peer-sdk-1x", version: "0.0.0" });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }),
  );
  const call = (name) => async (args) =>
    textOf(await client.callTool({ name, arguments: args }));
  const { tools } = await client.listTools();
  return {
    tools: Object.fromEntries(tools.map(({ name }) => [name, call(name)])),
    close: () => client.close(),
  };
});
