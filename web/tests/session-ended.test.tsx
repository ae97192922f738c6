import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { signedOut } from "../src/api/http";
import { App } from "../src/shell/App";
import { box, mountEach, render } from "./mount";

const NOW = { on_call: [], last_deploy: null, deploys_today: 4711, change_fail_rate: { value: null, n: 0, events: [] }, firing: { critical: 0, warning: 0, unknown: 0 }, incidents: [], alerts: [], running: [], hosts: [], troubles: [] };
const person = (login: string): object => ({ login, name: login, kind: "developer", timezone: "UTC", role: "admin", grants: [], teams: [], contact: {} });

let login: string | null;
let slow: Promise<void>;

mountEach();
beforeEach(() => {
  [login, slow] = ["ana", Promise.resolve()];
  history.replaceState(null, "", "/no/such/page?with=words");
  vi.stubGlobal("EventSource", class {
    addEventListener(): void {}
    close(): void {}
  });
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const { pathname } = new URL(typeof request === "string" ? request : request.url, "http://localhost");
    if (pathname === "/api/session") return Response.json({ person: login ? person(login) : null, demo: false, version: "1", setup_needed: false });
    if (pathname !== "/api/now") return Response.json({ items: [] });
    await slow;
    return Response.json(NOW);
  }));
});

const settled = (check: () => void): Promise<void> => act(async () => vi.waitFor(check));

test("a session that ended says so, keeps the place, and leaves nothing to whoever signs in next", async () => {
  await render(<App />);
  await settled(() => expect(box.textContent).toContain("4711"));
  login = null;
  await act(async () => signedOut());
  await settled(() => expect(box.querySelector("[role=status]")?.textContent).toContain("Your session has ended."));
  expect(location.pathname + location.search).toBe("/no/such/page?with=words");
  login = "raj";
  slow = new Promise(() => undefined);
  await act(async () => signedOut());
  await settled(() => expect(box.querySelector("h1")?.textContent).toBe("No such page"));
  expect(box.textContent).toContain("raj");
  expect(box.textContent).not.toContain("4711");
});

test("whoever comes anew is told of no session", async () => {
  login = null;
  await render(<App />);
  await settled(() => expect(box.querySelector("h1")?.textContent).toBe("Sign in to tenfold"));
  expect(box.textContent).not.toContain("has ended");
});
