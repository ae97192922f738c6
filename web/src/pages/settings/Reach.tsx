import { useState, type FormEvent, type ReactElement } from "react";
import { people } from "../../api/endpoints";
import { refresh } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { CHANNELS, channelOf, contactOf, formOf, waysOf, type Reach, type Way } from "./reach";
import { RulesForm } from "./ReachRules";

interface WayRowProps { way: Way; taken: string[]; change: (way: Way) => void; remove: () => void }

function WayRow({ way, taken, change, remove }: WayRowProps): ReactElement {
  const channel = channelOf(way.channel);
  return (
    <div className="form-row way" role="group" aria-label={channel.text}>
      <Field label="Channel">
        <select value={way.channel} onChange={(event) => change({ ...way, channel: event.target.value })}>
          {CHANNELS.filter(({ name }) => name === way.channel || !taken.includes(name)).map(({ name, text }) => <option key={name} value={name}>{text}</option>)}
        </select>
      </Field>
      <Field label={channel.address} hint={channel.hint}>
        <input required value={way.to} spellCheck={false} autoComplete="off" onChange={(event) => change({ ...way, to: event.target.value })} />
      </Field>
      <button type="button" className="button" onClick={remove} aria-label={`Remove ${channel.text}`}>Remove</button>
    </div>
  );
}

function Quiet({ form, set }: { form: Reach; set: (form: Reach) => void }): ReactElement {
  const ways = waysOf(form);
  const toggle = (name: string): void => {
    const quietBy = form.quietBy.includes(name) ? form.quietBy.filter((one) => one !== name) : [...form.quietBy, name];
    set({ ...form, quietBy });
  };
  return (
    <fieldset className="choices">
      <legend>Quiet hours</legend>
      <p className="muted">Then only critical pages ring; the others go by what is chosen here. Who has no such way is told by all.</p>
      <label className="inline"><input type="checkbox" checked={form.quiet} onChange={(event) => set({ ...form, quiet: event.target.checked })} /> I have quiet hours</label>
      {form.quiet && (
        <>
          <div className="form-row">
            <Field label="From" hint={`In ${form.timezone}.`}><input type="time" required value={form.from} onChange={(event) => set({ ...form, from: event.target.value })} /></Field>
            <Field label="To" hint="Before it starts: on the next day."><input type="time" required value={form.to} onChange={(event) => set({ ...form, to: event.target.value })} /></Field>
          </div>
          <span className="muted">Then told by</span>
          <div className="chips" role="group" aria-label="Told in quiet hours by">
            {ways.map((name) => <button key={name} type="button" className="chip" aria-pressed={form.quietBy.includes(name)} onClick={() => toggle(name)}>{channelOf(name).text}</button>)}
          </div>
          {form.quietBy.length === 0 && <p className="muted">Nothing is chosen: mail is used.</p>}
        </>
      )}
    </fieldset>
  );
}

/** How a page reaches this person, when it may ring, and whether it does. */
export function ReachForm(): ReactElement {
  const { person } = useSession();
  const [form, set] = useState<Reach>(() => formOf(person));
  const { busy, run } = useAction("person.", "page.");
  const taken = form.ways.map(({ channel }) => channel);
  const free = CHANNELS.find(({ name }) => !taken.includes(name));
  const change = (index: number, way: Way | null): void => {
    set({ ...form, ways: form.ways.flatMap((one, i) => (i === index ? (way ? [way] : []) : [one])) });
  };
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const saved = await run(() => people.put(person.login, { contact: contactOf(form) }), "Saved.");
    if (saved) refresh("session");
  };
  return (
    <Section title="How pages reach me">
      <form className="form reach" onSubmit={(event) => void submit(event)}>
        <Field label="Mail"><input type="email" value={form.email} onChange={(event) => set({ ...form, email: event.target.value })} /></Field>
        <Field label="IRC account" hint="Linked under Chat."><input value={form.irc} spellCheck={false} onChange={(event) => set({ ...form, irc: event.target.value })} /></Field>
        <Field label="Webhook" hint="Pages are posted there, signed."><input value={form.webhook} spellCheck={false} autoComplete="off" onChange={(event) => set({ ...form, webhook: event.target.value })} /></Field>
        {form.ways.map((way, index) => <WayRow key={way.channel} way={way} taken={taken} change={(to) => change(index, to)} remove={() => change(index, null)} />)}
        <div className="buttons">
          <button type="button" className="button" disabled={!free} onClick={() => free && set({ ...form, ways: [...form.ways, { channel: free.name, to: "" }] })}>Add a channel</button>
        </div>
        <RulesForm form={form} set={set} which="critical" title="When a page is critical" />
        <RulesForm form={form} set={set} which="other" title="When a page is not critical" />
        <Quiet form={form} set={set} />
        <div className="buttons">
          <button type="submit" className="button primary" disabled={busy}>Save</button>
          <ActionButton busy={busy} onClick={() => void run(() => people.testPage(person.login), "A test page is on its way to you, by every way that is set up.")}>Page me as a test</ActionButton>
        </div>
        <p className="muted">The test goes by what is saved, whatever the hour.</p>
      </form>
    </Section>
  );
}
