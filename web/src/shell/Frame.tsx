import { useEffect, useRef, useState, type ReactElement, type ReactNode } from "react";
import { usePath } from "../router/router";
import { HeaderStrip } from "./HeaderStrip";
import { KeysDialog } from "./KeysDialog";
import { PagedBanner } from "./PagedBanner";
import { TopBar } from "./TopBar";
import { useKeys } from "./useKeys";

/** What stands around every page: the bar, the header strip, the keys. */
export function Frame({ children }: { children: ReactNode }): ReactElement {
  const path = usePath();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const [keysShown, setKeysShown] = useState(false);
  useKeys(() => setKeysShown(true));

  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);

  return (
    <>
      <a className="skip" href="#main">Skip to the page</a>
      <TopBar onKeys={() => setKeysShown(true)} />
      <HeaderStrip />
      <PagedBanner />
      <main id="main" ref={main} tabIndex={-1}>{children}</main>
      <KeysDialog open={keysShown} onClose={() => setKeysShown(false)} />
    </>
  );
}
