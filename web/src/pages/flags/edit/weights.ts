/** Weights of variants that always sum to a thousand: what one gains, the others give, each in proportion to what it has. */

export const WHOLE = 1000;

/** Whole numbers in proportion to `parts` that sum to exactly `total`; equal ones where there is nothing to go by. */
export function share(total: number, parts: number[]): number[] {
  if (parts.length === 0) return [];
  const sum = parts.reduce((a, b) => a + b, 0);
  const exact = parts.map((part) => (sum > 0 ? (part / sum) * total : total / parts.length));
  const floors = exact.map(Math.floor);
  let rest = total - floors.reduce((a, b) => a + b, 0);
  const byRest = exact.map((value, index) => [value - floors[index]!, index] as const).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [, index] of byRest) {
    if (rest <= 0) break;
    floors[index]! += 1;
    rest -= 1;
  }
  return floors;
}

interface Weighted {
  weight: number;
}

const put = <V extends Weighted>(variants: V[], weights: number[]): V[] => variants.map((variant, index) => ({ ...variant, weight: weights[index]! }));

export const normalised = <V extends Weighted>(variants: V[]): V[] => put(variants, share(WHOLE, variants.map(({ weight }) => weight)));

/** One weight as wanted, the others make room. */
export function withWeight<V extends Weighted>(variants: V[], at: number, weight: number): V[] {
  const wanted = variants.length === 1 ? WHOLE : Math.min(WHOLE, Math.max(0, Math.round(weight)));
  const others = share(WHOLE - wanted, variants.filter((_, index) => index !== at).map((variant) => variant.weight));
  return put(variants, variants.map((_, index) => (index === at ? wanted : others[index < at ? index : index - 1]!)));
}

/** A new one gets as much as an even split would give it. */
export function withVariant<V extends Weighted>(variants: V[], variant: V): V[] {
  const next = [...variants, variant];
  return withWeight(next, next.length - 1, WHOLE / next.length);
}

export const withoutVariant = <V extends Weighted>(variants: V[], at: number): V[] => normalised(variants.filter((_, index) => index !== at));

export const percentOf = (variants: Weighted[], weight: number): number => {
  const sum = variants.reduce((total, variant) => total + variant.weight, 0);
  return sum > 0 ? Math.round((weight / sum) * 1000) / 10 : 0;
};
