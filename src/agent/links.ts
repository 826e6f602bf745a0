/**
 * How strongly the GPUs of a node are linked, scored as NVIDIA's allocator does.
 *
 * A link changes with the MIG mode of its GPUs only (NVLink between GPUs is off while one of them is cut), so each is
 * read once per pair and modes.
 */
import { DriverError, type Gpu, type GpuDriver } from "../gpu/index.ts";
import { linkScore, type PairScore } from "../sharing/index.ts";

export class LinkScores {
  readonly #driver: Pick<GpuDriver, "link">;
  #known: ReadonlyMap<string, Link> = new Map();

  constructor(driver: Pick<GpuDriver, "link">) {
    this.#driver = driver;
  }

  /**
   * The scores of every pair of `gpus`; reads the links that are not known yet. A link that cannot be read now, as one of
   * its GPUs is lost, counts as none.
   */
  async scores(gpus: readonly Gpu[]): Promise<PairScore> {
    const links = new Map<string, Link>();
    for (const [at, first] of gpus.entries()) {
      for (const second of gpus.slice(at + 1)) {
        const key = pairKey(first.uuid, second.uuid);
        const link = await this.#link(this.#known.get(key), first, second);
        if (link !== undefined) links.set(key, link);
      }
    }
    this.#known = links;
    return (one, other) => links.get(pairKey(one, other))?.score ?? 0;
  }

  async #link(known: Link | undefined, first: Gpu, second: Gpu): Promise<Link | undefined> {
    const modes = JSON.stringify([first.mig?.current ?? false, second.mig?.current ?? false]);
    if (known?.modes === modes) return known;
    try {
      return { modes, score: linkScore(await this.#driver.link(first.uuid, second.uuid)) };
    } catch (error) {
      if (error instanceof DriverError) return undefined;
      throw error;
    }
  }
}

interface Link {
  /** The MIG modes it was read in. */
  readonly modes: string;
  readonly score: number;
}

function pairKey(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
