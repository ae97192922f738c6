import type { ReactElement } from "react";
import type { FlagEnvironment } from "../../api/types";
import { count, format } from "../../lib/units";
import { Section } from "../../ui/Section";

/** How often clients asked, and what they were told. */
export function Usage({ state }: { state: FlagEnvironment }): ReactElement {
  const usage = state.usage;
  const total = usage ? usage.yes + usage.no : 0;
  return (
    <Section title="Asked by clients">
      {!usage || total === 0 ? (
        <p className="muted">No client has reported yet.</p>
      ) : (
        <dl className="facts">
          <dt>On</dt><dd>{count(usage.yes)} <span className="muted">({format(usage.yes / total, "ratio")})</span></dd>
          <dt>Off</dt><dd>{count(usage.no)}</dd>
          {Object.entries(usage.by_variant ?? {}).map(([name, n]) => (
            <div key={name} style={{ display: "contents" }}><dt>{name}</dt><dd>{count(n)}</dd></div>
          ))}
        </dl>
      )}
    </Section>
  );
}
