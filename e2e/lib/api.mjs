// The server's API as one person or token uses it.

const ANSWER_MS_MAX = 10_000;

/** A kept connection may be closed just as it is used again; then nothing was asked, and it is asked once more. */
async function sent(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    if (error.cause?.code !== 'UND_ERR_SOCKET' || error.cause.socket?.bytesRead === 0) throw error;
    return fetch(url, request);
  }
}

export class Api {
  constructor(base, headers = {}) {
    this.base = base;
    this.headers = headers;
  }

  async call(method, path, body) {
    const response = await sent(this.base + path, {
      method,
      headers: { origin: this.base, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...this.headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    if (!response.ok) throw Object.assign(new Error(`${method} ${path}: ${response.status}: ${text}`), { status: response.status });
    return response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
  }

  get(path) {
    return this.call('GET', path);
  }

  post(path, body = {}) {
    return this.call('POST', path, body);
  }

  put(path, body) {
    return this.call('PUT', path, body);
  }

  async items(path) {
    return (await this.get(path)).items;
  }

  /** A session of this person. */
  async signIn(login, password) {
    return this.#session('/api/session', { login, password });
  }

  async setup(body) {
    return this.#session('/api/setup', body);
  }

  async #session(path, body) {
    const response = await fetch(this.base + path, {
      method: 'POST',
      headers: { origin: this.base, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`POST ${path}: ${response.status}: ${await response.text()}`);
    return new Api(this.base, { cookie: response.headers.getSetCookie()[0].split(';')[0] });
  }

  bearer(token) {
    return new Api(this.base, { authorization: `Bearer ${token}` });
  }
}

/** Lines of a server-sent event stream, as `{event, data, at}`, until `stop` aborts. */
export async function* events(api, path, stop) {
  const response = await fetch(api.base + path, { headers: { ...api.headers, accept: 'text/event-stream' }, signal: stop });
  let buffered = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    buffered += chunk;
    for (let end = buffered.indexOf('\n\n'); end >= 0; end = buffered.indexOf('\n\n')) {
      const fields = buffered.slice(0, end).split('\n').map((line) => line.split(/: ?(.*)/s));
      buffered = buffered.slice(end + 2);
      const data = fields.filter(([name]) => name === 'data').map(([, value]) => value).join('\n');
      if (data) yield { event: fields.find(([name]) => name === 'event')?.[1] ?? 'message', data: JSON.parse(data), at: Date.now() };
    }
  }
}
