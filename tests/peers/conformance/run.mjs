// Lets the official conformance suite judge a server.
//
//     node run.mjs --url URL --suite VERSION --spec VERSION --results FOLDER
//                  [--token TOKEN] [--scenario NAME]... [--untested NAME]...
//
// The exit status is non-zero for every check that fails or warns, and for every scenario that finds
// nothing to check, unless it is UNTESTED; and for an untested one that checks something, so that the
// list can only shrink. With TOKEN, the suite goes through a proxy that adds it. Scenarios of extensions
// are in no suite: each is run by its NAME.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bearerProxy } from "./proxy.mjs";

const PATIENCE_MS = 300_000;
const FAILED = ["FAILURE", "WARNING"];

async function suite({ url, suite, spec, scenario, results }) {
  const program = join(import.meta.dirname, `node_modules/conformance-${suite}/dist/index.js`);
  if (!existsSync(program)) throw new Error(`${program} is not there: ./test fetches it`);
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const runs = scenario ? scenario.map((name) => ["--scenario", name, "--force"]) : [["--suite", "all"]];
  let [failed, output] = [0, ""];
  for (const selected of runs) {
    const child = spawn(
      process.execPath,
      [program, "server", "--url", url, ...selected, "--spec-version", spec, "--output-dir", results],
      { timeout: PATIENCE_MS, env: { ...process.env, NO_COLOR: "1" } },
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    }
    const [code, signal] = await once(child, "close");
    failed ||= code ?? signal;
  }
  return { code: failed, output };
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
function problems(found, untested) {
  const wrong = [];
  if (found.size === 0) wrong.push("no scenario was run");
  for (const scenario of untested) {
    if (!found.has(scenario)) wrong.push(`${scenario} is expected to run, and did not`);
  }
  for (const [scenario, checks] of found) {
    const failed = checks.filter(({ status }) => FAILED.includes(status));
    if (failed.length > 0) wrong.push(`${scenario} found fault with ${failed.map(({ id }) => id).join(", ")}`);
    const checked = failed.length > 0 || checks.some(({ status }) => status === "SUCCESS");
    if (checked === untested.includes(scenario)) {
      wrong.push(`${scenario} checked ${checked ? "something: it is tested now" : "nothing"}`);
    }
  }
  return wrong;
}

function* summary(found, untested) {
  for (const [scenario, checks] of [...found].sort(([a], [b]) => a.localeCompare(b))) {
    const failed = checks.filter((check) => FAILED.includes(check.status));
    const fine = untested.includes(scenario) ? "untested" : "passed";
    yield `${(failed.length > 0 ? "FAILED" : fine).padEnd(9)}${scenario}`;
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
      token: string,
      scenario: { ...string, multiple: true },
      untested: { ...string, multiple: true, default: [] },
    },
  });
  if (parseInt(process.versions.node, 10) < 22) {
    throw new Error(`the suite needs Node 22, and this is ${process.version}`);
  }
  const proxy = values.token && (await bearerProxy(values.url, values.token));
  const { code, output } = await suite({ ...values, url: proxy?.url ?? values.url });
  proxy?.close();
  const found = await scenarios(values.results);
  const wrong = problems(found, values.untested);
  for (const line of summary(found, values.untested)) console.log(line);
  if (code === 0 && wrong.length === 0) return 0;
  for (const problem of wrong) console.error(problem);
  console.error(`suite ${values.suite}, specification ${values.spec}: ended with ${code}`);
  if (found.size === 0) console.error(output);
  return 1;
}

process.exitCode = await main();
