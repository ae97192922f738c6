import type { ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Lock } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Loaded } from "../../ui/Section";
import { isFor, lockWord } from "./locks";

/** A lock has an owner, a reason and an end. */
export function LockLine({ lock }: { lock: Lock }): ReactElement {
  const { busy, run } = useAction("lock.");
  const now = useNow(5_000);
  const later = lock.from && Date.parse(lock.from) > now ? lock.from : null;
  const what = lock.service === "*" ? `Everything in ${lock.environment}` : lock.service;
  return (
    <p className="buttons">
      <Status look={later ? "quiet" : "warning"}>{later ? "Freeze to come" : lockWord(lock)}</Status>
      <span>
        {lock.service === "*" && <><span className="tag">all services</span>{" "}</>}
        by {lock.owner_name} <Time at={lock.created_at} />: {lock.reason}
        <span className="muted">{later && <>, from <Time at={later} show="stamp" /></>}, until <Time at={lock.expires_at} show="stamp" /></span>
      </span>
      <ActionButton small busy={busy} onClick={() => void run(() => deploys.unlock(lock.id), `${what} is open again.`)}>{lock.kind === "lock" ? "Unlock" : "End"}</ActionButton>
    </p>
  );
}

/** All that keep somebody out of this service now, or will. */
export function LocksOf({ service, environment }: { service: string; environment: string }): ReactElement {
  const query = useQuery("locks", deploys.locks, { touches: ["lock."], everyMs: 60_000 });
  return (
    <Loaded query={query}>
      {({ items }) => {
        const own = items.filter((lock) => isFor(lock, service, environment));
        if (own.length === 0) return <p className="muted">Nobody is kept out.</p>;
        return <ul className="stack tight" aria-label={`Locks of ${service} in ${environment}`}>{own.map((lock) => <li key={lock.id}><LockLine lock={lock} /></li>)}</ul>;
      }}
    </Loaded>
  );
}
