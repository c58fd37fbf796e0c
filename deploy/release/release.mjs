// Versions, notes and changelogs of the commits: called by deploy/release/release, which has the usage.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { analyzeCommits } from "@semantic-release/commit-analyzer";
import { generateNotes } from "@semantic-release/release-notes-generator";
import semanticRelease from "semantic-release";
import { unitsOf } from "./units.mjs";

const PRESET = {
  preset: "conventionalcommits",
  presetConfig: {
    types: [
      { type: "feat", section: "Features" },
      { type: "fix", section: "Fixes" },
      { type: "perf", section: "Performance" },
      { type: "revert", section: "Reverts" },
    ],
  },
};
const RULES = { ...PRESET, releaseRules: [{ type: "revert", release: "patch" }] };

/** The commits of `context` that touch one of `paths`. */
function touching(paths, context) {
  const { cwd, lastRelease, commits } = context;
  const range = lastRelease?.gitHead ? [`${lastRelease.gitHead}..HEAD`] : ["HEAD"];
  const listed = execFileSync("git", ["log", "--full-history", "--format=%H", ...range, "--", ...paths], { cwd, encoding: "utf8" });
  const hashes = new Set(listed.split("\n").filter(Boolean));
  return commits.filter(({ hash }) => hashes.has(hash));
}

/** semantic-release's own analyser and notes, shown only what belongs to the unit. */
function onlyOf({ name, paths }) {
  const within = (context) => ({ ...context, commits: touching(paths, context) });
  return {
    analyzeCommits: async (_, context) => {
      const mine = within(context);
      context.logger.log(`${mine.commits.length} of ${context.commits.length} commits touch ${name}`);
      return analyzeCommits(RULES, mine);
    },
    generateNotes: async (_, context) => generateNotes(PRESET, within(context)),
  };
}

function optionsOf(unit, arguments_) {
  return {
    branches: ["main"],
    repositoryUrl: arguments_.remote,
    tagFormat: unit.tagFormat,
    dryRun: arguments_["dry-run"],
    noCi: arguments_["no-ci"],
    plugins: [
      onlyOf(unit),
      ["@semantic-release/changelog", { changelogFile: unit.changelog, changelogTitle: `# Changes of ${unit.name}` }],
      [
        "@semantic-release/git",
        { assets: [unit.changelog], message: `chore(release): ${unit.name} \${nextRelease.version} [skip ci]` },
      ],
    ],
  };
}

const quiet = new Writable({ write: (_chunk, _encoding, done) => done() });

async function main() {
  const { values } = parseArgs({
    options: {
      "dry-run": { type: "boolean", default: false },
      "no-ci": { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
      json: { type: "string" },
      unit: { type: "string", multiple: true },
      remote: { type: "string" },
      in: { type: "string" },
    },
  });
  const units = unitsOf(values.in).filter(({ name }) => !values.unit || values.unit.includes(name));
  if (units.length === 0) throw new Error(`no such unit: ${values.unit}`);
  const released = [];
  for (const unit of units) {
    const streams = values.verbose ? { stdout: process.stderr, stderr: process.stderr } : { stdout: quiet, stderr: quiet };
    // One after the other: each pushes its changelog to main, and the next begins on that commit.
    const result = await semanticRelease(optionsOf(unit, values), { cwd: values.in, env: process.env, ...streams });
    if (!result) continue;
    const { type, version, gitTag, notes } = result.nextRelease;
    released.push({ unit: unit.name, type, version, tag: gitTag, notes, previous: result.lastRelease.version ?? null });
    console.log(`${unit.name.padEnd(22)} ${(result.lastRelease.version ?? "none").padEnd(9)} -> ${version.padEnd(9)} ${type}`);
  }
  if (values.json) writeFileSync(values.json, JSON.stringify(released, null, 2) + "\n");
  console.log(`${units.length} units looked at, ${released.length} ${values["dry-run"] ? "would be " : ""}released`);
}

try {
  await main();
} catch (error) {
  console.error(`release: ${error.shortMessage ?? error.message}`);
  process.exit(1);
}
