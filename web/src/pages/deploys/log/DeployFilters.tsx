import { useEffect, useId, useState, type FormEvent, type ReactElement } from "react";
import { people, services } from "../../../api/endpoints";
import { useQuery } from "../../../api/useQuery";
import { toLocalInput } from "../../../lib/time";
import type { Params } from "../../../router/router";
import { Field } from "../../../ui/Field";
import { BETWEEN, changed, isFiltered, NAMES, RANGES, STATES, type Filters, type Name } from "./filters";

type Typed = "actor" | "commit" | "q";
const TYPED: Typed[] = ["actor", "commit", "q"];
/** What the server takes for the beginning of a commit. */
const COMMIT = "[0-9a-fA-F]{4,64}";

const local = (instant: string): string => (instant ? toLocalInput(Date.parse(instant)) : "");
const utc = (text: string): string => (text ? new Date(text).toISOString() : "");

/** Every filter is in the address, so that a view can be sent to somebody. What is typed counts when it is entered. */
export function DeployFilters({ filters, params }: { filters: Filters; params: Params }): ReactElement {
  const names = useQuery("services", services.list, { touches: ["service."] });
  const logins = useQuery("people", people.list, { touches: ["person."] });
  const [typed, setTyped] = useState<Record<Typed, string>>(filters);
  const list = useId();
  useEffect(() => setTyped({ actor: filters.actor, commit: filters.commit, q: filters.q }), [filters.actor, filters.commit, filters.q]);
  const set = (name: Name, value: string): void => params.set(changed(name, value), false);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    params.set(Object.assign({}, ...TYPED.map((name) => changed(name, typed[name].trim()))) as Record<string, string | null>, false);
  };
  const choice = (name: Name, label: string, options: ReactElement | (ReactElement | undefined)[]): ReactElement => (
    <Field label={label}>
      <select value={filters[name]} onChange={(event) => set(name, event.target.value)}>
        <option value="">all</option>
        {options}
      </select>
    </Field>
  );
  const text = (name: Typed) => ({ value: typed[name], onChange: (event: { target: { value: string } }) => setTyped({ ...typed, [name]: event.target.value }) });
  const environments = [...new Set(names.data?.items.flatMap((item) => item.environments) ?? [])];
  return (
    <form className="filters" onSubmit={submit} role="search" aria-label="Filter the deploy log">
      {choice("service", "Service", (names.data?.items ?? []).map(({ name }) => <option key={name}>{name}</option>))}
      {choice("environment", "Environment", environments.map((name) => <option key={name}>{name}</option>))}
      {choice("state", "State", STATES.map(({ group, states }) => (
        <optgroup key={group} label={group}>{states.map(({ name, text: word }) => <option key={name} value={name}>{word}</option>)}</optgroup>
      )))}
      {choice("kind", "Kind", [<option key="deploy" value="deploy">deploys</option>, <option key="rollback" value="rollback">rollbacks</option>])}
      {choice("range", "Time", [...RANGES.map(({ name, text: word }) => <option key={name} value={name}>{word}</option>), <option key={BETWEEN} value={BETWEEN}>between…</option>])}
      {filters.range === BETWEEN && (
        <>
          <Field label="From"><input type="datetime-local" value={local(filters.from)} onChange={(event) => set("from", utc(event.target.value))} /></Field>
          <Field label="To"><input type="datetime-local" value={local(filters.to)} onChange={(event) => set("to", utc(event.target.value))} /></Field>
        </>
      )}
      <Field label="Who"><input className="short" list={list} placeholder="login or robot" {...text("actor")} /></Field>
      <datalist id={list}>{logins.data?.items.map(({ login, name }) => <option key={login} value={login}>{name}</option>)}</datalist>
      <Field label="Commit"><input className="short mono" pattern={COMMIT} title="4 or more of the digits 0-9 and a-f" placeholder="4f2c91a" {...text("commit")} /></Field>
      <Field label="Text"><input type="search" maxLength={200} placeholder="messages, authors, reasons" {...text("q")} /></Field>
      <button type="submit" className="button">Search</button>
      {isFiltered(filters) && (
        <button type="button" className="button plain" onClick={() => params.set(Object.fromEntries([...NAMES, "before", "shown"].map((name) => [name, null])), false)}>Clear</button>
      )}
    </form>
  );
}
