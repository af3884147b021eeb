// Genkit, with its own plugin for MCP.

import { createMcpHost } from "@genkit-ai/mcp";
import { genkit } from "genkit";

import { run } from "./host.mjs";

const ai = genkit({});

await run(async (url, headers) => {
  const host = createMcpHost({
    name: "portcullis-peer-genkit",
    mcpServers: { testbed: { url, requestInit: { headers } } },
  });
  const tools = await host.getActiveTools(ai);
  return {
    tools: Object.fromEntries(
      tools.map((tool) => [
        tool.__action.name.split("/").at(-1),
        async (args) => {
          const given = await tool(args);
          return typeof given === "string" ? given : JSON.stringify(given);
        },
      ]),
    ),
    close: () => host.close(),
  };
});
