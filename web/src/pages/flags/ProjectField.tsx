import type { ReactElement } from "react";
import { places } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { Field } from "../../ui/Field";

/** The project of a flag, where there is more than one to choose from. */
export function ProjectField({ value, onChange }: { value: string; onChange: (project: string) => void }): ReactElement | null {
  const names = useQuery("flag-projects", places.projects, { touches: ["flag_project."] }).data?.items.map(({ name }) => name) ?? [];
  if (names.length < 2) return null;
  return (
    <Field label="Project">
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {names.map((name) => <option key={name}>{name}</option>)}
      </select>
    </Field>
  );
}
