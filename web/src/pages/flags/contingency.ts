import type { Contingency } from "../../api/types";

/** Where a flag that is on no page for bad days yet begins. */
export const FIRST_RANK: Contingency = { rank: 1, impact: "", degrades: "" };

export const RANK_MAX = 1000;

/** What is wrong with a rank, in a sentence; null when nothing is. */
export const rankProblem = (rank: number): string | null => (Number.isInteger(rank) && rank >= 1 && rank <= RANK_MAX ? null : `A rank is a whole number from 1 to ${RANK_MAX}.`);
