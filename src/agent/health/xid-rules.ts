/**
 * Which XID errors make a device unhealthy: the defaults of NVIDIA's device plugin and the two variables that change them
 * (k8s-device-plugin internal/rm/health.go).
 *
 * One difference is deliberate: with `DP_DISABLE_HEALTHCHECKS=all`, NVIDIA's plugin never looks at what
 * `DP_ENABLE_HEALTHCHECKS` lists; here the list counts, as its name says.
 */

/** Raised by faults of applications, so they say nothing about the GPU. */
const ignoredByDefault: readonly number[] = [13, 31, 43, 45, 68, 109];

export interface XidRules {
  /** Whether this error makes what it concerns unhealthy. */
  counts(xid: number): boolean;
  /** Entries of the variables that are neither a number nor a word with a meaning; they are passed over. */
  readonly unreadable: readonly { readonly variable: HealthVariable; readonly entry: string }[];
}

export type HealthVariable = "DP_DISABLE_HEALTHCHECKS" | "DP_ENABLE_HEALTHCHECKS";

/** The rules that follow from the device plugin's environment. */
export function xidRules(env: ReadonlyMap<string, string>): XidRules {
  const disabled = readList(env, "DP_DISABLE_HEALTHCHECKS", ["all", "xids"]);
  const enabled = readList(env, "DP_ENABLE_HEALTHCHECKS", ["all"]);
  const nothingCounts = disabled.all || disabled.xids.has(0);
  const ignored = new Set([...ignoredByDefault, ...disabled.xids]);
  return {
    counts: (xid) => enabled.all || enabled.xids.has(xid) || !(nothingCounts || ignored.has(xid)),
    unreadable: [...disabled.unreadable, ...enabled.unreadable],
  };
}

interface XidList {
  readonly all: boolean;
  readonly xids: ReadonlySet<number>;
  readonly unreadable: XidRules["unreadable"];
}

/** `48, 63`; `allWords` anywhere in it stand for every XID. */
function readList(env: ReadonlyMap<string, string>, variable: HealthVariable, allWords: readonly string[]): XidList {
  const entries = (env.get(variable) ?? "").split(",").map((one) => one.trim().toLowerCase());
  const given = entries.filter((one) => one !== "");
  const words = given.filter((one) => !/^\d+$/.test(one));
  return {
    all: words.some((one) => allWords.includes(one)),
    xids: new Set(given.filter((one) => /^\d+$/.test(one)).map(Number)),
    unreadable: words.filter((one) => !allWords.includes(one)).map((entry) => ({ variable, entry })),
  };
}
