/** Asks the server what the flag as saved and as edited would answer, a moment after the last keystroke. */
import { useEffect, useRef, useState } from "react";
import { flags } from "../../../api/endpoints";
import { ApiError } from "../../../api/http";
import type { FlagPreview, FlagUpdate } from "../../../api/types";
import { NotAContext, readContext, readIds } from "./context";

const SETTLE_MS = 250;

export interface Previewed {
  answer: FlagPreview | null;
  problem: string | null;
  asking: boolean;
}

export function usePreview(key: string, version: number, environment: string, context: string, ids: string, update: FlagUpdate | null): Previewed {
  const [state, setState] = useState<Previewed>({ answer: null, problem: null, asking: true });
  const round = useRef(0);
  const edited = update ? JSON.stringify(update) : "";
  useEffect(() => {
    const mine = ++round.current;
    const timer = window.setTimeout(() => {
      const done = (next: Omit<Previewed, "asking">): void => {
        if (mine === round.current) setState({ ...next, asking: false });
      };
      let fields = {};
      let problem: string | null = null;
      try {
        fields = readContext(context);
      } catch (error) {
        problem = error instanceof NotAContext ? error.message : String(error);
      }
      // The edit is checked by the server even while the context is being typed.
      flags.preview(key, { environment, context: fields, ids: readIds(ids), ...(edited ? { edited: JSON.parse(edited) as FlagUpdate } : {}) }).then(
        (answer) => done({ answer: problem ? { refused: answer.refused ?? null } : answer, problem }),
        (error: unknown) => done({ answer: null, problem: error instanceof ApiError ? `${error.message} ${error.advice}` : String(error) }),
      );
    }, SETTLE_MS);
    return () => window.clearTimeout(timer);
  }, [key, version, environment, context, ids, edited]);
  return state;
}
