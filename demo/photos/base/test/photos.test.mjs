import assert from 'node:assert/strict';
import test from 'node:test';

import { describe, listPhotos, photosOf } from '../lib/photos.mjs';

test('a user has the same photos on every host', () => {
  assert.deepEqual(photosOf('u-1'), photosOf('u-1'));
  assert.notDeepEqual(photosOf('u-1'), photosOf('u-2'));
});

test('a page holds as many photos as it should', async () => {
  const { photos } = await listPhotos('u-1', 0, 12);
  assert.equal(photos.length, 12);
});

test('a photo has a title', () => {
  const photo = { id: 3, place: 'harbour', camera: 'Field X', likes: 2 };
  assert.match(describe(photo).title, /harbour/);
});
