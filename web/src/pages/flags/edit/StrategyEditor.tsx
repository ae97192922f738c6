import type { ReactElement } from "react";
import type { Flag, FlagConstraint, FlagSegment, FlagStrategy } from "../../../api/types";
import { Field } from "../../../ui/Field";
import { ConstraintEditor } from "./ConstraintEditor";
import { IconButton, ListInput, Refused } from "./inputs";
import { VariantsEditor } from "./VariantsEditor";
import type { Refusal } from "./refusal";

const RULES: { name: string; text: string; list?: string; of?: string }[] = [
  { name: "flexibleRollout", text: "a share of people" },
  { name: "default", text: "everybody" },
  { name: "userWithId", text: "people by id", list: "userIds", of: "Ids" },
  { name: "remoteAddress", text: "addresses", list: "IPs", of: "Addresses and ranges" },
  { name: "applicationHostname", text: "hosts", list: "hostNames", of: "Host names" },
  { name: "gradualRolloutUserId", text: "a share by userId (older)" },
  { name: "gradualRolloutSessionId", text: "a share by sessionId (older)" },
  { name: "gradualRolloutRandom", text: "a share by chance (older)" },
];
const OLDER = /^gradual/;

interface Props {
  value: FlagStrategy;
  index: number;
  count: number;
  flag: Pick<Flag, "key" | "value_type">;
  segments: FlagSegment[];
  refusal?: Refusal | undefined;
  onChange: (value: FlagStrategy) => void;
  onMove: (by: 1 | -1) => void;
  onCopy: () => void;
  onRemove: () => void;
}

function parametersOf(name: string, key: string): Record<string, string> {
  if (name === "flexibleRollout") return { rollout: "100", stickiness: "default", groupId: key };
  const list = RULES.find((rule) => rule.name === name)?.list;
  if (list) return { [list]: "" };
  return name === "default" ? {} : name === "gradualRolloutRandom" ? { percentage: "100" } : { percentage: "100", groupId: key };
}

function Share({ value, refusal, onChange }: Pick<Props, "value" | "refusal" | "onChange">): ReactElement {
  const name = value.name === "flexibleRollout" ? "rollout" : "percentage";
  const parameters = value.parameters ?? {};
  const percent = parameters[name] ?? "";
  const set = (change: Record<string, string>): void => onChange({ ...value, parameters: { ...parameters, ...change } });
  return (
    <div className="form-row">
      <Field label="Share">
        <input type="range" min={0} max={100} step={1} value={Number(percent) || 0} aria-valuetext={`${percent} %`} onChange={(event) => set({ [name]: event.target.value })} />
      </Field>
      <Field label="Per cent">
        <input className="percent" inputMode="decimal" value={percent} aria-invalid={refusal?.parameter === name || undefined} onChange={(event) => set({ [name]: event.target.value.trim() })} />
      </Field>
      {value.name === "flexibleRollout" && (
        <Field label="Sticky by">
          <input className="short" list="flag-stickiness" spellCheck={false} value={parameters.stickiness ?? "default"} aria-invalid={refusal?.parameter === "stickiness" || undefined} onChange={(event) => set({ stickiness: event.target.value })} />
        </Field>
      )}
      {value.name !== "gradualRolloutRandom" && (
        <Field label="Group">
          <input className="short" spellCheck={false} value={parameters.groupId ?? ""} title="People are dealt into buckets by group and id: flags of one group reach the same people first." aria-invalid={refusal?.parameter === "groupId" || undefined} onChange={(event) => set({ groupId: event.target.value })} />
        </Field>
      )}
    </div>
  );
}

/** One strategy: whom it reaches, and under which conditions. All of it must hold. */
export function StrategyEditor({ value, index, count, flag, segments, refusal, onChange, onMove, onCopy, onRemove }: Props): ReactElement {
  const set = (change: Partial<FlagStrategy>): void => onChange({ ...value, ...change });
  const rule = RULES.find(({ name }) => name === value.name);
  const constraints = value.constraints ?? [];
  const chosen = value.segments ?? [];
  const setConstraint = (at: number, next: FlagConstraint): void => set({ constraints: constraints.map((one, i) => (i === at ? next : one)) });
  const here = refusal && refusal.constraint === undefined && refusal.variant === undefined && refusal.about !== "variants" ? refusal.text : null;
  const free = segments.filter(({ id }) => !chosen.includes(id));
  return (
    <section className="panel pad stack tight" aria-label={`Strategy ${index + 1}`}>
      <div className="form-row">
        <h3>Strategy {index + 1}</h3>
        <Field label="Reaches">
          <select value={value.name} onChange={(event) => set({ name: event.target.value, parameters: parametersOf(event.target.value, flag.key) })}>
            {RULES.filter(({ name }) => !OLDER.test(name) || name === value.name).map(({ name, text }) => <option key={name} value={name}>{text} ({name})</option>)}
            {!rule && <option value={value.name}>{value.name}</option>}
          </select>
        </Field>
        <span className="right buttons">
          <IconButton label={`Move strategy ${index + 1} up`} why={index === 0 ? "it is the first" : null} onClick={() => onMove(-1)}>↑</IconButton>
          <IconButton label={`Move strategy ${index + 1} down`} why={index === count - 1 ? "it is the last" : null} onClick={() => onMove(1)}>↓</IconButton>
          <button type="button" className="button small" aria-label={`Copy strategy ${index + 1}`} onClick={onCopy}>Copy</button>
          <button type="button" className="button small" aria-label={`Remove strategy ${index + 1}`} onClick={onRemove}>Remove</button>
        </span>
      </div>
      {(value.name === "flexibleRollout" || OLDER.test(value.name)) && <Share value={value} refusal={refusal} onChange={onChange} />}
      {rule?.list && (
        <ListInput label={rule.of!} hint="42" values={(value.parameters?.[rule.list] ?? "").split(",").map((one) => one.trim()).filter(Boolean)} invalid={refusal?.parameter === rule.list} onChange={(values) => set({ parameters: { ...value.parameters, [rule.list!]: values.join(",") } })} />
      )}
      {constraints.map((one, at) => (
        <ConstraintEditor key={at} value={one} index={at} refused={refusal?.constraint === at ? refusal.text : undefined} onChange={(next) => setConstraint(at, next)} onRemove={() => set({ constraints: constraints.filter((_, i) => i !== at) })} />
      ))}
      {chosen.length > 0 && (
        <ul className="chips" aria-label="Segments">
          {chosen.map((id) => {
            const name = segments.find((one) => one.id === id)?.name ?? String(id);
            return <li key={id} className="chip">in {name} <button type="button" className="button plain small" aria-label={`Remove segment ${name}`} onClick={() => set({ segments: chosen.filter((one) => one !== id) })}>×</button></li>;
          })}
        </ul>
      )}
      {((value.variants ?? []).length > 0 || refusal?.about === "variants") && (
        <VariantsEditor variants={value.variants ?? []} type={flag.value_type} own={false} label={`Variants of strategy ${index + 1}`} refusal={refusal?.variant !== undefined || refusal?.about === "variants" ? refusal : undefined} onChange={(variants) => set({ variants })} />
      )}
      <Refused>{here}</Refused>
      <div className="buttons">
        <button type="button" className="button small" onClick={() => set({ constraints: [...constraints, { contextName: "", operator: "IN", values: [] }] })}>Add a constraint</button>
        {free.length > 0 && (
          <select aria-label={`Add a segment to strategy ${index + 1}`} value="" onChange={(event) => set({ segments: [...chosen, Number(event.target.value)] })}>
            <option value="">Add a segment…</option>
            {free.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
          </select>
        )}
        {(value.variants ?? []).length === 0 && <button type="button" className="button small" onClick={() => set({ variants: [{ name: "a", weight: 1000, ...(flag.value_type === "bool" ? {} : { value: { string: "", int: 0, float: 0, object: {} }[flag.value_type] }) }] })}>Give it variants of its own</button>}
      </div>
    </section>
  );
}
