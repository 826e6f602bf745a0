/**
 * Keeps memory down where there is a lot of it, or where it stays for weeks.
 *
 * V8 lets a heap grow to about twice what lives in it before it collects, and gives new objects room of some 100 MiB.
 * That is quick, and a waste once a thousand kubelets and agents live there. Flags that it reads at each collection set
 * how far both may grow; they cost about a fifth more processor time, so small clusters are left alone.
 */
import { setFlagsFromString } from "node:v8";

const LARGE_FLEET = 300;
const FLAGS = ["--heap-growing-percent=20", "--max-semi-space-size=8", "--semi-space-growth-factor=1"];

/** To be called before a cluster of so many nodes starts. */
export function keepHeapLean(nodes: number): void {
  if (nodes >= LARGE_FLEET) for (const flag of FLAGS) setFlagsFromString(flag);
}

/** To be called before the modules of an agent are loaded: it rests most of its life, and would keep what these took. */
export function keepYoungHeapSmall(): void {
  for (const flag of ["--semi-space-growth-factor=1", "--optimize-for-size"]) setFlagsFromString(flag);
}
