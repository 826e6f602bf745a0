/**
 * The places where instances of one profile can stand, whether taken or not.
 */
import { success } from "./return-codes.ts";
import type { DeviceHandle, GpuInstanceHandle, Session } from "./session.ts";
import { placement } from "./structs.ts";
import type { SymbolName } from "./symbols.ts";

/** Starts ascending, in memory slices of a GPU or compute slices of a GPU instance. */
export interface Places {
  readonly starts: readonly number[];
  readonly size: number;
}

/** What a possible-placements call answers; `undefined` where the library or the driver does not tell. */
export function toldPlaces(
  session: Session,
  symbol: Extract<SymbolName, `${string}PossiblePlacements${string}`>,
  gpuUuid: string,
  of: { readonly handle: DeviceHandle | GpuInstanceHandle; readonly profileId: number },
): Places | undefined {
  if (!session.has(symbol)) return undefined;
  const count = Buffer.alloc(4);
  // Without memory for the answer the call tells how much it needs.
  if (session.try(symbol, gpuUuid, of.handle, of.profileId, null, count) !== success) return undefined;
  const capacity = count.readUInt32LE();
  const places = placement.allocate(capacity);
  if (session.try(symbol, gpuUuid, of.handle, of.profileId, places, count) !== success) return undefined;
  const indices = Array.from({ length: Math.min(capacity, count.readUInt32LE()) }, (_, index) => index);
  const starts = indices.map((index) => placement.u32(places, "start", index)).toSorted((a, b) => a - b);
  return starts.length === 0 ? undefined : { starts, size: placement.u32(places, "size") };
}
