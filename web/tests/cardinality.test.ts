import { expect, test } from "vitest";
import { inShell, ofMetric, ofPair } from "../src/pages/settings/metrics/selectors";

test.each([
  [ofMetric("up"), '{__name__="up"}'],
  [ofMetric('odd "name"'), '{__name__="odd \\"name\\""}'],
  [ofPair("job=photos"), '{job="photos"}'],
  [ofPair("path=/a?b=c\\d"), '{path="/a?b=c\\\\d"}'],
  [ofPair("service.name=web"), '{"service.name"="web"}'],
  [ofPair("empty="), '{empty=""}'],
])("%s", (selector, wanted) => expect(selector).toBe(wanted));

test("a selector is one word for a shell", () => {
  expect(inShell('{a="it\'s"}')).toBe("'{a=\"it'\\''s\"}'");
});
