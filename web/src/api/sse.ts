/** Server-sent events out of the pieces of an answer: what EventSource does for GET, for a question with a body. */
export interface ServerEvent {
  name: string;
  data: string;
}

/** More than this without an end of an event is no stream of events. */
const EVENT_CHARS_MAX = 8 * 1024 * 1024;

export class EventReader {
  private rest = "";

  /** The events that this piece completes. Throws when one does not end. */
  read(piece: string): ServerEvent[] {
    const parts = (this.rest + piece).split("\n\n");
    this.rest = parts.pop() ?? "";
    if (this.rest.length > EVENT_CHARS_MAX) throw new Error("an event of the stream does not end");
    return parts.flatMap((part) => {
      const fields = (name: string): string[] => part.split("\n").flatMap((line) => (line.startsWith(`${name}:`) ? [line.slice(name.length + 1).replace(/^ /, "")] : []));
      const data = fields("data");
      return data.length > 0 ? [{ name: fields("event").at(-1) ?? "message", data: data.join("\n") }] : [];
    });
  }
}
