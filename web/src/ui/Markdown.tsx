import type { ReactElement, ReactNode } from "react";
import { blocks, type Block, type Inline } from "../lib/markdown";
import { Link } from "../router/Link";

function Pieces({ of }: { of: Inline[] }): ReactElement {
  return <>{of.map((piece, at) => <Piece key={at} piece={piece} />)}</>;
}

function Piece({ piece }: { piece: Inline }): ReactElement {
  switch (piece.kind) {
    case "text":
      return <>{piece.text}</>;
    case "code":
      return <code>{piece.text}</code>;
    case "strong":
      return <strong><Pieces of={piece.inside} /></strong>;
    case "em":
      return <em><Pieces of={piece.inside} /></em>;
    case "link":
      return piece.to.startsWith("/")
        ? <Link className="inline-link" to={piece.to}><Pieces of={piece.inside} /></Link>
        : <a className="inline-link" href={piece.to} target="_blank" rel="noreferrer"><Pieces of={piece.inside} /></a>;
  }
}

function one(block: Block): ReactNode {
  switch (block.kind) {
    // The page and its panels have the first three levels.
    case "heading":
      return block.level === 1 ? <h4 className="words-title"><Pieces of={block.inside} /></h4> : <h5><Pieces of={block.inside} /></h5>;
    case "paragraph":
      return <p><Pieces of={block.inside} /></p>;
    case "quote":
      return <blockquote className="muted"><Pieces of={block.inside} /></blockquote>;
    case "code":
      return <pre><code>{block.text}</code></pre>;
    case "line":
      return <hr />;
    case "list": {
      const items = block.items.map((item, at) => <li key={at}><Pieces of={item} /></li>);
      return block.ordered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
  }
}

/** Words that somebody wrote, as React's elements and never as HTML. */
export function Markdown({ text }: { text: string }): ReactElement {
  return <div className="words">{blocks(text).map((block, at) => <div key={at}>{one(block)}</div>)}</div>;
}
