import { useState, type FormEvent, type ReactElement } from "react";
import { people } from "../../api/endpoints";
import { refresh } from "../../api/useQuery";
import { choose, useThemeChoice, type Choice } from "../../lib/theme";
import { zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { BrowserPages } from "./Browsers";
import { ReachForm } from "./Reach";

function Account(): ReactElement {
  const { person } = useSession();
  const [name, setName] = useState(person.name);
  const [timezone, setTimezone] = useState(person.timezone || zone);
  const { busy, run } = useAction("person.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const saved = await run(
      () => people.put(person.login, { name, timezone }),
      "Saved.",
    );
    if (saved) refresh("session");
  };
  return (
    <Section title="Account" end={<span className="muted">{person.login}, {person.kind}, {person.role}</span>}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Name"><input required value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Time zone"><input required value={timezone} list="zones" spellCheck={false} onChange={(event) => setTimezone(event.target.value)} /></Field>
        <datalist id="zones">{Intl.supportedValuesOf("timeZone").map((value) => <option key={value} value={value} />)}</datalist>
        <div className="buttons"><button type="submit" className="button primary" disabled={busy}>Save</button></div>
      </form>
    </Section>
  );
}

function Appearance(): ReactElement {
  const theme = useThemeChoice();
  const choices: [Choice, string][] = [["auto", "as the system"], ["light", "light"], ["dark", "dark"]];
  return (
    <Section title="Theme">
      <div className="chips" role="group" aria-label="Theme">
        {choices.map(([choice, text]) => <button key={choice} type="button" className="chip" aria-pressed={theme === choice} onClick={() => choose(choice)}>{text}</button>)}
      </div>
      <p className="muted">Times are shown in {zone}, the zone of this browser.</p>
    </Section>
  );
}

export function Me(): ReactElement {
  return (
    <>
      <Account />
      <ReachForm />
      <BrowserPages />
      <Appearance />
    </>
  );
}
