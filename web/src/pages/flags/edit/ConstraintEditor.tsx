import { useId, type ReactElement } from "react";
import type { FlagConstraint } from "../../../api/types";
import { Field } from "../../../ui/Field";
import { IconButton, ListInput, Refused } from "./inputs";
import { FIELDS, GROUPS, operatorOf, OPERATORS, withOperator } from "./operators";

interface Props {
  value: FlagConstraint;
  index: number;
  refused?: string | undefined;
  onChange: (value: FlagConstraint) => void;
  onRemove: () => void;
}

const HINT = { list: "DE", ranges: "10.0.0.0/8", number: "18", date: "2027-01-31T00:00:00Z", version: "1.2.3", expression: "^beta-.*$" };

/** `2027-01-31T00:00` of a date input, in UTC; and back. */
const toInstant = (local: string): string => (local ? `${local.length === 16 ? `${local}:00` : local}Z` : "");
const toLocal = (instant: string | null | undefined): string => {
  const at = Date.parse(instant ?? "");
  return Number.isNaN(at) ? "" : new Date(at).toISOString().slice(0, 19);
};

/** One condition on one field of the context: who, how, what. */
export function ConstraintEditor({ value, index, refused, onChange, onRemove }: Props): ReactElement {
  const fields = useId();
  const operator = operatorOf(value.operator);
  const set = (change: Partial<FlagConstraint>): void => onChange({ ...value, ...change });
  const invalid = Boolean(refused);
  const operand = operator.operand;
  return (
    <div className="constraint" role="group" aria-label={`Constraint ${index + 1}`}>
      <div className="form-row upper">
        <Field label="Field">
          <input list={fields} className="short" spellCheck={false} value={value.contextName} placeholder="country" aria-invalid={invalid && !value.contextName ? true : undefined} onChange={(event) => set({ contextName: event.target.value })} />
        </Field>
        <datalist id={fields}>{FIELDS.map((name) => <option key={name} value={name} />)}</datalist>
        <Field label="Operator">
          <select value={value.operator} onChange={(event) => onChange(withOperator(value, event.target.value))}>
            {GROUPS.map((group) => (
              <optgroup key={group} label={group}>
                {OPERATORS.filter((one) => one.group === group).map((one) => <option key={one.name} value={one.name}>{value.inverted ? one.inverted : one.plain} ({one.name})</option>)}
              </optgroup>
            ))}
          </select>
        </Field>
        {operand === "list" || operand === "ranges" ? (
          <ListInput label={operand === "ranges" ? "Addresses and ranges" : "Values"} hint={HINT[operand]} values={value.values ?? []} invalid={invalid} onChange={(values) => set({ values })} />
        ) : operand === "date" ? (
          <Field label="Instant (UTC)">
            <input type="datetime-local" step={1} value={toLocal(value.value)} aria-invalid={invalid || undefined} onChange={(event) => set({ value: toInstant(event.target.value) })} />
          </Field>
        ) : (
          <Field label={operand === "number" ? "Number" : operand === "version" ? "Version" : "Expression (RE2)"}>
            <input className={operand === "expression" ? "mono long" : "short"} inputMode={operand === "number" ? "decimal" : undefined} spellCheck={false} value={value.value ?? ""} placeholder={HINT[operand]} aria-invalid={invalid || undefined} onChange={(event) => set({ value: event.target.value })} />
          </Field>
        )}
        <span className="checks">
          <label><input type="checkbox" checked={Boolean(value.inverted)} onChange={(event) => set({ inverted: event.target.checked })} /> inverted</label>
          {operator.cases && <label><input type="checkbox" checked={Boolean(value.caseInsensitive)} onChange={(event) => set({ caseInsensitive: event.target.checked })} /> in any case</label>}
        </span>
        <IconButton label={`Remove constraint ${index + 1}`} onClick={onRemove}>×</IconButton>
      </div>
      <Refused>{refused}</Refused>
    </div>
  );
}
