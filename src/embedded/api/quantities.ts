/**
 * Resource amounts as they stand in stored objects: always texts, in the form a client gets back from a real server.
 */
import { formatQuantity, parseQuantity } from "../../kube/index.ts";
import { type JsonObject, textAt } from "./json.ts";

/** Amounts written as numbers become texts, and thousandths that make whole units are written whole. */
export function normalQuantities(amounts: JsonObject): JsonObject {
  const entries = Object.entries(amounts).map(([name, amount]) => {
    if (typeof amount === "number") return [name, formatNumber(amount)] as const;
    return [name, typeof amount === "string" ? normalQuantity(amount) : amount] as const;
  });
  return Object.fromEntries(entries);
}

function formatNumber(amount: number): string {
  return Number.isInteger(amount) ? String(amount) : formatQuantity(amount);
}

function normalQuantity(amount: string): string {
  if (!/^[+-]?\d+(?:\.\d+)?m?$/.test(amount)) return amount;
  const number = parseQuantity(amount);
  return number === undefined ? amount : formatNumber(number);
}

/** The amount of one resource as a number; `undefined` when it is not there or cannot be read. */
export function amountOf(amounts: JsonObject, resource: string): number | undefined {
  return Object.hasOwn(amounts, resource) ? parseQuantity(textAt(amounts, resource)) : undefined;
}
