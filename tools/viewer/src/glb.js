// Reads the binary glTF files that the server writes: triangles with normals, colours and measures at their vertices, or
// none of them, and no transforms. A general loader would be a third of the bundle. A measure is a number with a name of
// its own, such as _THICKNESS, which becomes the attribute `_thickness`.
import {BufferAttribute, BufferGeometry} from 'three';

const ARRAYS = {5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array};
const WIDTHS = {SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4};
const NAMES = {POSITION: 'position', NORMAL: 'normal', COLOR_0: 'color'};

// The geometries of a file's content (ArrayBuffer); throws where it is no binary glTF.
export function readGlb(content) {
  const view = new DataView(content);
  if (content.byteLength < 20 || view.getUint32(0, true) !== 0x46546c67) throw new Error('This is no binary glTF file.');
  const length = view.getUint32(12, true);
  const tree = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 20, length)));
  const begin = 28 + length;  // of the binary part, behind its own header

  const read = (index) => {
    const accessor = tree.accessors[index], chunk = tree.bufferViews[accessor.bufferView];
    const width = WIDTHS[accessor.type], start = begin + (chunk.byteOffset ?? 0) + (accessor.byteOffset ?? 0);
    const values = new ARRAYS[accessor.componentType](content.slice(start), 0, accessor.count * width);
    return new BufferAttribute(values, width, accessor.normalized ?? false);
  };

  return tree.meshes.flatMap((mesh) => mesh.primitives).map((primitive) => {
    const geometry = new BufferGeometry();
    for (const [name, index] of Object.entries(primitive.attributes))
      if (name in NAMES || name[0] === '_') geometry.setAttribute(NAMES[name] ?? name.toLowerCase(), read(index));
    if (primitive.indices !== undefined) geometry.setIndex(read(primitive.indices));
    if (!geometry.attributes.normal) geometry.computeVertexNormals();
    return geometry;
  });
}
