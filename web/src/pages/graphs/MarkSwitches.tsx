import { useMemo, type ReactElement } from "react";
import type { DashboardMark } from "../../api/types";
import { useParams } from "../../router/router";

/** Stands in the address where all are switched off. */
const NONE = "-";

/** Those that are drawn: as the address says, else those that are not off. */
export function chosenMarks(marks: DashboardMark[], told: string[]): DashboardMark[] {
  return told.length > 0 ? marks.filter(({ name }) => told.includes(name)) : marks.filter(({ off }) => !off);
}

export function useShownMarks(marks: DashboardMark[]): [DashboardMark[], (shown: string[]) => void] {
  const params = useParams();
  const told = params.all("mark");
  const shown = useMemo(() => chosenMarks(marks, told), [marks, told.join("\n")]);
  return [shown, (names) => params.set({ mark: names.length > 0 ? names : [NONE] })];
}

/** Which marks by queries are drawn. */
export function MarkSwitches({ marks, shown, onChange }: { marks: DashboardMark[]; shown: DashboardMark[]; onChange: (shown: string[]) => void }): ReactElement | null {
  if (marks.length === 0) return null;
  const names = shown.map(({ name }) => name);
  return (
    <>
      {marks.map(({ name }) => (
        <label key={name} className="inline">
          <input type="checkbox" checked={names.includes(name)} onChange={(event) => onChange(event.target.checked ? [...names, name] : names.filter((one) => one !== name))} /> <span aria-hidden="true">▸</span> {name}
        </label>
      ))}
    </>
  );
}
