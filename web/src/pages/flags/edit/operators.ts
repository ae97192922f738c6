/** The 19 operators of a constraint: how they read, and what they compare with. The words are the server's own. */
import type { FlagConstraint } from "../../../api/types";

export type Operand = "list" | "number" | "date" | "version" | "expression" | "ranges";

export interface Operator {
  name: string;
  group: string;
  plain: string;
  inverted: string;
  operand: Operand;
  /** Whether "in any case" changes anything. */
  cases: boolean;
}

const op = (name: string, group: string, plain: string, inverted: string, operand: Operand, cases = false): Operator => ({ name, group, plain, inverted, operand, cases });

export const OPERATORS: Operator[] = [
  op("IN", "List", "is one of", "is none of", "list"),
  op("NOT_IN", "List", "is none of", "is one of", "list"),
  op("STR_STARTS_WITH", "Text", "starts with", "does not start with", "list", true),
  op("STR_ENDS_WITH", "Text", "ends with", "does not end with", "list", true),
  op("STR_CONTAINS", "Text", "contains", "does not contain", "list", true),
  op("REGEX", "Text", "matches", "does not match", "expression", true),
  op("NUM_EQ", "Number", "equals", "does not equal", "number"),
  op("NUM_GT", "Number", "is above", "is not above", "number"),
  op("NUM_GTE", "Number", "is at least", "is not at least", "number"),
  op("NUM_LT", "Number", "is below", "is not below", "number"),
  op("NUM_LTE", "Number", "is at most", "is not at most", "number"),
  op("DATE_AFTER", "Time", "is after", "is not after", "date"),
  op("DATE_BEFORE", "Time", "is before", "is not before", "date"),
  op("SEMVER_EQ", "Version", "is version", "is not version", "version"),
  op("SEMVER_GT", "Version", "is newer than", "is not newer than", "version"),
  op("SEMVER_GTE", "Version", "is at least version", "is not at least version", "version"),
  op("SEMVER_LT", "Version", "is older than", "is not older than", "version"),
  op("SEMVER_LTE", "Version", "is at most version", "is not at most version", "version"),
  op("IN_CIDR", "Address", "is in the range", "is outside the range", "ranges"),
];

export const GROUPS = [...new Set(OPERATORS.map(({ group }) => group))];
export const operatorOf = (name: string): Operator => OPERATORS.find((one) => one.name === name) ?? op(name, "Other", name, `not ${name}`, "list");
export const takesList = (operand: Operand): boolean => operand === "list" || operand === "ranges";

/** Fields every client sends; anything else is a property. */
export const FIELDS = ["userId", "sessionId", "remoteAddress", "environment", "appName", "currentTime"];
/** What a person is tied to a bucket by. */
export const STICKINESS = ["default", "userId", "sessionId", "random"];

const VALUES_SHOWN = 5;

export function constraintWords(of: FlagConstraint): string {
  const operator = operatorOf(of.operator);
  const values = of.values ?? [];
  const more = values.length - VALUES_SHOWN;
  const operand = takesList(operator.operand) ? values.slice(0, VALUES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "") : (of.value ?? "");
  return `${of.contextName} ${of.inverted ? operator.inverted : operator.plain} ${operand}${of.caseInsensitive ? " (in any case)" : ""}`;
}

/** Another operator keeps the operand where that can be: a list's only value becomes the value, and back. */
export function withOperator(of: FlagConstraint, name: string): FlagConstraint {
  const [was, is] = [operatorOf(of.operator), operatorOf(name)];
  const next: FlagConstraint = { ...of, operator: name };
  if (!is.cases) next.caseInsensitive = false;
  if (is.operand === "date") next.contextName = "currentTime";
  if (takesList(was.operand) && !takesList(is.operand)) {
    next.value = is.operand === "date" ? null : (of.values?.[0] ?? "");
    delete next.values;
  } else if (!takesList(was.operand) && takesList(is.operand)) {
    next.values = of.value ? [of.value] : [];
    delete next.value;
  } else if (was.operand !== is.operand && is.operand === "date") {
    next.value = null;
  }
  if (next.value === null) delete next.value;
  return next;
}

/** One value a line; blanks around a value are never meant. */
export const linesToValues = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter(Boolean);
