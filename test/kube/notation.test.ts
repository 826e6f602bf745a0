import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/base/index.ts";
import {
  connectionFromKubeconfig,
  formatQuantity,
  matchesLabels,
  parseQuantity,
  parseSelector,
} from "../../src/kube/index.ts";

const quantities: readonly (readonly [string, number | undefined])[] = [
  ["0", 0],
  ["4", 4],
  ["250m", 0.25],
  ["100m", 0.1],
  ["1.5", 1.5],
  [".5", 0.5],
  ["12Gi", 12 * 2 ** 30],
  ["1.5Gi", 1.5 * 2 ** 30],
  ["128974848", 128974848],
  ["129e6", 129e6],
  ["129M", 129e6],
  ["1E", 1e18],
  ["1E3", 1000],
  ["1Ei", 2 ** 60],
  ["5u", 5e-6],
  ["-1k", -1000],
  ["", undefined],
  ["Gi", undefined],
  ["1gi", undefined],
  ["1 Gi", undefined],
  ["1KB", undefined],
  ["1.2.3", undefined],
  ["0x10", undefined],
];
for (const [text, want] of quantities) {
  test(`quantity "${text}" is ${want}`, () => assert.equal(parseQuantity(text), want));
}

const formatted = [
  { value: 0, format: "binary", want: "0" },
  { value: 12 * 2 ** 30, format: "binary", want: "12Gi" },
  { value: 1536 * 2 ** 20, format: "binary", want: "1536Mi" },
  { value: 1023, format: "binary", want: "1023" },
  { value: 1025, format: "binary", want: "1025" },
  { value: 4, format: "decimal", want: "4" },
  { value: 2000, format: "decimal", want: "2k" },
  { value: 0.25, format: "decimal", want: "250m" },
  { value: 3.9, format: "decimal", want: "3900m" },
] as const;
for (const { value, format, want } of formatted) {
  test(`${value} is written ${want}`, () => assert.equal(formatQuantity(value, format), want));
}

test("what is written reads back the same", () => {
  const thousandths = fc.integer({ min: 0, max: 10 ** 9 }).map((value) => value / 1000);
  fc.assert(fc.property(thousandths, (value) => assert.equal(parseQuantity(formatQuantity(value)), value)));
  fc.assert(fc.property(fc.nat(), (value) => assert.equal(parseQuantity(formatQuantity(value, "binary")), value)));
});

const labels = { app: "web", tier: "front", "nvidia.com/gpu.count": "8", empty: "" };
const selectors: readonly (readonly [string, boolean | undefined])[] = [
  ["", true],
  ["app=web", true],
  ["app==web,tier=front", true],
  ["app=web,tier=back", false],
  ["app!=web", false],
  ["absent!=web", true],
  ["empty=", true],
  ["app in (api, web)", true],
  ["app notin (api,web)", false],
  ["absent notin (api)", true],
  ["app", true],
  ["!app", false],
  ["!absent", true],
  ["toString", false],
  ["nvidia.com/gpu.count>4", true],
  ["nvidia.com/gpu.count<8", false],
  ["app>4", false],
  ["app in (a,b),tier", false],
  ["app in a", undefined],
  ["app=(a)", undefined],
  ["app>many", undefined],
  ["a,,b", undefined],
  ["=x", undefined],
];
for (const [text, want] of selectors) {
  test(`selector "${text}" ${want === undefined ? "is refused" : `gives ${want}`}`, () => {
    const parsed = parseSelector(text);
    assert.equal(parsed.ok ? matchesLabels(parsed.value, labels) : undefined, want);
    if (!parsed.ok) assert.equal(parsed.findings[0]?.code, "selector-syntax");
  });
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const kubeconfig = {
  apiVersion: "v1",
  kind: "Config",
  "current-context": "lab",
  clusters: [
    { name: "c", cluster: { server: "https://10.0.0.1:6443", "certificate-authority-data": base64("CA") } },
    { name: "open", cluster: { server: "https://10.0.0.2", "insecure-skip-tls-verify": true } },
    { name: "lost", cluster: { server: "https://10.0.0.3", "certificate-authority": "missing.pem" } },
    { name: "proxied", cluster: { server: "https://10.0.0.4", "proxy-url": "http://proxy:3128" } },
  ],
  users: [
    { name: "u", user: { "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY") } },
    { name: "t", user: { token: "abc" } },
    { name: "x", user: { exec: { command: "aws" } } },
    { name: "other", user: { token: "abc", as: "viewer" } },
  ],
  contexts: [
    { name: "lab", context: { cluster: "c", user: "u", namespace: "ml" } },
    { name: "open", context: { cluster: "open", user: "t" } },
    { name: "lost", context: { cluster: "lost", user: "t" } },
    { name: "exec", context: { cluster: "c", user: "x" } },
    { name: "other", context: { cluster: "c", user: "other" } },
    { name: "proxied", context: { cluster: "proxied", user: "t" } },
    { name: "dangling", context: { cluster: "nowhere", user: "u" } },
  ],
};

test("a kubeconfig gives the current context's server, certificates and namespace", () => {
  assert.deepEqual(connectionFromKubeconfig(kubeconfig), {
    ok: true,
    findings: [],
    value: {
      server: "https://10.0.0.1:6443",
      caData: "CA",
      clientCertData: "CERT",
      clientKeyData: "KEY",
      namespace: "ml",
    },
  });
});

test("a kubeconfig gives another context when asked", () => {
  const read = connectionFromKubeconfig(kubeconfig, { context: "open" });
  assert.deepEqual(read.ok && read.value, { server: "https://10.0.0.2", token: "abc", insecureSkipTlsVerify: true });
});

test("the token in a kubeconfig's file is read again after a minute, and goes before the one in the text", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, "token"), "first\n");
  const users = [{ name: "u", user: { token: "old", tokenFile: "token" } }];
  const clock = new VirtualClock();
  const read = connectionFromKubeconfig({ ...kubeconfig, users }, { directory, clock });
  assert.ok(read.ok && typeof read.value.token === "function");
  await writeFile(join(directory, "token"), "second\n");
  assert.equal(await read.value.token(), "second");
  await writeFile(join(directory, "token"), "third\n");
  assert.equal(await read.value.token(), "second");
  await clock.advance(60_000);
  assert.equal(await read.value.token(), "third");
});

const refused = [
  { name: "no object", value: "text", context: undefined, want: /not an object/ },
  { name: "no current context", value: {}, context: undefined, want: /no current-context/ },
  { name: "an unknown context", value: kubeconfig, context: "none", want: /no context "none"/ },
  { name: "a dangling cluster", value: kubeconfig, context: "dangling", want: /no cluster "nowhere"/ },
  { name: "a missing file", value: kubeconfig, context: "lost", want: /\/etc\/kube\/missing\.pem: ENOENT/ },
  { name: "somebody to act as", value: kubeconfig, context: "other", want: /user other acts as viewer/ },
  { name: "a proxy", value: kubeconfig, context: "proxied", want: /reaches its cluster through http:\/\/proxy:3128/ },
  { name: "a credential program", value: kubeconfig, context: "exec", want: /user x .* from a program/ },
];
for (const { name, value, context, want } of refused) {
  test(`a kubeconfig with ${name} is one finding`, () => {
    const options = { directory: "/etc/kube", ...(context === undefined ? {} : { context }) };
    const read = connectionFromKubeconfig(value, options);
    assert.equal(read.ok, false);
    assert.equal(read.findings.length, 1);
    assert.match(read.findings[0]?.message ?? "", want);
  });
}
