import type { ReactElement } from "react";
import { graphs } from "../../../api/endpoints";
import type { StoreView } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { duration } from "../../../lib/time";
import { format, plural } from "../../../lib/units";
import { Problem, Status, Time } from "../../../ui/basics";
import { Loaded, Section } from "../../../ui/Section";
import { TableWrap } from "../../../ui/TableWrap";

const EVERY_MS = 30_000;

function Size({ view }: { view: StoreView }): ReactElement {
  const bytes = view.block_bytes + view.coarse_bytes + view.log_bytes;
  const most = view.retention_bytes_max;
  return (
    <p>
      {format(bytes, "bytes")}{most ? ` of at most ${format(most, "bytes")}` : ""} on the disk, kept for {plural(view.retention_days, "day")}; the oldest sample is of <Time at={view.oldest_at} show="stamp" />.{" "}
      {view.out_of_order_ms > 0 ? `Samples may come late by ${duration(view.out_of_order_ms)}.` : "Samples must come in order."}
    </p>
  );
}

/** Files that failed their checksum, and what to do. */
function Damaged({ view }: { view: StoreView }): ReactElement {
  return (
    <>
      <p><Status look="critical">{view.quarantined_count === 1 ? "A damaged file was moved aside" : `${plural(view.quarantined_count, "damaged file")} were moved aside`}</Status></p>
      {view.quarantine_advice && <p>{view.quarantine_advice}</p>}
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">File</th><th scope="col">Moved</th><th scope="col" className="number">Size</th></tr></thead>
          <tbody>
            {view.quarantined.map((file) => (
              <tr key={file.name}><td className="wrap-any"><code>{file.path}</code></td><td className="fit"><Time at={file.moved_at} show="both" /></td><td className="number fit">{format(file.bytes, "bytes")}</td></tr>
            ))}
          </tbody>
        </table>
      </TableWrap>
    </>
  );
}

/** How the store of samples is doing. */
export function Store(): ReactElement {
  const query = useQuery("metric-store", graphs.store, { everyMs: EVERY_MS, touches: ["metrics."] });
  return (
    <Section title="Store">
      <Loaded query={query}>
        {(view) => (
          <>
            {view.trouble && <Problem message={view.trouble} />}
            <Size view={view} />
            {view.quarantined_count > 0 && <Damaged view={view} />}
          </>
        )}
      </Loaded>
    </Section>
  );
}
