// Lets the official conformance suite judge a server.
//
//     node run.mjs --url URL --suite VERSION --spec VERSION --results FOLDER
//                  --expected-failures FILE [--token TOKEN] [--scenario NAME]...
//
// FILE is in the suite's own format: under `server`, what is expected to fail, a scenario or
// one check of it in each line. Beside it, under `untested`, are the scenarios that end well
// because they find nothing to check. The exit status is non-zero for every failure that is
// not in FILE, and for every entry of FILE that does not hold, so that it can only shrink.
// With TOKEN, the suite goes through a proxy that adds it. Scenarios of extensions are in no suite: each
// is run by its NAME.

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
const WIRE = "wire-schema-valid";

async function suite({ url, suite, spec, scenario, results, "expected-failures": expected }) {
  const program = join(import.meta.dirname, `node_modules/conformance-${suite}/dist/index.js`);
  if (!existsSync(program)) throw new Error(`${program} is not there: ./test fetches it`);
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const judged = ["--expected-failures", expected, "--output-dir", results];
  const runs = scenario ? scenario.map((name) => ["--scenario", name, "--force"]) : [["--suite", "all"]];
  let [failed, output] = [0, ""];
  for (const selected of runs) {
    const child = spawn(
      process.execPath,
      [program, "server", "--url", url, ...selected, "--spec-version", spec, ...judged],
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
function problems(found, expected, untested) {
  const wrong = [];
  if (found.size === 0) wrong.push("no scenario was run");
  for (const entry of expected) {
    const [scenario, id] = entry.split(":");
    const checks = found.get(scenario) ?? [];
    const failed = checks.some((c) => FAILED.includes(c.status) && (!id || c.id === id));
    if (!failed) wrong.push(`${entry} is expected to fail, and did not`);
  }
  for (const scenario of untested) {
    if (!found.has(scenario)) wrong.push(`${scenario} is expected to run, and did not`);
  }
  for (const [scenario, checks] of found) {
    const checked = checks.some(({ status }) => [...FAILED, "SUCCESS"].includes(status));
    if (checked === untested.includes(scenario)) {
      wrong.push(`${scenario} checked ${checked ? "something: it is tested now" : "nothing"}`);
    }
    // What is not there may be missing, but what is answered has to be well-formed.
    const malformed = checks.some((c) => c.id === WIRE && FAILED.includes(c.status));
    if (malformed && !expected.includes(`${scenario}:${WIRE}`)) {
      wrong.push(`${scenario}: a message of the server is not of the specification's schema`);
    }
  }
  return wrong;
}

function* summary(found, expected, untested) {
  const excused = (scenario, id) =>
    expected.includes(scenario) || expected.includes(`${scenario}:${id}`);
  for (const [scenario, checks] of [...found].sort(([a], [b]) => a.localeCompare(b))) {
    const failed = checks.filter((check) => FAILED.includes(check.status));
    const unexpected = failed.some((check) => !excused(scenario, check.id));
    const fine = untested.includes(scenario) ? "untested" : "passed";
    const mark = unexpected ? "FAILED" : failed.length > 0 ? "expected" : fine;
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
      scenario: { ...string, multiple: true },
    },
  });
  if (parseInt(process.versions.node, 10) < 22) {
    throw new Error(`the suite needs Node 22, and this is ${process.version}`);
  }
  const proxy = values.token && (await bearerProxy(values.url, values.token));
  const { code, output } = await suite({ ...values, url: proxy?.url ?? values.url });
  proxy?.close();
  const listed = parse(await readFile(values["expected-failures"], "utf8"));
  const { server: expected = [], untested = [] } = listed;
  const found = await scenarios(values.results);
  const wrong = problems(found, expected, untested);
  for (const line of summary(found, expected, untested)) console.log(line);
  if (code === 0 && wrong.length === 0) return 0;
  for (const problem of wrong) console.error(problem);
  console.error(`suite ${values.suite}, specification ${values.spec}: ended with ${code}`);
  if (found.size === 0) console.error(output);
  return 1;
}

process.exitCode = await main();
