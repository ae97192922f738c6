import { useState, type ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { ImportedDashboard } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { navigate } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";

const FILE_BYTES_MAX = 4 << 20;

/** Takes in a dashboard of Grafana: first what would become of it, then in earnest. */
export function ImportDialog({ onClose }: { onClose: () => void }): ReactElement {
  const [document, setDocument] = useState<Record<string, unknown> | null>(null);
  const [problem, setProblem] = useState("");
  const [seen, setSeen] = useState<ImportedDashboard | null>(null);
  const action = useAction("dashboard.");
  const choose = async (file: File | undefined): Promise<void> => {
    setSeen(null);
    setProblem("");
    if (!file) return;
    if (file.size > FILE_BYTES_MAX) {
      setProblem("The file is larger than 4 MiB.");
      return;
    }
    try {
      const read = JSON.parse(await file.text()) as Record<string, unknown>;
      setDocument(read);
      setSeen((await action.run(() => graphs.importDashboard(read, true))) ?? null);
    } catch {
      setProblem("The file is not JSON: in Grafana, use Export, Export as JSON.");
    }
  };
  const save = async (): Promise<void> => {
    if (!document) return;
    const made = await action.run(() => graphs.importDashboard(document, false), ({ dashboard }) => `The dashboard ${dashboard.name} is there.`);
    if (made) {
      onClose();
      navigate(`/graphs/${encodeURIComponent(made.dashboard.name)}`);
    }
  };
  return (
    <Dialog open onClose={onClose} title="Import from Grafana">
      <div className="stack">
        <Field label="Exported dashboard (JSON)"><input type="file" accept=".json,application/json" onChange={(event) => void choose(event.target.files?.[0])} /></Field>
        {problem && <p className="form-error">{problem}</p>}
        {seen && (
          <>
            <p><strong>{seen.dashboard.title}</strong> becomes <code>{seen.dashboard.name}</code>: {seen.dashboard.panels.length} panels, {seen.dashboard.variables?.length ?? 0} variables.</p>
            {seen.report.length > 0 && <ul className="report">{seen.report.map((line, index) => <li key={index}>{line}</li>)}</ul>}
            <ActionButton look="primary" busy={action.busy} onClick={() => void save()}>Import</ActionButton>
          </>
        )}
      </div>
    </Dialog>
  );
}
