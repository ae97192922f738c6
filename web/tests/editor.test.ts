import { describe, expect, it, vi, afterEach, test } from "vitest";
import { placedIn, placeOf } from "../src/editor/place";
import { problemsOf } from "../src/editor/PromqlEditor";

afterEach(() => vi.unstubAllGlobals());

describe("where the server points", () => {
  it.each([
    ["1:5: unexpected end.\n  max(\n      ^", "max(", 4, 4, "unexpected end."],
    ["1:1: unknown function\n  mox(up)\n  ^^^", "mox(up)", 0, 3, "unknown function"],
    // The second line, and columns by characters: the sign before it is two units long.
    ["2:5: unknown\n    \"🙂\" abc\n      ^^^", '1 +\n"🙂" abc', 9, 12, "unknown"],
  ])("%j", (words, text, from, to, message) => expect(placeOf(words, text)).toEqual({ from, to, message }));
  it.each(["too many samples.", "", "9:1: nowhere\n  x\n  ^"])("is nowhere in %j", (words) => expect(placeOf(words, "up")).toBeNull());
});

describe("a place in a text whose variables are filled in", () => {
  const typed = "rate(up[$window]) + mox(up) + $n";
  const asked = "rate(up[5m]) + mox(up) + 12";
  const at = (part: string, text: string): [number, number] => [text.indexOf(part), text.indexOf(part) + part.length];
  const place = ([from, to]: [number, number]): [number, number] => {
    const moved = placedIn(typed, asked, { from, to, message: "" });
    return [moved.from, moved.to];
  };
  it("is exact before the first", () => expect(place(at("up[", asked))).toEqual(at("up[", typed)));
  it("is all between the first and the last", () => expect(place(at("mox", asked))).toEqual([typed.indexOf("$window"), typed.length]));
  it("is exact behind the last", () => {
    const { from, to } = placedIn("up[$w] + mox(up)", "up[5m] + mox(up)", { from: 9, to: 12, message: "" });
    expect([from, to]).toEqual([9, 12]);
  });
  it("is itself where none is", () => expect(placedIn("up", "up", { from: 1, to: 2, message: "m" })).toEqual({ from: 1, to: 2, message: "m" }));
});

const answer = (status: number, body: object): ReturnType<typeof vi.fn> => {
  const fetched = vi.fn(async () => new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } }));
  vi.stubGlobal("fetch", fetched);
  return fetched;
};

test("the editor marks what the server would refuse, of the text as it is asked", async () => {
  const fetched = answer(400, { status: "error", errorType: "bad_data", error: "1:1: unknown function `mox`\n  mox(up[5m])\n  ^^^" });
  expect(await problemsOf("mox(up[$w])", (text) => text.replace("$w", "5m"))).toEqual([{ from: 0, to: 3, message: "unknown function `mox`.", severity: "error" }]);
  expect(fetched.mock.calls[0]?.[0]).toBe("/api/v1/parse_query?query=mox%28up%5B5m%5D%29");
});

test("nothing is marked in a good query, in none, and while the server does not answer", async () => {
  const fetched = answer(200, { status: "success", data: {} });
  expect(await problemsOf("rate(up[5m * 2])")).toEqual([]);
  expect(await problemsOf("  ")).toEqual([]);
  expect(fetched).toHaveBeenCalledTimes(1);
  answer(503, { status: "error", errorType: "unavailable", error: "1:1: busy" });
  expect(await problemsOf("up")).toEqual([]);
  vi.stubGlobal("fetch", vi.fn(async () => Promise.reject(new TypeError("away"))));
  expect(await problemsOf("up")).toEqual([]);
});
