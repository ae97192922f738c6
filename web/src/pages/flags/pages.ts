/**
 * The pages around flags. A flag's own page is `/flags/KEY`, so most stand one level deeper and take no flag's name; no
 * flag may be called `mine`, `contingency`, `groups` or `stale`.
 */

export interface SubPage {
  name: string;
  to: string;
  text: string;
  /** Pressed after `g`; no key of the main navigation. */
  key?: string;
}

export const SUB_PAGES: SubPage[] = [
  { name: "flags", to: "/flags", text: "Flags" },
  { name: "contingency", to: "/flags/contingency", text: "Contingency" },
  { name: "mine", to: "/flags/mine", text: "For me" },
  { name: "groups", to: "/flags/groups", text: "Groups" },
  { name: "stale", to: "/flags/stale", text: "Had their day" },
  { name: "segments", to: "/flags/-/segments", text: "Segments", key: "e" },
  { name: "changes", to: "/flags/-/changes", text: "Planned changes", key: "p" },
  { name: "permits", to: "/flags/-/permits", text: "Permits", key: "m" },
];
