import { act } from "react";
import { beforeEach, expect, it } from "vitest";
import type { DeployHost } from "../src/api/types";
import { HostGrid } from "../src/pages/deploys/run/HostGrid";
import { navigate } from "../src/router/router";
import { box, mountEach, render } from "./mount";

mountEach();
beforeEach(() => navigate("/deploys/7", { replace: true }));

const fleet = (n: number): DeployHost[] => Array.from({ length: n }, (_, index) => ({ host: `web-${index + 1}`, canary: index < 2, state: index % 100 === 50 ? "failed" : "healthy", message: index % 100 === 50 ? "no room" : null, updated_at: "" }));
const press = (name: string): Promise<void> => act(async () => void [...box.querySelectorAll("button")].find((button) => (button.getAttribute("aria-label") ?? button.textContent ?? "").startsWith(name))!.click());
const items = (label: string): number => box.querySelectorAll(`[aria-label="${label}"] > li`).length;

it("six hosts are tiles with their words", async () => {
  await render(<HostGrid hosts={fleet(6)} />);
  expect(items("Hosts of this deploy")).toBe(6);
  expect(box.textContent).toContain("Healthy");
  expect(box.querySelectorAll(".host-cell")).toHaveLength(0);
});

it("three hundred are cells; a state or a host is a press away and stands in the address", { timeout: 30_000 }, async () => {
  await render(<HostGrid hosts={fleet(300)} />);
  expect(items("Hosts of this deploy")).toBe(300);
  expect(box.querySelectorAll(".host-cell")).toHaveLength(300);
  expect(box.querySelector('[aria-label="What hosts say"]')?.textContent).toContain("web-51, web-151, web-251");
  await press("Failed: 3 hosts");
  expect(location.search).toBe("?host_state=failed");
  expect(items("Hosts of this deploy")).toBe(3);
  expect(box.textContent).toContain("3 of 300 hosts");
  expect(box.querySelectorAll(".host-cell")).toHaveLength(0);
  await press("Show all");
  expect(location.search).toBe("");
  await act(async () => box.querySelector<HTMLElement>('.host-cell[title^="web-151:"]')!.click());
  expect(location.search).toBe("?host=web-151");
  expect(items("Hosts of this deploy")).toBe(1);
  expect(box.textContent).toContain("no room");
});

it("says so when nothing matches", async () => {
  navigate("/deploys/7?host=nowhere", { replace: true });
  await render(<HostGrid hosts={fleet(30)} />);
  expect(items("Hosts of this deploy")).toBe(0);
  expect(box.textContent).toContain("No host matches.");
});
