// What two client-features documents say alike: members that say a default are left out, flags are in the order of names.

const DEFAULTS = {
  feature: { description: '', type: 'release', project: 'default', stale: false, impressionData: false, strategies: [], variants: [], dependencies: [] },
  strategy: { parameters: {}, constraints: [], segments: [], variants: [], title: '', disabled: false },
  constraint: { values: [], value: '', inverted: false, caseInsensitive: false },
  variant: { overrides: [], stickiness: 'default' },
  dependency: { enabled: true, variants: [] },
  segment: { name: '', constraints: [] },
};

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const by = (key) => (a, b) => (a[key] < b[key] ? -1 : Number(a[key] > b[key]));

function bare(value, defaults) {
  const kept = Object.entries(value).filter(([name, v]) => v !== null && v !== undefined && !same(v, defaults[name]));
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function each(object, name, change) {
  if (object[name]) object[name] = object[name].map(change);
}

const constraint = (value) => bare(value, DEFAULTS.constraint);

function variant(value) {
  const out = bare(value, DEFAULTS.variant);
  if (out.payload) out.payload = bare(out.payload, {});
  each(out, 'overrides', (o) => bare(o, { values: [] }));
  return out;
}

function strategy(value) {
  // Parameters are text in the protocol; people write numbers.
  const parameters = Object.entries(value.parameters ?? {}).filter(([, v]) => v !== null).map(([name, v]) => [name, String(v)]);
  const out = bare({ ...value, parameters: bare(Object.fromEntries(parameters), {}) }, DEFAULTS.strategy);
  each(out, 'constraints', constraint);
  each(out, 'variants', variant);
  return out;
}

function feature(value) {
  const out = bare(value, DEFAULTS.feature);
  each(out, 'strategies', strategy);
  each(out, 'variants', variant);
  each(out, 'dependencies', (d) => bare(d, DEFAULTS.dependency));
  return out;
}

function segment(value) {
  const out = bare(value, DEFAULTS.segment);
  each(out, 'constraints', constraint);
  return out;
}

export function canonical({ features = [], segments }) {
  return {
    features: features.map(feature).sort(by('name')),
    segments: (segments ?? []).map(segment).sort(by('id')),
  };
}
