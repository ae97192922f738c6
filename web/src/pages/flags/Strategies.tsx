import type { ReactElement } from "react";
import type { FlagConstraint, FlagEnvironment, FlagStrategy, FlagVariant } from "../../api/types";
import { Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

function constraint(of: FlagConstraint): string {
  const values = of.values && of.values.length > 0 ? of.values.join(", ") : (of.value ?? "");
  return `${of.contextName} ${of.inverted ? "not " : ""}${of.operator.toLowerCase().replaceAll("_", " ")} ${values}${of.caseInsensitive ? " (any case)" : ""}`;
}

function words(strategy: FlagStrategy): string {
  const { rollout, stickiness, groupId, ...rest } = strategy.parameters ?? {};
  const parts: string[] = [];
  if (rollout !== undefined) parts.push(`${rollout} % of users`);
  if (stickiness !== undefined) parts.push(`sticky by ${stickiness}`);
  if (groupId !== undefined) parts.push(`group ${groupId}`);
  for (const [name, value] of Object.entries(rest)) parts.push(`${name} ${value}`);
  return parts.join(", ");
}

function Variants({ variants }: { variants: FlagVariant[] }): ReactElement | null {
  const total = variants.reduce((sum, { weight }) => sum + weight, 0);
  if (variants.length === 0) return null;
  return (
    <ul className="chips" aria-label="Variants">
      {variants.map((variant) => (
        <li key={variant.name} className="chip">{variant.name} {total > 0 ? `${Math.round((variant.weight / total) * 100)} %` : ""}</li>
      ))}
    </ul>
  );
}

/** Who gets it: one strategy that says yes is enough; all constraints of a strategy must hold. */
export function Strategies({ state }: { state: FlagEnvironment }): ReactElement {
  return (
    <Section title="Strategies" end={<span className="muted">any one is enough</span>}>
      {state.strategies.length === 0 ? (
        <p className="muted">None: everybody gets it while it is on.</p>
      ) : (
        <TableWrap>
        <table>
          <thead><tr><th scope="col">Strategy</th><th scope="col">Who</th><th scope="col">Only if</th></tr></thead>
          <tbody>
            {state.strategies.map((strategy, index) => (
              <tr key={`${index}-${strategy.name}`}>
                <td className="fit">{strategy.name}</td>
                <td>{words(strategy)} <Variants variants={strategy.variants ?? []} /></td>
                <td>{[...(strategy.constraints ?? []).map(constraint), ...(strategy.segments ?? []).map((segment) => `in segment ${segment}`)].join("; ") || <span className="muted">—</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
        </TableWrap>
      )}
      <Variants variants={state.variants ?? []} />
    </Section>
  );
}
