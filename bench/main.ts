/**
 * The benchmark: measures rows in turn, and prints tables.
 *
 * ```sh
 * deno task bench [--peers] [--json] [--rounds 3] [--only rows]
 * ```
 *
 * @module
 */

import { choice, flagsText, isGiven, readFlags, UsageError, whole } from "../lib/cli/flags.ts";
import { MAX_TABLE_SIZE } from "../lib/protocol/limits.ts";
import { Child, killAll } from "./child.ts";
import {
  connectionRows,
  HOLDERS,
  IDLE_CONNECTIONS,
  measureIdle,
  measurePuts,
  measureSilent,
  proxyRows,
  resident,
  SILENT_LEASE_MS,
  startFleet,
  startTables,
  tableRows,
  TABLES,
} from "./growth.ts";
import type { InProcess } from "./in_process.ts";
import { printLine } from "./lines.ts";
import { median, medianRatio } from "./median.ts";
import { Nodes } from "./nodes.ts";
import { type Peers, startPeers } from "./peers.ts";
import { rowsTable, shown, table, targetsTable } from "./report.ts";
import { measureRows, type Result, type Times } from "./rounds.ts";
import { startRows, TABLE, write } from "./rows.ts";
import { echoStart, largeStart, proxyStart, serverStart } from "./start.ts";
import { targets, verdict } from "./targets.ts";
import { processor } from "./usage.ts";

const FLAGS = {
  peers: isGiven("measure Redis and memcached too, those that are on the PATH"),
  json: isGiven("print one JSON object in place of the tables"),
  rounds: whole({
    value: "N",
    what: "how many rounds",
    least: 1,
    most: 100,
    standard: 3,
  }),
  "measure-ms": whole({
    value: "MS",
    what: "how long a row is measured in a round",
    least: 100,
    most: 60_000,
    standard: 700,
  }),
  only: choice("which part", ["all", "rows", "growth", "process", "start"]),
  help: isGiven("print this and end", ""),
};

const WARM_UP_MS = 250;
/** How often a program is started for each round. */
const STARTS = 3;

/** What was measured; a part that was not run is empty. */
interface Report {
  rows: Result[];
  growth: Result[];
  /** Resident memory of the proxies of each table, filled, and after they were read; in MiB. */
  residentMiB: { size: number; filled: number; read: number }[];
  /** What a PUT takes in the median of each round, in microseconds. */
  puts: { holders: number; rounds: number[] }[];
  inProcess: InProcess[];
  /** What one proxy grows by with idle connections, in MiB. */
  idleMiB?: number;
  /** The longest that a PUT waited for a holder that never answers, in milliseconds. */
  silentMs?: number;
  /** From the start to "listening", in milliseconds. */
  starts: { server: number[]; proxy: number[]; echo: number[] };
  /** The same of servers with the largest table in their file, and their resident memory. */
  largeStarts: { ms: number; residentMiB: number }[];
}

async function measureAll(
  only: string,
  peersToo: boolean,
  times: Times,
  folder: string,
  progress: (text: string) => void,
): Promise<Report & { versions: Readonly<Record<string, string>> }> {
  const report: Report = {
    rows: [],
    growth: [],
    residentMiB: [],
    puts: [],
    inProcess: [],
    starts: { server: [], proxy: [], echo: [] },
    largeStarts: [],
  };
  const wanted = (part: string) => only === "all" || only === part;
  await using generator = Child.module("generator.ts");
  let peers: Peers = { versions: {} };
  if (wanted("rows")) {
    await using nodes = new Nodes();
    progress("starting nodes");
    if (peersToo) peers = await startPeers(nodes, folder);
    const rows = await startRows(nodes, peers, folder);
    report.rows = await measureRows(generator, rows, times, progress);
  }
  if (wanted("growth")) {
    {
      await using nodes = new Nodes();
      progress("filling tables");
      const halves = await startTables(nodes);
      const filled = await resident(halves);
      report.idleMiB = await measureIdle(halves[0]!);
      const rows = [...tableRows(halves), ...connectionRows(halves[0]!)];
      report.growth = await measureRows(generator, rows, times, progress);
      const read = await resident(halves);
      report.residentMiB = TABLES.map((size, i) => ({ size, filled: filled[i]!, read: read[i]! }));
    }
    await using nodes = new Nodes();
    progress("starting proxies");
    const fleet = await startFleet(nodes);
    report.growth.push(...await measureRows(generator, proxyRows(fleet), times, progress));
    const puts = await measurePuts(generator, fleet, times, progress);
    progress("PUT with a silent holder");
    report.silentMs = await measureSilent(nodes);
    report.puts = HOLDERS.map((holders, i) => ({ holders, rounds: puts[i]! }));
  }
  if (wanted("process")) {
    await using nodes = new Nodes();
    const server = await nodes.server({ size: TABLE });
    for (let round = 1; round <= times.rounds; round++) {
      progress(`round ${round} of ${times.rounds}: hits in process`);
      await using child = Child.module("in_process.ts", `127.0.0.1:${server.port}`);
      report.inProcess.push(JSON.parse(await child.line()));
    }
  }
  if (wanted("start")) {
    await using nodes = new Nodes();
    const server = await nodes.server({ size: TABLE });
    const { starts } = report;
    const large = `${folder}/large.db`;
    {
      await using filling = new Nodes();
      progress("writing the largest table");
      await write(await filling.server({ size: MAX_TABLE_SIZE, data: large }), MAX_TABLE_SIZE);
    }
    // The first start of each fills the caches.
    await largeStart(large);
    await serverStart(folder);
    await proxyStart(server.port, folder);
    await echoStart();
    for (let start = 1; start <= STARTS * times.rounds; start++) {
      progress(`start ${start} of ${STARTS * times.rounds}`);
      starts.server.push(await serverStart(folder));
      starts.proxy.push(await proxyStart(server.port, folder));
      starts.echo.push(await echoStart());
      report.largeStarts.push(await largeStart(large));
    }
  }
  return { ...report, versions: peers.versions };
}

function printTables(report: Report): void {
  const { rows, growth, residentMiB, puts, idleMiB, silentMs, inProcess, starts } = report;
  const { largeStarts } = report;
  if (rows.length > 0) printLine(`\n${rowsTable(rows)}`);
  if (growth.length > 0) printLine(`\n${rowsTable(growth)}`);
  if (residentMiB.length > 0) {
    printLine(
      "\n" + table(
        ["resident memory of the proxy, MiB", "filled", "after reads"],
        residentMiB.map(({ size, filled, read }) => [
          `capacity ${shown(size / 2)}`,
          shown(filled, 1),
          shown(read, 1),
        ]),
      ),
    );
  }
  if (puts.length > 0) {
    printLine(
      "\n" + table(
        ["PUT at the server, held by", "p50 µs", "of none"],
        puts.map(({ holders, rounds }) => [
          `${holders} ${holders === 1 ? "proxy" : "proxies"}`,
          shown(median(rounds)),
          shown(medianRatio(rounds, puts[0]!.rounds), 2),
        ]),
      ),
    );
  }
  if (idleMiB !== undefined && silentMs !== undefined) {
    printLine(
      "\n" + table(["", ""], [
        [`${IDLE_CONNECTIONS} idle connections add to a proxy`, `${shown(idleMiB, 1)} MiB`],
        [
          `the longest PUT with a silent holder, lease ${SILENT_LEASE_MS} ms`,
          `${shown(silentMs)} ms`,
        ],
      ]),
    );
  }
  if (inProcess.length > 0) {
    printLine(
      "\n" + table(["hits in process", "per second"], [
        ["each awaited", shown(median(inProcess.map(({ oneByOne }) => oneByOne)))],
        ["a thousand at a time", shown(median(inProcess.map(({ together }) => together)))],
      ]),
    );
  }
  if (starts.server.length > 0) {
    printLine(
      "\n" + table(['start to "listening"', "ms", "of the echo's"], [
        ["server", shown(median(starts.server)), shown(medianRatio(starts.server, starts.echo), 2)],
        ["proxy", shown(median(starts.proxy)), shown(medianRatio(starts.proxy, starts.echo), 2)],
        ["bare echo", shown(median(starts.echo)), ""],
        [
          `server, 1,000,000 entries, ${
            shown(median(largeStarts.map(({ residentMiB }) => residentMiB)))
          } MiB then`,
          shown(median(largeStarts.map(({ ms }) => ms))),
          "",
        ],
      ]),
    );
  }
}

/** A line on a terminal that says what is going on; nothing where there is no terminal. */
function progressLine(): (text: string) => void {
  if (!Deno.stderr.isTerminal()) return () => {};
  const encoder = new TextEncoder();
  return (text) => Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));
}

async function main(): Promise<void> {
  const { values, words } = readFlags(FLAGS, Deno.args);
  if (words.length > 0) throw new UsageError(`unexpected argument: "${words[0]}"`);
  if (values.help) return printLine(`deno task bench [flags]\n\n${flagsText(FLAGS)}`);
  const times = {
    rounds: values.rounds,
    warmUpMs: WARM_UP_MS,
    measureMs: values["measure-ms"],
  };
  const from = performance.now();
  // Beside the programs, not where temporary files go, which may be memory: a sync must be one.
  const folder = await Deno.makeTempDir({ dir: "bench", prefix: ".tmp-" });
  const path = await Deno.realPath(folder);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
    Deno.addSignalListener(signal, () => {
      killAll();
      Deno.removeSync(folder, { recursive: true });
      Deno.exit(130);
    });
  }
  const progress = progressLine();
  try {
    const { only, peers } = values;
    const report = await measureAll(only, peers, times, path, progress);
    progress("");
    const { inProcess, residentMiB, starts } = report;
    const goals = targets([...report.rows, ...report.growth], {
      ...inProcess.length === 0
        ? {}
        : { inProcess: median(inProcess.map(({ oneByOne }) => oneByOne)) },
      ...residentMiB.length === 0 ? {} : { residentMiB: residentMiB.at(-1)!.filled },
      ...starts.server.length === 0 ? {} : { startMs: median(starts.server) },
    });
    const about = {
      date: new Date().toISOString().slice(0, 10),
      machine: await processor(),
      versions: { deno: Deno.version.deno, v8: Deno.version.v8, ...report.versions },
      rounds: times.rounds,
      measureMs: times.measureMs,
      seconds: Math.round((performance.now() - from) / 1000),
    };
    if (values.json) {
      const plain = (results: Result[]) =>
        results.map(({ row: { name, depth, connections, of }, samples }) => (
          { name, depth, connections, of, samples }
        ));
      printLine(JSON.stringify({
        ...report,
        ...about,
        rows: plain(report.rows),
        growth: plain(report.growth),
        targets: goals.map((target) => ({ ...target, verdict: verdict(target) })),
      }));
      return;
    }
    const versions = Object.entries(about.versions).map((pair) => pair.join(" ")).join(", ");
    printLine(
      `${about.date}, ${about.machine}, ${versions}; ${about.rounds} rounds, ${about.seconds} s`,
    );
    printTables(report);
    printLine(`\n${targetsTable(goals)}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    await Deno.stderr.write(new TextEncoder().encode(`bench: ${error.message}; see --help\n`));
    Deno.exit(2);
  }
}
