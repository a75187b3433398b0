// Checks Grafana dashboards against Grafana's own types: `dashboards.mjs FILE…` ends with 0, or says what is wrong and where.
//
// Each dashboard becomes a TypeScript literal of the type `Dashboard`, and each panel's options and drawing style literals
// of the types of its kind of panel. The compiler refuses unknown names, missing ones, and values outside an enumeration.
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const types = "@grafana/schema/dist/esm/raw";
// The kinds of panel that our dashboards use, and where Grafana has their types.
const kinds = { stat: "StatPanelCfg", timeseries: "TimeSeriesPanelCfg" };

const head = [
  `import type { Dashboard } from "${types}/dashboard/x/Dashboard_types.gen";`,
  ...Object.entries(kinds).map(
    ([kind, name]) => `import type * as ${kind} from "${types}/composable/${kind}/panelcfg/x/${name}_types.gen";`,
  ),
  // JSON has an enumeration's values, not its names.
  "type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[]",
  "  : T extends object ? { [K in keyof T]: Json<T[K]> } : T;",
];

function source(dashboard) {
  // What an annotation asks depends on the data source; Grafana has no type for it.
  const plain = structuredClone(dashboard);
  for (const annotation of plain.annotations.list) delete annotation.target;
  const lines = [...head, `const dashboard: Json<Dashboard> = ${JSON.stringify(plain, null, 1)};`];
  for (const panel of dashboard.panels.filter(({ type }) => type !== "row")) {
    const say = (what, type, value) =>
      lines.push(`// panel "${panel.title}"`, `const ${what}_${panel.id}: Json<${type}> = ${JSON.stringify(value)};`);
    if (!(panel.type in kinds)) throw new Error(`panel "${panel.title}": the kind ${panel.type} is not checked; add it to kinds`);
    say("options", `${panel.type}.Options`, panel.options);
    if (panel.type === "timeseries") say("custom", "timeseries.FieldConfig", panel.fieldConfig.defaults.custom);
  }
  return `${lines.join("\n")}\nexport { dashboard };\n`;
}

const files = new Map(
  process.argv.slice(2).map((file) => [join(here, `${basename(file, ".json")}.check.ts`), source(JSON.parse(readFileSync(file, "utf8")))]),
);
const options = {
  strict: true, noEmit: true, skipLibCheck: true, types: [],
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
};
const host = ts.createCompilerHost(options);
const { fileExists, readFile, getSourceFile } = host;
host.fileExists = (name) => files.has(name) || fileExists(name);
host.readFile = (name) => files.get(name) ?? readFile(name);
host.getSourceFile = (name, version, ...rest) =>
  files.has(name) ? ts.createSourceFile(name, files.get(name), version, true) : getSourceFile(name, version, ...rest);
const found = ts.getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host));
for (const { file, start, messageText } of found) {
  const text = ts.flattenDiagnosticMessageText(messageText, "\n");
  const line = file ? file.text.slice(0, start).split("\n").length : 0;
  const context = file ? file.text.split("\n").slice(Math.max(0, line - 4), line).join("\n").slice(-400) : "";
  console.error(`${file ? basename(file.fileName) : "?"}: ${text}\n${context}\n`);
}
process.exit(found.length === 0 ? 0 : 1);
