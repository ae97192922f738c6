import type { ComponentType, ReactElement } from "react";
import { Link } from "../../router/Link";
import type { PageProps } from "../../shell/routes";
import { Empty } from "../../ui/basics";
import { PageFrame } from "../../ui/Section";
import { About } from "./About";
import { ChatLink } from "./ChatLink";
import { Environments, Projects } from "./Environments";
import { Me } from "./Me";
import { MetricsSettings } from "./MetricsSettings";
import { PeopleSettings } from "./PeopleSettings";
import { ServiceSettings } from "./ServiceSettings";
import { TargetSettings } from "./TargetSettings";
import { Teams } from "./Teams";
import { Tokens } from "./Tokens";

const SECTIONS: { name: string; text: string; body: ComponentType }[] = [
  { name: "me", text: "My account", body: Me },
  { name: "people", text: "People", body: PeopleSettings },
  { name: "teams", text: "Teams", body: Teams },
  { name: "tokens", text: "Tokens", body: Tokens },
  { name: "services", text: "Services", body: ServiceSettings },
  { name: "targets", text: "Targets", body: TargetSettings },
  { name: "environments", text: "Environments", body: Environments },
  { name: "projects", text: "Projects", body: Projects },
  { name: "metrics", text: "Metrics", body: MetricsSettings },
  { name: "chat", text: "Chat", body: ChatLink },
  { name: "about", text: "About", body: About },
];

export default function SettingsPage({ params }: PageProps): ReactElement {
  const name = params.section ?? "me";
  const section = SECTIONS.find((candidate) => candidate.name === name);
  return (
    <PageFrame title={section ? `Settings: ${section.text}` : "Settings"}>
      <div className="two-side">
        <nav className="side" aria-label="Settings">
          {SECTIONS.map(({ name: to, text }) => <Link key={to} to={`/settings/${to}`} aria-current={to === name ? "page" : undefined}>{text}</Link>)}
        </nav>
        <div className="stack">{section ? <section.body /> : <Empty title="There is no such setting." />}</div>
      </div>
    </PageFrame>
  );
}
