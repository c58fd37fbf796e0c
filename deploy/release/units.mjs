// What is released on its own, and which paths belong to it.
import { readdirSync, existsSync } from "node:fs";
import { join } from "node:path";

/** What every service is compiled from and packed with: a change here is a change of all of them. */
export const SHARED_PATHS = [
  "servicekit/",
  "cmake/",
  "CMakeLists.txt",
  "CMakePresets.json",
  "deploy/images/Dockerfile",
  "deploy/images/collect-closure",
  "deploy/images/packages/toolchain.list",
];

/** The services of the tree, then the platform, which is everything: {name, paths, tagFormat, changelog}. */
export function unitsOf(top) {
  const folder = join(top, "services");
  const services = readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, "CMakeLists.txt")))
    .sort();
  if (services.length === 0) throw new Error(`no service under ${folder}`);
  const ofService = (name) => ({
    name,
    paths: [`services/${name}/`, ...SHARED_PATHS],
    tagFormat: `${name}-v\${version}`,
    changelog: `services/${name}/CHANGELOG.md`,
  });
  return [...services.map(ofService), { name: "platform", paths: ["."], tagFormat: "v${version}", changelog: "CHANGELOG.md" }];
}
