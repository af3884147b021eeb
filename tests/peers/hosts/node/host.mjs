// What the drivers of hosts in TypeScript have in common; `../README.md` says what they do.
//
// A host is a function of `url` and `headers` that gives `{tools, close}`, where `tools` has
// for each name a function of arguments that gives what a model would read.

import { setTimeout as after } from "node:timers/promises";
import { format } from "node:util";

/** How long one step of a host may take, in milliseconds: some wait for ever. */
const PATIENCE = 20_000;

/** How long to leave a server alone that refused, in milliseconds. */
const REST = 8_000;

/** How many calls a rate limit may allow at most. */
const LIMIT = 45;

/** A result that says of itself that it is an error. */
export class Refused extends Error {}

/** The texts of a result's content. */
export function textOf({ content, isError }) {
  const text = content.map((part) => part.text ?? part.type).join(" ");
  if (isError) throw new Refused(text);
  return text;
}

// --- what is said on the side ----------------------------------------------------------

let warnings = [];
let said = "";
const write = process.stdout.write.bind(process.stdout);
for (const stream of [process.stdout, process.stderr]) {
  stream.write = (text, ...rest) => {
    said += text;
    rest.findLast((argument) => typeof argument === "function")?.();
    return true;
  };
}
for (const level of ["warn", "error"]) {
  console[level] = (...words) => warnings.push(`${level}: ${format(...words)}`);
}
process.on("warning", (warning) => {
  // What hosts say of their own code, whatever server they are shown.
  if (warning.name !== "DeprecationWarning" && warning.name !== "ExperimentalWarning") {
    warnings.push(`${warning.name}: ${warning.message}`);
  }
});
process.on("unhandledRejection", (error) => warnings.push(`unhandled: ${reason(error)}`));

// --- what is done ----------------------------------------------------------------------

function reason(error) {
  const texts = [`${error?.name}: ${error?.message}`];
  for (const inner of error?.errors ?? []) texts.push(reason(inner));
  if (error?.cause) texts.push(reason(error.cause));
  return texts.join(" | ");
}

function within(milliseconds, promise) {
  const late = new AbortController();
  const tooLate = after(milliseconds, null, { signal: late.signal }).then(() => {
    throw new Error(`no answer in ${milliseconds} ms`);
  });
  return Promise.race([promise, tooLate]).finally(() => {
    tooLate.catch(() => {});
    late.abort();
  });
}

async function outcome(tools, [tool, args]) {
  if (!(tool in tools)) return { error: `${tool} is not listed` };
  try {
    return { text: await within(PATIENCE, tools[tool](args)) };
  } catch (error) {
    return { error: reason(error) };
  }
}

async function use(host, url, headers, report, calls) {
  const { tools, close } = await host(url, headers);
  report.tools = Object.keys(tools).sort();
  report.calls = [];
  for (const call of calls) report.calls.push([call[0], await outcome(tools, call)]);
  await close();
}

async function repeat(host, url, headers, report, call) {
  const { tools, close } = await host(url, headers);
  const first = await outcome(tools, call);
  const same = (other) => JSON.stringify(other) === JSON.stringify(first);
  let seen = first;
  for (report.before = 0; same(seen) && "text" in first && report.before < LIMIT; report.before += 1) {
    seen = await outcome(tools, call);
  }
  report.refused = seen;
  for (let waited = 0; !same(seen) && waited < 2 * PATIENCE; waited += REST) {
    await after(REST);
    seen = await outcome(tools, call);
  }
  report.after = seen;
  await close();
}

async function phase(step, milliseconds) {
  const report = {};
  try {
    await within(milliseconds, step(report));
  } catch (error) {
    report.error = reason(error);
  }
  Object.assign(report, { warnings, console: said });
  [warnings, said] = [[], ""];
  return report;
}

/** Drives `host` as the command line says, and ends the process. */
export async function run(host) {
  const [url, limitedUrl, token, calls, call] = process.argv.slice(2);
  const headers = { Authorization: `Bearer ${token}` };
  const reports = {
    used: await phase((report) => use(host, url, headers, report, JSON.parse(calls)), 100_000),
    limited: await phase(
      (report) => repeat(host, limitedUrl, headers, report, JSON.parse(call)),
      100_000,
    ),
    stranger: await phase((report) => use(host, url, {}, report, []), 40_000),
  };
  write(JSON.stringify(reports), () => process.exit(0));
}
