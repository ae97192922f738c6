/** The typed client: paths, parameters and answers as the server describes them. A refusal becomes an `ApiError`. */
import createClient from "openapi-fetch";
import { failure, signedOut, unreachable } from "./http";
import type { paths } from "./schema";

export const client = createClient<paths>({
  credentials: "same-origin",
  // Looked up at each call, so that a test may stand in for the network.
  fetch: (request) => globalThis.fetch(request),
});

interface Outcome<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

/** The body of an answer, or the refusal thrown. */
export async function unwrap<T>(call: Promise<Outcome<T>>): Promise<T> {
  let outcome: Outcome<T>;
  try {
    outcome = await call;
  } catch {
    throw unreachable();
  }
  if (!outcome.response.ok) {
    if (outcome.response.status === 401 && !outcome.response.url.endsWith("/api/session")) signedOut();
    throw failure(outcome.response, outcome.error);
  }
  return outcome.data as T;
}
