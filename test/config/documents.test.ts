import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readDocuments, readFirstDocument, type TextDocument } from "../../src/config/documents.ts";
import { placesIn } from "../../src/config/places.ts";
import { marks } from "./support/outcomes.ts";

function documentsOf(text: string): readonly TextDocument[] {
  const { documents, findings } = readDocuments(text, "f.yaml", placesIn("f.yaml"));
  assert.deepEqual(findings, []);
  return documents;
}

function valueIn(text: string): unknown {
  return documentsOf(text)[0]?.value;
}

function place(text: string, path: readonly (string | number)[]): string {
  const at = documentsOf(text)[0]?.placeOf(path);
  return `${at?.line}:${at?.column}`;
}

// sigs.k8s.io/yaml over go-yaml v2 (resolve.go).
describe("scalars resolve as in Kubernetes' reader", () => {
  const rows: readonly { readonly text: string; readonly want: unknown }[] = [
    { text: "yes", want: true },
    { text: "On", want: true },
    { text: "y", want: true },
    { text: "NO", want: false },
    { text: "off", want: false },
    { text: "yEs", want: "yEs" },
    { text: '"yes"', want: "yes" },
    { text: "0x10", want: 16 },
    { text: "-0x10", want: -16 },
    { text: "010", want: 8 },
    { text: "0o17", want: 15 },
    { text: "08", want: 8 },
    { text: "0b101", want: 5 },
    { text: "1_000", want: 1000 },
    { text: "+7", want: 7 },
    { text: "4.0", want: 4 },
    { text: "1e1", want: 10 },
    { text: ".5", want: 0.5 },
    { text: "1e400", want: "1e400" },
    { text: "9".repeat(400), want: "9".repeat(400) },
    { text: "12:30", want: "12:30" },
    { text: "1.2.3", want: "1.2.3" },
    { text: "2001-01-01", want: "2001-01-01" },
    { text: ".inf", want: ".inf" },
    { text: ".nan", want: ".nan" },
    { text: "~", want: null },
    { text: "Null", want: null },
    { text: "1g.5gb", want: "1g.5gb" },
    { text: "!!str 4", want: "4" },
    { text: "!!binary aGk=", want: "hi" },
    { text: "!!int 0x10", want: 16 },
  ];
  for (const { text, want } of rows) {
    test(`${text} is ${JSON.stringify(want)}`, () => assert.deepEqual(valueIn(`a: ${text}\n`), { a: want }));
  }

  test("keys are resolved before they become text", () => {
    assert.deepEqual(valueIn("on: 1\n0x10: 2\nnull: 3\n"), { true: 1, 16: 2, null: 3 });
  });

  test("a key called __proto__ is an ordinary key", () => {
    const value = valueIn("__proto__: {a: 1}\n");
    assert.deepEqual(Object.keys(value ?? {}), ["__proto__"]);
  });
});

describe("documents", () => {
  const rows: readonly { readonly name: string; readonly text: string; readonly want: readonly unknown[] }[] = [
    { name: "an empty text has none", text: "", want: [] },
    { name: "comments alone are none", text: "# a\n---\n# b\n", want: [null] },
    { name: "three dashes separate", text: "a: 1\n---\nb: 2\n", want: [{ a: 1 }, { b: 2 }] },
    { name: "content may follow the dashes", text: "--- {a: 1}\n--- [2]\n", want: [{ a: 1 }, [2]] },
    { name: "three dots end a document", text: "a: 1\n...\nb: 2\n", want: [{ a: 1 }, { b: 2 }] },
    { name: "directives belong to what follows", text: "%YAML 1.2\n---\na: 1\n", want: [{ a: 1 }] },
    { name: "dashes inside a line do not separate", text: "a: x---\nb: ---x\n", want: [{ a: "x---", b: "---x" }] },
    { name: "dashes in an indented block do not separate", text: "a: |\n  ---\n  x\n", want: [{ a: "---\nx\n" }] },
    { name: "a byte order mark is skipped", text: "\uFEFFa: 1\n", want: [{ a: 1 }] },
    { name: "CRLF ends lines", text: "a: 1\r\n---\r\nb: |\r\n  x\r\n  y\r\n", want: [{ a: 1 }, { b: "x\ny\n" }] },
    { name: "JSON is YAML", text: '{\n\t"a": [1, "\\u00e9\\/"]\n}', want: [{ a: [1, "é/"] }] },
    {
      name: "anchors and merge keys",
      text: "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n",
      want: [{ a: { b: 1, c: 2 }, d: { b: 1, c: 3 } }],
    },
    {
      name: "eighty levels are read",
      text: `${"[".repeat(80)}${"]".repeat(80)}`,
      want: [JSON.parse(`${"[".repeat(80)}${"]".repeat(80)}`)],
    },
  ];
  for (const { name, text, want } of rows) {
    test(name, () =>
      assert.deepEqual(
        documentsOf(text).map((document) => document.value),
        want,
      ),
    );
  }

  test("one bad document does not hide the others", () => {
    const read = readDocuments("a: 1\n---\nb: [\n---\nc: 3\n---\n\td: 4\n", "f.yaml", placesIn("f.yaml"));
    assert.deepEqual(
      read.documents.map((document) => document.value),
      [{ a: 1 }, { c: 3 }],
    );
    assert.deepEqual(marks(read.findings), ["3:5 yaml-syntax", "7:3 yaml-syntax"]);
  });

  test("the first document counts alone where NVIDIA reads one, and the second is reported", () => {
    const read = readFirstDocument("# head\n---\na: 1\n---\n# nothing\n---\nb: 2\n", "f.yaml", placesIn("f.yaml"));
    assert.deepEqual(
      read.documents.map((document) => document.value),
      [{ a: 1 }],
    );
    assert.deepEqual(marks(read.findings), ["7:1 ignored-document"]);
  });

  test("a second document without content is not reported", () => {
    assert.deepEqual(readFirstDocument("a: 1\n---\n", "f", placesIn("f")).findings, []);
  });
});

describe("malformed text is a finding with place and remedy", () => {
  const rows = [
    { name: "tab", text: "a:\n\tb: 1\n", mark: "2:1 yaml-syntax", remedy: /spaces/ },
    { name: "open bracket", text: "a: [1,\n", mark: "1:7 yaml-syntax", remedy: /close the bracket/ },
    { name: "colon in a value", text: "a: b: c\n", mark: "1:5 yaml-syntax", remedy: /quote values/ },
    { name: "key at a list's level", text: "a:\n- b\nc\n", mark: "3:2 yaml-syntax", remedy: /key: value/ },
    { name: "unknown alias", text: "a: *b\n", mark: "1:5 yaml-syntax", remedy: /anchor/ },
    { name: "template", text: "a: {{ .Values.x }}\n", mark: "1:5 yaml-syntax", remedy: /helm template/ },
    {
      name: "template further down",
      text: "a:\n- b: 1\n  c: {{ .x }}\n",
      mark: "3:7 yaml-syntax",
      remedy: /helm template/,
    },
    { name: "list as a key", text: "a:\n  ? [b]\n  : c\n", mark: "2:5 yaml-syntax", remedy: /plain text/ },
    { name: "at sign", text: "a: @b\n", mark: "1:4 yaml-syntax", remedy: /quote the value/ },
    { name: "escape", text: 'a: "\\q"\n', mark: "1:6 yaml-syntax", remedy: /single quotes/ },
    { name: "two JSON objects", text: '{"a":1}\n{"b":2}\n', mark: "2:1 yaml-syntax", remedy: /---/ },
    { name: "null byte", text: "a: \0\n", mark: "1:4 yaml-syntax", remedy: /UTF-8/ },
    { name: "nesting without end", text: "[".repeat(100_000), mark: "1:200 yaml-syntax", remedy: /nest less/ },
    { name: "an anchor inside itself", text: "a: &x [*x]\n", mark: "1:1 yaml-syntax", remedy: /anchors/ },
  ];
  for (const { name, text, mark, remedy } of rows) {
    test(name, () => {
      const { findings } = readDocuments(text, "f.yaml", placesIn("f.yaml"));
      assert.deepEqual(marks(findings), [mark]);
      assert.match(findings[0]?.remedy ?? "", remedy);
    });
  }

  test("many merge keys are no mistake", () => {
    const items = "- {<<: *a, d: 4}\n".repeat(5_000);
    const [document] = documentsOf(`- &a {a: 1, b: 2, c: 3}\n${items}`);
    assert.deepEqual(document?.placeOf([5_000, "d"]), { file: "f.yaml", line: 5_001, column: 15 });
    assert.deepEqual(document?.placeOf([5_000, "c"]), { file: "f.yaml", line: 1, column: 22 });
  });

  test("aliases that multiply without end are refused", () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(9)}]`,
    );
    const { findings } = readDocuments(`a0: &a0 [x]\n${levels.join("\n")}\n`, "f.yaml", placesIn("f.yaml"));
    assert.deepEqual(
      findings.map((one) => one.message),
      ["document contains excessive aliasing"],
    );
  });

  test("repeated keys are warned about at the second, and the last counts", () => {
    const text = "a: 1\nb: {c: 1, c: 2}\na: 3\n";
    const { documents, findings } = readDocuments(text, "f.yaml", placesIn("f.yaml"));
    assert.deepEqual(documents[0]?.value, { a: 3, b: { c: 2 } });
    assert.deepEqual(marks(findings), ["2:11 duplicate-key", "3:1 duplicate-key"]);
    const at = documents[0]?.placeOf(["a"]);
    assert.equal(at?.line, 3);
  });
});

describe("places", () => {
  const text =
    "# head\na: 1\nlist:\n- x: 'q'\n  w: [1, 2]\n- &n\n  z: |\n    t\nempty:\non: 1\ncopy: *n\nmerged:\n  <<: *n\n  own: 1\n";
  const rows: readonly { readonly path: readonly (string | number)[]; readonly want: string; readonly name: string }[] =
    [
      { name: "the document starts at its first key", path: [], want: "2:1" },
      { name: "a scalar is cited where it starts", path: ["a"], want: "2:4" },
      { name: "a block list is cited at its key", path: ["list"], want: "3:1" },
      { name: "a list item where it starts", path: ["list", 0], want: "4:3" },
      { name: "a quoted text at its quote", path: ["list", 0, "x"], want: "4:6" },
      { name: "a flow list where it starts", path: ["list", 0, "w"], want: "5:6" },
      { name: "an item of a flow list", path: ["list", 0, "w", 1], want: "5:10" },
      { name: "a block text at its key", path: ["list", 1, "z"], want: "7:3" },
      { name: "an empty value at its key", path: ["empty"], want: "9:1" },
      { name: "a key that is a boolean word", path: ["true"], want: "10:5" },
      { name: "an alias where it stands", path: ["copy"], want: "11:7" },
      { name: "a field behind an alias where it is written", path: ["copy", "z"], want: "7:3" },
      { name: "a merged field where it is written", path: ["merged", "z"], want: "7:3" },
      { name: "a field that is not there at the closest above", path: ["list", 0, "nope", "deep"], want: "4:3" },
    ];
  for (const { name, path, want } of rows) test(name, () => assert.equal(place(text, path), want));

  test("lines of a literal block stand in the outer text", () => {
    const [document] = documentsOf('---\n# c\ndata:\n  k: |2\n\n      x: 1\n    y: 2\n  q: "a\\nb"\n');
    assert.deepEqual(document?.placeInside(["data", "k"], 3, 1), { file: "f.yaml", line: 7, column: 5 });
    assert.deepEqual(document?.placeInside(["data", "k"], 2, 3), { file: "f.yaml", line: 6, column: 7 });
    assert.deepEqual(document?.placeInside(["data", "q"], 2, 1), { file: "f.yaml", line: 8, column: 6 });
  });

  test("lines count through earlier documents and CRLF", () => {
    const documents = documentsOf("a: 1\r\n---\r\nb:\r\n  c: 2\r\n");
    assert.deepEqual(documents[1]?.placeOf(["b", "c"]), { file: "f.yaml", line: 4, column: 6 });
  });
});
