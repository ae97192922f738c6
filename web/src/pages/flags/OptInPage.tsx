import type { ReactElement } from "react";
import { flagLife } from "../../api/flagLife";
import type { MyFlag } from "../../api/flagLife";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { ActionButton } from "../../ui/Action";
import { Empty, Status } from "../../ui/basics";
import { Loaded, PageFrame } from "../../ui/Section";
import { FlagNav } from "./FlagNav";

function Offer({ flag }: { flag: MyFlag }): ReactElement {
  const { busy, run } = useAction("flag.");
  const choose = (choice: "in" | "out" | null, done: string): void => void run(() => flagLife.choose(flag.key, choice), done);
  const waits = flag.environments.length === 0;
  return (
    <li className="panel pad stack">
      <div className="section-head">
        <h2>{flag.key}</h2>
        <div className="end">
          {flag.choice === "in" ? <Status look="ok">You are in</Status> : flag.choice === "out" ? <Status look="unknown">You are out</Status> : <span className="muted">As everybody</span>}
        </div>
      </div>
      {flag.description && <p>{flag.description}</p>}
      {flag.text && <p>{flag.text}</p>}
      <p className="muted">
        {waits ? "The flag is off everywhere; your choice counts once it is on." : `Counts in ${flag.environments.join(", ")} for ${flag.field} ${flag.id}.`}
      </p>
      <div className="buttons">
        <ActionButton busy={busy} look="primary" label={`In: ${flag.key} for me`} why={flag.choice === "in" ? "You are in already." : null} tight onClick={() => choose("in", `${flag.key} is in for you.`)}>In</ActionButton>
        <ActionButton busy={busy} label={`Out: ${flag.key} for me`} why={flag.choice === "out" ? "You are out already." : null} tight onClick={() => choose("out", `${flag.key} is out for you.`)}>Out</ActionButton>
        <ActionButton busy={busy} look="plain" label={`As everybody: ${flag.key}`} why={flag.choice ? null : "You have not chosen."} tight onClick={() => choose(null, `You get what everybody gets of ${flag.key}.`)}>As everybody</ActionButton>
      </div>
    </li>
  );
}

/** The flags that whoever is signed in may switch for themselves; a choice counts from the next answer on. */
export default function OptInPage(): ReactElement {
  const query = useQuery("flags:mine", flagLife.mine, { touches: ["flag."] });
  return (
    <PageFrame title="For me" >
      <FlagNav />
      <Loaded query={query}>
        {({ items }) => items.length === 0 ? (
          <Empty title="Nothing is offered to you.">A flag is offered to people under “Opt-in” on its page: choose one among <Link className="inline-link" to="/flags">the flags</Link>.</Empty>
        ) : (
          <ul className="stack">{items.map((flag) => <Offer key={flag.key} flag={flag} />)}</ul>
        )}
      </Loaded>
    </PageFrame>
  );
}
