// Lets the official conformance suite judge a server.
//
//     node run.mjs --url URL --suite VERSION --spec VERSION --results FOLDER
//                  --expected-failures FILE [--token TOKEN]
//
// FILE is the suite's own: one scenario, or one check of a scenario, in each line. A failure
// that is not in it makes the exit status non-zero, and so does an entry of it that passes,
// or that is of no scenario of this run. A scenario that succeeds without having checked
// anything counts as failed, too. With TOKEN, the suite goes through a proxy that adds it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { bearerProxy } from "./proxy.mjs";

const PATIENCE_MS = 300_000;
const FAILED = ["FAILURE", "WARNING"];

async function suite({ url, suite, spec, results, "expected-failures": expected }) {
  const program = join(import.meta.dirname, `node_modules/conformance-${suite}/dist/index.js`);
  if (!existsSync(program)) throw new Error(`${program} is not there: ./test fetches it`);
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const selected = ["--suite", "all", "--spec-version", spec];
  const judged = ["--expected-failures", expected, "--output-dir", results];
  const child = spawn(
    process.execPath,
    [program, "server", "--url", url, ...selected, ...judged],
    { timeout: PATIENCE_MS, env: { ...process.env, NO_COLOR: "1" } },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const [code, signal] = await once(child, "close");
  return { code: code ?? signal, output };
}

// What each scenario of the run found: its name, and its checks.
async function scenarios(results) {
  const found = new Map();
  for (const folder of await readdir(results)) {
    const name = folder.replace(/^server-(.*)-\d{4}-\d{2}-\d{2}T.*$/, "$1");
    found.set(name, JSON.parse(await readFile(join(results, folder, "checks.json"), "utf8")));
  }
  return found;
}

// What is wrong with the run, beyond what the suite itself finds.
function problems(found, expected) {
  const wrong = [];
  if (found.size === 0) wrong.push("no scenario was run");
  for (const entry of expected) {
    const [scenario, id] = entry.split(":");
    const checks = found.get(scenario) ?? [];
    const failed = checks.some((c) => FAILED.includes(c.status) && (!id || c.id === id));
    if (!failed) wrong.push(`${entry} is expected to fail, and did not`);
  }
  for (const [scenario, checks] of found) {
    const checked = checks.some(({ status }) => [...FAILED, "SUCCESS"].includes(status));
    if (!checked) wrong.push(`${scenario} succeeded, and checked nothing`);
  }
  return wrong;
}

function* summary(found, expected) {
  const excused = (scenario, id) =>
    expected.includes(scenario) || expected.includes(`${scenario}:${id}`);
  for (const [scenario, checks] of [...found].sort(([a], [b]) => a.localeCompare(b))) {
    const failed = checks.filter((check) => FAILED.includes(check.status));
    const unexpected = failed.some((check) => !excused(scenario, check.id));
    const mark = unexpected ? "FAILED" : failed.length > 0 ? "expected" : "passed";
    yield `${mark.padEnd(9)}${scenario}`;
    for (const { id, status, errorMessage } of failed) {
      yield `           ${status} ${id}: ${errorMessage ?? ""}`;
    }
  }
}

async function main() {
  const string = { type: "string" };
  const { values } = parseArgs({
    options: {
      url: string,
      suite: string,
      spec: string,
      results: string,
      "expected-failures": string,
      token: string,
    },
  });
  if (parseInt(process.versions.node, 10) < 22) {
    throw new Error(`the suite needs Node 22, and this is ${process.version}`);
  }
  const proxy = values.token && (await bearerProxy(values.url, values.token));
  const { code, output } = await suite({ ...values, url: proxy?.url ?? values.url });
  proxy?.close();
  const expected = parse(await readFile(values["expected-failures"], "utf8"))?.server ?? [];
  const found = await scenarios(values.results);
  const wrong = problems(found, expected);
  for (const line of summary(found, expected)) console.log(line);
  if (code === 0 && wrong.length === 0) return 0;
  for (const problem of wrong) console.error(problem);
  console.error(`suite ${values.suite}, specification ${values.spec}: ended with ${code}`);
  if (found.size === 0) console.error(output);
  return 1;
}

process.exitCode = await main();
