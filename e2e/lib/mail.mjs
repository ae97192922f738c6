// The mailboxes of the mail server: one Maildir per person.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { until } from './wait.mjs';

/** Mails of one person, oldest first: `{at, subject, text}`, both parts readable. */
export function mails(mailboxes, login) {
  const folder = join(mailboxes, login, 'new');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .map((path) => ({ at: statSync(path).mtimeMs, ...read(readFileSync(path, 'utf8')) }))
    .sort((a, b) => a.at - b.at);
}

export function mailTo(mailboxes, login, pattern, { within_ms = 60_000, after = 0 } = {}) {
  return until(`a mail to ${login} that says ${pattern}`, () => mails(mailboxes, login).find((mail) => mail.at > after && pattern.test(`${mail.subject}\n${mail.text}`)), { within_ms });
}

function read(raw) {
  const [head, ...rest] = raw.split(/\r?\n\r?\n/);
  const headers = head.replace(/\r?\n[ \t]+/g, ' ');
  const subject = words(/^Subject: (.*)$/im.exec(headers)?.[1] ?? '');
  return { subject, headers, text: quoted(rest.join('\n\n')) };
}

/** RFC 2047 words. */
function words(text) {
  return text.replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, how, value) =>
    how.toLowerCase() === 'b' ? Buffer.from(value, 'base64').toString('utf8') : quoted(value.replaceAll('_', ' ')),
  );
}

/** Quoted-printable, which leaves plain text as it is. */
function quoted(text) {
  const joined = text.replace(/=\r?\n/g, '');
  return joined.replace(/((?:=[0-9A-F]{2})+)/g, (bytes) => Buffer.from(bytes.replaceAll('=', ''), 'hex').toString('utf8'));
}
