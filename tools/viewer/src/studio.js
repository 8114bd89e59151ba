// The light, made in code: a bright room as spherical harmonics, which is all that a matt surface can tell of it, and one
// lamp. The lamp stays where the first view has it; the room goes round with the viewer, so that no side is a dark one.
import {SphericalHarmonics3, Vector3} from 'three';

const rad = Math.PI / 180;
const SAMPLES = 400, ROOM = 0.66;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));
const GLOWS = [  // azimuth and elevation from the viewer, width (a cosine), strength
  [-50, 35, 0.5, 1.7], [140, 25, 0.62, 2.6], [70, 5, 0.55, 0.7], [0, 85, 0.35, 1.0],
];
export const LAMP = {azimuth: -38, elevation: 50, strength: 1.0};  // over the viewer's left shoulder

// Of a direction as an azimuth and an elevation.
export const towards = (azimuth, elevation) => new Vector3(
  Math.sin(azimuth * rad) * Math.cos(elevation * rad), Math.sin(elevation * rad),
  Math.cos(azimuth * rad) * Math.cos(elevation * rad));

// Right, up and back of a viewer who looks from there.
export function axes(azimuth, elevation) {
  const back = towards(azimuth, elevation), right = new Vector3(Math.cos(azimuth * rad), 0, -Math.sin(azimuth * rad));
  return [right, new Vector3().crossVectors(back, right), back];
}

// Directions evenly over the part of the sphere with `lowest <= y`.
export const spread = (count, lowest = -1) => Array.from({length: count}, (_, index) => {
  const y = 1 - (1 - lowest) * (index + 0.5) / count, wide = Math.sqrt(1 - y * y);
  return new Vector3(Math.cos(index * GOLDEN) * wide, y, Math.sin(index * GOLDEN) * wide);
});

const glows = GLOWS.map(([azimuth, elevation, width, strength]) => [towards(azimuth, elevation), width, strength]);
// Light from a direction, as the viewer at azimuth 0 has it: grey above, a darker floor, and soft boxes.
const radiance = (direction) => glows.reduce(
  (sum, [at, width, strength]) => sum + strength * Math.max(0, (direction.dot(at) - width) / (1 - width)),
  0.4 + 0.3 * Math.max(0, direction.y) - 0.2 * Math.max(0, -direction.y));
const samples = spread(SAMPLES).map((direction) => [direction, radiance(direction) * 4 * Math.PI / SAMPLES]);
const BANDS = [Math.PI, ...Array(3).fill(2 * Math.PI / 3), ...Array(5).fill(Math.PI / 4)];

// The nine coefficients of what a matt surface gets of the room, for a viewer at this azimuth; over pi, as albedo wants it.
export function roomLight(azimuth) {
  const basis = new Array(9), up = new Vector3(0, 1, 0), direction = new Vector3(), found = new Array(9).fill(0);
  for (const [sample, light] of samples) {
    SphericalHarmonics3.getBasisAt(direction.copy(sample).applyAxisAngle(up, azimuth * rad), basis);
    for (let index = 0; index < 9; index++) found[index] += basis[index] * light * BANDS[index] / Math.PI * ROOM;
  }
  return found;
}
