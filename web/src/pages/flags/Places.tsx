import type { ReactElement } from "react";
import { flagLife, type Place } from "../../api/flagLife";
import { useQuery } from "../../api/useQuery";
import { Command, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

const SHOWN_MAX = 50;

export function PlaceList({ places, withKey }: { places: Place[]; withKey?: boolean }): ReactElement {
  const more = places.length - SHOWN_MAX;
  return (
    <ul>
      {places.slice(0, SHOWN_MAX).map((place) => (
        <li key={`${place.key}:${place.path}:${place.line}`}>
          {withKey && <><strong>{place.key}</strong> </>}
          <code>{place.path}:{place.line}</code>
        </li>
      ))}
      {more > 0 && <li className="muted">and {more} more</li>}
    </ul>
  );
}

/** Where the source names a flag, as the last scan of each repository found it. */
export function Places({ flag }: { flag: string }): ReactElement {
  const query = useQuery(`flag:${flag}:places`, () => flagLife.places(flag), { touches: ["flags.scanned"] });
  return (
    <Section title="In the source">
      <Loaded query={query}>
        {({ items, repos }) => repos === 0 ? (
          <><p className="muted">No repository was scanned yet.</p><Command text="tenfold flag scan ." /></>
        ) : items.length === 0 ? (
          <p className="muted">None of {repos} scanned {repos === 1 ? "repository" : "repositories"} names it.</p>
        ) : (
          items.map((repo) => (
            <div key={repo.repo} className="stack">
              <p className="muted">{repo.repo}{repo.commit ? ` at ${repo.commit.slice(0, 8)}` : ""}, scanned <Time at={repo.scanned_at} /></p>
              <PlaceList places={repo.places} />
            </div>
          ))
        )}
      </Loaded>
    </Section>
  );
}
