import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decide } from "../../src/embedded/scheduler/pass.ts";
import { apps, clusterOf, nodeOf, podOf } from "./scheduler-support.ts";

const zones = ["east", "west", "north"];
const labels = { app: "web" };

test("a pass never leaves a place further ahead of the emptiest than the skew allows, and fills what it may", () => {
  const scenario = fc.record({
    // Nodes by the index of their zone; every zone has at least one.
    rooms: fc.tuple(...zones.map(() => fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 2 }))),
    count: fc.nat({ max: 12 }),
    maxSkew: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(scenario, ({ rooms, count, maxSkew }) => {
      const nodes = rooms.flatMap((sizes, zone) =>
        sizes.map((gpus, index) => nodeOf(`${zones[zone]}-${index}`, gpus, { zone: zones[zone] ?? "" })),
      );
      const topologySpreadConstraints = [
        { maxSkew, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: apps("web") },
      ];
      const pods = Array.from({ length: count }, (_, index) =>
        podOf(`p${index}`, 1, { labels, spec: { topologySpreadConstraints } }),
      );
      const placed = zones.map(() => 0);
      let waits = 0;
      for (const one of decide(clusterOf(nodes, pods))) {
        if (one.kind !== "bind") {
          waits += 1;
          continue;
        }
        const zone = zones.indexOf(one.node.split("-")[0] ?? "");
        placed[zone] = (placed[zone] ?? 0) + 1;
        assert.ok((placed[zone] ?? 0) - Math.min(...placed) <= maxSkew, `${placed} is uneven`);
      }
      const capacities = rooms.map((sizes) => sizes.reduce((sum, size) => sum + size, 0));
      const level = Math.min(...capacities) + maxSkew;
      // Whoever comes first, a zone is never fuller than the smallest allows, and nothing below that stays free.
      const most = capacities.reduce((sum, room) => sum + Math.min(room, level), 0);
      assert.equal(count - waits, Math.min(count, most));
    }),
    { numRuns: 300 },
  );
});
