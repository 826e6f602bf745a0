/**
 * Runs the benchmark rows and prints one table with the state of the machine.
 *
 * `npm run bench` takes a minute or two; `npm run bench -- --full` takes enough samples to quote. Words select rows by
 * name: `npm run bench -- allocate`.
 */
import { cpus, freemem, loadavg, totalmem } from "node:os";
import { table } from "../src/cli/index.ts";
import type { BenchRow } from "./row.ts";

const args = process.argv.slice(2);
const mode = args.includes("--full") ? "full" : "small";
const words = args.filter((arg) => !arg.startsWith("--"));

const modules: readonly { readonly rows: readonly BenchRow[] }[] = await Promise.all([
  import("./config.ts"),
  import("./partition.ts"),
  import("./nvml.ts"),
  import("./bundle.ts"),
  import("./sharing.ts"),
  import("./kubelet.ts"),
  import("./calls.ts"),
  import("./agent.ts"),
  import("./agent-process.ts"),
  import("./api.ts"),
  import("./scheduler.ts"),
  import("./up.ts"),
  import("./fleet.ts"),
]);
const rows = modules
  .flatMap((module) => module.rows)
  .filter((row) => words.every((word) => row.name.toLowerCase().includes(word.toLowerCase())));

console.log(`Node.js ${process.version}, ${cpus()[0]?.model ?? "unknown processor"} × ${cpus().length}, ${mode} mode`);
console.log(`before: ${machineState()}`);
const cells: string[][] = [];
let missed = 0;
for (const row of rows) {
  const { figure, met, note = "" } = await row.run(mode);
  if (!met) missed += 1;
  cells.push([row.name, figure, row.aim, met ? "met" : "missed", note]);
}
console.log(`after:  ${machineState()}\n`);
console.log(table(["WHAT", "MEASURED", "AIM", "", "NOTE"], cells));
console.log(`\n${rows.length - missed} of ${rows.length} aims met`);
// The aims are goals for people to weigh, not a gate: the exit code tells only that everything ran.

function machineState(): string {
  const [one = 0] = loadavg();
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return `load ${one.toFixed(2)}, ${gib(freemem())} of ${gib(totalmem())} memory free`;
}
