/**
 * XID errors, waited for off the main thread with one event set for all GPUs, while somebody listens.
 *
 * Each wait is short, because a running one can neither be broken off nor survive a shutdown of the library, and delays
 * the end of the process.
 */
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import type { XidEvent } from "../driver.ts";
import { XidFeed } from "../xid-feed.ts";
import type { Gate } from "./lock.ts";
import { returnText, success, timedOut } from "./return-codes.ts";
import { type DeviceHandle, deviceHandle, type EventSetHandle, eventSetHandle, type Session } from "./session.ts";
import { textIn } from "./struct.ts";
import { eventData } from "./structs.ts";

const waitMs = 100;
const retryMs = 1_000;

/** nvmlEventTypeXidCriticalError */
const xidEvent = 8n;
const noInstance = 0xffff_ffff;

export interface XidPumpOptions {
  readonly session: Session;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Logger;
}

interface EventSet {
  readonly handle: EventSetHandle;
  readonly generation: number;
  /** Whose errors it gets. */
  readonly gpus: ReadonlySet<DeviceHandle>;
}

export class XidPump {
  readonly #options: XidPumpOptions;
  readonly #feed = new XidFeed();
  readonly #stopping = new AbortController();
  #set: EventSet | undefined;
  #running: Promise<void> | undefined;

  constructor(options: XidPumpOptions) {
    this.#options = options;
  }

  /** Events until the signal fires, from when the GPUs are registered, which begins at once. */
  subscribe(signal: AbortSignal): AsyncIterableIterator<XidEvent> {
    const events = this.#feed.subscribe(AbortSignal.any([signal, this.#stopping.signal]));
    if (this.#feed.listened) this.#running ??= this.#run();
    return events;
  }

  /** Ends all streams; resolves when no wait is running any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { gate, clock, log } = this.#options;
    do {
      while (this.#feed.listened) {
        try {
          await gate.shared(() => this.#round());
        } catch (error) {
          log.warn({ error: errorText(error) }, "cannot wait for XID events, trying again");
          await clock.sleep(retryMs, this.#stopping.signal).catch(() => {});
        }
      }
      await gate.shared(async () => this.#free());
    } while (this.#feed.listened);
    // Whoever subscribes from now on starts anew: nothing was awaited since the last look at the feed.
    this.#running = undefined;
  }

  async #round(): Promise<void> {
    const { session } = this.#options;
    // A GPU that is new to the session, or was looked up anew, is in no set yet.
    if (session.opened.some(({ handle }) => this.#set?.gpus.has(handle) === false)) this.#free();
    const set = this.#set?.generation === session.generation ? this.#set : await this.#register();
    this.#set = set;
    const data = eventData.allocate();
    const result = await session.tryLong("nvmlEventSetWait_v2", undefined, set.handle, data, waitMs);
    if (result === timedOut) return;
    if (result !== success) {
      // A lost GPU spoils the whole set: it is made anew from the GPUs that still answer.
      this.#free();
      session.forget();
      throw new Error(`nvmlEventSetWait_v2: ${returnText(result)}`);
    }
    const event = this.#event(data);
    if (event !== undefined) this.#feed.raise(event);
  }

  #event(data: Buffer): XidEvent | undefined {
    if (eventData.u64(data, "eventType") !== xidEvent) return undefined;
    const text = Buffer.alloc(96);
    const told = this.#options.session.try("nvmlDeviceGetUUID", undefined, deviceHandle(data), text, text.length);
    if (told !== success) {
      this.#options.log.warn({ result: returnText(told) }, "an XID event is of a GPU that does not tell its UUID");
      return undefined;
    }
    const id = (field: "gpuInstanceId" | "computeInstanceId"): number | undefined => {
      const value = eventData.u32(data, field);
      return value === noInstance ? undefined : value;
    };
    return {
      gpuUuid: textIn(text),
      xid: Number(eventData.u64(data, "eventData")),
      gpuInstanceId: id("gpuInstanceId"),
      computeInstanceId: id("computeInstanceId"),
    };
  }

  async #register(): Promise<EventSet> {
    const { session, log } = this.#options;
    const { open } = await session.gpus();
    const out = Buffer.alloc(8);
    session.call("nvmlEventSetCreate", undefined, out);
    const handle = eventSetHandle(out);
    for (const gpu of open) {
      const result = session.try("nvmlDeviceRegisterEvents", gpu.uuid, gpu.handle, xidEvent, handle);
      if (result !== success) log.warn({ gpu: gpu.uuid, result: returnText(result) }, "a GPU raises no XID events");
    }
    return { handle, generation: session.generation, gpus: new Set(open.map((gpu) => gpu.handle)) };
  }

  #free(): void {
    const set = this.#set;
    this.#set = undefined;
    if (set === undefined || set.generation !== this.#options.session.generation) return;
    this.#options.session.try("nvmlEventSetFree", undefined, set.handle);
  }
}
