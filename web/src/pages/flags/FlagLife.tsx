import type { ReactElement } from "react";
import type { Flag } from "../../api/types";
import { Status } from "../../ui/basics";
import { Section } from "../../ui/Section";
import { ContingencyRank } from "./ContingencyRank";
import { OptInOffer } from "./OptInOffer";
import { Places } from "./Places";
import { ShadowCost } from "./Shadow";
import { staleSentence } from "./staleSentence";

/** What concerns a flag's life: whether it has had its day, who may choose, where the source names it. */
export function FlagLife({ flag, environment }: { flag: Flag; environment: string }): ReactElement {
  const stale = flag.stale ?? [];
  return (
    <>
      {stale.length > 0 && (
        <Section title="Has it had its day?">
          <ul>{stale.map((reason) => <li key={reason.why}><Status look="warning">{staleSentence(reason)}</Status></li>)}</ul>
        </Section>
      )}
      {flag.kind === "shadow" && <ShadowCost flag={flag.key} environment={environment} />}
      <ContingencyRank flag={flag} />
      <OptInOffer flag={flag} />
      <Places flag={flag.key} />
    </>
  );
}
