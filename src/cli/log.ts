/**
 * The program's own log: JSON lines on standard error, for those who look for a fault in Tranche itself.
 */
import { type Logger, silentLogger } from "../base/index.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * A logger that writes synchronously, so that nothing is lost when the process ends; without a level it is silent. The
 * library behind it is loaded only when somebody wants to read the log.
 */
export async function loggerFor(level: LogLevel | undefined): Promise<Logger> {
  if (level === undefined) return silentLogger;
  const { pino } = await import("pino");
  const log: Logger = pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
  return log;
}
