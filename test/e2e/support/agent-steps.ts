/** What may happen to a node with an agent, step by step. */
import fc from "fast-check";

export type Step = Happening & {
  /** Whether the node comes to rest, and is looked at, before the next step. */
  readonly rests: boolean;
};

type Happening =
  /** The agent goes; it is started again after so many other steps. */
  | { readonly kind: "kill" | "end"; readonly awayFor: number }
  | { readonly kind: "hang up" | "restart kubelet" | "driver goes" | "driver comes" | "invalid shares" | "invalid mig" }
  | { readonly kind: "shares"; readonly which: number }
  | { readonly kind: "layout"; readonly which: number }
  | { readonly kind: "label"; readonly config: "cut" | "off" }
  | { readonly kind: "xid"; readonly xid: number; readonly gpu: number; readonly instance: number | undefined }
  | { readonly kind: "lose" | "find"; readonly gpu: number }
  | { readonly kind: "pod" | "end pod"; readonly which: number };

const gpu = fc.constantFrom(0, 1);
const which = fc.nat(20);

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("kill" as const, "end" as const),
      awayFor: fc.integer({ max: 2, min: 0 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "hang up" as const,
        "restart kubelet" as const,
        "restart kubelet" as const,
        "driver goes" as const,
        "driver comes" as const,
        "driver comes" as const,
        "invalid shares" as const,
        "invalid mig" as const,
      ),
    }),
  },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant("shares" as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("layout" as const), which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("label" as const),
      config: fc.constantFrom("cut" as const, "off" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("xid" as const),
      xid: fc.constantFrom(31, 48, 94, 79),
      gpu,
      instance: fc.constantFrom(undefined, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), gpu }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("find" as const), gpu }) },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant("pod" as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("end pod" as const), which }) },
);

export const anyStep: fc.Arbitrary<Step> = fc
  .tuple(happening, fc.constantFrom(true, true, false))
  .map(([what, rests]) => ({ ...what, rests }));
