import { useEffect, useRef, useState, type ReactElement, type ReactNode } from "react";

/** A table that may be wider than the window scrolls by itself, and by keyboard when it does. */
export function TableWrap({ children }: { children: ReactNode }): ReactElement {
  const box = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = (): void => setScrolls(element.scrollWidth > element.clientWidth + 1);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, []);
  return (
    <div className="table-wrap" ref={box} {...(scrolls ? { tabIndex: 0, role: "group", "aria-label": "Table, scrolls sideways" } : {})}>
      {children}
    </div>
  );
}
