// Has the AsyncAPI project's own parser read a document: node validate.mjs FILE. Ends with 1 on an error or a warning.
// The parser is looked for from the working directory, where `make test-asyncapi` installs it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Parser } = createRequire(`${process.cwd()}/`)("@asyncapi/parser");
const file = process.argv[2];
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
// 0 error, 1 warning, 2 information, 3 hint
const faults = diagnostics.filter(({ severity }) => severity < 2);
for (const { severity, path, message } of faults) {
  console.log(`${file}: ${["error", "warning"][severity]}: ${path.join(".")}: ${message}`);
}
if (document) {
  console.log(`${file}: AsyncAPI ${document.version()}, ${document.operations().length} operations, ${document.messages().length} messages`);
}
process.exit(document && faults.length === 0 ? 0 : 1);
