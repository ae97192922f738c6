import { useEffect, useLayoutEffect, useRef, useState, type CSSProperties, type KeyboardEvent, type ReactElement } from "react";
import type { FlagRequest, FlagSummary } from "../../../api/types";
import { useNow } from "../../../lib/clock";
import { Link } from "../../../router/Link";
import { navigate, useParams } from "../../../router/router";
import { Status, Time } from "../../../ui/basics";
import { SortHead } from "../../../ui/SortHead";
import { Sparkline } from "../../../ui/Sparkline";
import { isStale, marksOf, projectOf, stateLook, visible } from "./rows";
import { useSparks, type Sparks } from "./useSparks";

const ROW_PX = 28;
const NARROW_LINE_PX = 20;
/** The name, and the room around. */
const NARROW_HEAD_PX = 36;
const NARROW = "(max-width: 600px)";

/** A row on a narrow window: two environments to a line, then the project, then the rest. */
const narrowRowPx = (environments: number, inProjects: boolean): number =>
  NARROW_HEAD_PX + NARROW_LINE_PX * Math.max(2, Math.ceil(environments / 2) + 1 + (inProjects ? 1 : 0));

/** Which rows are near the window. Rows have one height, so that five thousand cost no more than fifty. */
function useWindowed(count: number, narrowPx: number, table: React.RefObject<HTMLTableSectionElement | null>): { from: number; to: number; height: number } {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  const height = narrow ? narrowPx : ROW_PX;
  const [range, setRange] = useState({ from: 0, to: Math.min(count, 60) });
  useEffect(() => {
    const media = matchMedia(NARROW);
    const change = (): void => setNarrow(media.matches);
    media.addEventListener("change", change);
    return () => media.removeEventListener("change", change);
  }, []);
  useLayoutEffect(() => {
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      const top = table.current?.getBoundingClientRect().top ?? 0;
      const next = visible(count, height, top, window.innerHeight);
      setRange((now) => (now.from === next.from && now.to === next.to ? now : next));
    };
    const later = (): void => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener("scroll", later, { passive: true });
    window.addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", later);
      window.removeEventListener("resize", later);
    };
  }, [count, height, table]);
  return { ...range, height };
}

interface HeadProps {
  name: string;
  sort: string;
  children: string;
}

/** Pressed again, it sorts the other way round. */
function Head({ name, sort, children }: HeadProps): ReactElement {
  const params = useParams();
  const way = sort === name ? "ascending" : sort === `-${name}` ? "descending" : null;
  return <SortHead title={children} className={`col-${name.startsWith("in.") ? "state" : name}`} way={way} onPress={() => params.set({ sort: way === "ascending" ? `-${name}` : name })} />;
}

interface RowProps {
  flag: FlagSummary;
  environments: string[];
  /** Where there is more than one, a column says which. */
  inProjects: boolean;
  waiting: readonly FlagRequest[];
  index: number;
  now: number;
  sparks: Sparks;
  current: boolean;
}

/** Leads to the environment on the flag's page that it speaks of. */
function Marks({ flag, waiting }: { flag: FlagSummary; waiting: readonly FlagRequest[] }): ReactElement {
  return (
    <>
      {marksOf(flag, waiting).map(({ look, word, title, environment }) => (
        <Link key={title} className="mark" title={title} to={`/flags/${encodeURIComponent(flag.key)}?environment=${encodeURIComponent(environment)}`}><Status look={look}>{word}</Status><span className="sr-only">. {title}</span></Link>
      ))}
    </>
  );
}

function Row({ flag, environments, inProjects, waiting, index, now, sparks, current }: RowProps): ReactElement {
  const spark = sparks.get(flag.key);
  return (
    <tr aria-rowindex={index + 2} data-index={index} className={current ? "current" : undefined}>
      <th scope="row" className="key">
        <div className="named">
          <Link className="strong" title={flag.key} to={`/flags/${encodeURIComponent(flag.key)}`}>{flag.key}</Link>
          <Marks flag={flag} waiting={waiting} />
          <span className="muted">{(flag.tags ?? []).map((tag) => <span key={tag} className="tag">{tag}</span>)} {flag.description}</span>
        </div>
      </th>
      {environments.map((name) => {
        const [look, word] = stateLook(flag.environments[name]);
        return <td key={name} className="fit state"><span className="in">{name} </span><Status look={look}>{word}</Status></td>;
      })}
      {inProjects && <td className="fit project" title={projectOf(flag)}><span className="in">in </span>{projectOf(flag)}</td>}
      <td className="fit">{flag.kind.replace("_", " ")}</td>
      <td className="fit" title={flag.owner}>{flag.owner || "—"}</td>
      <td className={flag.expires_at || isStale(flag, now) ? "fit" : "fit hide-narrow"}>{isStale(flag, now) ? <Status look="warning">stale</Status> : <Time at={flag.expires_at} />}</td>
      <td className="fit changed">{flag.updated_by && <>{flag.updated_by}, </>}<Time at={flag.updated_at} /></td>
      <td className="fit usage">{spark ? <Sparkline values={spark.values} label={`${flag.key} was asked ${spark.total} times in 24 h`} /> : <span className="muted">—</span>}</td>
    </tr>
  );
}

interface Props {
  flags: FlagSummary[];
  environments: string[];
  inProjects: boolean;
  waiting: readonly FlagRequest[];
  sort: string;
  archived: boolean;
}

export function FlagTable({ flags, environments, inProjects, waiting, sort, archived }: Props): ReactElement {
  const now = useNow(60_000);
  const body = useRef<HTMLTableSectionElement>(null);
  const narrowPx = narrowRowPx(environments.length, inProjects);
  const { from, to, height } = useWindowed(flags.length, narrowPx, body);
  const shown = flags.slice(from, to);
  const sparks = useSparks(archived ? [] : shown.map(({ key }) => key));
  const [current, setCurrent] = useState<number | null>(null);
  const columns = environments.length + (inProjects ? 7 : 6);

  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("[role=dialog]")) return;
      const typing = event.target instanceof HTMLElement && ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName);
      if (typing) return;
      if (event.key === "j" || event.key === "k") {
        event.preventDefault();
        setCurrent((at) => Math.min(flags.length - 1, Math.max(0, at === null ? 0 : at + (event.key === "j" ? 1 : -1))));
      } else if (event.key === "Enter" && current !== null && flags[current] && !(event.target instanceof HTMLAnchorElement || event.target instanceof HTMLButtonElement)) {
        navigate(`/flags/${encodeURIComponent(flags[current].key)}`);
      }
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [flags, current]);

  useEffect(() => {
    if (current === null || !body.current) return;
    const top = body.current.getBoundingClientRect().top + current * height;
    if (top < 60) window.scrollBy(0, top - 60);
    else if (top + height > window.innerHeight - 8) window.scrollBy(0, top + height - window.innerHeight + 8);
  }, [current, height]);

  // Clicking into a row is where j and k go on from.
  const take = (event: React.FocusEvent): void => {
    const row = (event.target as HTMLElement).closest("tr");
    if (row?.dataset.index) setCurrent(Number(row.dataset.index));
  };
  const open = (event: KeyboardEvent): void => {
    if (event.key === "Escape") setCurrent(null);
  };

  return (
    <table className="flags" style={{ "--narrow-row": `${narrowPx}px` } as CSSProperties} aria-rowcount={flags.length + 1} onFocus={take} onKeyDown={open} aria-label={archived ? "Archived flags" : "Flags"}>
      <thead>
        <tr aria-rowindex={1}>
          <Head name="key" sort={sort || "key"}>Flag</Head>
          {environments.map((name) => <Head key={name} name={`in.${name}`} sort={sort}>{name}</Head>)}
          {inProjects && <Head name="project" sort={sort}>Project</Head>}
          <Head name="kind" sort={sort}>Kind</Head>
          <Head name="owner" sort={sort}>Owner</Head>
          <Head name="expires" sort={sort}>Expires</Head>
          <Head name="changed" sort={sort}>Last change</Head>
          <th scope="col" className="col-usage">Asked, 24 h</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {from > 0 && <tr className="spacer" aria-hidden="true"><td colSpan={columns} style={{ height: from * height }} /></tr>}
        {shown.map((flag, at) => (
          <Row key={flag.key} flag={flag} environments={environments} inProjects={inProjects} waiting={waiting} index={from + at} now={now} sparks={sparks} current={current === from + at} />
        ))}
        {to < flags.length && <tr className="spacer" aria-hidden="true"><td colSpan={columns} style={{ height: (flags.length - to) * height }} /></tr>}
      </tbody>
    </table>
  );
}
