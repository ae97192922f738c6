/** Refusals, and plain requests for what the API's description leaves to others (the Prometheus endpoints). */

export type Query = Record<string, string | number | boolean | null | undefined>;

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly advice: string;

  constructor(status: number, code: string, message: string, advice: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.advice = advice;
  }
}

/** Drops what is empty: the server refuses parameters without a value. */
export function given<Q extends Query>(query: Q): Q {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "")) as Q;
}

export function withQuery(path: string, query: Query = {}): string {
  const text = new URLSearchParams(Object.entries(given(query)).map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

const listeners = new Set<() => void>();
/** Called when the server says the session has ended. */
export function onSignedOut(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
export const signedOut = (): void => listeners.forEach((listener) => listener());

export const unreachable = (): ApiError =>
  new ApiError(0, "unreachable", "The server cannot be reached.", "The page tries again by itself; check that tenfold is running.");

function sentence(text: string): string {
  // What is wrong with a query has its place in further lines, which stay as they are.
  const [first = "", ...place] = text.split("\n");
  const upper = first.charAt(0).toUpperCase() + first.slice(1);
  return [/[.!?]$/.test(upper) ? upper : `${upper}.`, ...place].join("\n");
}

/** A message without the lines that point at a place in a text. */
export const firstLine = (message: string): string => message.split("\n")[0] ?? "";

interface ErrorShape {
  error?: { code?: string; message?: string; advice?: string | null };
}

/** The server's own sentence and advice; of a proxy's page only the status is known. */
export function failure(response: Response, body: unknown): ApiError {
  const { code, message, advice } = (typeof body === "object" && body !== null ? (body as ErrorShape).error : undefined) ?? {};
  return new ApiError(
    response.status,
    code ?? `http_${response.status}`,
    sentence(message ?? `The server answered ${response.status} ${response.statusText}`.trim()),
    advice ? sentence(advice) : "",
  );
}

/** Reads JSON from a path outside the described API. */
export const get = <T>(path: string, query?: Query): Promise<T> => read<T>(withQuery(path, query), { credentials: "same-origin" });

/** Longer addresses are refused by some proxies. */
const ADDRESS_CHARS_MAX = 4_000;

/** The same of a path that takes its question as a form as well, where it is long. */
export function ask<T>(path: string, query: Query): Promise<T> {
  const address = withQuery(path, query);
  if (address.length <= ADDRESS_CHARS_MAX) return read<T>(address, { credentials: "same-origin" });
  const body = new URLSearchParams(address.slice(path.length + 1));
  return read<T>(path, { credentials: "same-origin", method: "POST", body });
}

async function read<T>(address: string, how: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address, how);
  } catch {
    throw unreachable();
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) {
    if (response.status === 401) signedOut();
    throw failure(response, prometheus(body));
  }
  return body as T;
}

/** Prometheus puts its sentence elsewhere: `{"status":"error","errorType":…,"error":"…"}`. */
function prometheus(body: unknown): unknown {
  if (typeof body !== "object" || body === null || !("errorType" in body)) return body;
  const { errorType, error } = body as { errorType: string; error: string };
  return { error: { code: errorType, message: error } };
}
