/** Whether an element is on the screen, or nearly: what costs a question to the server is drawn for what somebody sees. */
import { useEffect, useState, type RefCallback } from "react";

/** So far outside counts as seen, so that a slow scroll finds it drawn. */
const MARGIN = "200px";

/** Where a browser cannot tell, everything is seen. */
export function useOnScreen(): [RefCallback<Element>, boolean] {
  const [element, setElement] = useState<Element | null>(null);
  const [seen, setSeen] = useState(typeof IntersectionObserver === "undefined");
  useEffect(() => {
    if (!element || typeof IntersectionObserver === "undefined") return undefined;
    const observer = new IntersectionObserver((entries) => setSeen(entries.at(-1)?.isIntersecting ?? false), { rootMargin: MARGIN });
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [setElement, seen];
}
