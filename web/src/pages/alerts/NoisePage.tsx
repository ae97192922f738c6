import { useState, type ReactElement } from "react";
import { noise } from "../../api/endpoints";
import type { RuleNoise, TeamNoise } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { Dialog } from "../../ui/Dialog";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { AlertTabs } from "./AlertTabs";

const DAYS = [7, 14, 28];

function Drafts({ rule, days }: { rule: RuleNoise; days: number }): ReactElement {
  const query = useQuery(`drafts ${rule.file} ${rule.rule} ${days}`, () => noise.drafts(rule.rule, rule.file, days));
  return (
    <Loaded query={query}>
      {(drafts) => (
        <>
          <p className="muted">{`Tried on the last ${days} days, one evaluation every ${Math.round(drafts.step_ms / 1000)} s.`}</p>
          <TableWrap>
            <table className="stacks">
              <thead><tr><th scope="col">Change</th><th scope="col">Would have fired</th><th scope="col">Incidents with action it would have missed</th></tr></thead>
              <tbody>
                {[drafts.now, ...drafts.drafts].map((draft) => (
                  <tr key={draft.change}>
                    <td className="wrap-any">{draft.change ? <code>{draft.change}</code> : "as it is"}</td>
                    <td className="fit">{draft.fires}</td>
                    <td className="fit">{draft.missed.length === 0 ? "none" : draft.missed.map((number) => <Link key={number} to={`/incidents/${number}`}>{`${number} `}</Link>)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableWrap>
        </>
      )}
    </Loaded>
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
              <tr key={`${rule.file} ${rule.group} ${rule.rule}`}>
                <td className="strong">{rule.rule}</td>
                <td className="fit" data-what="cost">{rule.cost}</td>
                <td className="fit" data-what="pages">{rule.pages}</td>
                <td className="fit" data-what="by night">{rule.wakes}</td>
                <td className="fit" data-what="action">{rule.action}</td>
                <td className="fit" data-what="no action">{rule.no_action}</td>
                <td className="fit" data-what="unsaid">{rule.unsaid}</td>
                <td className="fit">{rule.file ? <button type="button" className="button" onClick={() => onDraft(rule)} aria-label={`Draft a quieter ${rule.rule}`}>Draft</button> : "where it is sent from"}</td>
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
