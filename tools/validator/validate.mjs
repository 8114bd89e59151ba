// Prints what the Khronos validator finds in glTF files, one line of JSON each: node validate.mjs FILE ...
import { readFileSync } from 'node:fs';
import validator from 'gltf-validator';

for (const path of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(path)), { maxIssues: 0 });
  console.log(JSON.stringify({ path, ...report.issues, messages: report.issues.messages.slice(0, 20) }));
}
