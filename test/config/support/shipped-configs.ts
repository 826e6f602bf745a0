/**
 * The 81 named configs that NVIDIA ships (mig-parted deployments/systemd/config-default.yaml), made from a table.
 */

/** Families of GPUs: `profile×count`; a config `all-<profile>` each, `+` written as `.` in its name. */
const families = [
  "1g.5gb×7 1g.5gb+me×1 2g.10gb×3 3g.20gb×2 4g.20gb×1 7g.40gb×1",
  "1g.10gb+me×1 1g.20gb×4 2g.20gb×3 3g.40gb×2 4g.40gb×1 7g.80gb×1",
  "1g.6gb×4 1g.6gb+me×1 2g.12gb×2 2g.12gb+me×1 4g.24gb×1",
  "1g.12gb×7 1g.12gb+me×1 1g.24gb×4 2g.24gb×3 3g.47gb×2 4g.47gb×1 7g.94gb×1",
  "3g.48gb×2 4g.48gb×1 7g.96gb×1",
  "1g.18gb×7 1g.18gb+me×1 2g.35gb×3 3g.71gb×2 4g.71gb×1 7g.141gb×1",
  "1g.36gb×4 2g.36gb×3 3g.72gb×2 4g.72gb×1 7g.144gb×1",
  "1g.23gb×7 1g.23gb+me×1 1g.45gb×4 2g.45gb×3 3g.90gb×2 4g.90gb×1 7g.180gb×1",
  "1g.47gb×4 2g.47gb×3 3g.93gb×2 4g.93gb×1 7g.186gb×1",
  "3g.95gb×2 4g.95gb×1 7g.189gb×1",
  "1g.34gb×7 1g.34gb+me×1 1g.67gb×4 2g.67gb×3 3g.135gb×2 4g.135gb×1 7g.269gb×1",
  "1g.35gb+me×1 1g.70gb×4 2g.70gb×3 3g.139gb×2 4g.139gb×1 7g.278gb×1",
  "1g.24gb+gfx×4 1g.24gb+me.all×1 1g.24gb-me×4 2g.48gb×2 2g.48gb+gfx×2 2g.48gb+me.all×1 2g.48gb-me×2 4g.96gb×1 4g.96gb+gfx×1 1g.24gb+me×1",
];

const eightyGb = "0x233010DE 0x233110DE 0x232210DE 0x20B210DE 0x20B510DE 0x20F310DE 0x20F510DE 0x232410DE";
const fortyGb = "0x20B010DE 0x20B110DE 0x20F110DE 0x20F610DE";

interface Filtered {
  readonly filter: string;
  readonly devices: string;
}

const filtered: Readonly<Record<string, readonly Filtered[]>> = {
  "all-1g.10gb": [
    { filter: eightyGb, devices: "1g.10gb×7" },
    { filter: fortyGb, devices: "1g.10gb×4" },
  ],
  "all-1g.35gb": [
    { filter: "0x233510DE", devices: "1g.35gb×4" },
    { filter: "0x31C210DE", devices: "1g.35gb×7" },
  ],
  "all-balanced": [
    { filter: "0x294110DE", devices: "1g.23gb×2 2g.47gb×1 3g.93gb×1" },
    { filter: "0x31C210DE", devices: "1g.35gb×2 2g.70gb×1 3g.139gb×1" },
    { filter: "0x290110DE", devices: "1g.23gb×2 2g.45gb×1 3g.90gb×1" },
    { filter: "0x318210DE", devices: "1g.34gb×2 2g.67gb×1 3g.135gb×1" },
    { filter: "0x234810DE", devices: "1g.18gb×2 2g.36gb×1 3g.72gb×1" },
    { filter: "0x233510DE 0x233B10DE", devices: "1g.18gb×2 2g.35gb×1 3g.71gb×1" },
    { filter: "0x232110DE 0x233A10DE", devices: "1g.12gb×2 2g.24gb×1 3g.47gb×1" },
    { filter: "0x234210DE 0x233D10DE 0x20B610DE 0x232910DE", devices: "1g.12gb×2 2g.24gb×1 3g.48gb×1" },
    { filter: eightyGb, devices: "1g.10gb×2 2g.20gb×1 3g.40gb×1" },
    { filter: fortyGb, devices: "1g.5gb×2 2g.10gb×1 3g.20gb×1" },
    { filter: "0x20B710DE", devices: "1g.6gb×2 2g.12gb×1" },
    { filter: "0x2BB510DE", devices: "1g.24gb×2 2g.48gb×1" },
  ],
};

/** The text of the file. */
export function shippedConfigs(): string {
  const lines = ["version: v1", "mig-configs:", "  all-disabled:", "  - devices: all", "    mig-enabled: false"];
  lines.push("  all-enabled:", "  - devices: all", "    mig-enabled: true", "    mig-devices: {}");
  for (const { profile, count } of families.flatMap(profilesOf)) {
    lines.push(`  all-${profile.replaceAll("+", ".")}:`, ...entryLines({ filter: "", devices: `${profile}×${count}` }));
  }
  for (const [name, entries] of Object.entries(filtered)) lines.push(`  ${name}:`, ...entries.flatMap(entryLines));
  return `${lines.join("\n")}\n`;
}

function entryLines({ filter, devices }: Filtered): readonly string[] {
  const filters = filter.split(" ").map((one) => `"${one}"`);
  const filterLine = filters.length === 1 ? filters[0] : `[${filters.join(", ")}]`;
  return [
    filter === "" ? "  - devices: all" : `  - device-filter: ${filterLine}`,
    ...(filter === "" ? [] : ["    devices: all"]),
    "    mig-enabled: true",
    "    mig-devices:",
    ...profilesOf(devices).map(({ profile, count }) => `      "${profile}": ${count}`),
  ];
}

function profilesOf(text: string): readonly { readonly profile: string; readonly count: number }[] {
  return text.split(" ").map((one) => {
    const [profile = "", count = ""] = one.split("×");
    return { profile, count: Number(count) };
  });
}
