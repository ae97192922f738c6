import type { ReactElement, ReactNode } from "react";
import type { Now, OnCall } from "../api/types";
import { figureText, rowsAddress } from "../lib/figures";
import { Link } from "../router/Link";
import { Status, Time } from "../ui/basics";
import { plural, shortSha } from "../lib/units";
import { useNowQuery } from "./useNowQuery";
import { useWatched } from "./useWatched";

const KIND: Record<string, string> = { developer: "dev", operator: "ops" };

function who(onCall: OnCall): string {
  if (!onCall.person) return "nobody";
  const first = `${onCall.person.login} (${KIND[onCall.person.kind] ?? onCall.person.kind})`;
  return onCall.secondary ? `${first} → ${onCall.secondary.login} (${KIND[onCall.secondary.kind] ?? onCall.secondary.kind})` : first;
}

function Fact({ name, children, wide }: { name: string; children: ReactNode; wide?: boolean }): ReactElement {
  return (
    <div className={wide ? "wide" : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function OnCallNow({ now }: { now: Now }): ReactElement {
  const [first] = now.on_call;
  if (!first) return <Link to="/on-call">no schedule yet</Link>;
  const more = now.on_call.length - 1;
  return (
    <Link to="/on-call" title={now.on_call.map((entry) => `${entry.schedule}: ${who(entry)}`).join("\n")}>
      {first.person ? who(first) : <Status look="warning">nobody</Status>}
      {more > 0 && <span className="muted"> +{more}</span>}
    </Link>
  );
}

function LastDeploy({ now }: { now: Now }): ReactElement {
  const deploy = now.last_deploy;
  if (!deploy) return <Link to="/deploys">none yet</Link>;
  return (
    <Link to={`/deploys/${deploy.number}`}>
      {deploy.service} {shortSha(deploy.to_sha)} by {deploy.actor_name}, <Time at={deploy.finished_at ?? deploy.started_at} />
    </Link>
  );
}

function Firing({ now }: { now: Now }): ReactElement {
  const { critical, warning, unknown } = now.firing;
  const watched = useWatched();
  const open = now.incidents.filter(({ state }) => state === "open").length;
  return (
    <span className="looks">
      {open > 0 && <Link to="/incidents"><Status look="critical">{plural(open, "open incident")}</Status></Link>}
      <Link to="/alerts" className="looks">
        {critical > 0 && <Status look="critical">{critical} critical</Status>}
        {warning > 0 && <Status look="warning">{warning} warning</Status>}
        {unknown > 0 && <Status look="unknown">{unknown} no data</Status>}
        {open + critical + warning + unknown === 0 && (watched === false ? <Status look="unknown">no rule watches</Status> : <Status look="ok">nothing</Status>)}
      </Link>
    </span>
  );
}

/** The same five facts on every page. */
export function HeaderStrip(): ReactElement {
  const { data: now } = useNowQuery();
  return (
    <section aria-label="At a glance">
      <dl className="strip">
        <Fact name="On call now">{now ? <OnCallNow now={now} /> : "…"}</Fact>
        <Fact name="Last deploy" wide>{now ? <LastDeploy now={now} /> : "…"}</Fact>
        <Fact name="Deploys today">{now ? <Link to="/deploys">{now.deploys_today}</Link> : "…"}</Fact>
        <Fact name="Change fail rate">
          {now ? <Link to={rowsAddress("Change fail rate", now.change_fail_rate)}>{figureText(now.change_fail_rate)}</Link> : "…"}
        </Fact>
        <Fact name="Firing">{now ? <Firing now={now} /> : "…"}</Fact>
      </dl>
    </section>
  );
}
