import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { navigate, useParams } from "../../router/router";
import type { PageProps } from "../../shell/routes";
import { ActionButton } from "../../ui/Action";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { Details } from "./edit/Details";
import { Editor } from "./edit/Editor";
import { SaveBar } from "./edit/SaveBar";
import { useDraft } from "./edit/useDraft";
import { Environments } from "./Environments";
import { FlagHistory } from "./FlagHistory";
import { FlagLife } from "./FlagLife";
import { kindText } from "./kinds";
import { Preview } from "./preview/Preview";
import { usePreview } from "./preview/usePreview";
import { Ramp } from "./Ramp";
import { Requests } from "./Requests";
import { Schedule } from "./Schedule";
import { Usage } from "./Usage";

const DEFAULT_ENVIRONMENT = "production";
const CONTEXT = "userId=42 country=DE";

function Body({ flag, reload }: { flag: Flag; reload: () => void }): ReactElement {
  const params = useParams();
  const names = Object.keys(flag.environments).sort();
  const wanted = params.get("environment", DEFAULT_ENVIRONMENT);
  const environment = names.includes(wanted) ? wanted : (names[0] ?? wanted);
  const state = flag.environments[environment];
  const editing = useDraft(flag, reload);
  const context = params.get("context", CONTEXT);
  const [ids, setIds] = useState("");
  const previewed = usePreview(flag.key, flag.version, environment, context, ids, editing.update);
  const refused = editing.refused ?? previewed.answer?.refused ?? null;
  if (!state) return <p className="muted">There is no environment yet.</p>;
  return (
    <>
      {flag.description && <p>{flag.description}</p>}
      <Environments flag={flag} current={environment} />
      <Requests flag={flag.key} />
      <SaveBar flag={flag} editing={editing} refused={refused} />
      <div className="columns">
        <div className="stack">
          <Editor key={environment} flag={flag} environment={environment} editing={editing} refused={refused} />
          <Section title={`Ramp in ${environment}`}><div className="panel pad"><Ramp flag={flag.key} environment={environment} state={state} /></div></Section>
          <Schedule flag={flag.key} environment={environment} />
          <Usage flag={flag.key} environment={environment} state={state} />
        </div>
        <div className="stack">
          <Preview previewed={previewed} context={context} ids={ids} onContext={(text) => params.set({ context: text === CONTEXT ? null : text })} onIds={setIds} />
          <Details flag={flag} editing={editing} refused={refused} />
          <FlagLife flag={flag} environment={environment} />
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
  const restore = (): void => void run(() => flags.put(key, {}), `Flag ${key} is back.`);
  return (
    <PageFrame
      title={key}
      sub={<><Link className="inline-link" to="/flags">Flags</Link>{flag && <> · {kindText(flag.kind)} · {flag.value_type} · {flag.owner || "nobody's"}{flag.archived && " · archived"}</>}</>}
      actions={flag && (flag.archived
        ? <ActionButton busy={busy} onClick={restore}>Bring it back</ActionButton>
        : <ActionButton busy={busy} why={anyOn.length > 0 ? `It is on in ${anyOn.join(", ")}; switch it off first.` : null} onClick={() => void archive()}>Archive</ActionButton>)}
    >
      <Loaded query={query}>{(loaded) => <Body flag={loaded} reload={query.reload} />}</Loaded>
    </PageFrame>
  );
}
