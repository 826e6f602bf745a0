/** Words of command lines that are shown, as a shell reads them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { shellWord } from "../../src/cli/up/shell-word.ts";

test("a shell reads the word as it was, and what needs no quotes has none", () => {
  for (const text of ["/tmp/my clusters/kubeconfig", "it's", "$HOME", "a;b", "*", "~", "", "`id`", "ä", "a\nb"]) {
    assert.equal(spawnSync("sh", ["-c", `printf %s ${shellWord(text)}`], { encoding: "utf8" }).stdout, text);
  }
  assert.equal(shellWord("/tmp/tranche-AbC/kubeconfig"), "/tmp/tranche-AbC/kubeconfig");
});
