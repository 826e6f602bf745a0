/**
 * Carrying out decisions through the API: bindings, evictions, and what waiting pods are told.
 */
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import { type EventInput, type KubeApi, type Pod, recordEvent, resources } from "../../kube/index.ts";
import { bindPod } from "./binding.ts";
import { evictVictim } from "./eviction.ts";
import type { Decision } from "./pass.ts";
import { defaultSchedulerName, uidOf } from "./pod-facts.ts";
import { tellingOf, tellingPatch } from "./told.ts";

/** More events that differ only in their message are one (client-go, `defaultAggregateMaxEvents`). */
const mostEvents = 10;

export interface DecisionWriterOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  /** When it fires, writes that fail are nobody's concern. */
  readonly signal: AbortSignal;
}

/** Writes what was decided, and the events that tell of it. What the API refuses is thrown. */
export class DecisionWriter {
  readonly #options: DecisionWriterOptions;

  constructor(options: DecisionWriterOptions) {
    this.#options = options;
  }

  async bind(pod: Pod, node: string): Promise<void> {
    const { name, namespace = "" } = pod.metadata;
    await bindPod(this.#options.api, pod, node);
    const message = `Successfully assigned ${namespace}/${name} to ${node}`;
    await this.#record({ object: pod, type: "Normal", reason: "Scheduled", message });
  }

  /** Asks a victim to go. */
  async evict(victim: Pod, preemptor: Pod, node: string): Promise<void> {
    const gone = await evictVictim(this.#options.api, { victim, preemptor, now: this.#now() });
    if (!gone) return;
    const message = `Preempted by pod ${uidOf(preemptor)} on node ${node}`;
    await this.#record({ object: victim, type: "Normal", reason: "Preempted", message });
  }

  /**
   * Tells a pod why it gets no node; `timesBefore` it was told something else. Returns whether there was anything to
   * write.
   */
  async tell(decision: Exclude<Decision, { kind: "bind" }>, timesBefore: number): Promise<boolean> {
    const { pod } = decision;
    const telling = tellingOf(decision);
    const patch = tellingPatch(pod, telling, this.#now());
    if (patch === undefined) return false;
    await this.#options.api.mergePatch(resources.pods, pod.metadata, patch, { subresource: "status" });
    // Who put gates on a pod knows that it waits, and kube-scheduler does not look at it.
    if (decision.kind === "gated") return true;
    await this.#record({
      object: pod,
      type: "Warning",
      reason: "FailedScheduling",
      message: telling.message,
      combined: timesBefore >= mostEvents,
    });
    return true;
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
  }

  /** A lost event must not undo what it tells of, so failure is only logged. */
  async #record(event: Omit<EventInput, "component">): Promise<void> {
    const { api, clock, log, signal } = this.#options;
    try {
      await recordEvent(api, { ...event, component: defaultSchedulerName }, clock);
    } catch (error) {
      if (signal.aborted) return;
      const { object, reason } = event;
      log.warn({ pod: object.metadata.name, reason, error: errorText(error) }, "event not recorded");
    }
  }
}
