/**
 * The program's own log: JSON lines on standard error, for those who look for a fault in Tranche itself.
 */
import { pino } from "pino";
import type { Logger } from "../base/index.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A logger that writes synchronously, so that nothing is lost when the process ends. */
export function jsonLogger(level: LogLevel): Logger {
  return pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
}
