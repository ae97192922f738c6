/** The pages around flags. A flag's own page is `/flags/KEY`, so these stand one level deeper and take no flag's name. */

export interface SubPage {
  name: string;
  to: string;
  text: string;
  /** Pressed after `g`; no key of the main navigation. */
  key?: string;
}

export const SUB_PAGES: SubPage[] = [
  { name: "flags", to: "/flags", text: "Flags" },
  { name: "segments", to: "/flags/-/segments", text: "Segments", key: "e" },
  { name: "changes", to: "/flags/-/changes", text: "Planned changes", key: "p" },
  { name: "permits", to: "/flags/-/permits", text: "Permits", key: "m" },
];
