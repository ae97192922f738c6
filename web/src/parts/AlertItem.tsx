import { useCallback, useMemo, type ReactElement } from "react";
import { useLines } from "../charts/useLines";
import { useMovingRange } from "../charts/range";
import type { Series } from "../api/promql";
import type { Alert } from "../api/types";
import { alertLook } from "../lib/status";
import { format, plural } from "../lib/units";
import { useOnScreen } from "../lib/useOnScreen";
import { lastValue } from "../charts/summary";
import { Link } from "../router/Link";
import { Status, Time } from "../ui/basics";
import { Sparkline } from "../ui/Sparkline";
import { ownSeries } from "./alertGraph";
import { tellingLabels } from "./alertLabels";
import { Suspects } from "./Suspects";

function LastHour({ expr, labels }: { expr: string; labels: Alert["labels"] }): ReactElement {
  const range = useMovingRange("1h");
  const queries = useMemo(() => [{ expr }], [expr]);
  const keep = useCallback((series: Series[]) => ownSeries(series, labels), [labels]);
  const { lines } = useLines(queries, range, keep);
  const values = lines[0]?.values ?? [];
  return <Sparkline values={values} label={`Last hour, now ${format(lastValue(values), "short")}`} />;
}

/** A storm lists more alerts than anybody sees, and each line is a question to the server. */
function SeenHour({ expr, labels }: { expr: string; labels: Alert["labels"] }): ReactElement {
  const [ref, seen] = useOnScreen();
  return <span ref={ref} className="spark-box">{seen && <LastHour expr={expr} labels={labels} />}</span>;
}

const SUSPECTS_MAX = 3;

/** One alert: what, since when, the last hour, who has it, and the changes before it. */
export function AlertItem({ alert, spark = true }: { alert: Alert; spark?: boolean }): ReactElement {
  const [look, word] = alertLook(alert);
  const labels = tellingLabels(alert);
  return (
    <li className="alert">
      <Status look={look}>{word}</Status>
      <span>
        <Link className="strong" to={`/alerts/${encodeURIComponent(alert.fingerprint)}`}>{alert.summary || alert.rule}</Link>{" "}
        {labels && <><bdi className="mono">{labels}</bdi>{" "}</>}
        <span className="muted">
          since <Time at={alert.fired_at ?? alert.active_since} show="both" />
          {alert.acknowledged_by && `, ${alert.acknowledged_by} has it`}
          {alert.muted_by && ", muted"}
          {alert.flapping && (alert.flapping.over_since ? ", flapping, over for now" : ", flapping")}
          {alert.incident && <>, <Link to={`/incidents/${alert.incident}`}>incident {alert.incident}</Link></>}
        </span>
      </span>
      {spark && alert.graph ? <SeenHour expr={alert.graph.expr} labels={alert.labels} /> : <span />}
      {alert.suspects.length > 0 && alert.state !== "resolved" && (
        <div className="detail">
          <Suspects suspects={alert.suspects} service={alert.service} environment={alert.environment} most={SUSPECTS_MAX} />
        </div>
      )}
    </li>
  );
}

/** That there are more than are listed; with `open`, a button that lists them. */
export function MoreAlerts({ count, open, of }: { count: number; open?: () => void; of?: string }): ReactElement | null {
  if (count <= 0) return null;
  const text = `and ${plural(count, "more alert")}`;
  if (!open) return <p className="muted">{text}</p>;
  return <p><button type="button" className="button small" onClick={open} aria-label={`${text}${of ? ` of ${of}` : ""}: list them`}>{text}</button></p>;
}
