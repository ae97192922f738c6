/** Why the button of a service's card does nothing. The server has the last word. */
import type { NextDeploy } from "../../api/types";
import { lockWord } from "./locks";

export interface WhyNot {
  why: string;
  /** An admin may pass over it, with a reason. */
  passable: boolean;
}

export function whyNot(next: NextDeploy | undefined): WhyNot | null {
  const no = (why: string, passable = false): WhyNot => ({ why, passable });
  if (!next) return no("Asking what would ship…");
  if (next.locked && next.locked_out) return no(`${lockWord(next.locked)} by ${next.locked.owner_name}: ${next.locked.reason}`, true);
  if (next.closed) return no(`Closed: ${next.closed.why}`, true);
  if (next.stage?.refused) return no(next.stage.refused, true);
  if (next.running) return no(`Deploy ${next.running.number} is under way.`);
  if (next.train) return no(`${next.train.charAt(0).toUpperCase()}${next.train.slice(1)}.`, true);
  if (!next.next) return no("The repository has no commit to ship.");
  if (next.added.length === 0 && next.removed.length === 0 && next.current) return no("Nothing new: the newest commit runs already.");
  return null;
}
