import type { ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Target } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import type { Look } from "../../lib/status";
import { duration } from "../../lib/time";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const HEALTH: Record<Target["health"], [Look, string]> = { up: ["ok", "Up"], down: ["critical", "Down"], unknown: ["unknown", "No data"] };

/** Host and port of a target; its instance is a name that outlives them. */
const address = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);

/** Where the numbers come from. */
export function Targets(): ReactElement {
  const query = useQuery("targets", graphs.targets, { everyMs: 15_000, touches: ["host.", "config."] });
  return (
    <Section title="Where the numbers come from">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing is scraped yet." command="echo 'hello:1|c' | nc -u -w0 127.0.0.1 8125">
              Name targets in the service's file, or send a counter over UDP (StatsD).
            </Empty>
          ) : (
            <TableWrap>
              <table className="stacks">
                <thead>
                  <tr><th scope="col">State</th><th scope="col">Job</th><th scope="col">Instance</th><th scope="col">Last scrape</th><th scope="col" className="number">Took</th><th scope="col">Error</th></tr>
                </thead>
                <tbody>
                  {items.map((target) => {
                    const [look, word] = HEALTH[target.health] ?? HEALTH.unknown;
                    return (
                      <tr key={`${target.pool}/${target.job}/${target.instance}/${target.url}`}>
                        <td className="fit"><Status look={look}>{word}</Status></td>
                        <td className="fit">{target.job}</td>
                        <td title={target.url}>{target.instance} <span className="muted">{address(target.url)}</span></td>
                        <td className="fit"><Time at={target.last_scrape} /></td>
                        <td className="number fit">{target.duration_ms === null || target.duration_ms === undefined ? "—" : duration(target.duration_ms)}</td>
                        <td className="wrap-any">{target.error}</td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </TableWrap>
          )
        }
      </Loaded>
    </Section>
  );
}
