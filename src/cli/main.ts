/**
 * The entry point: arguments in, exit code out. The first Ctrl-C ends in good order, a second at once.
 */
import { enableCompileCache } from "node:module";

enableCompileCache();

const ending = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => ending.abort(new Error(name)));

// After the compile cache is on, so that the second start is quicker.
const { runProgram } = await import("./program.ts");
const { processOutput } = await import("./output.ts");
process.exitCode = await runProgram(process.argv.slice(2), { output: processOutput, signal: ending.signal });
