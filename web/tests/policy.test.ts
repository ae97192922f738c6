import { expect, test } from "vitest";
import type { EscalationPolicy } from "../src/api/types";
import { newPlan, planOf } from "../src/pages/oncall/plan";
import { emptyPolicy, formOf, policyOf } from "../src/pages/oncall/policy";

const policy: EscalationPolicy = {
  name: "photos", repeat: 2, deployer_first: { within_ms: 1_800_000, delay_ms: 90_000 },
  steps: [
    { delay_ms: 300_000, targets: [{ kind: "schedule", name: "photos-primary", offset: 1 }, { kind: "schedule", name: "web" }], round_robin: true },
    { delay_ms: 30_000, targets: [{ kind: "person", name: "raj" }, { kind: "team", name: "web: all" }] },
  ],
};

test("a policy goes through the form and comes back", () => {
  const { name: _, ...body } = policy;
  expect(policyOf(formOf(policy))).toEqual(body);
});

test("how long an acknowledgement holds goes with it, and empty is for good", () => {
  const { name: _, ...body } = { ...policy, ack_timeout_ms: 7_200_000 };
  expect(formOf({ ...policy, ack_timeout_ms: 7_200_000 }).held).toBe("120");
  expect(policyOf(formOf({ ...policy, ack_timeout_ms: 7_200_000 }))).toEqual(body);
  expect(policyOf({ ...formOf(policy), held: " " }).ack_timeout_ms).toBeUndefined();
  expect(() => policyOf({ ...formOf(policy), held: "long" })).toThrow("How long an acknowledgement holds");
});

test("a new one pages the first schedule, and what is wrong is said", () => {
  const form = emptyPolicy("schedule:web");
  expect(policyOf(form)).toEqual({ repeat: 1, steps: [{ delay_ms: 300_000, targets: [{ kind: "schedule", name: "web" }] }] });
  expect(() => policyOf({ ...form, steps: [{ ...form.steps[0]!, minutes: "soon" }] })).toThrow("step 1");
  expect(() => policyOf(emptyPolicy(""))).toThrow("without a name");
});

test("one target alone has no turns", () => {
  const form = emptyPolicy("person:raj");
  expect(policyOf({ ...form, steps: [{ ...form.steps[0]!, turns: true }] }).steps[0]!.round_robin).toBeUndefined();
});

test("a new schedule begins on the coming Monday", () => {
  const plan = planOf(newPlan(["ana", "raj"], Date.parse("2026-11-26T10:00:00Z")));
  expect(plan.layers![0]).toMatchObject({ name: "base", rotation: { people: ["ana", "raj"], start: "2026-11-30T09:00:00", shift_length: "1w" } });
});
