// One file under the studio's light: its surface, its wires, and the ground with its shadow.
import {
  Box3, DoubleSide, GLSL3, Group, Mesh, MeshBasicMaterial, ShaderMaterial, Vector3,
} from 'three';
import {LAMP} from './studio.js';

const SAMPLES = 4000;
export const STOPS = 8;  // the most colours of a scale

const VERTEX = `
uniform sampler2D baked; uniform float room[9]; uniform vec3 lamp; uniform int look; uniform vec3 plain;
#ifdef COLOURED
in vec4 color;
#endif
#ifdef MEASURED
in float measure; uniform vec3 stops[${STOPS}]; uniform float last; uniform vec2 range;
vec3 scale() {
  float at = clamp((measure - range.x) / (range.y - range.x), 0.0, 1.0) * last;
  int low = min(int(at), ${STOPS - 2});
  return pow(mix(stops[low], stops[low + 1], at - float(low)), vec3(2.2));
}
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
  float edge = pow(1.0 - max(0.0, dot(n, eye)), 4.0);
  float sky = irradiance(n) * mix(0.28, 1.0, seen.y) + 0.22 * edge * seen.y;
  vec3 light = vec3(0.97, 0.99, 1.03) * sky + vec3(1.03, 1.0, 0.95) * ${LAMP.strength.toFixed(2)} * max(0.0, dot(n, lamp)) * seen.x;
  vec3 paint = plain;
#ifdef COLOURED
  if (look == 0 || look == 3) paint = color.rgb;
#endif
#ifdef MEASURED
  // Half of the light is left out, so that the colours are those of the legend and the form can still be seen.
  if (look == 3) { paint = scale(); light = mix(vec3(1.0), light, 0.5); }
#endif
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
const WIRE = new MeshBasicMaterial({color: 0x0b1a2e, wireframe: true, transparent: true, opacity: 0.42, toneMapped: false});

export class Shape extends Group {
  // uniforms: what all shapes of a scene share. azimuth: of the first view, which the light comes with.
  constructor(geometries, uniforms, bake, renderer, azimuth) {
    super();
    this.surface = new Group();
    this.wires = new Group();
    this.bounds = new Box3();
    for (const geometry of geometries) {
      geometry.computeBoundingBox();
      this.bounds.union(geometry.boundingBox);
      this.surface.add(new Mesh(geometry));
      this.wires.add(new Mesh(geometry, WIRE));
    }
    const {targets, ground} = bake.update(renderer, this.surface, this.bounds, azimuth);
    Object.assign(this, {targets, ground});
    this.measures = Object.keys(geometries[0]?.attributes ?? {}).filter((name) => name[0] === '_').map((name) => name.slice(1));
    this.measure(this.measures[0]);
    this.surface.children.forEach((mesh, index) => {
      const {color, measure} = mesh.geometry.attributes;
      mesh.material = new ShaderMaterial({
        glslVersion: GLSL3, vertexShader: VERTEX, fragmentShader: FRAGMENT, side: DoubleSide,
        defines: {...color && {COLOURED: ''}, ...measure && {MEASURED: ''}},
        uniforms: {...uniforms, baked: {value: targets[index].texture}},
        polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1,
      });
    });
    this.add(this.surface, ground, this.wires);
  }

  get triangles() {
    return this._geometries.reduce((sum, {index, attributes}) => sum + (index ?? attributes.position).count / 3, 0);
  }

  // Let this one of its measures be what the colours mean; nothing for a file without it.
  measure(name) {
    for (const geometry of this._geometries)
      if (geometry.attributes[`_${name}`]) geometry.setAttribute('measure', geometry.attributes[`_${name}`]);
  }

  // A few thousand of its vertices, as seen from a place.
  points(from) {
    return this._geometries.flatMap(({attributes: {position}}) => {
      const step = Math.max(1, Math.floor(position.count / SAMPLES));
      return Array.from({length: Math.floor(position.count / step)}, (_, index) =>
        new Vector3().fromBufferAttribute(position, index * step).sub(from));
    });
  }

  dispose() {
    for (const part of [...this.targets, this.ground.material, ...this.surface.children.flatMap((mesh) => [mesh.geometry, mesh.material])])
      part.dispose();
    this.removeFromParent();
  }

  get _geometries() {
    return this.surface.children.map(({geometry}) => geometry);
  }
}
