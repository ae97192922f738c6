import { useId, useState, type ReactElement } from "react";
import { flags } from "../../../api/endpoints";
import type { Flag } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { Copy, Time } from "../../../ui/basics";
import { Link } from "../../../router/Link";
import { Field } from "../../../ui/Field";
import { Section } from "../../../ui/Section";
import { KINDS, kindText } from "../kinds";
import { DEFAULT_PROJECT } from "../list/rows";
import { ProjectField } from "../ProjectField";
import { IconButton, ListInput, Refused } from "./inputs";
import { locate } from "./refusal";
import type { Editing } from "./useDraft";

interface Props {
  flag: Flag;
  editing: Editing;
  refused: string | null;
}

function Parents({ flag, editing, refused }: Props): ReactElement {
  const list = useId();
  const known = useQuery("flags:false", () => flags.summaries(false), { touches: ["flag."] }).data?.items ?? [];
  const { dependencies } = editing.draft;
  const set = (at: number, change: Partial<Flag["dependencies"][number]>): void => editing.change({ dependencies: dependencies.map((one, index) => (index === at ? { ...one, ...change } : one)) });
  return (
    <div className="stack tight" role="group" aria-label="Parents">
      <span className="label muted small">Parents: this flag is on only while all of them hold</span>
      <datalist id={list}>{known.filter(({ key }) => key !== flag.key).map(({ key }) => <option key={key} value={key} />)}</datalist>
      {dependencies.map((one, at) => (
        <div key={at} className="form-row upper">
          <Field label="Flag"><input list={list} className="short" spellCheck={false} value={one.feature} onChange={(event) => set(at, { feature: event.target.value })} /></Field>
          <Field label="Must be">
            <select value={one.enabled === false ? "off" : "on"} onChange={(event) => set(at, event.target.value === "off" ? { enabled: false, variants: [] } : { enabled: true })}>
              <option>on</option><option>off</option>
            </select>
          </Field>
          {one.enabled !== false && <Field label="With one of these variants"><input className="short" placeholder="any" value={(one.variants ?? []).join(", ")} onChange={(event) => set(at, { variants: event.target.value.split(",").map((name) => name.trim()).filter(Boolean) })} /></Field>}
          <IconButton label={`Remove parent ${one.feature}`} onClick={() => editing.change({ dependencies: dependencies.filter((_, index) => index !== at) })}>×</IconButton>
        </div>
      ))}
      <Refused>{refused}</Refused>
      <div><button type="button" className="button small" onClick={() => editing.change({ dependencies: [...dependencies, { feature: "", enabled: true }] })}>Add a parent</button></div>
    </div>
  );
}

/** What belongs to the flag itself: what it is for, who answers for it, how long it lives, what it hangs on. */
export function Details({ flag, editing, refused }: Props): ReactElement {
  const [open, setOpen] = useState(false);
  const { draft, change } = editing;
  const refusal = refused ? locate(refused, draft) : undefined;
  const parents = refusal?.about === "parents" ? refusal.text : null;
  const other = refusal && refusal.environment === undefined && !parents ? refusal.text : null;
  const shown = open || Boolean(parents ?? other);
  return (
    <Section title="Details" end={<button type="button" className="button small" aria-expanded={shown} onClick={() => setOpen(!shown)}>{shown ? "Close" : "Edit"}</button>}>
      {shown ? (
        <div className="panel pad stack tight">
          <Field label="Description"><input value={draft.description} maxLength={300} onChange={(event) => change({ description: event.target.value })} /></Field>
          <div className="form-row">
            <Field label="Kind">
              <select value={draft.kind} onChange={(event) => change({ kind: event.target.value as Flag["kind"] })}>
                {KINDS.map(({ name, text }) => <option key={name} value={name}>{text}</option>)}
              </select>
            </Field>
            <ProjectField value={draft.project} onChange={(project) => change({ project })} />
            <Field label="Owner"><input className="short" value={draft.owner} onChange={(event) => change({ owner: event.target.value })} /></Field>
            <Field label="Gone by"><input type="date" value={draft.expires_at?.slice(0, 10) ?? ""} onChange={(event) => change({ expires_at: event.target.value ? `${event.target.value}T00:00:00Z` : null })} /></Field>
          </div>
          <ListInput label="Tags" hint="team:photos" values={draft.tags} onChange={(tags) => change({ tags })} />
          <label className="inline"><input type="checkbox" checked={draft.impression_data} onChange={(event) => change({ impression_data: event.target.checked })} /> clients send an impression event for each answer</label>
          <Parents flag={flag} editing={editing} refused={parents} />
          <Refused>{other}</Refused>
        </div>
      ) : (
        <dl className="facts">
          <dt>Key</dt><dd><code>{flag.key}</code> <Copy text={flag.key} /></dd>
          <dt>Project</dt><dd><Link to={`/flags?project=${encodeURIComponent(flag.project || DEFAULT_PROJECT)}`}>{flag.project || DEFAULT_PROJECT}</Link></dd>
          <dt>Kind</dt><dd>{kindText(flag.kind)}</dd>
          <dt>Value</dt><dd>{flag.value_type}</dd>
          <dt>Owner</dt><dd>{flag.owner || "nobody"}</dd>
          <dt>Made</dt><dd><Time at={flag.created_at} /></dd>
          <dt>Gone by</dt><dd>{flag.expires_at ? <Time at={flag.expires_at} /> : "stays"}</dd>
          <dt>Last change</dt><dd><Time at={flag.updated_at} />{flag.updated_by && ` by ${flag.updated_by}`}</dd>
          {(flag.tags ?? []).length > 0 && <><dt>Tags</dt><dd>{(flag.tags ?? []).map((tag) => <span key={tag} className="tag">{tag}</span>)}</dd></>}
          {flag.dependencies.length > 0 && <><dt>Parents</dt><dd>{flag.dependencies.map((one) => <span key={one.feature}><Link to={`/flags/${encodeURIComponent(one.feature)}`}>{one.feature}</Link> {one.enabled === false ? "off" : "on"} </span>)}</dd></>}
        </dl>
      )}
    </Section>
  );
}
