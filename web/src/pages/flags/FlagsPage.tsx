import { useDeferredValue, useEffect, useMemo, useRef, useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagRequest, FlagSummary } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { count, plural } from "../../lib/units";
import { useParams } from "../../router/router";
import { Empty } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame } from "../../ui/Section";
import { CreateFlag } from "./CreateFlag";
import { FlagNav } from "./FlagNav";
import { FlagTable } from "./list/FlagTable";
import { projectsOf, rows, type Filters } from "./list/rows";
import { KINDS } from "./kinds";

/** Asking again for five thousand rows at every flip would be a waste while a script flips many. */
const REFRESH_MS = 15_000;
const NONE: readonly FlagRequest[] = [];

function useSlash(box: React.RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("[role=dialog]")) return;
      if (event.target instanceof HTMLElement && ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)) return;
      event.preventDefault();
      box.current?.focus();
      box.current?.select();
    };
    // Before the page's own keys, for which `/` searches the record.
    window.addEventListener("keydown", press, { capture: true });
    return () => window.removeEventListener("keydown", press, { capture: true });
  }, [box]);
}

interface ListProps {
  items: FlagSummary[];
  environments: string[];
  waiting: readonly FlagRequest[];
  filters: Filters;
  archived: boolean;
}

function List({ items, environments, waiting, filters, archived }: ListProps): ReactElement {
  const now = useNow(60_000);
  const wanted = useDeferredValue(filters);
  const shown = useMemo(() => rows(items, wanted, now), [items, wanted, now]);
  const params = useParams();
  if (items.length === 0) {
    return archived ? (
      <Empty title="Nothing is archived.">A flag whose code is gone is archived on its page; its history stays.</Empty>
    ) : (
      <Empty title="No flag yet." command="tenfold flag create new_checkout --kind release --description 'The checkout in one page'">
        A flag switches code on and off without a deploy. Make the first one with New flag, or with:
      </Empty>
    );
  }
  return (
    <>
      <p className="muted" role="status">
        {shown.length === items.length ? plural(items.length, "flag") : `${count(shown.length)} of ${plural(items.length, "flag")}`}
        {shown.length !== items.length && <> <button type="button" className="button plain small" onClick={() => params.set({ q: null, kind: null, project: null, owner: null, state: null, stale: null })}>Show all</button></>}
      </p>
      {shown.length === 0 ? <Empty title="No flag matches." /> : <FlagTable flags={shown} environments={environments} inProjects={projectsOf(items).length > 1} waiting={waiting} sort={wanted.sort} archived={archived} />}
    </>
  );
}

export default function FlagsPage(): ReactElement {
  const params = useParams();
  const [creating, setCreating] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  useSlash(search);
  const archived = params.get("archived") === "1";
  const query = useQuery(`flags:${archived}`, () => flags.summaries(archived), { touches: ["flag."], everyMs: REFRESH_MS });
  // Without an answer the rows stand without this mark; a flag's own page says it as well.
  const waiting = useQuery("requests:pending", () => flags.requests({ state: "pending" }), { touches: ["flag."] }).data?.items ?? NONE;
  const [q, kind, project, owner, state, stale, sort] = [params.get("q"), params.get("kind"), params.get("project"), params.get("owner"), params.get("state"), params.get("stale") === "1", params.get("sort")];
  const filters = useMemo<Filters>(() => ({ q, kind, project, owner, state, stale, sort }), [q, kind, project, owner, state, stale, sort]);
  const environments = query.data?.environments ?? [];
  const owners = useMemo(() => [...new Set(query.data?.items.map((flag) => flag.owner).filter(Boolean) ?? [])].sort(), [query.data]);
  const projects = useMemo(() => projectsOf(query.data?.items ?? [], project), [query.data, project]);
  const create = <button type="button" className="button primary" onClick={() => setCreating(true)}>New flag</button>;
  return (
    <PageFrame title="Flags" actions={create}>
      <FlagNav />
      <div className="filters" role="search" aria-label="Flags">
        <Field label="Search  /">
          <input ref={search} type="search" value={q} placeholder="key, words, owner" onChange={(event) => params.set({ q: event.target.value })} />
        </Field>
        {projects.length > 1 && (
          <Field label="Project">
            <select value={project} onChange={(event) => params.set({ project: event.target.value })}>
              <option value="">all</option>
              {projects.map((name) => <option key={name}>{name}</option>)}
            </select>
          </Field>
        )}
        <Field label="Kind">
          <select value={kind} onChange={(event) => params.set({ kind: event.target.value })}>
            <option value="">all</option>
            {KINDS.map(({ name, text }) => <option key={name} value={name}>{text}</option>)}
          </select>
        </Field>
        <Field label="Owner">
          <select value={owner} onChange={(event) => params.set({ owner: event.target.value })}>
            <option value="">anybody</option>
            {owners.map((name) => <option key={name}>{name}</option>)}
          </select>
        </Field>
        <Field label="State">
          <select value={state} onChange={(event) => params.set({ state: event.target.value })}>
            <option value="">any</option>
            {environments.map((name) => (
              <optgroup key={name} label={name}>
                <option value={`${name}:on`}>on in {name}</option>
                <option value={`${name}:partly`}>on for some in {name}</option>
                <option value={`${name}:ramping`}>ramping in {name}</option>
                <option value={`${name}:off`}>off in {name}</option>
              </optgroup>
            ))}
          </select>
        </Field>
        <div className="chips">
          <button type="button" className="chip" aria-pressed={stale} onClick={() => params.set({ stale: stale ? null : "1" })}>Stale</button>
          <button type="button" className="chip" aria-pressed={archived} onClick={() => params.set({ archived: archived ? null : "1" })}>Archived</button>
        </div>
      </div>
      <Loaded query={query}>{({ items }) => <List items={items} environments={environments} waiting={waiting} filters={filters} archived={archived} />}</Loaded>
      <CreateFlag key={project} open={creating} onClose={() => setCreating(false)} project={project} taken={query.data?.items.map(({ key }) => key) ?? []} />
    </PageFrame>
  );
}
