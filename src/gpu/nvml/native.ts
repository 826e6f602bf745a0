/**
 * The door to koffi: loads libnvidia-ml and makes its functions callable.
 *
 * koffi is imported when a library is opened and not before, since most machines on which this code runs have no GPU.
 * It is never unloaded: a call that is still running would crash the process.
 */
import { errorText, TrancheError } from "../../base/index.ts";
import { type ArgumentType, type NvmlSymbol, nvmlSymbols, type SymbolName, symbolNames } from "./symbols.ts";

/** Handles are addresses; memory that C reads or writes is a buffer. */
export type Argument = number | bigint | Buffer | null;

export interface NativeFunction {
  /** On the main thread: for calls that answer within microseconds. */
  call(...args: readonly Argument[]): number;
  /** On a thread of libuv's pool: for calls that can take seconds. */
  callAsync(...args: readonly Argument[]): Promise<number>;
}

/** A loaded library, with those of our symbols that it exports. */
export interface NativeLibrary {
  readonly path: string;
  readonly functions: ReadonlyMap<SymbolName, NativeFunction>;
}

/** Why a library cannot be used; `missing` when there is no such file. */
export interface LoadFailure {
  readonly path: string;
  readonly reason: "missing" | "unusable" | "no-native-module";
  readonly text: string;
}

/** Deep paths of the driver need more than koffi's default of 128 KiB for calls off the main thread. */
const asyncStackBytes = 1 << 20;

const nativeTypes: Readonly<Record<ArgumentType, string>> = {
  pointer: "void *",
  uint32_t: "uint32_t",
  uint64_t: "uint64_t",
};

/** The first of `paths` that loads and is NVML; else every failure, in the same order. */
export async function loadLibrary(paths: readonly string[]): Promise<NativeLibrary | readonly LoadFailure[]> {
  const module = await importKoffi();
  if ("failure" in module) {
    return [{ path: paths[0] ?? "", reason: "no-native-module", text: errorText(module.failure) }];
  }
  const failures: LoadFailure[] = [];
  for (const path of paths) {
    const loaded = loadOne(module.koffi, path);
    if ("functions" in loaded) return loaded;
    failures.push(loaded);
  }
  return failures;
}

type Koffi = typeof import("koffi")["default"];

async function importKoffi(): Promise<{ readonly koffi: Koffi } | { readonly failure: unknown }> {
  try {
    const { default: koffi } = await import("koffi");
    if (koffi.config().async_stack_size !== asyncStackBytes) koffi.config({ async_stack_size: asyncStackBytes });
    return { koffi };
  } catch (failure) {
    return { failure };
  }
}

function loadOne(koffi: Koffi, path: string): NativeLibrary | LoadFailure {
  try {
    const library = koffi.load(path);
    const functions = new Map<SymbolName, NativeFunction>();
    for (const name of symbolNames()) {
      const found = bind(name, nvmlSymbols[name], (types) => library.func(name, "uint32_t", types));
      if (found !== undefined) functions.set(name, found);
    }
    if (functions.has("nvmlInit_v2") && functions.has("nvmlDeviceGetCount_v2")) return { path, functions };
    return { path, reason: "unusable", text: "it does not export nvmlInit_v2 and nvmlDeviceGetCount_v2" };
  } catch (error) {
    const text = errorText(error).replace(/^Failed to load shared library: /, "");
    return { path, reason: /cannot open shared object file/.test(text) ? "missing" : "unusable", text };
  }
}

interface KoffiFunction {
  (...args: Argument[]): unknown;
  async(...args: (Argument | ((error: unknown, result: unknown) => void))[]): unknown;
}

/** `undefined` when the library does not export the name: koffi throws then. */
function bind(
  name: SymbolName,
  { arguments: types }: NvmlSymbol,
  find: (types: string[]) => KoffiFunction,
): NativeFunction | undefined {
  let native: KoffiFunction;
  try {
    native = find(types.map((type) => nativeTypes[type]));
  } catch {
    return undefined;
  }
  return {
    call: (...args) => answer(name, native(...args)),
    callAsync: (...args) =>
      new Promise((resolve, reject) => {
        native.async(...args, (error, result) => {
          if (error === null || error === undefined) resolve(answer(name, result));
          else reject(new TrancheError("native-call", `${name}: ${errorText(error)}`, { cause: error }));
        });
      }),
  };
}

function answer(name: string, result: unknown): number {
  if (typeof result === "number") return result;
  throw new TrancheError("native-call", `${name} answered ${String(result)}, not a number`);
}
