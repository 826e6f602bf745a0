/**
 * Between the generated descriptors and grpc-js: service definitions, typed handlers, typed calls.
 *
 * A message travels as a Buffer of its encoded bytes where its sender has them already; serializers pass Buffers
 * through untouched.
 */
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  type Client,
  type ClientReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { codeNumber, RpcError, rpcError } from "./rpc-error.ts";

/** A message as handlers may give it: plain fields, or bytes that are encoded already. */
export type Sendable<Desc extends DescMessage> = MessageInitShape<Desc> | Buffer;

/** The bytes of a message of type `desc`. */
export function encode<Desc extends DescMessage>(desc: Desc, message: Sendable<Desc>): Buffer {
  if (Buffer.isBuffer(message)) return message;
  const bytes = toBinary(desc, create(desc, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The message of type `desc` in `bytes`; fields it does not know are dropped. */
export function decode<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): MessageShape<Desc> {
  return fromBinary(desc, bytes, { readUnknownFields: false });
}

/** The path of a method on the wire, for example `/v1beta1.Registration/Register`. */
function methodPath(method: { readonly parent: DescService; readonly name: string }): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** By method: what reads its requests in place of `decode`. */
export type Decoders<Service> =
  Service extends GenService<infer Methods>
    ? { readonly [Name in keyof Methods]?: (bytes: Buffer) => MessageShape<Methods[Name]["input"]> }
    : never;

/** What grpc-js needs to serve the service that `service` describes. */
export function serviceDefinition(
  service: DescService,
  decoders: Readonly<Record<string, (bytes: Buffer) => unknown>> = {},
): ServiceDefinition {
  const methods = service.methods.map((method) => [
    method.localName,
    {
      path: methodPath(method),
      requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      requestSerialize: (message: Sendable<DescMessage>) => encode(method.input, message),
      requestDeserialize: decoders[method.localName] ?? ((bytes: Buffer) => decode(method.input, bytes)),
      responseSerialize: (message: Sendable<DescMessage>) => encode(method.output, message),
      responseDeserialize: (bytes: Buffer) => decode(method.output, bytes),
    },
  ]);
  return Object.fromEntries(methods);
}

type Handler<Method> = Method extends {
  methodKind: infer Kind;
  input: infer In extends DescMessage;
  output: infer Out extends DescMessage;
}
  ? Kind extends "unary"
    ? (request: MessageShape<In>) => Sendable<Out> | Promise<Sendable<Out>>
    : (call: ServerWritableStream<MessageShape<In>, Sendable<Out>>) => void
  : never;

/** One function per method of a service; what a unary function throws becomes the status text of the call. */
export type Handlers<Service> =
  Service extends GenService<infer Methods> ? { readonly [Name in keyof Methods]: Handler<Methods[Name]> } : never;

/** Turns `handlers` into what grpc-js calls. A thrown error's message becomes the status text, exactly. */
export function implementation(
  service: DescService,
  handlers: Readonly<Record<string, unknown>>,
): UntypedServiceImplementation {
  const calls: UntypedServiceImplementation = {};
  for (const method of service.methods) {
    const handler = handlers[method.localName];
    if (typeof handler !== "function") throw new TypeError(`no handler for ${methodPath(method)}`);
    calls[method.localName] =
      method.methodKind === "unary" ? unaryHandler((request) => handler(request)) : (call: unknown) => handler(call);
  }
  return calls;
}

/** What a handler knows at once goes out at once. */
function unaryHandler(handler: (request: unknown) => unknown) {
  return (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>): void => {
    const fail = (error: unknown): void => answer(statusOf(error));
    let message: unknown;
    try {
      message = handler(call.request);
    } catch (error) {
      fail(error);
      return;
    }
    if (message instanceof Promise) message.then((later) => answer(null, later), fail);
    else answer(null, message);
  };
}

/** An `RpcError` keeps its code; anything else is UNKNOWN, as an error that grpc-go gets from a handler. */
function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof RpcError) return { code: codeNumber(error.rpcCode), details: error.details };
  return { code: status.UNKNOWN, details: error instanceof Error ? error.message : String(error) };
}

export interface CallOptions {
  /** How long to wait for the answer; no limit when absent. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Calls a unary method. Throws `RpcError` when the call fails, the signal's reason when it fires first. */
export function callUnary<In extends DescMessage, Out extends DescMessage>(
  client: Client,
  method: DescMethodUnary<In, Out>,
  request: MessageInitShape<In>,
  options: CallOptions = {},
): Promise<MessageShape<Out>> {
  const { timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => call.cancel();
    const call = client.makeUnaryRequest(
      methodPath(method),
      (message: MessageInitShape<In>) => encode(method.input, message),
      (bytes) => decode(method.output, bytes),
      request,
      timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
      (error, answer) => {
        signal?.removeEventListener("abort", abort);
        if (signal?.aborted) reject(signal.reason);
        else if (error !== null) reject(rpcError(error));
        else if (answer === undefined) reject(new RpcError("Internal", "the response holds no message"));
        else resolve(answer);
      },
    );
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Opens a stream of messages from the server. */
export function openStream<In extends DescMessage, Out extends DescMessage>(
  client: Client,
  method: DescMethodServerStreaming<In, Out>,
  request: MessageInitShape<In>,
): ClientReadableStream<MessageShape<Out>> {
  return client.makeServerStreamRequest(
    methodPath(method),
    (message: MessageInitShape<In>) => encode(method.input, message),
    (bytes) => decode(method.output, bytes),
    request,
  );
}
