import { useEffect, useRef, type ReactElement } from "react";
import { deploys } from "../../../api/endpoints";
import type { Deploy, Items } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { useNow } from "../../../lib/clock";
import { MINUTE_MS } from "../../../lib/time";
import { useParams } from "../../../router/router";
import { Empty } from "../../../ui/basics";
import { Loaded, Section } from "../../../ui/Section";
import { DeployFilters } from "./DeployFilters";
import { DeployRows } from "./DeployRows";
import { isFiltered, older, readFilters, toQuery } from "./filters";

/** The last answer stays on the page while the same filters are asked for more rows. */
function useKept<T>(about: string, data: T | undefined): T | undefined {
  const kept = useRef<{ about: string; data: T } | null>(null);
  useEffect(() => {
    if (data !== undefined) kept.current = { about, data };
  }, [about, data]);
  return data ?? (kept.current?.about === about ? kept.current.data : undefined);
}

/** Every deploy there was: who, when, what. All rows that were read are asked again when something happens, so none falls out between two pages. */
export function DeployLog(): ReactElement {
  const params = useParams();
  const filters = readFilters(params);
  const asked = toQuery(filters, useNow(MINUTE_MS));
  const about = JSON.stringify({ ...asked, limit: 0, from: filters.range || asked.from });
  const query = useQuery<Items<Deploy>>(`deploys:${JSON.stringify(asked)}`, () => deploys.list(asked), { touches: ["deploy."] });
  const data = useKept(about, query.data);
  const more = data && older(filters, data.items.length, data.next ?? null);
  const filtered = isFiltered(filters);
  const end = filters.before !== null && <button type="button" className="button small" onClick={() => params.set({ before: null, shown: null }, false)}>Back to the newest</button>;
  return (
    <Section title="Deploy log" end={end}>
      <DeployFilters filters={filters} params={params} />
      <Loaded query={{ ...query, data }}>
        {({ items }) =>
          items.length > 0 ? <DeployRows rows={items} /> : filtered || filters.before !== null ? (
            <Empty title={more ? "None of the 5,000 deploys that were searched matches." : "No deploy matches these filters."} />
          ) : (
            <Empty title="Nothing was deployed yet." command="tenfold deploy photos">Press Deploy above, or type the same in a terminal or the chat room.</Empty>
          )
        }
      </Loaded>
      {more && <div><button type="button" className="button" onClick={() => params.set(more, more.before === undefined)}>Older deploys</button></div>}
    </Section>
  );
}
