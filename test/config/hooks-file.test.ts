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

// sigs.k8s.io/yaml makes text of them for Go's strings; keys of Go's structs match in any case.
test("what NVIDIA's reader takes is taken", () => {
  const text =
    "Hooks:\n  apply-exit:\n  - {Command: nice, args: [-n, 5, 0x10, 1.5, yes], envs: {TRIES: 3, ON: no, NONE: }}\n";
  const [hook] = valueFrom(parseHooksFile(text, "hooks.yaml")).get("apply-exit") ?? [];
  assert.deepEqual(hook?.command, "nice");
  assert.deepEqual(hook?.args, ["-n", "5", "16", "1.5", "true"]);
  assert.deepEqual(hook?.envs, { TRIES: "3", true: "false", NONE: "" });
});

const warnings: readonly (readonly [name: string, text: string, mark: string])[] = [
  ["a misspelt hook", "version: v1\nhooks:\n  apply-end:\n  - command: /bin/true\n", "3:3 ignored-key"],
  ["a hook in capitals", "version: v1\nhooks:\n  Apply-Exit:\n  - command: /bin/true\n", "3:3 ignored-key"],
  ["a misspelt field", "version: v1\nhooks:\n  apply-exit:\n  - {command: a, arg: [b]}\n", "4:18 ignored-key"],
];

for (const [name, text, want] of warnings) {
  test(`what NVIDIA ignores in a hooks file is a warning: ${name}`, () => {
    const read = parseHooksFile(text, "hooks.yaml");
    assert.deepEqual([read.ok, marks(read.findings)], [true, [want]]);
  });
}

const mistakes: readonly (readonly [name: string, text: string, marks: readonly string[]])[] = [
  ["another version", "version: v2\n", ["1:10 unknown-version"]],
  ["a hook without command", "version: v1\nhooks:\n  apply-exit:\n  - args: [a]\n", ["4:5 missing-field"]],
  ["text where a list belongs", "version: v1\nhooks:\n  apply-exit: /bin/true\n", ["3:15 bad-value"]],
  ["a list as argument", "version: v1\nhooks:\n  apply-exit:\n  - {command: a, args: [[]]}\n", ["4:25 bad-value"]],
  ["a huge number", "version: v1\nhooks:\n  apply-exit:\n  - {command: a, args: [1e30]}\n", ["4:25 bad-value"]],
];

for (const [name, text, want] of mistakes) {
  test(`a mistake in a hooks file: ${name}`, () => {
    const read = parseHooksFile(text, "hooks.yaml");
    assert.deepEqual([read.ok, marks(read.findings)], [false, want]);
  });
}
