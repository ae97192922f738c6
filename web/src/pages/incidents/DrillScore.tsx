import type { ReactElement } from "react";
import type { Incident } from "../../api/types";
import { Section } from "../../ui/Section";

const seconds = (ms: number | null | undefined, none: string): string => (ms === null || ms === undefined ? none : `after ${(ms / 1000).toFixed(1)} s`);

/** How a drill goes: about the team and its ways, never about a person. */
export function DrillScore({ score }: { score: NonNullable<Incident["score"]> }): ReactElement {
  return (
    <Section title="Drill">
      <dl className="facts">
        <dt>Delivered</dt><dd>{score.delivered} of {score.pages} pages, the first {seconds(score.first_delivery_ms, "not yet")}</dd>
        <dt>Acknowledged</dt><dd>{seconds(score.acknowledged_ms, "not yet")}</dd>
        <dt>Steps</dt><dd>{score.steps_used} of {score.steps}{score.rounds > 1 ? `, round ${score.rounds}` : ""}</dd>
        {score.channels.map(({ channel, tried, reached, trouble }) => (
          [<dt key={`${channel}-name`}>{channel}</dt>, <dd key={channel}>{reached} of {tried}{trouble > 0 ? `, ${trouble} with trouble` : ""}</dd>]
        ))}
      </dl>
    </Section>
  );
}
