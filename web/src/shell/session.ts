import { createContext, use } from "react";
import type { Person, Role } from "../api/types";

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

const ROLES: Role[] = ["viewer", "responder", "deployer", "admin"];
type Rights = Pick<Person, "role"> & { grants?: Person["grants"] };

/** Why a person may not do what takes a role; null where they have it, though it be on a single service only: the server asks of which. */
export function lacks({ role, grants = [] }: Rights, needed: Role, everywhere = false): string | null {
  const wide = everywhere ? grants.filter(({ service, environment }) => service == null && environment == null) : grants;
  const has = [role, ...wide.map((grant) => grant.role)].some((one) => ROLES.indexOf(one) >= ROLES.indexOf(needed));
  return has ? null : `It takes the role ${needed}.`;
}

/** The same of whoever is signed in. */
export function useLacks(needed: Role, everywhere = false): string | null {
  const session = use(SessionContext);
  return session ? lacks(session.person, needed, everywhere) : null;
}
