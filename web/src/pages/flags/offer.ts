/** Self opt-in as it is filled in, and as the server takes it. */
import type { Flag } from "../../api/types";

export interface Offer {
  text: string;
  role: string;
  /** With commas between them; empty is everybody. */
  teams: string;
  field: string;
}

export const offerOf = (offer: Flag["opt_in"]): Offer => ({ text: offer?.text ?? "", role: offer?.role ?? "viewer", teams: offer?.teams?.join(", ") ?? "", field: offer?.field ?? "userId" });

export const optInOf = ({ text, role, teams, field }: Offer): NonNullable<Flag["opt_in"]> => ({ text: text.trim(), role, teams: teams.split(",").map((team) => team.trim()).filter(Boolean), field: field.trim() });
