import type { ReactElement } from "react";
import type { Flag, FlagVariant } from "../../../api/types";
import { Field } from "../../../ui/Field";
import { IconButton, ListInput, Refused, TypedInput } from "./inputs";
import { normalised, percentOf, WHOLE, withoutVariant, withVariant, withWeight } from "./weights";
import type { Refusal } from "./refusal";

interface Props {
  variants: FlagVariant[];
  type: Flag["value_type"];
  /** Who always gets which one, and by what people are split: read by clients on the flag's own variants only. */
  own: boolean;
  label: string;
  refusal?: Refusal | undefined;
  onChange: (variants: FlagVariant[]) => void;
}

const PAYLOADS = ["string", "json", "csv", "number"];

function fresh(variants: FlagVariant[], type: Flag["value_type"]): FlagVariant {
  const name = ["a", "b", "c", "d", "e", "f"].find((letter) => variants.every((variant) => variant.name !== letter)) ?? `v${variants.length + 1}`;
  const value = { bool: undefined, string: "", int: 0, float: 0, object: {} }[type];
  const stickiness = variants[0]?.stickiness;
  return { name, weight: 0, ...(value === undefined ? {} : { value }), ...(stickiness ? { stickiness } : {}) };
}

/** Several answers with their shares. The shares always sum to a hundred: what one gains, the others give. */
export function VariantsEditor({ variants, type, own, label, refusal, onChange }: Props): ReactElement {
  const sum = variants.reduce((total, { weight }) => total + weight, 0);
  const set = (at: number, change: Partial<FlagVariant>): void => onChange(variants.map((variant, index) => (index === at ? { ...variant, ...change } : variant)));
  const override = (at: number, to: number, change: Partial<{ contextName: string; values: string[] }>): void =>
    set(at, { overrides: (variants[at]!.overrides ?? []).map((one, index) => (index === to ? { ...one, ...change } : one)) });
  const general = refusal && !variants.some(({ name }) => name === refusal.variant) ? refusal.text : null;
  return (
    <div className="stack tight" role="group" aria-label={label}>
      {variants.map((variant, at) => {
        const wrong = refusal && refusal.variant === variant.name ? refusal.text : undefined;
        const percent = percentOf(variants, variant.weight);
        return (
          <div key={at} className="constraint" role="group" aria-label={`Variant ${variant.name || at + 1}`}>
            <div className="form-row upper">
              <Field label="Variant"><input className="short" spellCheck={false} value={variant.name} aria-invalid={wrong ? true : undefined} onChange={(event) => set(at, { name: event.target.value })} /></Field>
              <Field label="Share, %">
                <input type="number" className="percent" min={0} max={100} step={0.1} value={percent} disabled={variants.length === 1} onChange={(event) => onChange(withWeight(variants, at, Number(event.target.value) * 10))} />
              </Field>
              {type === "bool" ? (
                <>
                  <Field label="Payload">
                    <select value={variant.payload?.type ?? ""} onChange={(event) => set(at, { payload: event.target.value ? { type: event.target.value, value: variant.payload?.value ?? "" } : null })}>
                      <option value="">none</option>
                      {PAYLOADS.map((name) => <option key={name}>{name}</option>)}
                    </select>
                  </Field>
                  {variant.payload && <Field label="Payload's value"><input className="long" spellCheck={false} value={variant.payload.value} onChange={(event) => set(at, { payload: { ...variant.payload!, value: event.target.value } })} /></Field>}
                </>
              ) : (
                <TypedInput label={`Value (${type})`} type={type} value={variant.value} none={type === "string" ? variant.name : "a value"} invalid={Boolean(wrong)} onChange={(value) => set(at, { value })} />
              )}
              <IconButton label={`Remove variant ${variant.name}`} onClick={() => onChange(withoutVariant(variants, at))}>×</IconButton>
            </div>
            {own && (variant.overrides ?? []).map((one, to) => (
              <div key={to} className="form-row upper">
                <Field label="Always for"><input className="short" list="flag-fields" value={one.contextName} onChange={(event) => override(at, to, { contextName: event.target.value })} /></Field>
                <ListInput label="Values" hint="42" values={one.values ?? []} onChange={(values) => override(at, to, { values })} />
                <IconButton label={`Remove the override of ${variant.name}`} onClick={() => set(at, { overrides: (variant.overrides ?? []).filter((_, index) => index !== to) })}>×</IconButton>
              </div>
            ))}
            {own && <div><button type="button" className="button plain small" onClick={() => set(at, { overrides: [...(variant.overrides ?? []), { contextName: "userId", values: [] }] })}>Always give it to some</button></div>}
            <Refused>{wrong}</Refused>
          </div>
        );
      })}
      <Refused>{general}</Refused>
      <div className="buttons">
        <button type="button" className="button small" onClick={() => onChange(withVariant(variants, fresh(variants, type)))}>Add a variant</button>
        {variants.length > 1 && <button type="button" className="button small" onClick={() => onChange(normalised(variants.map((variant) => ({ ...variant, weight: 1 }))))}>Even shares</button>}
        {variants.length > 0 && sum !== WHOLE && <span className="muted">The weights sum to {sum}; with the first change of a share they sum to 1,000, and people may change variants.</span>}
        {own && variants.length > 0 && (
          <label className="inline">split by <input className="short" list="flag-stickiness" value={variants[0]?.stickiness ?? "default"} onChange={(event) => onChange(variants.map((variant) => ({ ...variant, stickiness: event.target.value })))} /></label>
        )}
      </div>
    </div>
  );
}
