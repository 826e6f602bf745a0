/** A text in a file that is whole or absent. */
import { readFile } from "node:fs/promises";
import type { LastingText } from "../../agent/index.ts";
import { isErrno } from "../../base/index.ts";
import { writeWhole } from "../node/atomic-file.ts";

export function lastingFile(path: string): LastingText {
  return {
    async read() {
      try {
        return await readFile(path, "utf8");
      } catch (error) {
        if (isErrno(error, "ENOENT")) return undefined;
        throw error;
      }
    },
    write: (text) => writeWhole(path, text),
  };
}
