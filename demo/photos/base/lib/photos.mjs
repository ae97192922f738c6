// The photos of a user. A fixed collection: the service has no database, so that
// every host answers alike.
const PHOTOS = 60;
const PLACES = ['harbour', 'station', 'market', 'park', 'bridge', 'beach'];
const CAMERAS = ['Pocket 3', 'Field X', 'Studio 70', 'Box 1'];

/** One photo in so many was scanned from paper: no camera wrote its name into it. */
const SCANNED_ONE_IN = 40;

/** One page of a user's photos, oldest first. Reading takes a few milliseconds. */
export async function listPhotos(user, page, pageSize) {
  await new Promise((resolve) => setTimeout(resolve, 3 + Math.random() * 12));
  const photos = photosOf(user);
  return { user, page, photos: photos.slice(page * pageSize, (page + 1) * pageSize).map(describe) };
}

export function photosOf(user) {
  const seed = [...user].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  return Array.from({ length: PHOTOS }, (_, index) => {
    const mixed = mix(seed + index);
    return { id: index, place: PLACES[mixed % PLACES.length], camera: (mixed >>> 8) % SCANNED_ONE_IN === 0 ? null : CAMERAS[(mixed >>> 8) % CAMERAS.length], likes: mixed % 40 };
  });
}

/** The same number for the same input, spread over 32 bits. */
function mix(input) {
  let mixed = Math.imul(input ^ (input >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function describe(photo) {
  return { id: photo.id, title: `Photo ${photo.id} at the ${photo.place}`, likes: photo.likes };
}
