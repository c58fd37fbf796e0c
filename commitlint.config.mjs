// The rules of a commit message. The scopes are the folders of the tree, so they need no list of their own:
// every folder of the first and second level that holds a tracked or staged file (services/order-service is
// `order-service`), without those whose name begins with a dot. A commit that adds a folder may use its name.
import { execFileSync } from "node:child_process";

/** The scopes of the checkout at `cwd`, sorted. */
export function scopesOf(cwd = process.cwd()) {
  const listed = execFileSync("git", ["-C", cwd, "ls-files", "-z", "--full-name", ":/"], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const folders = new Set();
  for (const file of listed.split("\0")) {
    const path = file.split("/").slice(0, -1);
    if (path.length === 0 || path[0].startsWith(".")) continue;
    path.slice(0, 2).forEach((folder) => folders.add(folder));
  }
  return [...folders].sort();
}

export default {
  extends: ["@commitlint/config-conventional"],
  // commitlint lets git's own words pass (Merge, Revert, fixup!, bare versions). They are judged here too: a
  // version is made of every commit on main.
  defaultIgnores: false,
  rules: {
    "body-leading-blank": [2, "always"],
    "body-max-line-length": [2, "always", 120],
    "footer-leading-blank": [2, "always"],
    "footer-max-line-length": [2, "always", 120],
    "scope-case": [2, "always", "kebab-case"],
    "scope-enum": [2, "always", scopesOf(process.env.STOA_SCOPES_OF || undefined)],
    // A subject may begin with a name that has capitals: TLS, PostgreSQL, AsyncAPI.
    "subject-case": [0],
  },
  helpUrl: "docs/phases/01-foundation.md",
};
