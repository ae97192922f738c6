import { describe, expect, it } from "vitest";
import { CHANNELS, channelOf, contactOf, defaultRules, formOf } from "../src/pages/settings/reach";

const contact = {
  email: "ana@example.org",
  channels: { slack: "https://hooks.example/1", sms: "+4930123456" },
  quiet: { from: "23:00", to: "06:30", channels: ["mail", "slack"] },
  rules: { critical: [{ channel: "sms", after_s: 0 }, { channel: "slack", after_s: 60 }], other: [] },
};

describe("how pages reach a person", () => {
  it("comes back as it went out", () => {
    expect(contactOf(formOf({ contact, timezone: "UTC" }))).toEqual({ ...contact, irc: "", webhook: "" });
  });
  it("takes a removed channel out of the quiet hours and the rules as well", () => {
    const form = formOf({ contact, timezone: "UTC" });
    const sent = contactOf({ ...form, ways: form.ways.filter(({ channel }) => channel !== "slack") });
    expect(sent.channels).toEqual({ sms: "+4930123456" });
    expect(sent.quiet?.channels).toEqual(["mail"]);
    expect(sent.rules).toEqual({ critical: [{ channel: "sms", after_s: 0 }], other: [] });
    expect(contactOf({ ...form, ways: form.ways.filter(({ channel }) => channel !== "sms") }).rules).toEqual({ critical: [{ channel: "slack", after_s: 0 }], other: [] });
  });
  it("sends no quiet hours when there are none", () => {
    expect(contactOf({ ...formOf({ contact, timezone: "UTC" }), quiet: false })).not.toHaveProperty("quiet");
    expect(formOf({ contact: {}, timezone: "UTC" })).toMatchObject({ quiet: false, from: "22:00", to: "07:00", quietBy: [] });
  });
  it("begins own rules with what holds without any", () => {
    const form = formOf({ contact: { ...contact, rules: null }, timezone: "UTC" });
    expect(defaultRules(form)).toEqual([{ channel: "mail", after: "0" }, { channel: "slack", after: "30" }, { channel: "sms", after: "60" }]);
    expect(contactOf(form)).not.toHaveProperty("rules");
    expect(contactOf({ ...form, other: [{ channel: "mail", after: "" }] }).rules).toEqual({ critical: [], other: [{ channel: "mail", after_s: 0 }] });
  });
  it("knows every channel once", () => {
    expect(new Set(CHANNELS.map(({ name }) => name)).size).toBe(CHANNELS.length);
    expect(channelOf("mail").text).toBe("Mail");
  });
});
