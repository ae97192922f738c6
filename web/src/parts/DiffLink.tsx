import type { ReactElement } from "react";

/** Only a web page is linked, whatever the answer holds. */
export function isPage(url: string | null | undefined): url is string {
  return typeof url === "string" && /^https?:\/\/[^\s"'<>]+$/.test(url);
}

/** The forge's page with what a deploy changes. */
export function DiffLink({ url }: { url: string | null | undefined }): ReactElement | null {
  return isPage(url) ? <a className="inline-link" href={url} target="_blank" rel="noreferrer noopener" aria-label="Diff at the forge, in a new tab">diff</a> : null;
}
