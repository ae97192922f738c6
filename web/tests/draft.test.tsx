import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Dashboard } from "../src/api/types";
import type { Range } from "../src/charts/range";
import { leftEdit } from "../src/pages/graphs/draft";
import { Editing } from "../src/pages/graphs/Editing";
import { SessionContext, type SignedIn } from "../src/shell/session";
import { signOut } from "../src/shell/signOut";
import { box, mountEach, reload, render } from "./mount";

const RANGE: Range = { fromMs: 0, toMs: 300_000, name: null, text: "then" };
const FIRST: Dashboard = { name: "nodes", title: "Nodes", panels: [{ title: "Words", kind: "text", queries: [], text: "words" }], version: 1 };
const as = (login: string): SignedIn => ({ person: { login } as SignedIn["person"], demo: false, version: "1" });
const done = vi.fn();

mountEach();
beforeEach(() => {
  localStorage.clear();
  done.mockReset();
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => Response.json(typeof request === "string" || request.method === "GET" ? { items: [] } : FIRST)));
});

const show = (login = "ana", dashboard = FIRST): Promise<void> =>
  render(<SessionContext value={as(login)}><Editing dashboard={dashboard} fresh={dashboard.name === ""} range={RANGE} values={{}} onDone={done} /></SessionContext>);
const press = (name: string): Promise<void> => act(async () => [...document.querySelectorAll("button")].find(({ textContent }) => textContent === name)!.click());
const titles = (): string[] => [...box.querySelectorAll("input")].map(({ value }) => value);
const offer = (): string => box.querySelector("[role=status]")?.textContent ?? "";

async function type(input: HTMLInputElement, text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
const titleOf = (value: string): HTMLInputElement => [...box.querySelectorAll("input")].find((one) => one.value === value)!;
const leaves = (): boolean => window.dispatchEvent(new Event("beforeunload", { cancelable: true }));

test("an edit that was left is offered to whoever made it, on that dashboard", async () => {
  await show();
  expect([leaves(), offer()]).toEqual([true, ""]);
  await type(titleOf("Nodes"), "All nodes");
  expect(leaves()).toBe(false);
  await reload();
  expect(leaves()).toBe(true);
  await show("raj");
  expect(offer()).toBe("");
  await reload();
  await show("ana", { ...FIRST, name: "other" });
  expect(offer()).toBe("");
  await reload();
  await show();
  expect(offer()).toContain("You left an edit of this dashboard");
  expect(titles()).toContain("Nodes");
  await press("Take it up again");
  expect(titles()).toContain("All nodes");
  expect(offer()).toBe("");
  await press("Save");
  expect(done).toHaveBeenCalledOnce();
  expect(leftEdit("ana", FIRST)).toBeNull();
});

test("dots in names do not make one person's edit another's", async () => {
  await show("ana", { ...FIRST, name: "b.nodes" });
  await type(titleOf("Nodes"), "All nodes");
  expect(leftEdit("ana", { ...FIRST, name: "b.nodes" })?.draft.title).toBe("All nodes");
  expect(leftEdit("ana.b", FIRST)).toBeNull();
});

test("somebody else's save meanwhile is told when it is taken up", async () => {
  await show();
  await type(titleOf("Nodes"), "All nodes");
  await reload();
  await show("ana", { ...FIRST, title: "Hosts", version: 2, saved_by: "raj" });
  await press("Take it up again");
  expect(box.querySelector("[role=alert]")?.textContent).toContain("raj saved this dashboard");
});

test("what is dropped or discarded is not offered again", async () => {
  for (const name of ["Drop it", "Discard"]) {
    await show();
    await type(titleOf("Nodes"), "All nodes");
    await reload();
    await show();
    if (name === "Discard") await press("Take it up again");
    await press(name);
    expect(leftEdit("ana", FIRST), name).toBeNull();
    await reload();
  }
});

test("an offer that nobody answered stays", async () => {
  await show();
  await type(titleOf("Nodes"), "All nodes");
  await reload();
  await show();
  await press("Discard");
  expect(leftEdit("ana", FIRST)?.draft.title).toBe("All nodes");
});

test("a panel's form is kept with the rest", async () => {
  await show();
  await act(async () => box.querySelector<HTMLButtonElement>("[aria-label='Change Words']")!.click());
  await act(async () => vi.waitFor(() => expect(document.querySelector("[role=dialog]")).not.toBeNull()));
  const inDialog = (): HTMLInputElement => document.querySelector<HTMLInputElement>("[role=dialog] input")!;
  await type(inDialog(), "More words");
  await reload();
  await show();
  await press("Take it up again");
  await act(async () => vi.waitFor(() => expect(inDialog().value).toBe("More words")));
});

/** The same pages in another tab, where somebody edits the dashboard. */
async function elsewhere(title: string): Promise<{ write: (title: string) => void; leave: () => void }> {
  vi.resetModules();
  const tab = await import("../src/pages/graphs/draft");
  const place = tab.newPlace("ana", FIRST.name);
  const write = (words: string): void => tab.keepEdit(place, { base: FIRST, draft: { ...FIRST, title: words }, copied: false, form: null });
  write(title);
  return { write, leave: () => tab.leaveEdit(place) };
}
const keys = (): string[] => Array.from({ length: localStorage.length }, (_, at) => localStorage.key(at)!).filter((key) => key.startsWith("tenfold.draft."));
const kept = (): string[] => keys().map((key) => (JSON.parse(localStorage.getItem(key)!) as { draft: Dashboard }).draft.title).sort();

test("two tabs keep an edit each, and either is told of the other's", async () => {
  const other = await elsewhere("Theirs");
  await show();
  expect(offer()).toContain("Another tab has an edit of this dashboard");
  await type(titleOf("Nodes"), "All nodes");
  expect(kept()).toEqual(["All nodes", "Theirs"]);
  other.write("Theirs, later");
  expect(kept()).toEqual(["All nodes", "Theirs, later"]);
  other.leave();
  await press("Take it up again");
  expect(titles()).toContain("Theirs, later");
  expect(offer()).toContain("You left an edit of this dashboard");
  expect(kept()).toEqual(["All nodes", "Theirs, later"]);
  await press("Take it up again");
  expect(titles()).toContain("All nodes");
  await press("Discard");
  expect(kept()).toEqual(["Theirs, later"]);
});

test("an edit of a tab that ended with its browser is offered", async () => {
  await elsewhere("Theirs");
  await show();
  await press("Take it up again");
  expect(titles()).toContain("Theirs");
  window.dispatchEvent(new Event("pagehide"));
  await reload();
  await show();
  expect(offer()).toContain("You left an edit");
});

test("whoever signs out on purpose leaves nothing behind, in no tab", async () => {
  await show();
  await type(titleOf("Nodes"), "All nodes");
  const other = await elsewhere("Theirs");
  const ofRaj = "tenfold.draft.raj/nodes/tab.1";
  localStorage.setItem(ofRaj, "{}");
  sessionStorage.setItem("tenfold.flag.uploader", "{}");
  await signOut("ana");
  expect(keys()).toEqual([ofRaj]);
  expect(sessionStorage.getItem("tenfold.flag.uploader")).toBeNull();
  // What is still open is not kept any more.
  await type(titleOf("All nodes"), "More nodes");
  other.write("More of theirs");
  other.leave();
  await reload();
  expect(keys()).toEqual([ofRaj]);
  await show();
  expect(offer()).toBe("");
  await type(titleOf("Nodes"), "Nodes anew");
  expect(leftEdit("ana", FIRST)?.draft.title).toBe("Nodes anew");
});
