import { createContext, use } from "react";
import type { Person } from "../api/types";

export interface SignedIn {
  person: Person;
  demo: boolean;
  version: string;
}

export const SessionContext = createContext<SignedIn | null>(null);

/** The signed-in person; only used inside the frame, where there is one. */
export function useSession(): SignedIn {
  const session = use(SessionContext);
  if (!session) throw new Error("a page was drawn without a signed-in person");
  return session;
}
