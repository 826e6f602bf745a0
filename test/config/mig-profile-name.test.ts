import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalMigName, parseMigProfileName } from "../../src/config/index.ts";
import { catalogue } from "../../src/gpu/index.ts";

// NVIDIA go-nvlib pkg/nvlib/device/mig_profile.go, parseMigProfile.
describe("MIG profile names", () => {
  const good = [
    ["1g.5gb", "1g.5gb"],
    ["1c.1g.5gb", "1g.5gb"],
    ["1c.3g.20gb", "1c.3g.20gb"],
    ["1g.10gb+me", "1g.10gb+me"],
    ["1g.24gb+me.all", "1g.24gb+me.all"],
    ["1g.24gb-me", "1g.24gb-me"],
    ["2g.48gb+me,gfx", "2g.48gb+gfx,me"],
    ["01g.005gb", "1g.5gb"],
    ["0g.0gb", "0g.0gb"],
  ] as const;
  for (const [text, want] of good) {
    test(`${text} is ${want}`, () => {
      const read = parseMigProfileName(text);
      assert.ok(read.ok);
      assert.equal(canonicalMigName(read.name), want);
    });
  }

  const bad = [
    ["", "profile is the empty string"],
    ["1g", "cannot parse fields of '1g': parsed wrong number of fields, expected 2 or 3"],
    ["1g.5g", "cannot parse fields of '1g.5g': missing 'gb' from '%dgb'"],
    ["g.5gb", "cannot parse fields of 'g.5gb': malformed number in '%dg'"],
    ["1g.5gb ", "cannot parse fields of '1g.5gb ': leading or trailing spaces on '%dgb'"],
    ["1c.1c.1g.5gb", "cannot parse fields of '1c.1c.1g.5gb': missing 'g' from '%dg'"],
    ["1g.5gb+", "cannot parse attributes of '1g.5gb+': empty attribute in list"],
    ["1g.5gb+me,me", "cannot parse attributes of '1g.5gb+me,me': non unique attribute in list"],
    ["1g.5gb+1me", "cannot parse attributes of '1g.5gb+1me': attribute begins with a number"],
    ["1g.5gb+.me", "cannot parse attributes of '1g.5gb+.me': attribute begins/ends with a dot"],
    ["1g.5gb+m_e", "cannot parse attributes of '1g.5gb+m_e': non alpha-numeric character or digit in attribute"],
    ["1g.5gb+me-gfx", "profile '1g.5gb+me-gfx' contains both '+/-' attributes"],
  ] as const;
  for (const [text, reason] of bad) {
    test(`${JSON.stringify(text)} is refused`, () =>
      assert.deepEqual(parseMigProfileName(text), { ok: false, reason }));
  }

  test("every name of the catalogue is canonical", () => {
    const profiles = catalogue().flatMap((model) => model.mig?.profiles ?? []);
    const names = profiles.flatMap((profile) => [
      profile.name,
      ...profile.computeInstanceProfiles.map((one) => one.name),
    ]);
    assert.ok(names.length > 178);
    for (const name of names) {
      const read = parseMigProfileName(name);
      assert.equal(read.ok ? canonicalMigName(read.name) : read.reason, name);
    }
  });
});
