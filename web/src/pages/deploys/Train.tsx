/** People who ship to a place together: who is on it, what they look at, and what they say. */
import { useEffect, useMemo, useRef, useState, type FormEvent, type ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Train, TrainGraphs, TrainWord } from "../../api/types";
import { PanelChart } from "../../charts/PanelChart";
import type { Range } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import type { Look } from "../../lib/status";
import { MINUTE_MS } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";

const PHASE: Record<string, [Look, string]> = { boarding: ["quiet", "Train boards"], rolling: ["busy", "Train rolls"], checking: ["warning", "Train is checked"] };
const number = (value: number | null | undefined): string => (value === null || value === undefined ? "no data" : String(Number(value.toPrecision(4))));

const BEFORE_MS = 15 * MINUTE_MS;
const HEIGHT = 140;

interface Place {
  service: string;
  environment: string;
}

function WhyDialog({ word, onClose, say }: { word: "uh-oh" | "hold" | null; onClose: () => void; say: (word: TrainWord, reason: string) => Promise<unknown> }): ReactElement {
  const [reason, setReason] = useState("");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (word && (await say(word, reason)) !== undefined) {
      setReason("");
      onClose();
    }
  };
  return (
    <Dialog open={word !== null} onClose={onClose} title={word === "hold" ? "Hold the train" : "Uh-oh"}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Why" hint="Everybody on the train reads it.">
          <input required maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} />
        </Field>
        <div><button type="submit" className="button primary">{word === "hold" ? "Hold" : "Say uh-oh"}</button></div>
      </form>
    </Dialog>
  );
}

/** What was declared, from before the deploy until now. `onDrawn` once all of it is there to be seen. */
function Graphs({ graphs, service, onDrawn }: { graphs: TrainGraphs; service: string; onDrawn: () => void }): ReactElement {
  const range = useMemo<Range>(() => ({ fromMs: Date.parse(graphs.started_at) - BEFORE_MS, toMs: Date.now(), name: null, text: "15 min before it until now" }), [graphs]);
  const markers = useMarkers(range, service);
  const drawn = useRef(new Set<number>());
  const isDrawn = (at: number): void => {
    if (drawn.current.has(at)) return;
    drawn.current.add(at);
    if (drawn.current.size === graphs.graphs.length) onDrawn();
  };
  useEffect(() => {
    if (graphs.graphs.length === 0) onDrawn();
  }, [graphs]);
  return (
    <>
      {graphs.graphs.length > 0 && (
        <div className="grid-2">
          {graphs.graphs.map(({ query, says }, at) => (
            <PanelChart key={query} panel={{ title: says, unit: "short", queries: [{ expr: query }] }} range={range} markers={markers} sync="train" height={HEIGHT} onDrawn={() => isDrawn(at)} />
          ))}
        </div>
      )}
      <Numbers graphs={graphs} />
    </>
  );
}

function Numbers({ graphs }: { graphs: TrainGraphs }): ReactElement {
  return (
    <ul className="stack" aria-label="What to look at">
      {graphs.graphs.length === 0 && <li className="muted">The pipeline file names nothing to look at; see <Link to={`/deploys/${graphs.deploy}`}>deploy {graphs.deploy}</Link>.</li>}
      {graphs.graphs.map(({ query, says, before, now }) => (
        <li key={query}><span className="wrap-any">{says}</span> <span className="muted">{number(before)} → {number(now)}</span></li>
      ))}
      {graphs.signs.map((sign) => <li key={sign}><span className="muted">sign of trouble:</span> {sign}</li>)}
    </ul>
  );
}

export function TrainLine({ train, service, environment }: Place & { train: Train | undefined }): ReactElement {
  const { busy, run } = useAction("train.", "deploy.");
  const { person } = useSession();
  const [asking, setAsking] = useState<"uh-oh" | "hold" | null>(null);
  const [graphs, setGraphs] = useState<TrainGraphs | null>(null);
  const say = (word: TrainWord, reason?: string): Promise<unknown> => run(() => deploys.say(service, environment, word, reason));
  const tell = (word: TrainWord): void => void say(word);
  const join = <ActionButton small busy={busy} onClick={() => tell("join")}>Join the train</ActionButton>;
  if (!train) return <p className="buttons">{join}</p>;
  const [look, word] = train.trouble ? (["critical", "Uh-oh"] as const) : train.hold ? (["warning", "Train held"] as const) : PHASE[train.phase] ?? (["unknown", train.phase] as const);
  const mine = train.members.find(({ login }) => login === person.login);
  const waits = train.waiting.some(({ login }) => login === person.login);
  const checking = train.phase === "checking";
  const show = async (): Promise<void> => setGraphs((await run(() => deploys.declared(service, environment))) ?? null);
  const seen = (): void => void run(() => deploys.look(service, environment));
  return (
    <section aria-label={`Train of ${service}`} className="stack">
      <p>
        <Status look={look}>{word}</Status>{" "}
        {train.members.map(({ name, good }) => (good ? `${name} (good)` : name)).join(", ")}
        {train.waiting.length > 0 && <span className="muted">; next: {train.waiting.map(({ name }) => name).join(", ")}</span>}
        {train.deploy && <> <Link to={`/deploys/${train.deploy}`}>deploy {train.deploy}</Link></>}
      </p>
      {train.trouble && <p>{train.trouble.name}: {train.trouble.why}</p>}
      {train.hold && <p>{train.hold.name} holds it: {train.hold.why}</p>}
      {graphs && checking && <Graphs key={graphs.deploy} graphs={graphs} service={service} onDrawn={seen} />}
      <p className="buttons">
        {!mine && !waits && join}
        {mine && checking && <ActionButton small busy={busy} onClick={() => void show()}>Graphs</ActionButton>}
        {mine && checking && !mine.good && <ActionButton small look="primary" busy={busy} why={graphs && !mine.shown ? "the graphs are being drawn" : null} onClick={() => tell("good")}>Good</ActionButton>}
        {train.trouble
          ? mine && <ActionButton small busy={busy} onClick={() => tell("clear")}>Clear</ActionButton>
          : <ActionButton small look="danger" busy={busy} onClick={() => setAsking("uh-oh")}>Uh-oh</ActionButton>}
        {train.hold
          ? <ActionButton small busy={busy} onClick={() => tell("unhold")}>Let it go on</ActionButton>
          : <ActionButton small busy={busy} onClick={() => setAsking("hold")}>Hold</ActionButton>}
        {mine && train.phase !== "rolling" && <ActionButton small busy={busy} onClick={() => tell("done")}>Done</ActionButton>}
        {(mine ?? waits) && <ActionButton small busy={busy} onClick={() => tell("leave")}>Leave</ActionButton>}
      </p>
      <WhyDialog word={asking} onClose={() => setAsking(null)} say={say} />
    </section>
  );
}
