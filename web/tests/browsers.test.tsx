/** The section of the settings: this browser among the others, turned on, tested and taken out. */
import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { browsers } from "../src/api/endpoints";
import * as push from "../src/lib/push";
import { BrowserPages } from "../src/pages/settings/Browsers";
import { box, mountEach, pass, render } from "./mount";

mountEach();

const desk = { id: "desk", label: "Firefox on Linux", service: "push.example.org", added_at: "2026-11-23T09:00:00Z" };
const phone = { id: "phone", label: "Chrome on Android", service: "push.example.net", added_at: "2026-11-23T09:00:00Z" };
let listed = [phone];
const unsubscribe = vi.fn(() => Promise.resolve(true));
let own: { endpoint: string; unsubscribe: typeof unsubscribe } | null;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-23T12:00:00Z") });
  [listed, own] = [[phone], null];
  unsubscribe.mockClear();
  vi.spyOn(browsers, "list").mockImplementation(() => Promise.resolve({ key: "KEY", browsers: listed }));
  vi.spyOn(push, "whyNot").mockReturnValue(null);
  vi.spyOn(push, "current").mockImplementation(() => Promise.resolve(own as never));
  vi.spyOn(push, "idOf").mockResolvedValue("desk");
});

const button = (name: string): HTMLElement => {
  const found = [...box.querySelectorAll("button")].find((one) => (one.getAttribute("aria-label") ?? one.textContent) === name);
  if (!found) throw new Error(`there is no button ${name}`);
  return found;
};
const shows = async (text: string): Promise<void> => {
  await pass(2_000);
  expect(box.textContent).toContain(text);
};
const press = (name: string): Promise<void> => act(async () => button(name).click());

test("turning pages on sends what the browser says, and shows which one it is", async () => {
  const said = { endpoint: "https://push.example.org/x", keys: { p256dh: "P", auth: "A" }, label: "Firefox on Linux" };
  const subscribe = vi.spyOn(push, "subscribe").mockImplementation(() => {
    own = { endpoint: said.endpoint, unsubscribe };
    return Promise.resolve(said);
  });
  const put = vi.spyOn(browsers, "put").mockImplementation(() => {
    listed = [phone, desk];
    return Promise.resolve(desk);
  });
  await render(<BrowserPages />);
  expect(box.textContent).not.toContain("(this one)");
  await press("Turn pages on in this browser");
  expect(subscribe).toHaveBeenCalledWith("KEY");
  expect(put).toHaveBeenCalledWith(said);
  await shows("Firefox on Linux (this one)");
  expect(button("Turn pages on in this browser").getAttribute("aria-disabled")).toBe("true");
});

test("taking this browser out ends its subscription, and no other's", async () => {
  listed = [phone, desk];
  own = { endpoint: "https://push.example.org/x", unsubscribe };
  const remove = vi.spyOn(browsers, "remove").mockResolvedValue({ done: true });
  const tried = vi.spyOn(browsers, "test").mockResolvedValue({ done: true });
  await render(<BrowserPages />);
  await shows("(this one)");
  await press("Test Chrome on Android");
  expect(tried).toHaveBeenCalledWith("phone");
  await press("Remove Chrome on Android");
  expect(remove).toHaveBeenLastCalledWith("phone");
  expect(unsubscribe).not.toHaveBeenCalled();
  await press("Remove Firefox on Linux");
  expect(remove).toHaveBeenLastCalledWith("desk");
  expect(unsubscribe).toHaveBeenCalledOnce();
});

test("a browser that takes no pushes says why", async () => {
  vi.mocked(push.whyNot).mockReturnValue("Browsers take pushes only from pages with https, or on localhost.");
  await render(<BrowserPages />);
  expect(box.textContent).toContain("only from pages with https");
});
