import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHooksFile } from "../../src/config/index.ts";
import { marks, valueFrom } from "./support/outcomes.ts";

const shipped = `version: v1
hooks:
  apply-start:
  - workdir: /etc/nvidia-mig-manager
    command: /bin/bash
    args: ["-x", "-c", "source hooks.sh; apply-start"]
    envs: {REASON: mig}
  apply-exit:
  - command: /usr/bin/logger
  - command: /usr/bin/true
`;

test("a hooks file as NVIDIA ships it", () => {
  const hooks = valueFrom(parseHooksFile(shipped, "hooks.yaml"));
  const [start] = hooks.get("apply-start") ?? [];
  assert.deepEqual(start, {
    command: "/bin/bash",
    args: ["-x", "-c", "source hooks.sh; apply-start"],
    envs: { REASON: "mig" },
    workdir: "/etc/nvidia-mig-manager",
    place: { file: "hooks.yaml", line: 4, column: 5 },
  });
  assert.deepEqual(
    hooks.get("apply-exit")?.map(({ command, args }) => [command, args]),
    [
      ["/usr/bin/logger", []],
      ["/usr/bin/true", []],
    ],
  );
});

test("an empty file and a file without hooks run nothing", () => {
  for (const text of ["", "version: v1\n", "version: v1\nhooks:\n", "version: v1\nhooks:\n  apply-exit: []\n"]) {
    assert.equal(valueFrom(parseHooksFile(text, "hooks.yaml")).size, 0);
  }
});

const mistakes: readonly (readonly [name: string, text: string, marks: readonly string[]])[] = [
  ["no version", "hooks: {}\n", ["1:1 unknown-version"]],
  ["another version", "version: v2\n", ["1:10 unknown-version"]],
  ["a misspelt hook", "version: v1\nhooks:\n  apply-end:\n  - command: /bin/true\n", ["3:3 unexpected-field"]],
  ["a hook without command", "version: v1\nhooks:\n  apply-exit:\n  - args: [a]\n", ["4:5 missing-field"]],
  ["a misspelt field", "version: v1\nhooks:\n  apply-exit:\n  - {command: a, arg: [b]}\n", ["4:18 unexpected-field"]],
  ["text where a list belongs", "version: v1\nhooks:\n  apply-exit: /bin/true\n", ["3:15 bad-value"]],
  ["a number as argument", "version: v1\nhooks:\n  apply-exit:\n  - {command: a, args: [5]}\n", ["4:25 bad-value"]],
  ["a number as variable", "version: v1\nhooks:\n  apply-exit:\n  - {command: a, envs: {B: 5}}\n", ["4:28 bad-value"]],
];

for (const [name, text, want] of mistakes) {
  test(`a mistake in a hooks file: ${name}`, () => {
    const read = parseHooksFile(text, "hooks.yaml");
    assert.deepEqual([read.ok, marks(read.findings)], [false, want]);
  });
}
