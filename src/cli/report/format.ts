/**
 * The forms a report can be printed in.
 */
import { yamlText } from "../../config/index.ts";
import type { Report } from "../../insight/index.ts";
import { reportMermaid } from "./mermaid.ts";
import { type Paint, paintFor } from "./paint.ts";
import { reportText } from "./text.ts";

export const reportFormats = ["table", "wide", "json", "yaml", "mermaid"] as const;
export type ReportFormat = (typeof reportFormats)[number];

/** Whether a form is for people at a terminal. */
export function isForReading(format: ReportFormat): boolean {
  return format === "table" || format === "wide";
}

/** The report in the form asked for, without a trailing line feed. Colours default to standard output's. */
export function formatReport(report: Report, format: ReportFormat, paint: Paint = paintFor(process.stdout)): string {
  switch (format) {
    case "table":
      return reportText(report, { wide: false, paint });
    case "wide":
      return reportText(report, { wide: true, paint });
    case "json":
      return JSON.stringify(report, undefined, 2);
    case "yaml":
      return yamlText(report).trimEnd();
    case "mermaid":
      return reportMermaid(report);
  }
}
