import { useMemo, type ReactElement } from "react";
import { flags } from "../../../api/endpoints";
import type { Flag, FlagStrategy } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { Section } from "../../../ui/Section";
import { Refused, TypedInput } from "./inputs";
import { locate } from "./refusal";
import { FIELDS, STICKINESS } from "./operators";
import { StrategyEditor } from "./StrategyEditor";
import type { Editing } from "./useDraft";
import { VariantsEditor } from "./VariantsEditor";

interface Props {
  flag: Flag;
  environment: string;
  editing: Editing;
  /** The server's words on the edit as it stands, if it would refuse it. */
  refused: string | null;
}

const NO_SEGMENTS: never[] = [];

/** Who gets what in one environment: the strategies, the variants, and what an off flag answers. */
export function Editor({ flag, environment, editing, refused }: Props): ReactElement {
  const { draft, changeIn } = editing;
  const segments = useQuery("segments", flags.segments, { touches: ["flag_segment."] }).data?.items ?? NO_SEGMENTS;
  const state = draft.environments[environment] ?? { strategies: [], variants: [] };
  const refusal = useMemo(() => {
    const found = refused ? locate(refused, draft) : undefined;
    return found?.environment === environment ? found : undefined;
  }, [refused, draft, environment]);
  const strategies = state.strategies;
  const put = (next: FlagStrategy[]): void => changeIn(environment, { strategies: next });
  const set = (at: number, value: FlagStrategy): void => put(strategies.map((one, index) => (index === at ? value : one)));
  const move = (at: number, by: number): void => {
    const next = [...strategies];
    next.splice(at + by, 0, ...next.splice(at, 1));
    put(next);
  };
  const add = (): void => put([...strategies, { name: "flexibleRollout", parameters: { rollout: strategies.length === 0 ? "10" : "100", stickiness: "default", groupId: flag.key }, constraints: [], segments: [], variants: [] }]);
  const own = refusal && refusal.strategy === undefined && (refusal.variant !== undefined || refusal.about === "variants") ? refusal : undefined;
  return (
    <>
      <datalist id="flag-stickiness">{STICKINESS.map((name) => <option key={name} value={name} />)}</datalist>
      <datalist id="flag-fields">{FIELDS.map((name) => <option key={name} value={name} />)}</datalist>
      <Section title={`Who gets it in ${environment}`} end={<span className="muted">the first strategy that matches decides</span>}>
        {strategies.length === 0 && <p className="muted">No strategy: everybody gets it while it is on.</p>}
        {strategies.map((strategy, at) => (
          <StrategyEditor
            key={at} value={strategy} index={at} count={strategies.length} flag={flag} segments={segments}
            refusal={refusal?.strategy === at ? refusal : undefined}
            onChange={(value) => set(at, value)}
            onMove={(by) => move(at, by)}
            onCopy={() => put([...strategies.slice(0, at + 1), structuredClone(strategy), ...strategies.slice(at + 1)])}
            onRemove={() => put(strategies.filter((_, index) => index !== at))}
          />
        ))}
        <div className="buttons"><button type="button" className="button" onClick={add}>Add a strategy</button></div>
      </Section>
      <Section title="Variants" end={<span className="muted">where no strategy has its own</span>}>
        <VariantsEditor variants={state.variants} type={flag.value_type} own label={`Variants in ${environment}`} refusal={own} onChange={(variants) => changeIn(environment, { variants })} />
        <div className="form-row">
          <TypedInput label="Answer while off" type={flag.value_type} value={state.off_value} none={{ bool: "false", string: "“”", int: "0", float: "0.0", object: "{}" }[flag.value_type]} invalid={refusal?.about === "off_value"} onChange={(off_value) => changeIn(environment, { off_value })} />
        </div>
        {refusal && refusal.strategy === undefined && !own && <Refused>{refusal.text}</Refused>}
      </Section>
    </>
  );
}
