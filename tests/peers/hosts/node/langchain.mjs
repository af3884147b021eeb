// LangChain, with its own adapters: what a tool returns is what the model is given.

import { MultiServerMCPClient } from "@langchain/mcp-adapters";

import { run } from "./host.mjs";

await run(async (url, headers) => {
  const client = new MultiServerMCPClient({
    mcpServers: { testbed: { transport: "http", url, headers } },
  });
  const tools = await client.getTools();
  return {
    tools: Object.fromEntries(
      tools.map((tool) => [
        tool.name,
        async (args) => {
          const given = await tool.invoke(args);
          return typeof given === "string" ? given : JSON.stringify(given);
        },
      ]),
    ),
    close: () => client.close(),
  };
});
