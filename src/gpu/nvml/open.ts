/**
 * Opens the NVML library of this machine, or says why there is none to use.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Logger, Outcome } from "../../base/index.ts";
import { initialisationFinding, libraryFinding, olderLibraryFinding } from "./findings.ts";
import { loadLibrary, type NativeLibrary } from "./native.ts";
import { LibraryDriver, type NvmlDriver } from "./nvml-driver.ts";
import { success } from "./return-codes.ts";
import { Session } from "./session.ts";
import { missingSymbols } from "./symbols.ts";

export interface NvmlDriverOptions {
  /** The library to load and no other. Default: libnvidia-ml.so.1 where drivers put it, below `root` or on the host. */
  readonly libraryPath?: string;
  /** Where the host's file system is, for /proc, /sys and the library. Default `/`. */
  readonly root?: string;
  /** nvidia-smi, which resets GPUs. Default: the one on the PATH, of the host when `root` is not `/`. */
  readonly nvidiaSmi?: string;
  readonly log: Logger;
  readonly clock: Clock;
}

const soname = "libnvidia-ml.so.1";

/** Where distributions and NVIDIA's driver container install it. */
const libraryDirectories: readonly string[] = [
  "usr/lib/x86_64-linux-gnu",
  "usr/lib/aarch64-linux-gnu",
  "usr/lib64",
  "run/nvidia/driver/usr/lib/x86_64-linux-gnu",
  "run/nvidia/driver/usr/lib/aarch64-linux-gnu",
  "run/nvidia/driver/usr/lib64",
];

/**
 * A driver over the machine's NVML library; without a usable library or driver, the finding that says so.
 *
 * The caller closes it. A process opens one: a reset needs the library shut down, and a second driver would keep it
 * open. Throws `DriverError` when the driver answers but does not tell its version. Only this function loads native
 * code; importing it does not.
 */
export async function openNvmlDriver(options: NvmlDriverOptions): Promise<Outcome<NvmlDriver>> {
  const { libraryPath, root = "/", nvidiaSmi, log, clock } = options;
  const library = await loadLibrary(libraryPath === undefined ? candidates(root) : [libraryPath]);
  if (!isLibrary(library)) return { ok: false, findings: [libraryFinding(library)] };
  const session = new Session(library);
  const result = await session.initialise();
  if (result !== success) {
    const loaded = existsSync(join(root, "proc/driver/nvidia/version"));
    return { ok: false, findings: [initialisationFinding(library.path, result, loaded)] };
  }
  const driverVersion = await versionOf(session);
  const exported = new Set<string>(library.functions.keys());
  const older = olderLibraryFinding(
    missingSymbols((name) => exported.has(name)),
    driverVersion,
  );
  const findings = older === undefined ? [] : [older];
  log.info({ library: library.path, driver: driverVersion }, "NVML library opened");
  const value = new LibraryDriver({
    session,
    libraryPath: library.path,
    driverVersion,
    libraryFindings: findings,
    root,
    nvidiaSmi,
    log,
    clock,
  });
  return { ok: true, value, findings };
}

async function versionOf(session: Session): Promise<string> {
  try {
    return session.text("nvmlSystemGetDriverVersion", undefined);
  } catch (error) {
    await session.shutDown();
    throw error;
  }
}

/** The loader's own search first, unless the host's files are elsewhere: then those are the driver's. */
function candidates(root: string): readonly string[] {
  const below = libraryDirectories.map((directory) => join(root, directory, soname));
  return root === "/" ? [soname, ...below] : [...below, soname];
}

function isLibrary(loaded: Awaited<ReturnType<typeof loadLibrary>>): loaded is NativeLibrary {
  return "functions" in loaded;
}
