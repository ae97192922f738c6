import { useState, type ReactElement } from "react";
import { room } from "../../api/endpoints";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Command, Time } from "../../ui/basics";
import { Section } from "../../ui/Section";

/** A nick is not an identity: a code from here binds the IRC account to this one. */
export function ChatLink(): ReactElement {
  const [code, setCode] = useState<{ say: string; expires_at: string } | null>(null);
  const { busy, run } = useAction();
  return (
    <Section title="IRC">
      <p>Commands in IRC are yours only after you linked it: take a code here, and say it to the bot in a private message.</p>
      <div><ActionButton busy={busy} onClick={() => void run(room.link).then((made) => made && setCode(made))}>Take a code</ActionButton></div>
      {code && (
        <div className="empty" role="status">
          <p className="title">Say this; the code ends <Time at={code.expires_at} /></p>
          <Command text={code.say} />
        </div>
      )}
    </Section>
  );
}
