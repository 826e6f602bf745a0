/**
 * The kubelet's end of registration: the socket on which device plugins announce themselves.
 */
import { Registration } from "./gen/deviceplugin/v1beta1/api_pb.js";
import { registrationRequest } from "./messages.ts";
import { SocketServer } from "./socket.ts";
import type { RegistrationRequest } from "./types.ts";

export interface RegistrationServerOptions {
  /** `<device plugin directory>/kubelet.sock`. */
  readonly socketPath: string;
  /**
   * Decides over one registration and, as the kubelet does, dials the plugin before it resolves. The message of what it
   * throws becomes the text the plugin gets.
   */
  onRegister(request: RegistrationRequest): Promise<void>;
}

export interface ServerHandle {
  /** Lets running calls end, stops serving and removes the socket file. */
  close(): Promise<void>;
}

/** Serves `v1beta1.Registration`; the socket file exists when the promise resolves. */
export async function serveRegistration(options: RegistrationServerOptions): Promise<ServerHandle> {
  const server = new SocketServer(options.socketPath);
  server.serve(Registration, {
    register: async (request) => {
      await options.onRegister(registrationRequest(request));
      return {};
    },
  });
  await server.listen();
  return { close: () => server.stop() };
}
