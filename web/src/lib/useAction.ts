/** One thing a person does: busy while it runs, its outcome said aloud, everything it touches asked again. */
import { useCallback, useState } from "react";
import { ApiError } from "../api/http";
import { touch } from "../api/useQuery";
import { say } from "../ui/toast";

export interface Action {
  busy: boolean;
  run: <T>(work: () => Promise<T>, done?: string | ((result: T) => string)) => Promise<T | undefined>;
}

/** `touches` are event kinds: the answers that hang on them are refreshed even while the live stream is down. */
export function useAction(...touches: string[]): Action {
  const [busy, setBusy] = useState(false);
  const kinds = touches.join(",");
  const run = useCallback(
    async <T>(work: () => Promise<T>, done?: string | ((result: T) => string)): Promise<T | undefined> => {
      setBusy(true);
      try {
        const result = await work();
        if (done) say("ok", typeof done === "string" ? done : done(result));
        return result;
      } catch (error) {
        if (error instanceof ApiError) say("critical", error.message, error.advice);
        else say("critical", "The page failed to do this.", String(error));
        return undefined;
      } finally {
        setBusy(false);
        kinds.split(",").filter(Boolean).forEach(touch);
      }
    },
    [kinds],
  );
  return { busy, run };
}
