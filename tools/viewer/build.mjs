// Bundles src/viewer.js into wavemesh/ui/viewer/viewer.js.gz: `npm ci && npm run build`. The server sends the file as it
// is; compressed it takes a quarter of the room in the repository and in a Space.
import {gzipSync} from 'node:zlib';
import {writeFileSync} from 'node:fs';
import {build} from 'esbuild';

const {outputFiles: [bundle]} = await build({
  entryPoints: ['src/viewer.js'], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false,
  banner: {js: '/* With three.js, Copyright 2010-2026 three.js authors, MIT licence. */'},
});
const content = gzipSync(bundle.contents, {level: 9});
content[9] = 255;  // the operating system that packed it is of no account
writeFileSync(new URL('../../wavemesh/ui/viewer/viewer.js.gz', import.meta.url), content);
console.log(`${bundle.contents.length} bytes, ${content.length} compressed`);
