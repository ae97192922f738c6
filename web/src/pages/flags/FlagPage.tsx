import type { ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { navigate, useParams } from "../../router/router";
import type { PageProps } from "../../shell/routes";
import { ActionButton } from "../../ui/Action";
import { Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { Tabs } from "../../ui/Tabs";
import { FlagEnvironmentPanel } from "./FlagEnvironmentPanel";
import { FlagHistory } from "./FlagHistory";
import { Preview } from "./Preview";
import { Strategies } from "./Strategies";
import { Usage } from "./Usage";

const DEFAULT_ENVIRONMENT = "production";

function Facts({ flag }: { flag: Flag }): ReactElement {
  return (
    <dl className="facts">
      <dt>Kind</dt><dd>{flag.kind.replace("_", " ")}</dd>
      <dt>Value</dt><dd>{flag.value_type}</dd>
      <dt>Owner</dt><dd>{flag.owner ?? "nobody"}</dd>
      <dt>Made</dt><dd><Time at={flag.created_at} /></dd>
      <dt>Expires</dt><dd><Time at={flag.expires_at} /></dd>
    </dl>
  );
}

function Body({ flag }: { flag: Flag }): ReactElement {
  const params = useParams();
  const names = Object.keys(flag.environments).sort();
  const wanted = params.get("environment", DEFAULT_ENVIRONMENT);
  const environment = names.includes(wanted) ? wanted : (names[0] ?? wanted);
  const state = flag.environments[environment];
  return (
    <>
      {flag.description && <p>{flag.description}</p>}
      {names.length > 1 && <Tabs label="Environments" current={environment} tabs={names.map((name) => ({ name, text: name, to: `/flags/${encodeURIComponent(flag.key)}?environment=${encodeURIComponent(name)}` }))} />}
      <div className="columns">
        <div className="stack">
          {state ? (
            <>
              <FlagEnvironmentPanel key={environment} flag={flag.key} environment={environment} state={state} />
              <Strategies state={state} />
              <Preview flag={flag.key} environment={environment} />
            </>
          ) : (
            <p className="muted">This flag has no environment yet.</p>
          )}
        </div>
        <div className="stack">
          <Section title="Facts"><Facts flag={flag} /></Section>
          {state && <Usage state={state} />}
          <FlagHistory flag={flag.key} />
        </div>
      </div>
    </>
  );
}

export default function FlagPage({ params }: PageProps): ReactElement {
  const key = params.key ?? "";
  const query = useQuery(`flag:${key}`, () => flags.get(key), { touches: ["flag."], everyMs: 15_000 });
  const { busy, run } = useAction("flag.");
  const flag = query.data;
  const anyOn = flag ? Object.entries(flag.environments).filter(([, state]) => state.enabled).map(([name]) => name) : [];
  const archive = async (): Promise<void> => {
    const done = await run(async () => { await flags.archive(key); return true; }, `Flag ${key} is archived.`);
    if (done) navigate("/flags");
  };
  return (
    <PageFrame
      title={key}
      sub={<Link to="/flags">Flags</Link>}
      actions={flag && !flag.archived && <ActionButton busy={busy} why={anyOn.length > 0 ? `It is on in ${anyOn.join(", ")}; switch it off first.` : null} onClick={() => void archive()}>Archive</ActionButton>}
    >
      <Loaded query={query}>{(loaded) => <Body flag={loaded} />}</Loaded>
    </PageFrame>
  );
}
