/**
 * Bundles the command line into a directory, `dist` unless another is named: what is released as a package. It runs with
 * nothing beside it but koffi, which is native code.
 *
 * CommonJS, since Node.js starts it quicker: an ES module that imports one name of a built-in module reads all that it
 * exports, and so loads parts that nobody uses. Each command is a chunk of its own, beside chunks of what several use.
 */
import { chmod, copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type OutputChunk, type RolldownPlugin, rolldown } from "rolldown";
import packageJson from "../package.json" with { type: "json" };

const root = join(import.meta.dirname, "..");
const directory = resolve(process.argv[2] ?? join(root, "dist"));

/** The layouts of a model are most of the catalogue. They are files of their own, read when the model is asked for. */
const catalogueByModel: RolldownPlugin = {
  name: "catalogue-by-model",
  transform: {
    filter: { id: /gpu-models\.json$/ },
    handler(code) {
      const { models, ...rest } = JSON.parse(code);
      const parts = models.map(({ mig, ...model }: { readonly mig: unknown; readonly id: string }) => {
        this.emitFile({ type: "asset", fileName: `chunks/models/${model.id}.json`, source: JSON.stringify(mig) });
        return `{ ...${JSON.stringify(model)}, get mig() { return read(${JSON.stringify(model.id)}); } }`;
      });
      return {
        code: `
          import { readFileSync } from "node:fs";
          const read = (id) => JSON.parse(readFileSync(__dirname + "/models/" + id + ".json", "utf8"));
          export default { ...${JSON.stringify(rest)}, models: [${parts}] };`,
        moduleType: "js",
      };
    },
  },
};

/**
 * What src/kube uses of undici. Its index loads all there is, fetch, WebSocket and caches among it, which an agent would
 * carry in its memory; an import of a name that is not here fails the build.
 */
const lessUndici: RolldownPlugin = {
  name: "less-undici",
  resolveId: { filter: { id: /^undici$/ }, handler: () => "\0undici" },
  load: {
    filter: { id: /^\0undici$/ },
    handler: () => ({
      code: `
        import api from "${root}/node_modules/undici/lib/api/index.js";
        import Agent from "${root}/node_modules/undici/lib/dispatcher/agent.js";
        import Dispatcher from "${root}/node_modules/undici/lib/dispatcher/dispatcher.js";
        Object.assign(Dispatcher.prototype, api);
        export { Agent };
        export function request(url, { dispatcher, ...options }) {
          const { origin, pathname, search } = new URL(url);
          return dispatcher.request({ ...options, origin, path: pathname + search });
        }`,
      moduleType: "js",
    }),
  },
};

/** Commands that are programs of their own, for which commander loads what starts processes, are not used here. */
const lessCommander: RolldownPlugin = {
  name: "less-commander",
  transform: {
    filter: { id: /commander\/lib\/command\.js$/ },
    handler: (code) => {
      const line = "import childProcess from 'node:child_process';";
      if (!code.includes(line)) throw new Error("commander does not import node:child_process as it did");
      return { code: code.replace(line, "const childProcess = undefined;") };
    },
  },
};

/** What npm and Node.js read of the bundle. */
function manifest(): string {
  const { name, version, description, license, engines, dependencies } = packageJson;
  const bin = { tranche: "tranche.js" };
  const { koffi } = dependencies;
  const own = { name, version, description, license, type: "commonjs", engines, bin, dependencies: { koffi } };
  return `${JSON.stringify(own, undefined, 2)}\n`;
}

/** The licences of the packages whose code is in the bundle, as these ask for. */
async function licences(chunks: readonly OutputChunk[]): Promise<string> {
  const inside = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;
  const packages = new Set(chunks.flatMap(({ moduleIds }) => moduleIds.flatMap((id) => inside.exec(id)?.[0] ?? [])));
  const parts = [...packages].sort().map(async (path) => {
    const { name, version, license } = JSON.parse(await readFile(join(path, "package.json"), "utf8"));
    const files = (await readdir(path)).filter((file) => /^(licen[cs]e|notice)/i.test(file));
    const texts = await Promise.all(files.map((file) => readFile(join(path, file), "utf8")));
    return [`${name} ${version}: ${license}`, ...texts.map((text) => text.trim())].join("\n\n");
  });
  return `${(await Promise.all(parts)).join("\n\n\n")}\n`;
}

// Names of old chunks differ.
await rm(join(directory, "chunks"), { recursive: true, force: true });
const bundle = await rolldown({
  cwd: root,
  input: { tranche: "src/cli/main.ts" },
  platform: "node",
  // gRPC loads the other one for services of its own that nobody asks for here.
  external: ["koffi", "@grpc/proto-loader"],
  // Importing a module of ours does nothing, so one of which nothing is used is left out.
  treeshake: { moduleSideEffects: [{ test: /\/src\/(?!cli\/main\.ts)/, sideEffects: false }] },
  plugins: [catalogueByModel, lessUndici, lessCommander],
});
const { output } = await bundle.write({
  dir: directory,
  format: "cjs",
  dynamicImportInCjs: false,
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name]-[hash].js",
  // Names stay, for whoever reads a stack.
  minify: { compress: true, mangle: false },
  postBanner: ({ isEntry }) => (isEntry ? "#!/usr/bin/env node" : ""),
});
await bundle.close();
await chmod(join(directory, "tranche.js"), 0o755);
await writeFile(join(directory, "package.json"), manifest());
await copyFile(join(root, "LICENSE"), join(directory, "LICENSE"));
const chunks = output.filter((one) => one.type === "chunk");
await writeFile(join(directory, "THIRD-PARTY-LICENCES"), await licences(chunks));
const bytes = chunks.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
console.log(`${directory}: ${chunks.length} files, ${(bytes / 2 ** 20).toFixed(1)} MiB`);
