import assert from "node:assert/strict";
import { test } from "node:test";
import { table } from "../../src/cli/table.ts";

const rows: readonly { name: string; header: readonly string[]; rows: readonly (readonly string[])[]; want: string }[] =
  [
    {
      name: "every column but the last is as wide as its widest cell",
      header: ["NAME", "AGE"],
      rows: [
        ["a", "1d"],
        ["longer-name", "20d"],
      ],
      want: "NAME          AGE\na             1d\nlonger-name   20d",
    },
    { name: "lines have no blanks at their ends", header: ["A", "B"], rows: [["long", ""]], want: "A      B\nlong" },
    { name: "a header alone is a table", header: ["A", "B"], rows: [], want: "A   B" },
    {
      name: "colours do not count as width",
      header: ["A", "B"],
      rows: [
        ["\u001b[2m-\u001b[22m", "x"],
        ["--", "y"],
      ],
      want: "A    B\n\u001b[2m-\u001b[22m    x\n--   y",
    },
  ];
test("more rows than a call takes arguments are no matter", () => {
  const cells = Array.from({ length: 200_000 }, () => ["x", "y"]);
  assert.equal(table(["LONG", "B"], cells).split("\n").at(-1), "x      y");
});

for (const { name, header, rows: cells, want } of rows) {
  test(name, () => assert.equal(table(header, cells), want));
}
