import { expect, test } from "vitest";
import { ladder } from "../src/parts/steps";

const step = (name: string, state: string, from: number, to: number | null): { name: string; state: string; started_at: string; finished_at: string | null } => ({
  name, state, started_at: new Date(from).toISOString(), finished_at: to === null ? null : new Date(to).toISOString(),
});
const names = (rungs: { name: string; state: string }[]): string[] => rungs.map(({ name, state }) => `${name} ${state}`);

test("a step in which nothing goes on is not said to run", () => {
  const steps = [step("canary", "done", 0, 10), step("held", "running", 10, null)];
  expect(names(ladder({ kind: "deploy", canary_steps: 1, state: "held", steps }))).toEqual(["Canary done", "Held stopped"]);
});

test("a running deploy shows what is still to come", () => {
  const steps = [step("queued", "done", 0, 10), step("building", "done", 10, 9000), step("staging", "running", 9000, null)];
  expect(names(ladder({ kind: "deploy", canary_steps: 1, state: "staging", steps }))).toEqual(["Build done", "Stage running", "Canary waiting", "Promote waiting"]);
});

test("a queue that lasted is shown", () => {
  expect(names(ladder({ kind: "deploy", canary_steps: 1, state: "queued", steps: [step("queued", "running", 0, null)] }))).toEqual(["Queue running", "Build waiting", "Stage waiting", "Canary waiting", "Promote waiting"]);
});

test("a deploy on its way back promises nothing more", () => {
  const steps = [step("building", "done", 0, 1), step("canary", "failed", 1, 2), step("rolling_back", "running", 2, null)];
  expect(names(ladder({ kind: "deploy", canary_steps: 1, state: "rolling_back", steps }))).toEqual(["Build done", "Canary failed", "Roll back running"]);
});

test("a finished one shows what it did", () => {
  expect(names(ladder({ kind: "deploy", canary_steps: 1, state: "failed", steps: [step("building", "failed", 0, 5)] }))).toEqual(["Build failed"]);
});

test("each step of a canary is a rung, and people come before the first", () => {
  const approval = { count: 1, by: [], teams: [], role: "deployer", four_eyes: true, given: [] };
  const steps = [step("building", "done", 0, 5), step("staging", "done", 5, 6), step("awaiting_approval", "done", 6, 9), step("canary", "done", 9, 12), step("canary", "running", 12, null)];
  expect(names(ladder({ kind: "deploy", canary_steps: 3, approval, state: "canary", steps }))).toEqual([
    "Build done", "Stage done", "Approval done", "Canary 1 of 3 done", "Canary 2 of 3 running", "Canary 3 of 3 waiting", "Promote waiting",
  ]);
  expect(names(ladder({ kind: "deploy", canary_steps: 0, approval, state: "building", steps: [step("building", "running", 0, null)] }))).toEqual([
    "Build running", "Stage waiting", "Approval waiting", "Promote waiting",
  ]);
});
