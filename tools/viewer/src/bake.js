// What hides the light from what, found once for a mesh: its depth from a few directions, of the lamp and of the sky, and
// from that a texture with two numbers for every vertex (how much it sees of the lamp, and of the sky) and the shadow on
// the ground. A frame then costs next to nothing, on a phone and without a graphics card too.
import {
  DoubleSide, GLSL3, Matrix4, Mesh, MeshBasicMaterial, NearestFilter, OrthographicCamera, PlaneGeometry, Points,
  ShaderMaterial, Vector3, WebGLRenderTarget,
} from 'three';
import {LAMP, axes, spread, towards} from './studio.js';

const GRID = 4, TILE = 256, ROW = 256;
const GROUND_SIDE = 128, GROUND_HALF = 2.1;

const DEPTH = `out vec4 pixel; void main() { float z = gl_FragCoord.z * 255.0; pixel = vec4(floor(z) / 255.0, fract(z), 0.0, 1.0); }`;
const SEEN = `
uniform sampler2D atlas; uniform mat4 from[COUNT]; uniform vec3 toward[COUNT];
float lit(int index, vec3 place, float bias, float reach) {
  vec3 at = (from[index] * vec4(place, 1.0)).xyz * 0.5 + 0.5;
  float sum = 0.0;
  for (int y = 0; y < 2; y++) for (int x = 0; x < 2; x++) {
    vec2 spot = at.xy + (vec2(x, y) - 0.5) * reach / ${TILE}.0;
    if (any(lessThan(spot, vec2(0.0))) || any(greaterThan(spot, vec2(1.0)))) { sum += 1.0; continue; }
    vec2 tile = vec2(index % ${GRID}, index / ${GRID});
    vec4 kept = texture(atlas, (tile + spot) / ${GRID}.0);
    sum += step(at.z - bias, kept.r + kept.g / 255.0);
  }
  return sum / 4.0;
}
vec2 seen(vec3 place, vec3 normal, float bias, float reach) {
  float lamp = 0.0, sky = 0.0, all = 0.0001;
  for (int index = 0; index < COUNT; index++) {
    float facing = dot(normal, toward[index]);
    if (index < LAMPS) lamp += lit(index, place, bias, reach) / float(LAMPS);
    else { float weight = max(0.0, facing + 0.25); sky += weight * lit(index, place, bias, reach * 1.6); all += weight; }
  }
  return vec2(lamp, sky / all);
}`;
const AT_VERTICES = `out vec2 found; uniform float rows; ${SEEN}
void main() {
  found = seen(position + normal * 0.02, normal, 0.006, 2.5);
  vec2 at = vec2(gl_VertexID % ${ROW}, gl_VertexID / ${ROW}) + 0.5;
  gl_Position = vec4(at / vec2(${ROW}.0, rows) * 2.0 - 1.0, 0.0, 1.0);
  gl_PointSize = 1.0;
}`;
const WRITE = `in vec2 found; out vec4 pixel; void main() { pixel = vec4(found, 0.0, 1.0); }`;
const SHEET = `out vec2 at; void main() { at = position.xy * 2.0; gl_Position = vec4(at, 0.0, 1.0); }`;
const ON_GROUND = `in vec2 at; out vec4 pixel; uniform vec3 centre; uniform float ground; ${SEEN}
void main() {
  vec3 place = vec3(centre.x + at.x * ${GROUND_HALF}, ground, centre.z - at.y * ${GROUND_HALF});
  vec2 found = seen(place, vec3(0.0, 1.0, 0.0), 0.004, 4.0);
  float dark = 0.3 * (1.0 - found.x) + 0.62 * pow(1.0 - found.y, 2.2);
  pixel = vec4(0.0, 0.0, 0.0, dark * smoothstep(1.0, 0.6, length(at)));
}`;

export class Bake {
  // slow: whether the processor draws; then from half as many directions.
  constructor(slow) {
    this.lamps = slow ? 3 : 6;
    this.count = slow ? 8 : 16;
    const defines = {LAMPS: this.lamps, COUNT: this.count};
    this.atlas = new WebGLRenderTarget(GRID * TILE, GRID * TILE, {minFilter: NearestFilter, magFilter: NearestFilter});
    this.atlas.scissorTest = true;
    this.camera = new OrthographicCamera();
    this.depth = new ShaderMaterial({glslVersion: GLSL3, fragmentShader: DEPTH, side: DoubleSide,
      vertexShader: 'void main() { gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); }'});
    const uniforms = {atlas: {value: this.atlas.texture}, from: {value: []}, toward: {value: []}};
    this.atVertices = new ShaderMaterial({glslVersion: GLSL3, defines, vertexShader: AT_VERTICES, fragmentShader: WRITE,
      depthTest: false, uniforms: {...uniforms, rows: {value: 1}}});
    this.onGround = new ShaderMaterial({glslVersion: GLSL3, defines, vertexShader: SHEET, fragmentShader: ON_GROUND, depthTest: false,
      uniforms: {...uniforms, ground: {value: 0}, centre: {value: new Vector3()}}});
    this.uniforms = uniforms;
    this.sheet = new Mesh(new PlaneGeometry(1, 1), this.onGround);
    this.floor = new PlaneGeometry(2 * GROUND_HALF, 2 * GROUND_HALF);
  }

  // Bake for the meshes in this group, lit for a first view from this azimuth: for each mesh a target whose texture has a
  // pixel for every vertex, and the ground under them with the target of its shadow. Both are the caller's to dispose of.
  update(renderer, group, bounds, azimuth) {
    const centre = bounds.getCenter(new Vector3()), radius = bounds.getSize(new Vector3()).length() / 2 * 1.05 || 1;
    const around = [[4, 0], [-3, 4], [-3, -4], [0, 0], [0, 6], [0, -6]].slice(0, this.lamps);
    const directions = [
      ...around.map(([x, y]) => towards(azimuth + LAMP.azimuth + x, LAMP.elevation + y)), ...spread(this.count - this.lamps, 0.3),
    ];
    Object.assign(this.camera, {left: -radius, right: radius, top: radius, bottom: -radius, near: 0.01, far: 2 * radius + 0.02});
    this.camera.updateProjectionMatrix();
    renderer.setClearColor(0xffffff, 1);
    for (const mesh of group.children) mesh.material = this.depth;
    this.uniforms.toward.value = directions;
    this.uniforms.from.value = directions.map((direction, index) => {
      this.camera.position.copy(centre).addScaledVector(direction, radius + 0.01);
      this.camera.lookAt(centre);
      this.camera.updateMatrixWorld();
      for (const box of [this.atlas.viewport, this.atlas.scissor])
        box.set(index % GRID * TILE, Math.floor(index / GRID) * TILE, TILE, TILE);
      renderer.setRenderTarget(this.atlas);
      renderer.clear();
      renderer.render(group, this.camera);
      return new Matrix4().multiplyMatrices(this.camera.projectionMatrix, this.camera.matrixWorldInverse);
    });
    const baked = group.children.map(({geometry}) => this._vertices(renderer, geometry));
    const shadow = new WebGLRenderTarget(GROUND_SIDE, GROUND_SIDE, {depthBuffer: false});
    const ground = new Mesh(this.floor, new MeshBasicMaterial(
      {map: shadow.texture, transparent: true, depthWrite: false, toneMapped: false}));
    ground.rotation.x = -Math.PI / 2;
    ground.position.set(centre.x, bounds.min.y - 0.002, centre.z);
    this.onGround.uniforms.ground.value = bounds.min.y;
    this.onGround.uniforms.centre.value = centre;
    renderer.setRenderTarget(shadow);
    renderer.render(this.sheet, this.camera);
    renderer.setRenderTarget(null);
    return {targets: [...baked, shadow], ground};
  }

  _vertices(renderer, geometry) {
    const rows = Math.ceil(geometry.attributes.position.count / ROW);
    const target = new WebGLRenderTarget(ROW, rows, {minFilter: NearestFilter, magFilter: NearestFilter, depthBuffer: false});
    const bare = geometry.clone().setIndex(null);
    const points = new Points(bare, this.atVertices);
    points.frustumCulled = false;
    this.atVertices.uniforms.rows.value = rows;
    renderer.setRenderTarget(target);
    renderer.render(points, this.camera);
    bare.dispose();
    return target;
  }
}
