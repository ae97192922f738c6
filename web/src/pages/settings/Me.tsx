import { useState, type FormEvent, type ReactElement } from "react";
import { people } from "../../api/endpoints";
import { refresh } from "../../api/useQuery";
import { choose, useThemeChoice, type Choice } from "../../lib/theme";
import { zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";

function Account(): ReactElement {
  const { person } = useSession();
  const [name, setName] = useState(person.name);
  const [email, setEmail] = useState(person.contact?.email ?? "");
  const [irc, setIrc] = useState(person.contact?.irc ?? "");
  const [webhook, setWebhook] = useState(person.contact?.webhook ?? "");
  const [timezone, setTimezone] = useState(person.timezone || zone);
  const { busy, run } = useAction("person.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const saved = await run(
      () => people.put(person.login, {
        name, timezone, contact: { ...person.contact, email, irc, webhook },
      }),
      "Saved.",
    );
    if (saved) refresh("session");
  };
  return (
    <Section title="Account" end={<span className="muted">{person.login}, {person.kind}, {person.role}</span>}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Name"><input required value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Mail" hint="Pages go here."><input type="email" value={email} onChange={(event) => setEmail(event.target.value)} /></Field>
        <Field label="IRC account" hint="Linked under Chat; pages go here as well."><input value={irc} spellCheck={false} onChange={(event) => setIrc(event.target.value)} /></Field>
        <Field label="Webhook"><input type="url" value={webhook} onChange={(event) => setWebhook(event.target.value)} /></Field>
        <Field label="Time zone"><input required value={timezone} list="zones" spellCheck={false} onChange={(event) => setTimezone(event.target.value)} /></Field>
        <datalist id="zones">{Intl.supportedValuesOf("timeZone").map((value) => <option key={value} value={value} />)}</datalist>
        <div className="buttons"><button type="submit" className="button primary" disabled={busy}>Save</button></div>
      </form>
    </Section>
  );
}

function Paging(): ReactElement {
  const { person } = useSession();
  const { busy, run } = useAction("page.");
  return (
    <Section title="Would a page reach me?">
      <div><ActionButton busy={busy} onClick={() => void run(() => people.testPage(person.login), "A test page is on its way to you.")}>Page me as a test</ActionButton></div>
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
      <Paging />
      <Appearance />
    </>
  );
}
