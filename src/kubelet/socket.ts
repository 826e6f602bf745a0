/**
 * Unix sockets for gRPC: a server that owns its socket file, and clients.
 */
import { lstat, mkdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { Client, connectivityState, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { isErrno, TrancheError } from "../base/index.ts";
import { type Decoders, type Handlers, implementation, serviceDefinition } from "./grpc.ts";

/** sockaddr_un holds 108 bytes, the last of them NUL. */
const maxPathBytes = 107;

/** How long calls that run when a server stops may still take. */
const drainMs = 5_000;

/** Throws `state-dir-unusable` when `path` is too long for a unix socket. */
export function assertSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxPathBytes) return;
  const message = `socket path ${path} has ${bytes} bytes, a unix socket takes at most ${maxPathBytes}; use a shorter directory`;
  throw new TrancheError("state-dir-unusable", message);
}

/**
 * Tells a file from another one that later stands at the same path; `undefined` when there is none. The time of birth
 * is part of it because a file system may give a freed inode number to the next file at once.
 */
export async function fileIdentity(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, birthtimeNs } = await lstat(path, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR");
}

/**
 * A gRPC server on one unix socket.
 *
 * `listen` takes the place of a socket file left by a process that died, since binding over one fails; it makes the
 * directory if need be, with mode 0750 as the kubelet does. Closing a listener removes the file at its path, whoever
 * made it, so a listener is always closed before the next one binds.
 */
export class SocketServer {
  readonly path: string;
  readonly #server = new Server({
    "grpc.enable_channelz": 0,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
  });
  #identity: string | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Serves `service`; before `listen`. */
  serve<Service extends DescService>(
    service: Service,
    handlers: Handlers<Service> & Readonly<Record<string, unknown>>,
    decoders?: Decoders<Service> & Readonly<Record<string, (bytes: Buffer) => unknown>>,
  ): void {
    this.#server.addService(serviceDefinition(service, decoders), implementation(service, handlers));
  }

  /** Listens. Again while listening: gives up the old socket file and makes a new one; running calls go on. */
  async listen(): Promise<void> {
    assertSocketPath(this.path);
    this.#server.unbind(`unix:${this.path}`);
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o750 });
      await removeSocket(this.path);
      await new Promise<void>((resolve, reject) => {
        this.#server.bindAsync(`unix:${this.path}`, ServerCredentials.createInsecure(), (error) =>
          error === null ? resolve() : reject(error),
        );
      });
    } catch (cause) {
      if (cause instanceof TrancheError) throw cause;
      throw new TrancheError("state-dir-unusable", `cannot listen on ${this.path}`, { cause, retryable: true });
    }
    this.#identity = await fileIdentity(this.path);
  }

  /** Whether the file at the path is the one this server made, another one, or gone. */
  async file(): Promise<"own" | "other" | "gone"> {
    const identity = await fileIdentity(this.path);
    if (identity === undefined) return "gone";
    return identity === this.#identity ? "own" : "other";
  }

  /** Takes no more calls, lets running ones end (5 s at most) and removes the socket file. */
  async stop(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve())),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, drainMs);
      }),
    ]);
    clearTimeout(timer);
    this.#server.forceShutdown();
  }
}

async function removeSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new TrancheError("state-dir-unusable", `${path} is in the way of a socket and is not one; remove it`);
  }
  await unlink(path);
}

/**
 * A client for the server on the socket at `path`; it dials at the first call.
 *
 * The authority is `localhost`, what the kubelet's own client sends: a raw path, the default of some clients, is
 * refused by HTTP/2 servers. Subchannels are not shared with other clients: a shared one keeps the back-off of a dial
 * that failed before the socket was made anew.
 */
export function socketClient(path: string, maxReceiveBytes = 4 * 1024 * 1024): Client {
  assertSocketPath(path);
  return new Client(`unix:${path}`, credentials.createInsecure(), {
    "grpc.default_authority": "localhost",
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_channelz": 0,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.max_receive_message_length": maxReceiveBytes,
    "grpc.max_send_message_length": -1,
  });
}

/** A closed channel tells nobody who waits for its state, so each wait is short. */
const lookEveryMs = 100;

/**
 * Dials and waits until the server answers; throws a retryable error after `timeoutMs`, or soon after `signal` fires its
 * reason.
 */
export async function dial(client: Client, path: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const channel = client.getChannel();
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return;
    if (Date.now() >= endMs) {
      throw new TrancheError("socket-unreachable", `no answer on ${path} within ${timeoutMs} ms`, { retryable: true });
    }
    const lookMs = Math.min(endMs, Date.now() + lookEveryMs);
    await new Promise<void>((resolve) => channel.watchConnectivityState(state, lookMs, () => resolve()));
  }
}
