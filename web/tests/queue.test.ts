import { expect, test } from "vitest";
import type { NextDeploy, NextStage } from "../src/api/types";
import { stageWords, waits } from "../src/pages/deploys/Queue";

const next = (state: string | null): NextDeploy => ({ running: state === null ? null : { state } }) as NextDeploy;

test.each<[string | null, boolean]>([
  [null, false],
  ["building", true],
  ["awaiting_approval", true],
  // A newer deploy takes over from these.
  ["held", false],
  ["needs_human", false],
])("whoever asks while a deploy is %s", (state, expected) => expect(waits(next(state))).toBe(expected));

const stage = (extra: Partial<NextStage>): NextStage => ({ auto: false, hold_s: 0, ...extra });

test.each<[NextStage, string]>([
  [stage({ then: "production", auto: true, hold_s: 600 }), "Goes on to production by itself after 600 s."],
  [stage({ then: "production", auto: true }), "Goes on to production by itself."],
  [stage({ after: "staging", passed: 12 }), "Passed staging."],
  [stage({ after: "staging", passed: 12, then: "moon" }), "Passed staging; then to moon, when somebody deploys there."],
  [stage({ after: "staging", refused: "it did not pass staging yet" }), ""],
])("a stage is said in words", (given, words) => expect(stageWords(given)).toBe(words));
