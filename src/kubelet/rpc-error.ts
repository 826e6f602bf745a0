/**
 * A gRPC call that failed, in the words the kubelet uses for it.
 */
import { TrancheError } from "../base/index.ts";

/** grpc-go `codes.Code.String()`, in the order of the numbers. */
const codeNames = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
] as const;

export type RpcCode = (typeof codeNames)[number];

const retryableCodes: ReadonlySet<RpcCode> = new Set(["Unavailable", "DeadlineExceeded", "ResourceExhausted"]);

/**
 * A failed call. Its message reads as grpc-go prints it, `rpc error: code = Unknown desc = …`, which is the text that
 * people find in pod messages and kubelet logs; `details` is the status text alone.
 */
export class RpcError extends TrancheError {
  readonly rpcCode: RpcCode;
  readonly details: string;

  constructor(rpcCode: RpcCode, details: string) {
    super("kubelet-rpc", `rpc error: code = ${rpcCode} desc = ${details}`, { retryable: retryableCodes.has(rpcCode) });
    this.name = "RpcError";
    this.rpcCode = rpcCode;
    this.details = details;
  }
}

/** The number of a code on the wire. */
export function codeNumber(code: RpcCode): number {
  return codeNames.indexOf(code);
}

/** The error for what grpc-js reports; anything that is not a gRPC status stays as it is. */
export function rpcError(failure: Error): Error {
  if (!("code" in failure && typeof failure.code === "number" && "details" in failure)) return failure;
  return new RpcError(codeNames[failure.code] ?? "Unknown", String(failure.details));
}
