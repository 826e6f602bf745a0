/**
 * Keeps compiled code between two starts, so that the second one is quicker.
 */
import { statSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { join } from "node:path";

/**
 * Keeps it in the user's own cache directory (XDG Base Directory Specification), and nowhere if there is none that
 * belongs to the user alone. Node.js's default is below the system's temporary directory, where somebody else can be
 * first: what is planted there would run with the rights of whoever calls `tranche`, often root.
 *
 * Returns the directory within it for this version of Node.js, `undefined` where nothing is kept.
 */
export function keepCompiledCode(env: NodeJS.ProcessEnv): string | undefined {
  const { XDG_CACHE_HOME: cache, HOME: home } = env;
  if (cache) {
    if (isOwn(cache)) enableCompileCache(join(cache, "tranche"));
  } else if (home && isOwn(home)) {
    enableCompileCache(join(home, ".cache", "tranche"));
  }
  return getCompileCacheDir();
}

function isOwn(directory: string): boolean {
  try {
    const { uid, mode } = statSync(directory);
    return uid === process.getuid?.() && (mode & 0o022) === 0;
  } catch {
    return false;
  }
}
