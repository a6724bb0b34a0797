// Reads {name: text} of Bicep and PowerShell files, and says of each where its grammar does not hold, and what is declared.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = dirname(dirname(process.argv.at(-1)));
const { Parser, Language } = await import(pathToFileURL(process.argv.at(-1)));
await Parser.init();
const languages = {};
for (const name of ["bicep", "powershell"])
  languages[name] = await Language.load(join(modules, `tree-sitter-${name}/tree-sitter-${name}.wasm`));

const answer = {};
for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const parser = new Parser();
  parser.setLanguage(languages[name.endsWith(".ps1") ? "powershell" : "bicep"]);
  const faults = [], declarations = [];
  const visit = (node) => {
    if (node.isError || node.isMissing)
      faults.push(`${node.startPosition.row + 1}:${node.startPosition.column + 1}: ${JSON.stringify(node.text.slice(0, 60))}`);
    else node.children.forEach(visit);
  };
  const root = parser.parse(text).rootNode;
  visit(root);
  let decorators = [];
  for (const node of root.namedChildren) {
    if (node.type.startsWith("decorator")) { decorators.push(node.text); continue; }
    if (node.type === "comment") continue;
    declarations.push({
      kind: node.type,
      name: node.namedChildren.find((c) => c.type === "identifier")?.text ?? "",
      decorators: decorators.concat(node.namedChildren.filter((c) => c.type.startsWith("decorator")).map((c) => c.text)),
      text: node.text,
    });
    decorators = [];
  }
  answer[name] = { faults, declarations };
}
console.log(JSON.stringify(answer));
