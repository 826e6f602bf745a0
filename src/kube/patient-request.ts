/**
 * Requests that can be given up without harm to the connection they share with others.
 *
 * Over HTTP/2 a request that is reset before its answer begins leaves Node a stream that nobody owns: the answer was on
 * its way, and Node makes a stream for it (lib/internal/http2/core.js, `onSessionHeaders`). When the connection breaks
 * later, that stream's error has no listener and ends the process. So undici never hears of the caller's signal: who
 * gives up goes at once, and what comes afterwards is thrown away when it comes.
 */
import { type Dispatcher, request } from "undici";

type RequestOptions = Omit<NonNullable<Parameters<typeof request<null>>[1]>, "signal">;

/** As undici's `request`; rejects with the signal's reason as soon as it fires, and its body breaks off then. */
export async function patientRequest(
  url: URL,
  options: RequestOptions,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  signal.throwIfAborted();
  const givenUp = Promise.withResolvers<never>();
  const giveUp = (): void => givenUp.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  const sent = request<null>(url, options);
  try {
    const answer = await Promise.race([sent, givenUp.promise]);
    breakOffWith(signal, answer);
    return answer;
  } catch (error) {
    sent.then(throwAway, () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function breakOffWith(signal: AbortSignal, { body }: Dispatcher.ResponseData): void {
  const breakOff = (): void => void body.destroy(signal.reason);
  body.on("error", () => {}); // Whoever reads it is told.
  body.once("close", () => signal.removeEventListener("abort", breakOff));
  signal.addEventListener("abort", breakOff, { once: true });
}

function throwAway({ body }: Dispatcher.ResponseData): void {
  body.on("error", () => {}).destroy();
}
