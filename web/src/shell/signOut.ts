import { session } from "../api/endpoints";
import { forgetAll } from "../api/useQuery";
import { forgetDrafts } from "../lib/drafts";

/** Ends the session, and leaves nothing of the person on this browser, though the server be out of reach. */
export async function signOut(login: string): Promise<void> {
  try {
    await session.signOut();
  } finally {
    forgetDrafts(login);
    forgetAll();
  }
}
