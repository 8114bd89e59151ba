// What is drawn: a mesh under the studio's light, in one of its looks, from a view that fits it or from a picture's
// camera; beside it, left of a divider, the shape that it was before.
import {NeutralToneMapping, PerspectiveCamera, Scene, Vector2, Vector3, WebGLRenderer} from 'three';
import {Bake} from './bake.js';
import {STOPS, Shape} from './shape.js';
import {LAMP, axes, roomLight, towards} from './studio.js';

export const MODES = ['shaded', 'clay', 'normals', 'wireframe'];
const FOV = 30, MARGIN = 0.97;
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
const tangent = Math.tan(FOV / 2 * Math.PI / 180);

// Whether the processor draws, and no graphics card: then less is drawn while the view moves.
function drawnBySoftware() {
  const gl = document.createElement('canvas').getContext('webgl2');
  const told = gl?.getExtension('WEBGL_debug_renderer_info');
  const name = told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : gl?.getParameter(gl.RENDERER);
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return SOFTWARE.test(name ?? '');
}

export class MeshScene {
  constructor(canvas) {
    this.slow = drawnBySoftware();
    this.renderer = new WebGLRenderer({canvas, antialias: !this.slow, alpha: true});
    this.renderer.toneMapping = NeutralToneMapping;
    this.camera = new PerspectiveCamera(FOV, 1, 0.05, 60);
    this.size = new Vector2(1, 1);
    this.bake = new Bake(this.slow);
    this.scene = new Scene();
    this.shape = this.before = null;
    this.shared = {room: {value: roomLight(0)}, lamp: {value: new Vector3(0, 1, 0)}, look: {value: 0},
      plain: {value: new Vector3(0.42, 0.36, 0.3)}, range: {value: new Vector2(0, 1)}, last: {value: 1},
      stops: {value: Array.from({length: STOPS}, () => new Vector3())}};
    this.centre = new Vector3();
    this.placed = {distance: 5, aim: new Vector2(), turned: 1};
    this.mode = MODES[0];
  }

  // Show these geometries in place of what was there, lit for a first view.
  show(geometries, first) {
    this.shape?.dispose();
    this.shape = this._lit(geometries, first);
    this.look(this.mode);
  }

  // Hold these as the shape before; null for none.
  hold(geometries, first) {
    this.before?.dispose();
    this.before = geometries && this._lit(geometries, first);
    this.look(this.mode);
  }

  clear() {
    this.shape?.dispose();
    this.before?.dispose();
    this.shape = this.before = null;
  }

  _lit(geometries, first) {
    this.shared.lamp.value = towards(first.azimuth + LAMP.azimuth, LAMP.elevation);
    const shape = new Shape(geometries, this.shared, this.bake, this.renderer, first.azimuth);
    this.scene.add(shape);
    return shape;
  }

  // measure: {key, low, high, stops} for a mode that shows the numbers at the vertices; stops are sRGB, 0 to 255.
  look(mode, measure = this.measure) {
    Object.assign(this, {mode, measure});
    const measured = measure?.key === mode;
    this.shared.look.value = measured ? 3 : {clay: 1, normals: 2}[mode] ?? 0;
    if (measured) {
      this.shared.range.value.set(measure.low, measure.high);
      this.shared.last.value = measure.stops.length - 1;
      measure.stops.forEach((stop, index) => this.shared.stops.value[index].fromArray(stop).divideScalar(255));
    }
    for (const shape of [this.shape, this.before].filter(Boolean)) {
      shape.wires.visible = mode === 'wireframe';
      if (measured) shape.measure(mode);
    }
  }

  // Draw the wires once, so that the first look at them waits for nothing.
  warm(view) {
    const chosen = this.mode;
    this.look('wireframe');
    this.draw(view);
    this.look(chosen);
  }

  // fine: for a view that rests, where the processor draws; a graphics card always has time for it.
  resize(width, height, fine) {
    this.renderer.setPixelRatio(this.slow ? (fine ? Math.max(2, devicePixelRatio) : 1) : Math.min(2, devicePixelRatio));
    this.renderer.setSize(width, height, false);
    this.size.set(width, height);
    this.camera.aspect = width / height;
  }

  // Stand so that this first view is filled, and know how much farther away every other azimuth fits.
  fit(view) {
    if (!this.shape) return;
    this.shape.bounds.getCenter(this.centre);
    const points = this.shape.points(this.centre), {placed} = this;
    placed.aim.set(0, 0);
    for (let round = 0; round < 4; round++) {
      placed.distance = this._needed(points, view.azimuth, view.elevation, MARGIN) || 5;
      this._centre(points, view);
    }
    placed.distance = this._needed(points, view.azimuth, view.elevation, MARGIN) || 5;
    let most = placed.distance;
    for (let azimuth = 0; azimuth < 360; azimuth += 15) most = Math.max(most, this._needed(points, azimuth, view.elevation, 1));
    placed.turned = most / placed.distance;
  }

  _needed(points, azimuth, elevation, margin) {
    const [right, up, back] = axes(azimuth, elevation), {aim} = this.placed;
    const tall = tangent * margin, wide = tall * this.camera.aspect;
    return points.reduce((needed, point) => Math.max(needed, Math.abs(point.dot(right) - aim.x) / wide + point.dot(back),
      Math.abs(point.dot(up) - aim.y) / tall + point.dot(back)), 0);
  }

  // Move the aim so that the object lies in the middle of what is seen of it.
  _centre(points, view) {
    const [right, up, back] = axes(view.azimuth, view.elevation), {aim, distance} = this.placed;
    const low = new Vector2(Infinity, Infinity), high = new Vector2(-Infinity, -Infinity), at = new Vector2();
    for (const point of points) {
      at.set(point.dot(right) - aim.x, point.dot(up) - aim.y).divideScalar(Math.max(0.1, distance - point.dot(back)));
      low.min(at);
      high.max(at);
    }
    if (points.length) aim.addScaledVector(low.add(high), distance / 2);
  }

  // lens: the camera of a picture to look through instead, {azimuth, elevation, distance, focal, offset}, or null. split:
  // the share of the width, from the left, that is left to the shape before, or to nothing where there is none.
  draw(view, lens = null, split = 0) {
    if (lens) this._through(lens);
    else this._from(view);
    this.shared.room.value = roomLight(view.azimuth);
    this.renderer.setClearColor(0, 0);
    const at = Math.round(split * this.size.x);
    this._pass(lens ? null : this.before, 0, at, lens);
    this._pass(this.shape, at, this.size.x - at, lens);
  }

  _pass(shape, left, width, lens) {
    if (width <= 0) return;
    for (const each of this.scene.children) each.visible = each === shape;
    if (shape) shape.ground.visible = !lens;
    this.renderer.setScissor(left, 0, width, this.size.y);
    this.renderer.setScissorTest(true);
    this.renderer.render(this.scene, this.camera);
    this.renderer.setScissorTest(false);
  }

  _from(view) {
    const [right, up, back] = axes(view.azimuth, view.elevation), {distance, aim} = this.placed;
    const frame = 2 * tangent * distance;
    const target = this.centre.clone().addScaledVector(right, aim.x - view.shift[0] * frame)
      .addScaledVector(up, aim.y + view.shift[1] * frame);
    this._stand(target, up, back, distance * view.zoom);
    this.camera.updateProjectionMatrix();
  }

  // The picture is the largest square in the middle of the canvas.
  _through({azimuth, elevation, distance, focal, offset}) {
    const [, up, back] = axes(azimuth, elevation), side = Math.min(this.size.x, this.size.y);
    const [wide, tall] = [side / this.size.x, side / this.size.y];
    const near = Math.max(0.02, distance - 2), far = distance + 2;  // all of it lies less than 2 from the middle
    this._stand(new Vector3(), up, back, distance);
    this.camera.projectionMatrix.set(
      focal * wide, 0, -offset[0] * wide, 0,
      0, focal * tall, -offset[1] * tall, 0,
      0, 0, (far + near) / (near - far), 2 * far * near / (near - far),
      0, 0, -1, 0);
    this.camera.projectionMatrixInverse.copy(this.camera.projectionMatrix).invert();
  }

  _stand(target, up, back, distance) {
    this.camera.position.copy(target).addScaledVector(back, distance);
    this.camera.up.copy(up);
    this.camera.lookAt(target);
  }
}
