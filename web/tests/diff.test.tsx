import { describe, expect, it } from "vitest";
import { DiffLink, isPage } from "../src/parts/DiffLink";

describe("the link to the diff", () => {
  it("leads to web pages only", () => {
    expect(isPage("https://git.example/ana/photos/compare/0a1b2c3...4f2a91c")).toBe(true);
    for (const url of [null, undefined, "", "javascript:alert(1)", "//git.example/a", "https://git.example/\"onclick=x", "data:text/html,x"]) expect(isPage(url)).toBe(false);
  });
  it("is not there where nothing is known", () => {
    expect(DiffLink({ url: null })).toBeNull();
    expect(DiffLink({ url: "javascript:alert(1)" })).toBeNull();
    const link = DiffLink({ url: "https://git.example/ana/photos/compare/0a1b2c3...4f2a91c" });
    expect((link?.props as { href: string }).href).toBe("https://git.example/ana/photos/compare/0a1b2c3...4f2a91c");
  });
});
