import type { ReactElement } from "react";
import { flagLife } from "../../api/flagLife";
import { useQuery } from "../../api/useQuery";
import { Link } from "../../router/Link";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { FlagNav } from "./FlagNav";
import { PlaceList } from "./Places";

/** Flags that look finished and why, keys that code asks for in vain, and flags that no code names. */
export default function StalePage(): ReactElement {
  const query = useQuery("flags:stale", flagLife.stale, { touches: ["flag.", "flags."] });
  return (
    <PageFrame title="Had their day">
      <FlagNav />
      <p className="muted">A flag that nobody removes is a branch that nobody tests. Take its code out, then archive it on its page; nothing is removed by itself.</p>
      <Loaded query={query}>
        {(stale) => (
          <>
            {stale.items.length === 0 ? <Empty title="No flag looks finished." command="tenfold flag scan .">A scan of a repository tells which flags the source still names.</Empty> : (
              <TableWrap>
                <table className="stacks">
                  <thead><tr><th scope="col">Flag</th><th scope="col">Why</th><th scope="col">Kind</th><th scope="col">Owner</th><th scope="col" className="num">In source</th></tr></thead>
                  <tbody>
                    {stale.items.map((flag) => (
                      <tr key={flag.key}>
                        <td><Link className="strong" to={`/flags/${encodeURIComponent(flag.key)}`}>{flag.key}</Link></td>
                        <td><Status look="warning">{flag.text}</Status></td>
                        <td className="fit">{flag.kind.replace("_", " ")}</td>
                        <td className="fit">{flag.owner || "nobody"}</td>
                        <td className="fit num">{flag.places === undefined || flag.places === null ? "not scanned" : `${flag.places} ${flag.places === 1 ? "place" : "places"}`}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </TableWrap>
            )}
            {stale.ownerless.length > 0 && (
              <Section title="Owned by nobody here">
                <ul>{stale.ownerless.map((flag) => <li key={flag.key}><Link to={`/flags/${encodeURIComponent(flag.key)}`}>{flag.key}</Link>: {flag.text}</li>)}</ul>
              </Section>
            )}
            {stale.unknown.length > 0 && (
              <Section title="Asked for, and not there">
                {stale.unknown.map((repo) => (
                  <div key={repo.repo} className="stack">
                    <p className="muted">{repo.repo}, scanned <Time at={repo.scanned_at} /></p>
                    <PlaceList places={repo.places} withKey />
                  </div>
                ))}
              </Section>
            )}
            {stale.unused.length > 0 && (
              <Section title="Named by no source">
                <ul>{stale.unused.map((key) => <li key={key}><Link to={`/flags/${encodeURIComponent(key)}`}>{key}</Link></li>)}</ul>
              </Section>
            )}
          </>
        )}
      </Loaded>
    </PageFrame>
  );
}
