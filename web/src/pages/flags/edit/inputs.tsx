/** Small inputs of the editor: a labelled cell, a list of values, a typed value. */
import { useEffect, useId, useState, type ReactElement, type ReactNode } from "react";
import type { Flag } from "../../../api/types";
import { Field } from "../../../ui/Field";
import { Words } from "../../../ui/Words";
import { linesToValues } from "./operators";

/** The server's words at the place they are about. */
export function Refused({ children }: { children: ReactNode }): ReactElement | null {
  return children ? <p className="form-error" role="alert">{typeof children === "string" ? <Words>{children}</Words> : children}</p> : null;
}

const ROWS_MAX = 8;

interface ListProps {
  label: string;
  values: string[];
  hint: string;
  invalid?: boolean;
  onChange: (values: string[]) => void;
}

/** One value a line. What is typed stays as typed; values are what its lines hold. */
export function ListInput({ label, values, hint, invalid, onChange }: ListProps): ReactElement {
  const [text, setText] = useState(values.join("\n"));
  const id = useId();
  const current = values.join("\n");
  useEffect(() => {
    setText((now) => (linesToValues(now).join("\n") === current ? now : current));
  }, [current]);
  const commas = values.length > 0 && values.some((value) => value.includes(","));
  return (
    <div className="field grow">
      <label htmlFor={id}>{label} <span className="muted">{values.length > 3 ? `${values.length} values` : ""}</span></label>
      <textarea
        id={id} spellCheck={false} aria-invalid={invalid || undefined} aria-describedby={`${id}-hint`} placeholder={hint}
        rows={Math.min(ROWS_MAX, Math.max(1, text.split("\n").length))}
        value={text}
        onChange={(event) => { setText(event.target.value); onChange(linesToValues(event.target.value)); }}
      />
      <span className="hint" id={`${id}-hint`}>
        One a line.
        {commas && <> <button type="button" className="button plain small" onClick={() => onChange(values.flatMap((value) => value.split(",")).map((value) => value.trim()).filter(Boolean))}>Split at commas</button></>}
      </span>
    </div>
  );
}

interface TypedProps {
  label: string;
  type: Flag["value_type"];
  /** undefined: none. */
  value: unknown;
  invalid?: boolean;
  /** What stands for none. */
  none: string;
  onChange: (value: unknown) => void;
}

const asText = (value: unknown): string => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

/** A value of the flag's type. JSON that is not complete yet stays text, and the server says what is wrong with it. */
export function TypedInput({ label, type, value, invalid, none, onChange }: TypedProps): ReactElement {
  const [text, setText] = useState(asText(value));
  const current = asText(value);
  useEffect(() => setText((now) => (parsed(type, now) === value ? now : current)), [current, type]);
  const set = (next: string): void => {
    setText(next);
    onChange(next === "" && type !== "string" ? undefined : parsed(type, next));
  };
  if (type === "bool") {
    return (
      <Field label={label}>
        <select value={current} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value === "true")}>
          <option value="">{none}</option>
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      </Field>
    );
  }
  return (
    <Field label={label}>
      {type === "object" ? (
        <textarea rows={1} spellCheck={false} value={text} placeholder={none} aria-invalid={invalid || undefined} onChange={(event) => set(event.target.value)} />
      ) : (
        <input inputMode={type === "string" ? undefined : "decimal"} spellCheck={false} value={text} placeholder={none} aria-invalid={invalid || undefined} onChange={(event) => set(event.target.value)} />
      )}
    </Field>
  );
}

/** What cannot be read stays text: the server refuses it in its own words, at this place. */
export function parsed(type: Flag["value_type"], text: string): unknown {
  if (type === "string") return text;
  try {
    const value: unknown = JSON.parse(text);
    if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value) ? value : text;
    return typeof value === "number" ? value : text;
  } catch {
    return text;
  }
}

export function IconButton({ label, why, onClick, children }: { label: string; why?: string | null; onClick: () => void; children: string }): ReactElement {
  return (
    <button type="button" className="button small icon" aria-label={why ? `${label}: ${why}` : label} title={why ?? label} aria-disabled={why ? true : undefined} onClick={() => !why && onClick()}>
      <span aria-hidden="true">{children}</span>
    </button>
  );
}
