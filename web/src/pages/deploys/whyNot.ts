/** Why the button of a service's card does nothing. The server has the last word. */
import type { NextDeploy, Train } from "../../api/types";
import { keepsOut, lockWord } from "./locks";

export interface WhyNot {
  why: string;
  /** An admin may pass over it, with a reason. */
  passable: boolean;
}

/** Why somebody may not start a deploy while this train is there. */
export function trainInTheWay(train: Train | undefined, login: string): string | null {
  if (!train) return null;
  if (train.hold) return `${train.hold.name} holds the train: ${train.hold.why}`;
  if (train.trouble) return `${train.trouble.name} said uh-oh: ${train.trouble.why}`;
  const missing = train.members.filter(({ good }) => !good).map(({ name }) => name);
  switch (train.phase) {
    case "boarding":
      return train.members.some((member) => member.login === login) ? null : `The train of ${train.members[0]?.name ?? "nobody"} boards; join it.`;
    case "rolling":
      return "The train is under way; join the next.";
    default:
      return missing.length === 0 ? null : `${missing.join(", ")} did not say good yet.`;
  }
}

export function whyNot(next: NextDeploy | undefined, train: Train | undefined, login: string): WhyNot | null {
  const no = (why: string, passable = false): WhyNot => ({ why, passable });
  if (!next) return no("Asking what would ship…");
  if (next.locked && keepsOut(next.locked, login, next.next?.sha)) return no(`${lockWord(next.locked)} by ${next.locked.owner_name}: ${next.locked.reason}`, true);
  if (next.closed) return no(`Closed: ${next.closed.why}`, true);
  if (next.stage?.refused) return no(next.stage.refused, true);
  if (next.running) return no(`Deploy ${next.running.number} is under way.`);
  const onTrain = trainInTheWay(train, login);
  if (onTrain) return no(onTrain, true);
  if (!next.next) return no("The repository has no commit to ship.");
  if (next.added.length === 0 && next.removed.length === 0 && next.current) return no("Nothing new: the newest commit runs already.");
  return null;
}
