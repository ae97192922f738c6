import { act, useState, type ReactElement } from "react";
import { expect, test } from "vitest";
import { RulesForm } from "../src/pages/settings/ReachRules";
import { contactOf, formOf, type Reach } from "../src/pages/settings/reach";
import { box, mountEach, render } from "./mount";

mountEach();

const contact = { email: "ana@example.org", channels: { voice: "+4930123456", sms: "+4930123456" } };
let held: Reach;
function Held(): ReactElement {
  const [form, set] = useState(() => formOf({ contact, timezone: "UTC" }));
  held = form;
  return <RulesForm form={form} set={set} which="critical" title="When a page is critical" />;
}
const press = (name: string): Promise<void> => act(async () => {
  const button = [...box.querySelectorAll("button")].find((one) => (one.getAttribute("aria-label") ?? one.textContent) === name);
  if (!button) throw new Error(`there is no button ${name}`);
  button.click();
});
const rules = (): unknown => contactOf(held).rules;

test("own rules begin with what holds, and a way that is removed leaves the first one at once", async () => {
  await render(<Held />);
  expect(box.textContent).toContain("until somebody acknowledges: Mail, Text message, Call");
  expect(rules()).toBeUndefined();
  await press("Choose the order");
  expect(rules()).toEqual({ critical: [{ channel: "mail", after_s: 0 }, { channel: "sms", after_s: 30 }, { channel: "voice", after_s: 60 }], other: [] });
  await press("When a page is critical: remove Mail");
  expect(rules()).toEqual({ critical: [{ channel: "sms", after_s: 0 }, { channel: "voice", after_s: 60 }], other: [] });
  await press("Add a way");
  expect(rules()).toMatchObject({ critical: [{ channel: "sms" }, { channel: "voice" }, { channel: "mail", after_s: 90 }] });
  for (const name of ["Text message", "Call", "Mail"]) await press(`When a page is critical: remove ${name}`);
  expect(rules()).toBeUndefined();
});
