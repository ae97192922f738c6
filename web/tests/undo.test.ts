import { expect, test } from "vitest";
import type { Deploy } from "../src/api/types";
import { undoOf } from "../src/parts/undo";

const deploy = (number: number, extra: Partial<Deploy> = {}): Deploy => ({ number, kind: "deploy", state: "succeeded", from_sha: number === 1 ? null : "abc", ...extra }) as Deploy;

test.each<[string, number, Deploy[], string | null, number[]]>([
  ["the newest", 3, [deploy(3), deploy(2)], null, []],
  ["an older one takes the newer with it", 2, [deploy(4), deploy(3), deploy(2)], null, [3, 4]],
  ["one that was taken back does not count", 2, [deploy(4, { kind: "rollback" }), deploy(3, { reverted_by: 4 }), deploy(2)], null, []],
  ["taken back", 3, [deploy(4, { kind: "rollback" }), deploy(3, { reverted_by: 4 })], "Rollback 4 took it back already.", []],
  ["a rollback", 4, [deploy(4, { kind: "rollback" })], "It is a rollback itself.", []],
  ["the first", 1, [deploy(1)], "Nothing ran before it.", []],
  ["another runs", 2, [deploy(3, { state: "canary" }), deploy(2)], "Deploy 3 is under way.", []],
  ["itself runs", 3, [deploy(3, { state: "canary" }), deploy(2)], null, []],
  ["failed", 3, [deploy(3, { state: "failed" })], "It changed no host that still runs it.", []],
  ["not known here: the server decides", 9, [deploy(12)], null, []],
])("%s", (_name, number, recent, why, also) => expect(undoOf(number, recent)).toEqual({ why, also }));
