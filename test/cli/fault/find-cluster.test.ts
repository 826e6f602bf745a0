/** Which running cluster a command means. */
import assert from "node:assert/strict";
import { chmod, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findingLine, silentLogger } from "../../../src/base/index.ts";
import { findCluster } from "../../../src/cli/fault/find-cluster.ts";
import { serveControl } from "../../../src/cli/up/control.ts";
import { writeKubeconfigFile } from "../../../src/cli/up/kubeconfig-file.ts";
import { listCluster, listedClusters } from "../../../src/cli/up/running.ts";
import { everythingBelow, temporaryDirectory } from "../../support/temporary.ts";

/** Directories of one user: where clusters are listed, and where each keeps its state. */
class Machine {
  readonly root: string;
  readonly env: Record<string, string>;
  readonly #t: TestContext;

  private constructor(t: TestContext, root: string) {
    this.#t = t;
    this.root = root;
    this.env = { XDG_RUNTIME_DIR: root };
  }

  static async of(t: TestContext): Promise<Machine> {
    return new Machine(t, await temporaryDirectory(t));
  }

  get listDirectory(): string {
    return join(this.root, `tranche-${process.getuid?.()}`);
  }

  /** A cluster with its socket in a directory of this name, on the list or not. */
  async run(name: string, { listed = true, pid = 17 }: { readonly listed?: boolean; readonly pid?: number } = {}) {
    const directory = join(this.root, name);
    await mkdir(directory, { recursive: true });
    const socketPath = join(directory, "control.sock");
    const facts = { pid, stateDir: directory, nodes: ["node-a", "node-b"] };
    const cause = async () => ({ ok: false, findings: [] }) as const;
    const control = await serveControl({ socketPath, facts, log: silentLogger, cause });
    let isOpen = true;
    const end = async (): Promise<void> => {
      if (isOpen) await control.close();
      isOpen = false;
    };
    this.#t.after(end);
    const entry = listed ? await listCluster(socketPath, this.env) : undefined;
    if (entry !== undefined && "problem" in entry) assert.fail(findingLine(entry.problem));
    return { directory, socketPath, end, remove: async () => entry?.remove() };
  }

  /** The socket that is found, or what is said. */
  async find(more: { readonly stateDir?: string; readonly env?: Record<string, string> } = {}): Promise<string> {
    const env = { ...this.env, ...more.env };
    const { signal } = new AbortController();
    const outcome = await findCluster({ stateDir: more.stateDir, env, signal });
    return outcome.ok ? outcome.value : outcome.findings.map(findingLine).join("\n");
  }
}

test("the only one is found, and nothing is left of the list when it has ended", async (t) => {
  const machine = await Machine.of(t);
  const { socketPath, remove } = await machine.run("one");
  assert.equal((await stat(machine.listDirectory)).mode & 0o777, 0o700);
  assert.equal(await machine.find(), socketPath);
  await remove();
  assert.match(
    await machine.find(),
    /^tranche fault: error no-cluster-running: no tranche up of yours is running; start/,
  );
  assert.equal((await everythingBelow(machine.root)).includes(`tranche-${process.getuid?.()}`), false);
});

test("of several none is taken, and all are named", async (t) => {
  const machine = await Machine.of(t);
  const [one, two] = [await machine.run("one"), await machine.run("two")];
  const said = await machine.find();
  assert.match(said, /error several-clusters-running: 2 clusters of yours are running: /);
  assert.ok(said.includes(`${one.directory} (process 17; node-a, node-b)`), said);
  assert.ok(said.includes(`${two.directory} (process 17; node-a, node-b)`), said);
  assert.equal(await machine.find({ stateDir: two.directory }), two.socketPath);
});

test("one that was killed is taken off the list", async (t) => {
  const machine = await Machine.of(t);
  const killed = await machine.run("killed");
  await killed.end();
  const { socketPath } = await machine.run("alive");
  assert.equal(await machine.find(), socketPath);
  assert.deepEqual(
    (await listedClusters(machine.env)).map((one) => one.socketPath),
    [socketPath],
  );
});

test("a kubeconfig beside a socket names its cluster, and one elsewhere does not", async (t) => {
  const machine = await Machine.of(t);
  const one = await machine.run("one");
  const two = await machine.run("two", { listed: false });
  const kubeconfig = join(two.directory, "kubeconfig");
  const others = join(machine.root, "config");
  assert.equal(await machine.find({ env: { KUBECONFIG: `${others}:${kubeconfig}` } }), two.socketPath);
  assert.equal(await machine.find({ env: { KUBECONFIG: others } }), one.socketPath);
  assert.equal(await machine.find({ env: { KUBECONFIG: "" } }), one.socketPath);
});

test("a kubeconfig that up wrote elsewhere names its cluster and no other", async (t) => {
  const machine = await Machine.of(t);
  await machine.run("other");
  const path = join(machine.root, "config");
  const written = await writeKubeconfigFile(path, "");
  assert.ok(written.ok);
  const env = { KUBECONFIG: path };
  assert.match(
    await machine.find({ env }),
    /no-cluster-running: the cluster of process \d+, which .* takes no faults yet/,
  );
  const { socketPath } = await machine.run("mine", { pid: process.pid });
  assert.equal(await machine.find({ env }), socketPath);
});

test("a directory that is named and holds no living cluster is told, not passed over", async (t) => {
  const machine = await Machine.of(t);
  await machine.run("other");
  const said = await machine.find({ stateDir: join(machine.root, "empty") });
  assert.match(
    said,
    /error no-cluster-running: no cluster answers at \S+\/empty\/control.sock, which --state-dir \S+ points at/,
  );
  const dead = join(machine.root, "dead");
  await mkdir(dead);
  await writeFile(join(dead, "control.sock"), "");
  assert.match(
    await machine.find({ env: { KUBECONFIG: join(dead, "kubeconfig") } }),
    /error no-cluster-running: .*KUBECONFIG=/,
  );
});

test("entries that tell of nothing are passed over", async (t) => {
  const machine = await Machine.of(t);
  const { socketPath } = await machine.run("one");
  await writeFile(join(machine.listDirectory, "1.json"), "{");
  await writeFile(join(machine.listDirectory, "2.json"), '{"socketPath":7}');
  await writeFile(join(machine.listDirectory, "3.json"), '{"socketPath":"/nowhere/control.sock"}');
  assert.equal(await machine.find(), socketPath);
});

test("a list that somebody else may write to is neither written nor read", async (t) => {
  const machine = await Machine.of(t);
  const { socketPath } = await machine.run("one");
  await chmod(machine.listDirectory, 0o777);
  assert.deepEqual(await listedClusters(machine.env), []);
  const entry = await listCluster(socketPath, machine.env);
  assert.ok("problem" in entry);
  assert.match(
    findingLine(entry.problem),
    /warning cluster-not-listed: .* not a directory that you alone may use; .*--state-dir/,
  );
  await rm(machine.listDirectory, { recursive: true });
  await writeFile(machine.listDirectory, "");
  assert.ok("problem" in (await listCluster(socketPath, machine.env)));
});
