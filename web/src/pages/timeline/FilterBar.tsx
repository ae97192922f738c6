import { useEffect, useRef, useState, type FormEvent, type ReactElement } from "react";
import { people, services } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import type { Params } from "../../router/router";
import { Field } from "../../ui/Field";
import { KINDS, WINDOWS, type Filters } from "./filters";

/** Every filter is in the address, so that a view can be sent to somebody. */
export function FilterBar({ filters, params }: { filters: Filters; params: Params }): ReactElement {
  const [text, setText] = useState(filters.q);
  const box = useRef<HTMLInputElement>(null);
  const serviceList = useQuery("services", services.list, { touches: ["service."] });
  const personList = useQuery("people", people.list, { touches: ["person."] });
  const wantsFocus = params.get("focus") === "q";

  useEffect(() => setText(filters.q), [filters.q]);
  useEffect(() => {
    if (wantsFocus) box.current?.focus();
  }, [wantsFocus]);

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    params.set({ q: text.trim(), focus: null }, false);
  };
  const toggle = (prefix: string): void => {
    const kinds = filters.kinds.includes(prefix) ? filters.kinds.filter((kind) => kind !== prefix) : [...filters.kinds, prefix];
    params.set({ kind: kinds.join(",") }, false);
  };

  return (
    <div className="stack">
      <form className="filters" onSubmit={submit} role="search" aria-label="Filter the record">
        <Field label="Text">
          <input ref={box} type="search" value={text} placeholder="words, a commit, a host" onChange={(event) => setText(event.target.value)} />
        </Field>
        <Field label="Service">
          <select value={filters.service} onChange={(event) => params.set({ service: event.target.value }, false)}>
            <option value="">all</option>
            {serviceList.data?.items.map(({ name }) => <option key={name}>{name}</option>)}
          </select>
        </Field>
        <Field label="Who">
          <select value={filters.actor} onChange={(event) => params.set({ actor: event.target.value }, false)}>
            <option value="">everybody</option>
            {personList.data?.items.map(({ login }) => <option key={login}>{login}</option>)}
            <option value="tenfold">tenfold itself</option>
          </select>
        </Field>
        <Field label="Time">
          <select value={filters.window} onChange={(event) => params.set({ window: event.target.value, from: null, to: null }, false)}>
            <option value="">{filters.fromMs && !filters.window ? "chosen hours" : "all"}</option>
            {WINDOWS.map(({ name, text: label }) => <option key={name} value={name}>last {label}</option>)}
          </select>
        </Field>
        <button type="submit" className="button">Search</button>
      </form>
      <div className="chips" role="group" aria-label="Kinds">
        {KINDS.map(({ prefix, text: label }) => (
          <button key={prefix} type="button" className="chip" aria-pressed={filters.kinds.includes(prefix)} onClick={() => toggle(prefix)}>{label}</button>
        ))}
      </div>
    </div>
  );
}
