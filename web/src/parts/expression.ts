/** An alert's expression is a comparison; its graph wants the left side as a line and the right side as a threshold. */

export interface Compared {
  expr: string;
  threshold: number | null;
}

const COMPARISON = /^([\s\S]*?)\s*(?:>=|<=|==|!=|>|<)\s*(?:bool\s+)?([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*$/i;

export function withoutThreshold(expr: string): Compared {
  const found = COMPARISON.exec(expr.trim());
  if (!found || !balanced(found[1] ?? "")) return { expr, threshold: null };
  return { expr: found[1] ?? expr, threshold: Number(found[2]) };
}

/** A cut inside brackets would not be an expression any more. */
function balanced(text: string): boolean {
  let depth = 0;
  for (const char of text) {
    if ("([{".includes(char)) depth += 1;
    if (")]}".includes(char)) depth -= 1;
  }
  return depth === 0;
}
