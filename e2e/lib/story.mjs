// One story, told in steps that depend on each other: when one breaks, those after it are skipped, and say why.
// A step that nothing after it needs says `leadsOn: false`.
import { test } from 'node:test';

export function tell(title, options, steps) {
  test(title, options, async (t) => {
    const scene = {};
    let broken;
    try {
      for (const [name, step, { leadsOn = true } = {}] of steps) {
        await t.test(name, async (inner) => {
          if (broken) {
            inner.skip(`"${broken}" did not work`);
            return;
          }
          try {
            await step(scene);
          } catch (error) {
            if (leadsOn) broken = name;
            if (scene.demo) console.log(`  the demo said:\n${scene.demo.output.slice(-2_000)}`);
            throw error;
          }
        });
      }
    } finally {
      scene.irc?.close();
      await scene.browser?.close();
      await scene.demo?.stop();
    }
  });
}
