/** One request to the server. A refusal becomes an `ApiError` that carries the server's own sentence and advice. */

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

export function withQuery(path: string, query?: Query): string {
  if (!query) return path;
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

/** Fills `{name}` in a path, each value escaped. */
export function at(path: string, values: Record<string, string | number>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name] ?? "")));
}

const signedOut = new Set<() => void>();
/** Called when the server says the session has ended. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

interface ErrorBody {
  error?: { code?: string; message?: string; advice?: string };
}

async function failure(response: Response): Promise<ApiError> {
  let body: ErrorBody = {};
  try {
    body = (await response.json()) as ErrorBody;
  } catch {
    // The answer was not JSON (a proxy's page): the status has to do.
  }
  const { code, message, advice } = body.error ?? {};
  return new ApiError(
    response.status,
    code ?? `http_${response.status}`,
    message ?? `The server answered ${response.status} ${response.statusText}.`.replace(" .", "."),
    advice ?? "",
  );
}

export async function request<T>(method: string, path: string, options: { query?: Query; body?: unknown } = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(withQuery(path, options.query), {
      method,
      credentials: "same-origin",
      headers: options.body === undefined ? {} : { "content-type": "application/json" },
      body: options.body === undefined ? null : JSON.stringify(options.body),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached.", "The page tries again by itself; check that tenfold is running.");
  }
  if (!response.ok) {
    if (response.status === 401 && path !== "/api/session") signedOut.forEach((listener) => listener());
    throw await failure(response);
  }
  if (response.status === 204) return undefined as T;
  const kind = response.headers.get("content-type") ?? "";
  if (!kind.includes("json")) return (await response.text()) as T;
  return (await response.json()) as T;
}

export const get = <T>(path: string, query?: Query): Promise<T> => request<T>("GET", path, query ? { query } : {});
export const post = <T>(path: string, body: unknown = {}): Promise<T> => request<T>("POST", path, { body });
export const put = <T>(path: string, body: unknown): Promise<T> => request<T>("PUT", path, { body });
export const del = <T>(path: string, query?: Query): Promise<T> => request<T>("DELETE", path, query ? { query } : {});
