import { useState, type ReactElement } from "react";
import { record } from "../../api/endpoints";
import type { ChainCheck } from "../../api/types";
import { plural } from "../../lib/units";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status } from "../../ui/basics";
import { Section } from "../../ui/Section";

/** What runs here, and whether the record is whole. */
export function About(): ReactElement {
  const { version, demo } = useSession();
  const [check, setCheck] = useState<ChainCheck | null>(null);
  const { busy, run } = useAction();
  return (
    <>
      <Section title="About">
        <dl className="facts">
          <dt>Version</dt><dd>tenfold {version}</dd>
          <dt>Mode</dt><dd>{demo ? "demo: signs in by itself, on this machine only" : "normal"}</dd>
          <dt>API</dt><dd><a href="/api/openapi.json">/api/openapi.json</a></dd>
          <dt>Own metrics</dt><dd><a href="/metrics">/metrics</a></dd>
        </dl>
      </Section>
      <Section title="The record">
        <p>Each row holds the hash of the row before it. A changed or missing row breaks the chain from there on.</p>
        <div><ActionButton busy={busy} onClick={() => void run(record.verify).then((result) => result && setCheck(result))}>Check the whole chain</ActionButton></div>
        {check && (
          <p role="status">
            {check.ok ? <Status look="ok">Whole</Status> : <Status look="critical">Broken at row {check.first_broken ?? "unknown"}</Status>}{" "}
            <span className="muted">{plural(check.checked, "row")} checked</span>
          </p>
        )}
      </Section>
    </>
  );
}
