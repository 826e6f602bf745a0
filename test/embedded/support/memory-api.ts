/**
 * The Kubernetes API in memory, as far as a kubelet uses it: for tests that are about the kubelet alone.
 *
 * The end-to-end tests use the embedded cluster's server over HTTP instead.
 */
import { randomUUID } from "node:crypto";
import {
  type KubeApi,
  KubeError,
  type KubeEvent,
  type KubeObject,
  type ListOptions,
  type Node,
  type ObjectRef,
  type Pod,
  type ResourceType,
  type WatchEvent,
  type WatchOptions,
  type WriteOptions,
} from "../../../src/kube/index.ts";

interface Watcher {
  readonly plural: string;
  readonly node: string | undefined;
  send(event: WatchEvent<KubeObject>): void;
}

export class MemoryApi implements KubeApi {
  /** Status writes that went through, as `namespace/name phase`. */
  readonly statusWrites: string[] = [];
  /** While set, every call fails as when the server is away. */
  down = false;
  /** While set, patches wait for it, as with a slow server. */
  gate: Promise<void> | undefined;
  /** Patches that wait. */
  held = 0;
  readonly #objects = new Map<string, KubeObject>();
  readonly #watchers = new Set<Watcher>();
  #version = 1;

  pod(name: string): Pod | undefined {
    return this.#objects.get(`pods/default/${name}`) as Pod | undefined;
  }

  node(name: string): Node | undefined {
    return this.#objects.get(`nodes//${name}`) as Node | undefined;
  }

  pods(): readonly Pod[] {
    return [...this.#objects].filter(([key]) => key.startsWith("pods/")).map(([, object]) => object as Pod);
  }

  /** `reason: message` of every event about the object, in the order of their creation, repeated ones once. */
  events(name: string): readonly string[] {
    return [...this.#objects.values()]
      .filter((one): one is KubeEvent => one.kind === "Event" && "involvedObject" in one)
      .filter((one) => one.involvedObject.name === name)
      .map((one) => `${one.reason}: ${one.message}`);
  }

  async get<T extends KubeObject>(type: ResourceType, ref: ObjectRef): Promise<T> {
    return structuredClone(this.#find(type, ref)) as T;
  }

  async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}) {
    this.#assertUp();
    const node = nodeOf(options);
    const items = [...this.#objects]
      .filter(([key, object]) => key.startsWith(`${type.plural}/`) && matches(object, node))
      .map(([, object]) => structuredClone(object) as T);
    return { items, resourceVersion: String(this.#version) };
  }

  async create<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    this.#assertUp();
    const key = keyOf(type, object.metadata);
    if (this.#objects.has(key)) throw new KubeError(`${key} already exists`, { status: 409, reason: "AlreadyExists" });
    const metadata = { ...object.metadata, uid: randomUUID(), creationTimestamp: new Date().toISOString() };
    return this.#store(key, { ...object, metadata }, "ADDED") as T;
  }

  async update<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    this.#find(type, object.metadata);
    return this.#store(keyOf(type, object.metadata), object, "MODIFIED") as T;
  }

  async mergePatch<T extends KubeObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: unknown,
    options: WriteOptions = {},
  ) {
    if (this.gate !== undefined) {
      this.held += 1;
      await this.gate;
      this.held -= 1;
    }
    const before = this.#find(type, ref);
    const uid = (patch as { metadata?: { uid?: string } }).metadata?.uid;
    if (uid !== undefined && uid !== before.metadata.uid) {
      throw new KubeError("Precondition failed: UID", { status: 409, reason: "Conflict" });
    }
    const after = merged(structuredClone(before), patch) as T;
    if (type.plural === "pods" && options.subresource === "status") {
      this.statusWrites.push(`${ref.namespace}/${ref.name} ${(after as unknown as Pod).status?.phase}`);
    }
    return this.#store(keyOf(type, ref), after, "MODIFIED") as T;
  }

  /** A pod on a node goes in two steps, everything else at once. */
  async delete(
    type: ResourceType,
    ref: ObjectRef,
    options: { readonly gracePeriodSeconds?: number } = {},
  ): Promise<void> {
    const object = this.#find(type, ref);
    const key = keyOf(type, ref);
    if (type.plural === "pods" && options.gracePeriodSeconds !== 0) {
      const metadata = {
        ...object.metadata,
        deletionTimestamp: new Date().toISOString(),
        deletionGracePeriodSeconds: 30,
      };
      this.#store(key, { ...object, metadata }, "MODIFIED");
      return;
    }
    this.#objects.delete(key);
    this.#tell(type.plural, "DELETED", object);
  }

  async createSubresource(): Promise<void> {
    throw new Error("a kubelet creates no subresources");
  }

  async *watch<T extends KubeObject>(type: ResourceType, options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
    const queue: WatchEvent<KubeObject>[] = [];
    let wake = (): void => {};
    const send = (event: WatchEvent<KubeObject>): void => {
      queue.push(event);
      wake();
    };
    const watcher = { plural: type.plural, node: nodeOf(options), send };
    this.#watchers.add(watcher);
    options.signal?.addEventListener("abort", () => wake(), { once: true });
    try {
      while (options.signal?.aborted !== true) {
        const event = queue.shift();
        if (event !== undefined) yield event as WatchEvent<T>;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  #store(key: string, object: KubeObject, type: "ADDED" | "MODIFIED"): KubeObject {
    this.#version += 1;
    const stored = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(this.#version) },
    });
    this.#objects.set(key, stored);
    this.#tell(key.split("/")[0] ?? "", type, stored);
    return structuredClone(stored);
  }

  #tell(plural: string, type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void {
    for (const watcher of this.#watchers) {
      if (watcher.plural === plural && matches(object, watcher.node))
        watcher.send({ type, object: structuredClone(object) });
    }
  }

  #find(type: ResourceType, ref: ObjectRef): KubeObject {
    this.#assertUp();
    const object = this.#objects.get(keyOf(type, ref));
    if (object === undefined)
      throw new KubeError(`${type.plural} ${ref.name} not found`, { status: 404, reason: "NotFound" });
    return object;
  }

  #assertUp(): void {
    if (this.down) throw new KubeError("connection refused", { status: 0, reason: "ConnectionFailed" });
  }
}

function keyOf(type: ResourceType, ref: ObjectRef): string {
  return `${type.plural}/${type.namespaced ? (ref.namespace ?? "default") : ""}/${ref.name}`;
}

function nodeOf(options: ListOptions): string | undefined {
  return options.fieldSelector?.replace("spec.nodeName=", "");
}

function matches(object: KubeObject, node: string | undefined): boolean {
  return node === undefined || (object as Pod).spec.nodeName === node;
}

function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === "object" && target !== null ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}
