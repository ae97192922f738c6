import { expect, test } from "vitest";
import { linksOf } from "../src/pages/alerts/links";

test("an address with its name, an address alone, and nothing that is none", () => {
  const links = "https://example.org/runbook How to restart it\nhttp://example.org/graph.png\njavascript:alert(1) click\nplain words\n";
  expect(linksOf({ annotations: { links } })).toEqual([
    { href: "https://example.org/runbook", text: "How to restart it" },
    { href: "http://example.org/graph.png", text: "http://example.org/graph.png" },
  ]);
  expect(linksOf({ annotations: {} })).toEqual([]);
});
