/** Commands, tables and exit codes. */
export { type Output, processOutput } from "./output.ts";
export { runProgram } from "./program.ts";
export { table } from "./table.ts";
