import type { ReactElement } from "react";
import { Dialog } from "../ui/Dialog";
import { SUB_PAGES } from "../pages/flags/pages";
import { NAV } from "./routes";

const OTHERS: [string[], string][] = [
  [["/"], "Search the record; on Flags, the flags"],
  [["?"], "All keys"],
  [["Esc"], "Close what is open"],
  [["j", "k"], "On Flags: the next flag, the one before"],
  [["Enter"], "On Flags: open it"],
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
        {SUB_PAGES.filter(({ key }) => key).map((item) => (
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
