// Remote write 1.0 from scratch, as much of it as tests and benches need: float samples, and snappy's framing without compression.

function varint(number) {
  const bytes = [];
  let rest = BigInt(number);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A field of protobuf with a length. */
function field(number, body) {
  return Buffer.concat([varint((number << 3) | 2), varint(body.length), body]);
}

function sample(value, at_ms) {
  const body = Buffer.alloc(9);
  body[0] = (1 << 3) | 1;
  body.writeDoubleLE(value, 1);
  return Buffer.concat([body, varint(2 << 3), varint(at_ms)]);
}

/** The labels of a series as they are sent, `__name__` among them; made once, they serve for every sample. */
export function labelled(labels) {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat(sorted.map(([name, value]) => field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))]))));
}

/** snappy's block format, everything as literals. */
function uncompressed(body) {
  const parts = [varint(body.length)];
  for (let at = 0; at < body.length; at += 0x10000) {
    const part = body.subarray(at, at + 0x10000);
    const head = Buffer.from([61 << 2, 0, 0]);
    head.writeUInt16LE(part.length - 1, 1);
    parts.push(head, part);
  }
  return Buffer.concat(parts);
}

/** Series as `[labels of labelled(), value]`, all at one instant. */
export function encoded(series, at_ms) {
  const one = ([labels, value]) => field(1, Buffer.concat([labels, field(2, sample(value, at_ms))]));
  return uncompressed(Buffer.concat(series.map(one)));
}

/** `base` is the server's address with its scheme. */
export async function remoteWrite(base, headers, body) {
  const about = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', 'x-prometheus-remote-write-version': '0.1.0' };
  const response = await fetch(`${base}/api/v1/write`, { method: 'POST', headers: { ...about, ...headers }, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${base} refuses samples: ${response.status}: ${text}`);
}
