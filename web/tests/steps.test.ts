import { expect, test } from "vitest";
import { ladder } from "../src/parts/steps";

const step = (name: string, state: string, from: number, to: number | null): { name: string; state: string; started_at: string; finished_at: string | null } => ({
  name, state, started_at: new Date(from).toISOString(), finished_at: to === null ? null : new Date(to).toISOString(),
});
const names = (rungs: { name: string; state: string }[]): string[] => rungs.map(({ name, state }) => `${name} ${state}`);

test("a running deploy shows what is still to come", () => {
  const steps = [step("queued", "done", 0, 10), step("building", "done", 10, 9000), step("staging", "running", 9000, null)];
  expect(names(ladder({ kind: "deploy", state: "staging", steps }))).toEqual(["Build done", "Stage running", "Canary waiting", "Promote waiting"]);
});

test("a queue that lasted is shown", () => {
  expect(names(ladder({ kind: "deploy", state: "queued", steps: [step("queued", "running", 0, null)] }))).toEqual(["Queue running", "Build waiting", "Stage waiting", "Canary waiting", "Promote waiting"]);
});

test("a deploy on its way back promises nothing more", () => {
  const steps = [step("building", "done", 0, 1), step("canary", "failed", 1, 2), step("rolling_back", "running", 2, null)];
  expect(names(ladder({ kind: "deploy", state: "rolling_back", steps }))).toEqual(["Build done", "Canary failed", "Roll back running"]);
});

test("a finished one shows what it did", () => {
  expect(names(ladder({ kind: "deploy", state: "failed", steps: [step("building", "failed", 0, 5)] }))).toEqual(["Build failed"]);
});
