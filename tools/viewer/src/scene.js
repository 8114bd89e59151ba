// What is drawn: one mesh under the studio's light, in one of four looks, from a view that fits it.
import {
  Box3, DoubleSide, GLSL3, Group, Mesh, MeshBasicMaterial, NeutralToneMapping, PerspectiveCamera, Scene, ShaderMaterial,
  Vector2, Vector3, WebGLRenderer,
} from 'three';
import {Bake} from './bake.js';
import {LAMP, axes, roomLight, towards} from './studio.js';

export const MODES = ['shaded', 'clay', 'normals', 'wireframe'];
const FOV = 30, MARGIN = 0.97, SAMPLES = 4000;
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
const tangent = Math.tan(FOV / 2 * Math.PI / 180);

const VERTEX = `
uniform sampler2D baked; uniform float room[9]; uniform vec3 lamp; uniform int look; uniform vec3 plain;
#ifdef COLOURED
in vec4 color;
#endif
out vec3 shown;
float irradiance(vec3 n) {
  return room[0] * 0.282095 + 0.488603 * (room[1] * n.y + room[2] * n.z + room[3] * n.x)
    + 1.092548 * (room[4] * n.x * n.y + room[5] * n.y * n.z + room[7] * n.x * n.z)
    + room[6] * 0.315392 * (3.0 * n.z * n.z - 1.0) + room[8] * 0.546274 * (n.x * n.x - n.y * n.y);
}
void main() {
  vec2 seen = texelFetch(baked, ivec2(gl_VertexID % 256, gl_VertexID / 256), 0).rg;
  vec3 n = normalize(normal), eye = normalize(cameraPosition - position);
  if (dot(n, eye) < -0.3) n = -n;
  vec3 paint = plain;
#ifdef COLOURED
  if (look == 0) paint = color.rgb;
#endif
  float edge = pow(1.0 - max(0.0, dot(n, eye)), 4.0);
  float sky = irradiance(n) * mix(0.28, 1.0, seen.y) + 0.22 * edge * seen.y;
  vec3 light = vec3(0.97, 0.99, 1.03) * sky + vec3(1.03, 1.0, 0.95) * ${LAMP.strength.toFixed(2)} * max(0.0, dot(n, lamp)) * seen.x;
  shown = look == 2 ? n * 0.5 + 0.5 : paint * light;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;
const FRAGMENT = `
in vec3 shown; uniform int look; out vec4 pixel;
#define gl_FragColor pixel
void main() {
  pixel = vec4(shown, 1.0);
  if (look == 2) return;
  #include <tonemapping_fragment>
  #include <colorspace_fragment>
}`;

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
    this.bake = new Bake(this.slow);
    this.scene = new Scene();
    this.surface = new Group();
    this.wires = new Group();
    this.scene.add(this.surface, this.bake.ground, this.wires);
    this.wire = new MeshBasicMaterial({color: 0x0b1a2e, wireframe: true, transparent: true, opacity: 0.42, toneMapped: false});
    this.shared = {room: {value: roomLight(0)}, lamp: {value: new Vector3(0, 1, 0)}, look: {value: 0},
      plain: {value: new Vector3(0.42, 0.36, 0.3)}};
    this.centre = new Vector3();
    this.placed = {distance: 5, aim: new Vector2(), turned: 1};
    this.mode = MODES[0];
  }

  // Show these geometries in place of what was there, lit for a first view; the number of triangles comes back.
  show(geometries, first) {
    this.clear();
    const bounds = new Box3();
    for (const geometry of geometries) {
      geometry.computeBoundingBox();
      bounds.union(geometry.boundingBox);
      this.surface.add(new Mesh(geometry));
      this.wires.add(new Mesh(geometry, this.wire));
    }
    bounds.getCenter(this.centre);
    this.targets = this.bake.update(this.renderer, this.surface, bounds, first.azimuth);
    this.shared.lamp.value = towards(first.azimuth + LAMP.azimuth, LAMP.elevation);
    this.surface.children.forEach((mesh, index) => {
      mesh.material = new ShaderMaterial({
        glslVersion: GLSL3, vertexShader: VERTEX, fragmentShader: FRAGMENT, side: DoubleSide,
        defines: mesh.geometry.attributes.color ? {COLOURED: ''} : {},
        uniforms: {...this.shared, baked: {value: this.targets[index].texture}},
        polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1,
      });
    });
    this.look(this.mode);
    return geometries.reduce((sum, {index, attributes}) => sum + (index ?? attributes.position).count / 3, 0);
  }

  clear() {
    for (const target of this.targets ?? []) target.dispose();
    for (const {geometry, material} of this.surface.children) {
      geometry.dispose();
      material.dispose();
    }
    this.surface.clear();
    this.wires.clear();
  }

  look(mode) {
    this.mode = mode;
    this.shared.look.value = {clay: 1, normals: 2}[mode] ?? 0;
    this.wires.visible = mode === 'wireframe';
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
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
  }

  // Stand so that this first view is filled, and know how much farther away every other azimuth fits.
  fit(view) {
    const points = this._points(), {placed} = this;
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

  _points() {
    return this.surface.children.flatMap(({geometry: {attributes: {position}}}) => {
      const step = Math.max(1, Math.floor(position.count / SAMPLES));
      return Array.from({length: Math.floor(position.count / step)}, (_, index) =>
        new Vector3().fromBufferAttribute(position, index * step).sub(this.centre));
    });
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

  draw(view) {
    const [right, up, back] = axes(view.azimuth, view.elevation), {distance, aim} = this.placed;
    const frame = 2 * tangent * distance;
    const target = this.centre.clone().addScaledVector(right, aim.x - view.shift[0] * frame)
      .addScaledVector(up, aim.y + view.shift[1] * frame);
    this.camera.position.copy(target).addScaledVector(back, distance * view.zoom);
    this.camera.lookAt(target);
    this.shared.room.value = roomLight(view.azimuth);
    this.renderer.setClearColor(0, 0);
    this.renderer.render(this.scene, this.camera);
  }
}
