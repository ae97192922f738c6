import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { linter, lintKeymap, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef, type ReactElement } from "react";
import { faultOf } from "../api/promql";
import { placedIn, placeOf } from "./place";

interface Props {
  label: string;
  value: string;
  onChange: (text: string) => void;
  onRun: () => void;
  /** The text as it is asked, where variables stand in it. */
  asked?: (text: string) => string;
}

/** After a pause in typing. */
const LINT_MS = 400;

/** By the tokens of the page, so that one look serves both themes. */
const LOOK = EditorView.theme({
  "&": { border: "1px solid var(--control)", borderRadius: "var(--radius)", background: "var(--ground)", color: "var(--text)", fontSize: "var(--size)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px" },
  ".cm-content": { fontFamily: "var(--mono)", padding: "6px 0", minHeight: "44px", caretColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--hover)", outline: "1px solid var(--control)" },
  ".cm-tooltip": { border: "1px solid var(--control)", borderRadius: "var(--radius)", background: "var(--raised)", color: "var(--text)" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "16em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", marginLeft: "1em" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-completionInfo": { maxWidth: "28em", padding: "6px 8px", fontFamily: "var(--font)" },
  // Its own is a picture, in a red that is none of the page's.
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--critical)", textUnderlineOffset: "3px" },
  ".cm-lintRange-active": { backgroundColor: "var(--hover)" },
  ".cm-lintPoint-error:after": { borderBottomColor: "var(--critical)" },
  ".cm-panels": { background: "var(--raised)", color: "var(--text)", borderTop: "1px solid var(--control)" },
  ".cm-panel.cm-panel-lint ul [aria-selected]": { background: "var(--hover)", color: "var(--text)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--critical)" },
});

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.function(tags.variableName), tags.operatorKeyword, tags.modifier], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--ok)" },
  { tag: [tags.number, tags.integer, tags.float], color: "var(--warning)" },
  { tag: tags.labelName, color: "var(--text)", fontWeight: "600" },
  { tag: tags.comment, color: "var(--muted)" },
  { tag: tags.invalid, color: "var(--critical)" },
]);

// Its own grammar marks queries that the server takes, such as those with calculated durations.
const promql = (): PromQLExtension =>
  new PromQLExtension()
    .activateLinter(false)
    .setComplete({ remote: { url: "", apiPrefix: "/api/v1", httpMethod: "GET" } });

/** What the server would refuse, marked at its place in the text. */
export async function problemsOf(text: string, asked: (text: string) => string = (typed) => typed): Promise<Diagnostic[]> {
  if (text.trim() === "") return [];
  const question = asked(text);
  const place = placeOf((await faultOf(question)) ?? "", question);
  return place ? [{ ...placedIn(text, question, place), severity: "error" }] : [];
}

/**
 * PromQL with colours, completion from the server's own metrics, and errors under the text. Enter runs it. It lives in a
 * shadow root, where its styles are sheets of their own and the page's policy against inline styles holds.
 */
export default function PromqlEditor({ label, value, onChange, onRun, asked }: Props): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ onChange, onRun, asked });
  latest.current = { onChange, onRun, asked };

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const extension = promql();
    const run = (): boolean => {
      latest.current.onRun();
      return true;
    };
    const made = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: value,
        extensions: [
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          EditorView.lineWrapping,
          placeholder("sum by (code) (rate(http_requests_total[1m]))"),
          EditorView.contentAttributes.of({ "aria-label": label }),
          extension.asExtension(),
          linter((shown) => problemsOf(shown.state.doc.toString(), latest.current.asked), { delay: LINT_MS }),
          syntaxHighlighting(COLOURS),
          LOOK,
          // Below the completion's own Enter, above a new line.
          Prec.high(keymap.of([{ key: "Mod-Enter", run }])),
          keymap.of([...completionKeymap, { key: "Enter", run }, ...closeBracketsKeymap, ...historyKeymap, ...lintKeymap, ...defaultKeymap]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    // An Escape that closed the offered names is not one for the dialog around, which would lose what is typed.
    const escape = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && event.defaultPrevented) event.stopPropagation();
    };
    element.addEventListener("keydown", escape);
    return () => {
      element.removeEventListener("keydown", escape);
      made.destroy();
      view.current = null;
    };
    // The text is the editor's own from here on; what comes from outside is taken over below.
  }, [label]);

  useEffect(() => {
    const made = view.current;
    const text = made?.state.doc.toString();
    if (made && text !== value) made.dispatch({ changes: { from: 0, to: text!.length, insert: value } });
  }, [value]);

  return <div ref={host} className="promql-editor" />;
}
