/**
 * Where the agent's command line says its config is: read anew whenever it is asked for, and watched.
 */
import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ConfigChoice, ConfigSource } from "../../agent/index.ts";
import { errorText } from "../../base/index.ts";
import type { AgentArguments } from "./command.ts";

/** The config as it is now. Never throws: what cannot be read says so. */
export async function readConfigSource(args: AgentArguments): Promise<ConfigSource> {
  const { configFile, configDirectory, configMap, nodeLabel, defaultConfig, fallbackStrategies } = args;
  const choice: ConfigChoice = { label: nodeLabel, defaultName: defaultConfig, fallback: fallbackStrategies };
  if (configFile !== undefined) return readFileSource(configFile);
  if (configDirectory !== undefined) return readDirectorySource(configDirectory, choice);
  if (configMap === undefined) return { kind: "policy" };
  const slash = configMap.indexOf("/");
  const namespace = slash < 0 ? args.namespace : configMap.slice(0, slash);
  return { kind: "config-map", namespace, name: configMap.slice(slash + 1), choice };
}

async function readFileSource(path: string): Promise<ConfigSource> {
  try {
    return { kind: "file", path, text: await readFile(path, "utf8") };
  } catch (error) {
    return { kind: "unreadable", path, reason: errorText(error) };
  }
}

/** A mounted ConfigMap has directories and links beginning with `..` beside its keys. */
async function readDirectorySource(path: string, choice: ConfigChoice): Promise<ConfigSource> {
  try {
    const texts = new Map<string, string>();
    for (const name of (await readdir(path)).sort()) {
      if (name.startsWith("..")) continue;
      const file = join(path, name);
      if ((await stat(file)).isFile()) texts.set(name, await readFile(file, "utf8"));
    }
    return { kind: "directory", path, texts, choice };
  } catch (error) {
    return { kind: "unreadable", path, reason: errorText(error) };
  }
}

/**
 * Calls `onChange` when something changes where the config is; returns how to stop it. Only a hint: the agent also looks
 * by itself every few seconds.
 */
export function watchConfigSource(
  { configFile, configDirectory }: Pick<AgentArguments, "configFile" | "configDirectory">,
  onChange: () => void,
): () => void {
  const directory = configFile === undefined ? configDirectory : dirname(configFile);
  if (directory === undefined) return () => {};
  let watcher: FSWatcher | undefined;
  try {
    // Editors and mounts replace files, so the directory is watched and not the file.
    watcher = watch(directory, onChange);
    watcher.on("error", () => watcher?.close());
  } catch {
    // It is looked at by itself, too.
  }
  return () => watcher?.close();
}
