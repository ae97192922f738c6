// 6. The first page's figures agree with the record, and each opens the rows behind it.
import assert from 'node:assert/strict';

const DAY_MS = 86_400_000;

async function everyDeploy(api) {
  const all = [];
  let path = '/api/deploys?limit=100';
  while (path) {
    const { items, next } = await api.get(path);
    all.push(...items);
    path = next && items.length > 0 ? `/api/deploys?limit=100&before=${next}` : null;
  }
  return all;
}

export async function agree({ ana, anaPage, badDeploy }) {
  const now = await ana.get('/api/now');
  const deploys = await everyDeploy(ana);
  const shipped = deploys.filter(({ state, kind }) => kind === 'deploy' && ['succeeded', 'rolled_back'].includes(state));
  const today = new Date().toISOString().slice(0, 10);
  const ofToday = deploys.filter(({ finished_at, state }) => state === 'succeeded' && finished_at?.startsWith(today));
  const ofTodayWithoutRollbacks = shipped.filter(({ finished_at }) => finished_at?.startsWith(today));
  assert.ok([ofToday.length, ofTodayWithoutRollbacks.length].includes(now.deploys_today), `deploys today: ${now.deploys_today}`);

  const commits = new Set(shipped.flatMap((deploy) => deploy.commits.map(({ sha }) => sha)));
  const people = new Set(shipped.flatMap((deploy) => deploy.commits.map(({ author }) => author)));
  assert.ok([shipped.length, deploys.length].includes(now.week.deploys), `week: ${now.week.sentence}`);
  assert.equal(now.week.changes, commits.size, now.week.sentence);
  assert.match(now.week.sentence, new RegExp(`${now.week.deploys} deploys? of ${now.week.changes} changes? by ${now.week.people}`));
  assert.ok(now.week.people >= 1 && now.week.people <= people.size + 3);

  // One of them failed, and the record says which.
  assert.equal(now.change_fail_rate.n, shipped.length);
  assert.ok(Math.abs(now.change_fail_rate.value - 1 / shipped.length) < 0.001, `change fail rate ${now.change_fail_rate.value} of ${shipped.length}`);
  assert.ok(now.recovery_ms.value > 0 && now.recovery_ms.value < DAY_MS);
  assert.ok(now.lead_time_ms.value > 0 && now.lead_time_ms.value < 2 * DAY_MS);
  for (const figure of [now.change_fail_rate, now.recovery_ms, now.lead_time_ms]) {
    assert.ok(figure.events.length > 0, 'a figure names its rows');
    for (const seq of figure.events) {
      const [event] = await ana.items(`/api/events?before=${seq + 1}&limit=1&order=desc`);
      assert.equal(event.seq, seq, 'and each row is there');
    }
  }

  await anaPage.goto('/');
  await anaPage.getByText(now.week.sentence).waitFor();
  await anaPage.getByRole('main').getByRole('link', { name: /^Change fail rate/ }).click();
  await anaPage.waitForURL(/\/timeline\?rows=/);
  await anaPage.getByRole('main').getByText(new RegExp(`\\b${badDeploy}\\b`)).first().waitFor();
}
