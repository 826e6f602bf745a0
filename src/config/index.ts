/** NVIDIA's file formats and Kubernetes manifests: text to typed values, or findings with file, line and column. */

export { disabledCdiHooks } from "./cdi-hooks.ts";
export { devicePluginEnvironment, readClusterPolicy } from "./cluster-policy.ts";
export { deviceFilterOf } from "./device-filter.ts";
export { parseDevicePluginConfig } from "./device-plugin.ts";
export { parseDeviceRef } from "./device-refs.ts";
export { effectiveFeatureFlags, effectiveFlags, type MergedFlags, type VariablePlace } from "./effective-flags.ts";
export { type ExportedMigFile, exportedMigFile } from "./exported.ts";
export { generatedMigConfigs } from "./generated.ts";
export { type GoDuration, parseGoDuration } from "./go-duration.ts";
export { type Hook, type HookName, type HooksFile, hookNames, parseHooksFile } from "./hooks-file.ts";
export { effectiveImex, noImex } from "./imex.ts";
export { type JsonText, readJsonText } from "./json-text.ts";
export { type EmbeddedFile, embeddedFile, type FileText, readManifests } from "./manifests.ts";
export { parseMigParted, selectMigConfig } from "./mig-parted.ts";
export {
  canonicalMigName,
  type MigProfileName,
  type MigProfileNameRead,
  parseMigProfileName,
} from "./mig-profile-name.ts";
export { type PickedConfig, type PickRequest, pickDevicePluginConfig } from "./pick-device-plugin-config.ts";
export type { FieldPath, PlaceAt } from "./places.ts";
export { type ContentKind, configMapContents, recogniseText } from "./recognise.ts";
export { patternMatches } from "./resource-names.ts";
export type {
  AllocationPolicy,
  ClusterPolicyConfig,
  DeviceChoice,
  DeviceIdStrategy,
  DeviceListStrategy,
  DevicePluginConfig,
  DeviceRef,
  EffectiveFlags,
  FeatureFlags,
  ImexConfig,
  Manifest,
  MigConfig,
  MigConfigEntry,
  MigPartedFile,
  MigStrategy,
  NamedResource,
  PluginFlags,
  SharedResource,
  SharingConfig,
  WantedMig,
} from "./types.ts";
export { type WantedMigResult, wantedMig } from "./wanted-mig.ts";
export { yamlText } from "./yaml-text.ts";
