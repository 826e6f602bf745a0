/**
 * The entry point: arguments in, exit code out. The first Ctrl-C ends in good order, a second at once.
 */
import { keepUsedCode } from "./code-cache.ts";
import { keepCompiledCode } from "./compile-cache.ts";

const cache = keepCompiledCode(process.env);
if (cache !== undefined) keepUsedCode(cache, process.argv.slice(2));

const ending = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => ending.abort(new Error(name)));

// Loaded once compiled code is kept. Without `await`, which CommonJS, the bundle's form, does not have here: what is
// thrown ends the process all the same.
void Promise.all([import("./program.ts"), import("./output.ts")]).then(async ([{ runProgram }, output]) => {
  output.watchReaders(() => ending.abort(new Error("nobody reads the output any more")));
  process.exitCode = await runProgram(process.argv.slice(2), { output: output.processOutput, signal: ending.signal });
});
