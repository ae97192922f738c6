/** What a sender linked to: one address a line, and behind it what it is called. */
export interface AlertLink {
  href: string;
  text: string;
}

/** Only addresses of pages: what a sender writes must not run anything. */
const ADDRESS = /^https?:\/\/\S+$/;

export function linksOf({ annotations }: { annotations: unknown }): AlertLink[] {
  const lines = ((annotations as Record<string, string | undefined>)["links"] ?? "").split("\n");
  return lines.flatMap((line) => {
    const [href = "", ...words] = line.trim().split(" ");
    return ADDRESS.test(href) ? [{ href, text: words.join(" ") || href }] : [];
  });
}
