import { useState, type ReactElement } from "react";
import type { DashboardLink, DashboardMark } from "../../api/types";
import { Field } from "../../ui/Field";

interface MarksProps {
  marks: DashboardMark[];
  onChange: (marks: DashboardMark[]) => void;
}

/** Queries whose values are marked on every graph of a dashboard. */
export function MarkForm({ marks, onChange }: MarksProps): ReactElement {
  const [name, setName] = useState("");
  const [expr, setExpr] = useState("");
  const [title, setTitle] = useState("");
  const why = !name.trim() || !expr.trim() ? "Marks have a name and a query." : marks.some((one) => one.name === name.trim()) ? "There are marks of this name." : null;
  const add = (): void => {
    if (why) return;
    onChange([...marks, { name: name.trim(), expr: expr.trim(), ...(title.trim() ? { title: title.trim() } : {}) }]);
    [setName, setExpr, setTitle].forEach((set) => set(""));
  };
  return (
    <details>
      <summary>Marks by queries ({marks.length})</summary>
      <ul className="stack">
        {marks.map((mark) => (
          <li key={mark.name} className="form-row">
            <span>{mark.name}</span>
            <code className="wrap-any">{mark.expr}</code>
            <button type="button" className="button small" aria-label={`Remove the marks ${mark.name}`} onClick={() => onChange(marks.filter((one) => one !== mark))}>Remove</button>
          </li>
        ))}
      </ul>
      <div className="form-row">
        <Field label="Name of the marks"><input value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Marked where this is not 0" hint="changes(process_start_time_seconds[5m]) > 0"><input value={expr} size={40} onChange={(event) => setExpr(event.target.value)} /></Field>
        <Field label="Words" hint="{{instance}} stands for a label"><input value={title} onChange={(event) => setTitle(event.target.value)} /></Field>
        <button type="button" className="button" aria-disabled={Boolean(why) || undefined} title={why ?? undefined} onClick={add}>Add marks</button>
      </div>
    </details>
  );
}

interface LinksProps {
  links: DashboardLink[];
  /** Whose they are, behind "Links of". */
  of: string;
  onChange: (links: DashboardLink[]) => void;
}

/** Where a dashboard or a panel leads. */
export function LinkForm({ links, of, onChange }: LinksProps): ReactElement {
  const [title, setTitle] = useState("");
  const [to, setTo] = useState("");
  const [keeps, setKeeps] = useState(true);
  const good = /^(?:https?:\/\/|\/(?![/\\]))/.test(to.trim());
  const why = !title.trim() ? "A link has a title." : good ? null : "A link leads to a path like /graphs/nodes, or to https://.";
  const add = (): void => {
    if (why) return;
    onChange([...links, { title: title.trim(), to: to.trim(), ...(keeps && to.trim().startsWith("/") ? { keeps_range: true } : {}) }]);
    setTitle("");
    setTo("");
  };
  return (
    <details>
      <summary>Links of {of} ({links.length})</summary>
      <ul className="stack">
        {links.map((link, at) => (
          <li key={at} className="form-row">
            <span>{link.title}</span>
            <code className="wrap-any">{link.to}</code>
            <button type="button" className="button small" aria-label={`Remove the link ${link.title}`} onClick={() => onChange(links.filter((one) => one !== link))}>Remove</button>
          </li>
        ))}
      </ul>
      <div className="form-row">
        <Field label="Words of the link"><input value={title} onChange={(event) => setTitle(event.target.value)} /></Field>
        <Field label="Leads to" hint="/graphs/nodes?var-job=$job, or https://"><input value={to} size={40} onChange={(event) => setTo(event.target.value)} /></Field>
        <label className="inline"><input type="checkbox" checked={keeps} onChange={(event) => setKeeps(event.target.checked)} /> keeps the range</label>
        <button type="button" className="button" aria-disabled={Boolean(why) || undefined} title={why ?? undefined} onClick={add}>Add a link</button>
      </div>
    </details>
  );
}
