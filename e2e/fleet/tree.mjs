// What stands in a folder, as one digest: every path with its kind, its executable bit and its content.
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Left out at the top: what one way of deploying puts there and another does not, and what is for the server alone. */
const OWN = new Set(['.git', '.tenfold', 'REVISION']);

export function treeDigest(root) {
  const hash = createHash('sha256');
  let files = 0;
  let bytes = 0;
  const walk = (folder) => {
    for (const name of readdirSync(join(root, folder)).sort()) {
      if (folder === '' && OWN.has(name)) continue;
      const path = join(folder, name);
      const stat = lstatSync(join(root, path));
      if (stat.isDirectory()) {
        walk(path);
        continue;
      }
      const link = stat.isSymbolicLink();
      const content = link ? Buffer.from(readlinkSync(join(root, path))) : readFileSync(join(root, path));
      files += 1;
      bytes += content.length;
      hash.update(`${link ? 'link' : stat.mode & 0o111 ? 'program' : 'file'} ${content.length} ${path}\0`).update(content);
    }
  };
  walk('');
  return { digest: hash.digest('hex'), files, bytes };
}
