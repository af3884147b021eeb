// The official TypeScript client 2.x, with its own choice of version.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { run, textOf } from "./host.mjs";

await run(async (url, headers) => {
  const client = new Client(
    { name: "portcullis-peer-sdk-2x", version: "0.0.0" },
    { versionNegotiation: { mode: "auto" } },
  );
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
