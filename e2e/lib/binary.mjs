// The program under test.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const target = process.env.CARGO_TARGET_DIR ?? `${ROOT}target`;
export const TENFOLD = process.env.TENFOLD_BIN ?? `${target}/debug/tenfold`;

if (!existsSync(TENFOLD)) throw new Error(`${TENFOLD} is not built: run cargo build first`);
