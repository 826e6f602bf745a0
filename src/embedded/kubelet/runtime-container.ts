/**
 * A container as the runtime reports it to the kubelet, in the words of the CRI.
 */

/** How a container ended. */
export interface ContainerEnd {
  readonly exitCode: number;
  /** `Completed`, `Error`, `StartError`; `Unknown` when the machine went dark. */
  readonly reason: string;
  /** The termination message; empty when there is nothing to say. */
  readonly message: string;
}

/** One run of a container; a restart makes a new one with the next attempt number. */
export interface RuntimeContainer {
  /** `simulated://<64 hexadecimal digits>`, as containerd would write `containerd://…`. */
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  /** 0 for the first run. */
  readonly attempt: number;
  readonly startedAtMs: number;
  /** `undefined` while it runs. */
  readonly end: (ContainerEnd & { readonly finishedAtMs: number }) | undefined;
}

/** Whether it runs now. */
export function isRunning(container: RuntimeContainer | undefined): boolean {
  return container !== undefined && container.end === undefined;
}
