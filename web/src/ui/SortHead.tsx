import type { ReactElement } from "react";

interface Props {
  title: string;
  className?: string | undefined;
  /** How the rows stand by this column; null where they stand by another, or as they came. */
  way: "ascending" | "descending" | null;
  onPress: () => void;
}

/** A column's head that sorts by it. */
export function SortHead({ title, className, way, onPress }: Props): ReactElement {
  return (
    <th scope="col" className={className} aria-sort={way ?? undefined}>
      <button type="button" className="sorts" onClick={onPress}>{title}{way && <span aria-hidden="true"> {way === "descending" ? "▾" : "▴"}</span>}</button>
    </th>
  );
}
