/**
 * Bearer tokens in files, which somebody replaces long before they end (client-go, transport/token_source.go).
 */
import { readFile } from "node:fs/promises";
import type { Clock } from "../base/index.ts";
import type { TokenSource } from "./connection.ts";

/** After this long client-go reads a file again. */
const tokenAgeMs = 60_000;

/** The token in the file at `path`, read again every minute; throws when it cannot be read. */
export function tokenFromFile(path: string, clock: Clock): TokenSource {
  let token = "";
  let readMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.now() - readMs >= tokenAgeMs) {
      token = (await readFile(path, "utf8")).trim();
      readMs = clock.now();
    }
    return token;
  };
}
