// Flags over OFREP, asked anew for every request that depends on one. When the
// server does not answer, a user keeps the value last seen: a dead flag server
// changes nothing. A user never seen is off.
const ANSWER_MS_MAX = 250;
const USERS_REMEMBERED_MAX = 10_000;

export class Flags {
  #url;
  #headers;
  #lastKnown = new Map();

  constructor(url, token) {
    this.#url = url?.replace(/\/$/, '');
    this.#headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  }

  /** Whether the flag is on for this user. Never throws. */
  async isOn(flag, user) {
    if (!this.#url) return false;
    const key = `${flag}\n${user}`;
    try {
      const response = await fetch(`${this.#url}/ofrep/v1/evaluate/flags/${flag}`, {
        method: 'POST',
        headers: this.#headers,
        body: JSON.stringify({ context: { targetingKey: user } }),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.errorDetails ?? `status ${response.status}`);
      this.#remember(key, answer.value === true);
    } catch {
      // The last known value stands.
    }
    return this.#lastKnown.get(key) ?? false;
  }

  #remember(key, on) {
    this.#lastKnown.delete(key);
    this.#lastKnown.set(key, on);
    if (this.#lastKnown.size > USERS_REMEMBERED_MAX) this.#lastKnown.delete(this.#lastKnown.keys().next().value);
  }
}
