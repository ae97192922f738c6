import { expect, test } from "vitest";
import type { Incident } from "../src/api/types";
import { pageFor } from "../src/shell/PagedBanner";

const incident = (number: number, state: string, pages: [string, string][]): Incident =>
  ({ number, state, pages: pages.map(([person, of]) => ({ person, state: of, due_at: "2026-01-01T00:00:00Z" })) }) as unknown as Incident;

test("whoever is paged and waited for sees it, nobody else", () => {
  const open = [incident(4, "acknowledged", [["ana", "delivered"]]), incident(3, "open", [["raj", "superseded"], ["ana", "delivered"]])];
  expect(pageFor("ana", open)?.incident.number).toBe(3);
  expect(pageFor("raj", open)).toBeNull();
  expect(pageFor("mei", open)).toBeNull();
});

test("a page that could not be delivered elsewhere is still seen here", () => {
  expect(pageFor("ana", [incident(5, "open", [["ana", "failed"]])])?.incident.number).toBe(5);
});
