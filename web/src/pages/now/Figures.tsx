import type { ReactElement } from "react";
import type { Figure, Now } from "../../api/types";
import { figureText, rowsAddress } from "../../lib/figures";
import { plural } from "../../lib/units";
import { Link } from "../../router/Link";
import { Section } from "../../ui/Section";

function Tile({ name, figure }: { name: string; figure: Figure }): ReactElement {
  return (
    <li>
      <Link className="figure" to={rowsAddress(name, figure)}>
        <span className="name">{name}</span>
        <span className="value">{figureText(figure)}</span>
        <span className="n">from {plural(figure.n, "deploy")}</span>
      </Link>
    </li>
  );
}

/** Delivery, each figure leading to the rows it was counted from. */
export function Figures({ now }: { now: Now }): ReactElement {
  return (
    <Section title="This week" end={<span className="muted">{now.week.sentence}</span>}>
      <ul className="figures">
        <Tile name="Change fail rate" figure={now.change_fail_rate} />
        <Tile name="Time to recover" figure={now.recovery_ms} />
        <Tile name="Lead time for changes" figure={now.lead_time_ms} />
        <li>
          <Link className="figure" to="/deploys">
            <span className="name">Deploys today</span>
            <span className="value">{now.deploys_today}</span>
            <span className="n">{plural(now.week.deploys, "deploy")} in 7 days</span>
          </Link>
        </li>
      </ul>
    </Section>
  );
}
