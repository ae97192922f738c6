// On-call calendars read back by other people's readers (Python icalendar with recurring-ical-events, ical.js), and a
// foreign calendar laid out as they lay it out; and the example of docs/guide/on-call.md as it stands.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import ICAL from 'ical.js';

import { TENFOLD } from '../lib/binary.mjs';
import { hasPython } from './kinds.mjs';
import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
const GUIDE = readFileSync(join(import.meta.dirname, '../../docs/guide/on-call.md'), 'utf8');
const DAY_MS = 86_400_000;
const second = (at) => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

let server;
before(async () => {
  server = await Server.start();
  for (const [login, name] of [['ana', 'Ana'], ['raj', 'Räj; the "2nd", of us']]) {
    await server.api.put(`/api/people/${login}`, { name, role: 'responder', kind: 'developer' });
  }
  await server.api.put('/api/schedules/photos-primary', {
    timezone: 'Europe/Berlin',
    fallback: ['mei'],
    layers: [
      { name: 'nights', rotation: { people: ['ana', 'raj', 'mei'], start: '2026-01-05T09:00:00', shift_length: '1d' } },
      {
        name: 'day', timezone: 'America/New_York', rotation: { people: ['raj', 'ana'], start: '2026-01-05T09:00:00', shift_length: '1w' },
        restrictions: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:00' }],
      },
    ],
  });
});
after(() => server?.stop());

/** What the schedule itself says, as rows. */
async function spans(days) {
  const { spans: all, from } = await server.api.get(`/api/schedules/photos-primary/preview?days=${days}`);
  const rows = all.flatMap((s) => s.people.map((p) => ({ person: p, start: second(s.since), end: second(s.until) })));
  return { from: second(from), rows };
}

const sorted = (rows) => rows.map((r) => `${r.start} ${r.end} ${r.person}`).sort();

/** Rows of one person that follow one another without a gap as one. */
function joined(rows) {
  const out = [];
  for (const row of rows.toSorted((a, b) => (a.start < b.start ? -1 : 1))) {
    const before = out.find((r) => r.person === row.person && r.end === row.start);
    if (before) before.end = row.end;
    else out.push({ ...row });
  }
  return out;
}

function byIcalJs(text) {
  const events = new ICAL.Component(ICAL.parse(text)).getAllSubcomponents('vevent').map((e) => new ICAL.Event(e));
  return events.map((e) => ({ uid: e.uid, person: e.summary.split(' ')[0], start: second(e.startDate.toJSDate()), end: second(e.endDate.toJSDate()) }));
}

function byPython(text, from, to) {
  const file = join(server.folder, 'calendar.ics');
  writeFileSync(file, text);
  const out = execFileSync(PYTHON, [join(import.meta.dirname, 'shifts.py'), file, from, to], { encoding: 'utf8' });
  return out.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)).map((e) => ({ ...e, person: e.summary.split(' ')[0] }));
}

test('a schedule reads back in ical.js and in Python as it is', async (t) => {
  const { ics } = await server.api.get('/api/schedules/photos-primary/calendar');
  const { from, rows } = await spans(60);
  const to = second(Date.parse(from) + 60 * DAY_MS);
  const inside = (all) => sorted(all.filter((r) => r.start > from && r.end <= to));
  const wanted = inside(rows);
  assert.ok(wanted.length > 100, `${wanted.length} shifts`);
  const js = byIcalJs(ics);
  assert.deepEqual(inside(js), wanted);
  assert.equal(new Set(js.map((e) => e.uid)).size, js.length, 'every shift has a name of its own');
  if (!hasPython()) return t.skip('the Python readers of requirements.txt are not installed');
  return assert.deepEqual(inside(byPython(ics, from, to)), wanted);
});

test('a personal address gives that person alone, and a renewed one ends it', async () => {
  const first = (await server.api.post('/api/people/mei/calendar')).url;
  const path = new URL(first).pathname;
  const answer = await fetch(server.url + path);
  assert.match(answer.headers.get('content-type'), /^text\/calendar/);
  const rows = byIcalJs(await answer.text());
  assert.ok(rows.length > 20 && rows.every((r) => r.person === 'mei'));
  await server.api.post('/api/people/mei/calendar');
  assert.equal((await fetch(server.url + path)).status, 404);
  assert.ok(!server.output.includes(path.split('/').at(-1).replace('.ics', '')), 'no secret in the log');
});

test('a foreign calendar is laid out as Python lays it out', async (t) => {
  if (!hasPython()) return t.skip('the Python readers of requirements.txt are not installed');
  const day = second(Date.now() + 2 * DAY_MS).slice(0, 10).replaceAll('-', '');
  const moved = second(Date.now() + 8 * DAY_MS).slice(0, 10).replaceAll('-', '');
  const weekday = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'][new Date(Date.now() + 2 * DAY_MS).getUTCDay()];
  const ics = [
    'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//other//EN',
    'BEGIN:VEVENT', 'UID:nights', 'DTSTAMP:20260101T000000Z', 'SUMMARY:raj', `DTSTART;TZID=Europe/Berlin:${day}T220000`, `DTEND;TZID=Europe/Berlin:${day}T235900`,
    `RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=${[...new Set(['MO', 'WE', 'SU', weekday])]};COUNT=11`, 'END:VEVENT',
    'BEGIN:VEVENT', 'UID:days', 'DTSTAMP:20260101T000000Z', 'SUMMARY:ana', `DTSTART;TZID=Australia/Lord_Howe:${day}T090000`, 'DURATION:PT3H30M',
    'RRULE:FREQ=DAILY;INTERVAL=3;COUNT=12', 'END:VEVENT',
    // Of the third occurrence somebody moved the time.
    'BEGIN:VEVENT', 'UID:days', 'DTSTAMP:20260101T000000Z', 'SUMMARY:mei', `RECURRENCE-ID;TZID=Australia/Lord_Howe:${moved}T090000`,
    `DTSTART;TZID=Australia/Lord_Howe:${moved}T140000`, 'DURATION:PT1H', 'END:VEVENT',
    'BEGIN:VEVENT', 'UID:months', 'DTSTAMP:20260101T000000Z', 'SUMMARY:raj', `DTSTART:${day}T030000Z`, 'DURATION:PT1H',
    'RRULE:FREQ=MONTHLY;COUNT=3', 'END:VEVENT', 'END:VCALENDAR', '',
  ].join('\r\n');
  const made = await server.api.post('/api/schedules/photos-primary/import', { ics, dry_run: true });
  assert.deepEqual(made.skipped, []);
  const found = made.overrides.map((o) => ({ person: o.person, start: second(o.start), end: second(o.end) }));
  const wanted = byPython(ics, second(Date.now()), second(Date.now() + 90 * DAY_MS));
  assert.ok(wanted.length > 15, `${wanted.length} occurrences`);
  // What somebody has beside another goes on alone where that one ends, as two overrides.
  assert.deepEqual(sorted(joined(found)), sorted(wanted));
});

test('the example of the guide does what it says', async () => {
  const file = /```yaml\n(.*?)```/s.exec(GUIDE)[1];
  const folder = join(server.folder, 'config/schedules');
  execFileSync('mkdir', ['-p', folder]);
  writeFileSync(join(folder, 'follow-the-sun.yaml'), file);
  const { secret } = await server.api.post('/api/tokens', { name: 'guide', kind: 'robot', role: 'admin' });
  const env = { ...process.env, TENFOLD_URL: server.url, TENFOLD_TOKEN: secret };
  const run = (...args) => execFileSync(TENFOLD, args, { env, encoding: 'utf8' });
  run('apply', join(server.folder, 'config'));
  const said = JSON.parse(run('oncall', 'preview', 'follow-the-sun', '--for', '14d', '--json'));
  assert.equal(said.gap_ms, 0, 'the fallback covers what no layer does');
  assert.deepEqual(said.layers.map((l) => l.name), ['Berlin', 'New York', 'Sydney']);
  assert.match(run('oncall', 'preview', 'follow-the-sun'), /UTC: (ana|raj|mei)/);
});

test('the commands of the guide do what they say', async () => {
  const { secret } = await server.api.post('/api/tokens', { name: 'commands', kind: 'robot', role: 'admin' });
  const env = { ...process.env, TENFOLD_URL: server.url, TENFOLD_TOKEN: secret };
  const blocks = [...GUIDE.matchAll(/```(?:sh|yaml)\n(.*?)```/gs)].map((m) => m[1]);
  const block = (part) => blocks.find((text) => text.includes(part));
  const run = (text) => JSON.parse(execFileSync(TENFOLD, [...text.trim().split(' ').slice(1), '--json'], { env, cwd: server.folder, encoding: 'utf8' }));
  writeFileSync(join(server.folder, 'photos.yaml'), block('# photos.yaml'));
  const policy = run(block('policies put photos'));
  assert.deepEqual(policy.steps.map((s) => [s.delay_ms, s.targets[0].name]), [[300_000, 'photos-primary'], [600_000, 'raj']]);
  assert.equal(policy.repeat, 1);
  // An override ends in the future, whenever this runs.
  const day = second(Date.now() + DAY_MS).slice(0, 10);
  const made = run(block('oncall override').replace('2026-11-24', day));
  assert.deepEqual([made.kind, made.person, second(made.start)], ['add', 'mei', `${day}T18:00:00Z`]);
});
