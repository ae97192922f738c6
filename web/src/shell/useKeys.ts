/** Keys that work on every page. Never while the reader types. */
import { useEffect } from "react";
import { navigate } from "../router/router";
import { SUB_PAGES } from "../pages/flags/pages";
import { NAV } from "./routes";

const SECOND_KEY_MS = 1500;

/** `target` is the innermost one: the editor of PromQL lies in a shadow root. */
function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

function focusSearch(): void {
  const box = document.getElementById("search");
  if (box && box.offsetParent !== null) box.focus();
  else navigate("/timeline?focus=q");
}

export function useKeys(onHelp: () => void): void {
  useEffect(() => {
    let pendingUntil = 0;
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.composedPath()[0] ?? null)) return;
      if (document.querySelector("[role=dialog]")) return;
      if (pendingUntil > event.timeStamp) {
        pendingUntil = 0;
        const item = [...NAV, ...SUB_PAGES].find(({ key }) => key === event.key);
        if (item) {
          event.preventDefault();
          navigate(item.to);
        }
        return;
      }
      if (event.key === "g") pendingUntil = event.timeStamp + SECOND_KEY_MS;
      else if (event.key === "/") {
        event.preventDefault();
        focusSearch();
      } else if (event.key === "?") {
        event.preventDefault();
        onHelp();
      }
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [onHelp]);
}
