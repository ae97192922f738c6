import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { offerOf, optInOf, type Offer } from "./offer";

const ROLES = ["viewer", "responder", "deployer", "admin"];

export function OfferFields({ value, onChange }: { value: Offer; onChange: (value: Offer) => void }): ReactElement {
  const set = (change: Partial<Offer>): void => onChange({ ...value, ...change });
  return (
    <>
      <Field label="What they read"><input maxLength={500} value={value.text} placeholder="A better search" onChange={(event) => set({ text: event.target.value })} /></Field>
      <Field label="Least role"><select value={value.role} onChange={(event) => set({ role: event.target.value })}>{ROLES.map((name) => <option key={name}>{name}</option>)}</select></Field>
      <Field label="Only these teams" hint="With commas; empty is everybody with the role."><input value={value.teams} onChange={(event) => set({ teams: event.target.value })} /></Field>
      <Field label="Field of the context" hint="Compared with the person's login; with their e-mail where it is “email”."><input required maxLength={100} value={value.field} onChange={(event) => set({ field: event.target.value })} /></Field>
    </>
  );
}

function OfferForm({ flag, onClose }: { flag: Flag; onClose: () => void }): ReactElement {
  const [offer, setOffer] = useState(() => offerOf(flag.opt_in));
  const { busy, run } = useAction("flag.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const done = await run(() => flags.put(flag.key, { opt_in: optInOf(offer) }), `${flag.key} is offered to people.`);
    if (done) onClose();
  };
  return (
    <Dialog open onClose={onClose} title={`Offer ${flag.key} to people`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <OfferFields value={offer} onChange={setOffer} />
        <div><button type="submit" className="button primary" disabled={busy}>Offer</button></div>
      </form>
    </Dialog>
  );
}

/** Whether people may switch a flag for themselves, and who did. */
export function OptInOffer({ flag }: { flag: Flag }): ReactElement {
  const [editing, setEditing] = useState(false);
  const { busy, run } = useAction("flag.");
  const offer = flag.opt_in;
  const close = (): void => void run(() => flags.put(flag.key, { opt_in: null }), `${flag.key} is no longer offered.`);
  return (
    <Section title="Opt-in">
      {offer ? (
        <p>Offered to {offer.teams && offer.teams.length > 0 ? offer.teams.join(", ") : "everybody"} with at least the role {offer.role}: {flag.opted_in?.length ?? 0} in, {flag.opted_out?.length ?? 0} out.</p>
      ) : (
        <p className="muted">Not offered: nobody switches it for themselves.</p>
      )}
      <div className="buttons">
        <button type="button" className="button small" onClick={() => setEditing(true)}>{offer ? "Edit the offer" : "Offer it"}</button>
        {offer && <ActionButton small busy={busy} onClick={close}>Take the offer back</ActionButton>}
      </div>
      {editing && <OfferForm flag={flag} onClose={() => setEditing(false)} />}
    </Section>
  );
}
