// The AI SDK, with its own client.

import { createMCPClient } from "@ai-sdk/mcp";

import { run, textOf } from "./host.mjs";

await run(async (url, headers) => {
  const client = await createMCPClient({ transport: { type: "http", url, headers } });
  const tools = await client.tools();
  return {
    tools: Object.fromEntries(
      Object.entries(tools).map(([name, tool]) => [
        name,
        async (args) => textOf(await tool.execute(args, { toolCallId: "1", messages: [] })),
      ]),
    ),
    close: () => client.close(),
  };
});
