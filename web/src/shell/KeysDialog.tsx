import type { ReactElement } from "react";
import { Dialog } from "../ui/Dialog";
import { NAV } from "./routes";

const OTHERS: [string[], string][] = [
  [["/"], "Search the record"],
  [["?"], "All keys"],
  [["Esc"], "Close what is open"],
  [["Tab"], "In the console: complete a verb"],
  [["↑"], "In the console: the line before"],
];

export function KeysDialog({ open, onClose }: { open: boolean; onClose: () => void }): ReactElement {
  return (
    <Dialog open={open} onClose={onClose} title="Keys">
      <dl className="keys">
        {NAV.map((item) => (
          <div key={item.to}>
            <dt><kbd>g</kbd> <kbd>{item.key}</kbd></dt>
            <dd>{item.text}</dd>
          </div>
        ))}
        {OTHERS.map(([keys, text]) => (
          <div key={text}>
            <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
