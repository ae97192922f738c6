import { Fragment, useState, type ReactElement } from "react";
import { noise } from "../../api/endpoints";
import type { RuleDraft, RuleFileChanged, RuleNoise, TeamNoise } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Dialog } from "../../ui/Dialog";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { Words } from "../../ui/Words";
import { AlertTabs } from "./AlertTabs";

const DAYS = [7, 14, 28];

/** The drafts of a rule, each with a button that puts it into force, and the way back. */
function Drafts({ rule, days }: { rule: RuleNoise; days: number }): ReactElement {
  const which = { rule: rule.rule, file: rule.file, group: rule.group, severity: rule.severity };
  const key = `drafts ${rule.file} ${rule.group} ${rule.rule} ${rule.severity} ${days}`;
  const query = useQuery(key, () => noise.drafts(which, days), { touches: ["rule."] });
  const { busy, run } = useAction("rule.");
  const [done, setDone] = useState<RuleFileChanged | null>(null);
  const why = useLacks("deployer", true);
  const put = async (draft: RuleDraft, version: string): Promise<void> => {
    const changed = await run(() => noise.putDraft({ ...which, change: draft.change }, version), `${rule.rule} is quieter.`);
    if (changed) setDone(changed);
  };
  const undo = async (of: { file: string; version: string }): Promise<void> => {
    if (await run(() => noise.undoRules(of.file, of.version), "The rule file is what it was before.")) setDone(null);
  };
  return (
    <>
      {done && (
        <div className="stack">
          <p><Words>{done.text}</Words>.</p>
          <pre className="mono">{done.diff}</pre>
          <div><ActionButton busy={busy} onClick={() => void undo(done)}>Put it back</ActionButton></div>
          <p className="muted">Where the rule file is kept in git as well, change it there too, or the next apply takes this back.</p>
        </div>
      )}
      <Loaded query={query}>
        {(drafts) => (
          <>
            <p className="muted">{`Tried on the last ${days} days, one evaluation every ${duration(drafts.step_ms)}.`}</p>
            <TableWrap>
              <table className="stacks">
                <thead><tr><th scope="col">Change</th><th scope="col">Would have fired</th><th scope="col">Incidents with action it would have missed</th><th scope="col">Put</th></tr></thead>
                <tbody>
                  {[drafts.now, ...drafts.drafts].map((draft) => (
                    <tr key={draft.change}>
                      <td className="wrap-any">
                        {draft.change ? <code>{draft.change}</code> : "as it is"}
                        {draft.diff && <details><summary>Lines of {drafts.file}</summary><pre className="mono">{draft.diff}</pre></details>}
                      </td>
                      <td className="fit" data-what="would have fired">{draft.fires}</td>
                      <td className="fit" data-what="would have missed">{draft.missed.length === 0 ? "none" : draft.missed.map((number, index) => <Fragment key={number}>{index > 0 && ", "}<Link to={`/incidents/${number}`}>{number}</Link></Fragment>)}</td>
                      <td className="fit">
                        {draft.change && (draft.diff
                          ? <ActionButton small tight busy={busy} why={why} label={`Put ${draft.change} into force`} onClick={() => void put(draft, drafts.version)}>Put</ActionButton>
                          : <span className="muted">by hand</span>)}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </TableWrap>
          </>
        )}
      </Loaded>
    </>
  );
}

function Team({ team, onDraft }: { team: TeamNoise; onDraft: (rule: RuleNoise) => void }): ReactElement {
  return (
    <Section title={team.team || "Owned by nobody"} end={<span className="muted">{`cost ${team.cost}`}</span>}>
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">Rule</th><th scope="col">Cost</th><th scope="col">Pages</th><th scope="col">By night</th><th scope="col">Action</th><th scope="col">No action</th><th scope="col">Unsaid</th><th scope="col">Quieter</th></tr></thead>
          <tbody>
            {team.rules.map((rule) => (
              <tr key={`${rule.file} ${rule.group} ${rule.rule} ${rule.severity}`}>
                <td><span className="strong">{rule.rule}</span> <span className="muted">{rule.severity}</span></td>
                <td className="fit" data-what="cost">{rule.cost}</td>
                <td className="fit" data-what="pages">{rule.pages}</td>
                <td className="fit" data-what="by night">{rule.wakes}</td>
                <td className="fit" data-what="action">{rule.action}</td>
                <td className="fit" data-what="no action">{rule.no_action}</td>
                <td className="fit" data-what="unsaid">{rule.unsaid}</td>
                <td className="fit">{rule.file ? <button type="button" className="button" onClick={() => onDraft(rule)} aria-label={`Draft a quieter ${rule.rule}${team.rules.some((other) => other !== rule && other.rule === rule.rule) ? `, ${rule.severity}` : ""}`}>Draft</button> : "where it is sent from"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableWrap>
    </Section>
  );
}

/** What rules cost whom they page, by the team that owns them. */
export default function NoisePage(): ReactElement {
  const params = useParams();
  const asked = Number(params.get("days") ?? 7);
  const days = DAYS.includes(asked) ? asked : 7;
  const [drafting, setDrafting] = useState<RuleNoise | null>(null);
  const query = useQuery(`noise ${days}`, () => noise.report(days), { touches: ["incident.", "page."], everyMs: 60_000 });
  return (
    <PageFrame title="Noise" sub="A page by night costs four. Rules are counted, never people.">
      <AlertTabs current="noise" />
      <p className="chips">{DAYS.map((one) => <Link key={one} className="inline-link" to={`/alerts/noise?days=${one}`}>{one === days ? `${one} days (shown)` : `${one} days`}</Link>)}</p>
      <Loaded query={query}>
        {({ teams }) => (teams.length === 0
          ? <Empty title="No rule paged anybody in this time." command="tenfold classify 14 threshold">Say what a page was for on its incident, with one key; here is what it adds up to.</Empty>
          : <>{teams.map((team) => <Team key={team.team} team={team} onDraft={setDrafting} />)}</>)}
      </Loaded>
      {drafting && (
        <Dialog open wide title={`Quieter drafts of ${drafting.rule}`} onClose={() => setDrafting(null)}>
          <Drafts rule={drafting} days={days} />
        </Dialog>
      )}
    </PageFrame>
  );
}
