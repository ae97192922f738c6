// The story of the product, played on real servers: a git repository, six agents, ngircd, Postfix, two browsers.
import { handOver } from '../lib/figures.mjs';
import { tell } from '../lib/story.mjs';
import * as deploy from '../story/deploy.mjs';
import * as figures from '../story/figures.mjs';
import * as flag from '../story/flag.mjs';
import * as fleet from '../story/fleet.mjs';
import * as incident from '../story/incident.mjs';
import * as kill from '../story/kill.mjs';
import * as pages from '../story/pages.mjs';

const STORY_MS_MAX = 10 * 60 * 1000;

tell('the whole loop', { timeout: STORY_MS_MAX }, [
  ['a fleet stands', fleet.start],
  ['it lives: requests, scrapes, StatsD', fleet.lives],
  ['a person presses Deploy and everybody sees it', deploy.ship],
  ['a chat session is linked to an account', incident.link],
  ['a commit that breaks something pages the person on call', incident.breakIt],
  ['nobody acknowledges in time: the next step', incident.escalate],
  ['!ack in IRC', incident.acknowledge],
  ['rolled back, resolved, nobody paged again', incident.rollBack],
  ['the timeline was written by nobody', incident.learn],
  ['a flag goes 1, 10, 50 %, the same people staying in', flag.ramp],
  ['it hurts', flag.hurts],
  ['!flag off in IRC reaches every process', flag.off],
  ['the figures agree with the record', figures.agree, { leadsOn: false }],
  ['every page, dark and light', pages.look, { leadsOn: false }],
  ['kill -9 in the middle of a deploy', kill.inADeploy],
  ['kill -9 in the middle of an escalation', kill.inAnEscalation],
  ['kill -9 in the middle of a ramp', kill.inARamp],
  ['figures are handed over', handOver],
]);
