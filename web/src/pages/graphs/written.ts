/** A dashboard as somebody writes it: its name, its file, and nothing that the server says of it. */
import type { Dashboard } from "../../api/types";
import { toYaml } from "../../lib/yaml";

export function onlyWritten(dashboard: Dashboard): Dashboard {
  const { generated: _made, note: _looked, version: _version, saved_by: _by, saved_at: _at, ...written } = dashboard;
  return written;
}

const NAME_MAX = 63;

/** Why it cannot be the name of a dashboard. */
export function wrongName(name: string): string | null {
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) return "A name is made of small letters, digits, `-`, `_` and dots, and begins with a letter or a digit.";
  return name.length > NAME_MAX ? `A name has at most ${NAME_MAX} signs.` : null;
}

/** A name after a title; empty where nothing of it can stand in one. */
export const nameAfter = (title: string): string =>
  title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9._]+/g, "-").replace(/^[^a-z0-9]+/, "").slice(0, NAME_MAX).replace(/-+$/, "");

export const fileName = ({ name }: Dashboard): string => `${name}.yaml`;

/** The file that `tenfold apply` takes. Its name stands at the beginning of a line of its own, where the server looks for it. */
export function fileOf(dashboard: Dashboard): string {
  const { name, title, ...rest } = onlyWritten(dashboard);
  return `# dashboards/${fileName(dashboard)}\n${toYaml({ name, title, ...rest })}`;
}
