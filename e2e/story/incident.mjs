// 3. A commit that raises the error rate: the rule fires, an incident opens, the person on call is paged, nobody answers,
// the next step is paged, it is acknowledged in IRC, rolled back on the page, and resolves.
import assert from 'node:assert/strict';

import { figure } from '../lib/figures.mjs';
import { mails, mailTo } from '../lib/mail.mjs';
import { until } from '../lib/wait.mjs';
import { ended, press } from './deploy.mjs';
import { ESCALATE_AFTER_S } from './fleet.mjs';

/** Binds the IRC session to the account, with a one-time code from the page. */
export async function link({ raj, irc }) {
  const { code } = await raj.post('/api/chat/link');
  const since = irc.lines.length;
  irc.tell('tenfold', `!link ${code}`);
  await irc.sees(/^:tenfold!\S+ \S+ raj :.*/, { since });
  irc.say('!who photos');
  await irc.sees(/^:tenfold!\S+ \S+ \S+ :.*photos-primary/, { since });
}

export async function breakIt(scene) {
  const { ana, raj, anaPage, rajPage, demo, photos, irc } = scene;
  photos.commitUpTo('camera-names');
  const number = await press(anaPage);
  const pressed = Date.now();
  scene.badDeploy = number;
  const since = irc.lines.length;
  assert.equal((await ended(ana, number)).state, 'succeeded', 'health checks do not see this bug');
  const live = Date.now();

  const incident = await until('an incident opens by itself', async () => (await ana.items('/api/incidents?state=open'))[0], { within_ms: 60_000 });
  scene.incident = incident.number;
  figure('bad release live on all hosts to incident', Date.now() - live);
  assert.equal(incident.service, 'photos');
  assert.equal(incident.suspects[0].number, number, 'the newest suspect is the deploy that did it');

  const [schedule] = await ana.items('/api/schedules');
  const first = schedule.on_call.person.login;
  scene.paged = first;
  const mail = await mailTo(demo.about.mail.mailboxes, first, new RegExp(`${number}`), { after: pressed });
  figure('bad release live on all hosts to mail in the mailbox', mail.at - live);
  assert.match(mail.text, /roll ?back/i, 'the mail offers the way back');
  assert.match(mail.text, new RegExp(`${demo.url}/\\S*`));
  await irc.sees(new RegExp(`PRIVMSG (?:#ops|${first}) :.*(?:incident|page).*`, 'i'), { since });

  await rajPage.goto(`/incidents/${incident.number}`);
  await rajPage.getByRole('list', { name: 'Changes shortly before' }).getByRole('button', { name: `Roll back deploy ${number}` }).waitFor();
}

export async function escalate(scene) {
  const { ana, demo, incident, paged } = scene;
  const { opened_at } = await ana.get(`/api/incidents/${incident}`);
  const other = paged === 'ana' ? 'raj' : 'ana';
  const mail = await mailTo(demo.about.mail.mailboxes, other, /photos/i, { after: Date.parse(opened_at), within_ms: (ESCALATE_AFTER_S + 20) * 1000 });
  const waited = mail.at - Date.parse(opened_at);
  figure(`incident to the next step's mail (the policy says ${ESCALATE_AFTER_S} s)`, waited);
  assert.ok(waited >= ESCALATE_AFTER_S * 1000, 'not before its time');
  const pages = await ana.items(`/api/pages?incident=${incident}`);
  assert.deepEqual(new Set(pages.map(({ step }) => step)).size, 2);
}

export async function acknowledge(scene) {
  const { ana, irc, incident, demo } = scene;
  irc.say(`!ack ${incident}`);
  const acknowledged = await until('the incident is acknowledged', async () => {
    const now = await ana.get(`/api/incidents/${incident}`);
    return now.state === 'acknowledged' && now;
  });
  assert.equal(acknowledged.acknowledged_by, 'raj');
  const [event] = await ana.items(`/api/events?kind=incident.acknowledged&correlation=incident:${incident}`);
  assert.equal(event.actor.id, 'raj', 'the account, not the nick');
  assert.equal(event.source, 'chat');
  scene.mailsWhenAcknowledged = Object.fromEntries(['ana', 'raj'].map((login) => [login, mails(demo.about.mail.mailboxes, login).length]));
}

export async function rollBack(scene) {
  const { ana, rajPage, incident, badDeploy, demo } = scene;
  await rajPage.goto(`/incidents/${incident}`);
  const pressed = Date.now();
  await rajPage.getByRole('button', { name: `Roll back deploy ${badDeploy}` }).click();
  await rajPage.waitForURL(/\/deploys\/\d+$/);
  const number = Number(rajPage.url().split('/').pop());
  const back = await ended(ana, number);
  figure('Roll back pressed to the old release on all hosts', Date.now() - pressed);
  assert.equal(back.kind, 'rollback');
  assert.equal(back.reverts, badDeploy);
  assert.equal(back.actor.id, 'raj');
  const resolved = await until('the rule and the incident resolve', async () => {
    const now = await ana.get(`/api/incidents/${incident}`);
    return now.state === 'resolved' && now;
  }, { within_ms: 90_000 });
  figure('Roll back pressed to incident resolved', Date.parse(resolved.resolved_at) - pressed);
  const [alert] = (await ana.items('/api/alerts')).filter(({ rule }) => rule === 'PhotosErrors');
  assert.ok(!alert || alert.state === 'resolved');

  // Once acknowledged, nobody is paged again: not by a later step, not by another round.
  const pages = await ana.items(`/api/pages?incident=${incident}`);
  const late = pages.filter(({ delivered_at }) => delivered_at && Date.parse(delivered_at) > Date.parse(resolved.acknowledged_at) + 1_000);
  assert.deepEqual(late, []);
  for (const [login, count] of Object.entries(scene.mailsWhenAcknowledged)) {
    const fresh = mails(demo.about.mail.mailboxes, login).slice(count).filter(({ subject }) => !/^Re: /.test(subject));
    assert.deepEqual(fresh, [], `${login} was paged again`);
  }
}

const ORDER = ['deploy', 'first_errors', 'alert', 'page', 'acknowledged', 'mitigation', 'recovery'];

export async function learn({ ana, rajPage, incident }) {
  const timeline = await ana.items(`/api/incidents/${incident}/timeline`);
  const first = ORDER.map((phase) => timeline.findIndex((event) => event.phase === phase));
  assert.ok(!first.includes(-1), `every phase is there: ${ORDER.map((phase, at) => `${phase} ${first[at]}`).join(', ')}`);
  assert.deepEqual(first, first.toSorted((a, b) => a - b), `in this order: ${timeline.map(({ phase, text }) => `${phase}: ${text}`).join('\n')}`);

  const draft = await ana.get(`/api/incidents/${incident}/postmortem`);
  for (const name of ['ana', 'raj', 'mei', 'Ana', 'Raj', 'Mei']) assert.doesNotMatch(draft, new RegExp(`\\b${name}\\b`), 'roles, not names');
  assert.match(draft, /^# /m);
  assert.match(draft, /developer|operator|on call/i);

  await rajPage.goto(`/incidents/${incident}`);
  await rajPage.getByRole('heading', { name: 'Recovery' }).waitFor();
  await rajPage.getByRole('button', { name: 'Postmortem draft' }).click();
  await rajPage.getByRole('dialog').getByText('Contributing factors').first().waitFor();
}
