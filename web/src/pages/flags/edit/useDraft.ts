/** The edit of one flag: what is different, whether somebody else changed it meanwhile, and saving it. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { flags } from "../../../api/endpoints";
import { ApiError } from "../../../api/http";
import type { Flag, FlagUpdate } from "../../../api/types";
import { touch } from "../../../api/useQuery";
import { useAskBeforeLeaving } from "../../../lib/useAskBeforeLeaving";
import { say } from "../../../ui/toast";
import { told } from "../told";
import { draftOf, keep, kept, rebase, same, updateOf, type Draft, type DraftEnvironment, type Kept } from "./draft";

export interface Editing {
  draft: Draft;
  base: Draft;
  /** Of the flag, that the edit is made on. */
  version: number;
  /** What saving would send; null when nothing differs. */
  update: FlagUpdate | null;
  /** The flag was changed by somebody else since the edit began. */
  conflict: boolean;
  /** The edit was found again after a reload. */
  restored: boolean;
  busy: boolean;
  /** The server's last refusal, until the next edit. */
  refused: string | null;
  change: (change: Partial<Draft>) => void;
  changeIn: (environment: string, change: Partial<DraftEnvironment>) => void;
  save: () => Promise<boolean>;
  discard: () => void;
  /** Puts the edit on top of the flag as it is now; tells what both had changed. */
  takeUp: () => void;
}

export function useDraft(flag: Flag, reload: () => void): Editing {
  const [edit, setEdit] = useState<Kept | null>(() => kept(flag.key));
  const [restored, setRestored] = useState(edit !== null);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);
  const server = useMemo(() => draftOf(flag), [flag]);
  const base = edit?.base ?? server;
  const draft = edit?.edited ?? server;
  const update = useMemo(() => (edit ? updateOf(edit.base, edit.edited) : null), [edit]);
  // A switch or a counted use gives a new version or a new answer without touching what is edited here.
  const conflict = edit !== null && !same(edit.base, server);

  useEffect(() => {
    if (edit && update) keep(flag.key, edit);
    else keep(flag.key, null);
  }, [edit, update, flag.key]);

  useEffect(() => {
    // The same definition under a higher number: somebody switched it. The edit goes on upon that version.
    if (edit && !conflict && edit.version !== flag.version) setEdit({ ...edit, version: flag.version });
  }, [edit, conflict, flag.version]);

  // The edit is kept, so leaving asks nothing; closing the window would lose it.
  useAskBeforeLeaving(update !== null);

  const change = useCallback(
    (next: Partial<Draft>) => {
      setRefused(null);
      setEdit((now) => ({ version: now?.version ?? flag.version, base: now?.base ?? server, edited: { ...(now?.edited ?? server), ...next } }));
    },
    [flag.version, server],
  );
  const changeIn = useCallback(
    (environment: string, next: Partial<DraftEnvironment>) => {
      setRefused(null);
      setEdit((now) => {
        const edited = now?.edited ?? server;
        const state = { ...(edited.environments[environment] ?? { strategies: [], variants: [] }), ...next };
        return { version: now?.version ?? flag.version, base: now?.base ?? server, edited: { ...edited, environments: { ...edited.environments, [environment]: state } } };
      });
    },
    [flag.version, server],
  );
  const discard = useCallback(() => {
    setEdit(null);
    setRefused(null);
    setRestored(false);
  }, []);
  const takeUp = useCallback(() => {
    if (!edit) return;
    const { draft: merged, both } = rebase(edit.base, edit.edited, server);
    setEdit({ version: flag.version, base: server, edited: merged });
    setRefused(null);
    if (both.length > 0) say("warning", `You and the other changed the same: ${both.join(", ")}. Yours stands in the edit.`, "Look at the changes before you save.");
  }, [edit, server, flag.version]);

  const save = async (): Promise<boolean> => {
    if (!edit || !update) return false;
    setBusy(true);
    try {
      const saved = await flags.put(flag.key, update, edit.version);
      discard();
      say(saved.requested ? "warning" : "ok", told(`${flag.key} is saved.`)(saved));
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === "changed") reload();
      else if (error instanceof ApiError && error.code === "invalid") setRefused(error.message);
      else if (error instanceof ApiError) say("critical", error.message, error.advice);
      else say("critical", "The page failed to save.", String(error));
      return false;
    } finally {
      setBusy(false);
      touch("flag.changed");
    }
  };
  return { draft, base, version: edit?.version ?? flag.version, update, conflict, restored: restored && update !== null, busy, refused, change, changeIn, save, discard, takeUp };
}
